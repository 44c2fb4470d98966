// Two-dimensional convolution (cross-correlation, as the field computes it).
//
//   y(n,o,i,j) = b(o) + sum_{c,k,l} w(o,c,k,l) x(n, g(o) C/G + c, i*s - p + k*d, j*s - p + l*d)
//
//   x:(N,C,H,W)  w:(O,C/G,KH,KW)  b:(O), may be left out  ->  y:(N,O,OH,OW)
//   OH = (H + top + bottom - dilation (KH - 1) - 1) / stride + 1, OW alike.  G groups; G = C is depthwise.
#pragma once

#include <tl/kernels/conv.hpp>
#include <tl/ops/operation.hpp>

namespace tl::ops {

/// Extents or steps along the two axes of an image, in pixels.
struct Size2 {
  Index h = 1;                                                   ///< along the height
  Index w = 1;                                                   ///< along the width
  friend bool operator==(const Size2&, const Size2&) = default;  ///< both equal
};

/// How many rows and columns of zeros are put around an image.
struct Padding2 {
  Index top = 0;                                                       ///< rows above
  Index left = 0;                                                      ///< columns before
  Index bottom = 0;                                                    ///< rows below
  Index right = 0;                                                     ///< columns behind
  friend bool operator==(const Padding2&, const Padding2&) = default;  ///< all four equal
};

/// The extent of a sliding window's result; with `ceil`, a last window may start inside and end beyond the
/// padding.
inline Index window_extent(std::string_view name, Index in, Index before, Index after, Index kernel,
                           Index stride, Index dilation, bool ceil = false) {
  TL_CHECK(kernel >= 1 && stride >= 1 && dilation >= 1 && before >= 0 && after >= 0, "[", name,
           "] expected kernel, stride and dilation of at least 1 and padding of at least 0, got kernel ",
           kernel, ", stride ", stride, ", dilation ", dilation, ", padding ", before, " and ", after);
  const Index room = in + before + after - dilation * (kernel - 1) - 1;
  TL_CHECK(room >= 0, "[", name, "] expected an image of at least ", dilation * (kernel - 1) + 1,
           " with its padding, got ", in + before + after);
  Index out = room / stride + 1;
  if (ceil && room % stride != 0 && out * stride < in + before) ++out;
  return out;
}

/// Cross-correlation of images with a bank of filters; the formula is in ops/conv.hpp.
///   x:(N,C,H,W)  w:(O,C/G,KH,KW)  b:(O), may be left out  ->  y:(N,O,OH,OW)
struct Conv2d {
  static constexpr std::string_view name = "conv2d";
  Size2 stride{};      ///< pixels of x from one output to the next
  Padding2 padding{};  ///< zeros around x
  Size2 dilation{};    ///< pixels of x from one weight to the next; 1: none is left out
  Index groups = 1;    ///< G, which divides C and O; C of them is depthwise

  Shape infer(const Shape& x, const Shape& w) const {
    TL_CHECK(x.rank() == 4 && w.rank() == 4 && groups >= 1 && x[1] == w[1] * groups && w[0] % groups == 0,
             "[conv2d] expected x(N,C,H,W), w(O,C/", groups, ",KH,KW), got ", x, ", ", w);
    return {x[0], w[0], window_extent(name, x[2], padding.top, padding.bottom, w[2], stride.h, dilation.h),
            window_extent(name, x[3], padding.left, padding.right, w[3], stride.w, dilation.w)};
  }
  Shape infer(const Shape& x, const Shape& w, const Shape& b) const {
    TL_CHECK(w.rank() == 4 && b == Shape{w[0]}, "[conv2d] expected w(O,C/", groups, ",KH,KW), b(O), got ", w,
             ", ", b);
    return infer(x, w);
  }

  template <class T>
  Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& w) const {
    return compute<T>(x, w, nullptr, {});
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b) const {
    infer(x.shape(), w.shape(), b.shape());
    return compute<T>(x, w, b.data(), {});
  }
  /// The same on a tape. Weights that are trained change before they are read again: their packed form, four
  /// times as large for Winograd, is not kept.
  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x, const Tensor<T>& w) const {
    return compute<T>(x, w, nullptr, {}, !context.training());
  }
  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b) const {
    infer(x.shape(), w.shape(), b.shape());
    return compute<T>(x, w, b.data(), {}, !context.training());
  }
  /// activation(conv(x, w) + bias + residual); bias and the epilogue's residual, channels-last, may be null.
  template <class T>
  Tensor<T> compute(const Tensor<T>& x, const Tensor<T>& w, const T* bias,
                    const kernels::ConvEpilogue<T>& epilogue, bool keep_packed = true) const {
    Tensor<T> y = Tensor<T>::empty(infer(x.shape(), w.shape()), Layout::channels_last);
    const kernels::ConvShape shape = kernel_shape(x.shape(), w.shape(), y.shape());
    const Tensor<T> image = x.to(Layout::channels_last);
    const auto run = [&](const T* packed) {
      kernels::conv_forward(shape, image.data(), packed, bias, epilogue, y.mutable_data());
    };
    if (keep_packed) {
      run(packed_weights(shape, w)->data());
    } else {
      T* packed = scratch<T, packed_slot>(static_cast<std::size_t>(kernels::conv_packed_size<T>(shape)));
      kernels::conv_pack(shape, w.plain().data(), packed);
      run(packed);
    }
    return y;
  }

  static constexpr Reads reads(int input) { return {.inputs = input == 0 ? 0b10u : input == 1 ? 0b01u : 0u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const kernels::ConvShape shape = kernel_shape(s.input_shape(0), s.input_shape(1), dy.shape());
    const Tensor<T> gradient = dy.to(Layout::channels_last);
    if (d.wants(0)) {
      Tensor<T> dx = Tensor<T>::empty(s.input_shape(0), Layout::channels_last);
      kernels::conv_backward_input(shape, gradient.data(), s.input(1).plain().data(), dx.mutable_data());
      d.add(0, dx);
    }
    if (d.wants(1)) {
      const Tensor<T> x = s.input(0).to(Layout::channels_last);
      Tensor<T> dw = Tensor<T>::empty(s.input_shape(1));
      kernels::conv_backward_weight(shape, x.data(), gradient.data(), dw.mutable_data());
      d.add(1, dw);
    }
    if (s.input_count() == 3 && d.wants(2)) {
      Tensor<T> db = Tensor<T>::empty(s.input_shape(2));
      kernels::conv_backward_bias(shape, gradient.data(), db.mutable_data());
      d.add(2, db);
    }
  }

  /// The weights as kernels::conv_forward reads them, kept beside w until it changes.
  template <class T>
  static std::shared_ptr<const AlignedArray<T>> packed_weights(const kernels::ConvShape& shape,
                                                               const Tensor<T>& w) {
    return w.template derived<AlignedArray<T>>(kernels::conv_packing(shape), [&] {
      AlignedArray<T> array(static_cast<std::size_t>(kernels::conv_packed_size<T>(shape)));
      const Tensor<T> weights = w.is_deferred() ? w.clone() : w.plain();  // only the packed ones are to stay
      kernels::conv_pack(shape, weights.data(), array.data());
      return array;
    });
  }

  /// The same convolution as kernels know it.
  kernels::ConvShape kernel_shape(const Shape& x, const Shape& w, const Shape& y) const {
    return {.n = x[0],
            .h = x[2],
            .w = x[3],
            .c = x[1],
            .oh = y[2],
            .ow = y[3],
            .o = w[0],
            .kh = w[2],
            .kw = w[3],
            .stride_h = stride.h,
            .stride_w = stride.w,
            .pad_top = padding.top,
            .pad_left = padding.left,
            .dilation_h = dilation.h,
            .dilation_w = dilation.w,
            .groups = groups};
  }

 private:
  static constexpr int packed_slot = 21;  // of scratch memory
};

}  // namespace tl::ops
