// Transposed two-dimensional convolution: the gradient of a convolution with respect to its image, as a layer
// that enlarges.
//
//   y(n, g O/G + o, i s - p + k d, j s - p + l d) += w(c,o,k,l) x(n,c,i,j)      for the channels c of group g
//
//   x:(N,C,H,W)  w:(C,O/G,KH,KW)  b:(O), may be left out  ->  y:(N,O,OH,OW)
//   OH = (H - 1) stride + dilation (KH - 1) + 1 + output_padding - top - bottom, OW alike
#pragma once

#include <tl/ops/conv.hpp>

namespace tl::ops {

/// The gradient of a convolution with respect to its image, as a layer that enlarges.
///   x:(N,C,H,W)  w:(C,O/G,KH,KW)  b:(O), may be left out  ->  y:(N,O,OH,OW)
///   OH = (H - 1) stride + dilation (KH - 1) + 1 + output_padding - top - bottom, OW alike
struct ConvTranspose2d {
  static constexpr std::string_view name = "conv_transpose2d";
  Size2 stride{};              ///< pixels of y from one input to the next
  Padding2 padding{};          ///< what is cut off y's borders
  Size2 dilation{};            ///< pixels of y from one weight to the next
  Size2 output_padding{0, 0};  ///< rows and columns of y added below and behind
  Index groups = 1;            ///< G, which divides C and O

  Shape infer(const Shape& x, const Shape& w) const {
    TL_CHECK(x.rank() == 4 && w.rank() == 4 && groups >= 1 && x[1] == w[0] && w[0] % groups == 0,
             "[conv_transpose2d] expected x(N,C,H,W), w(C,O/", groups, ",KH,KW), got ", x, ", ", w);
    return {x[0], w[1] * groups,
            extent(x[2], w[2], stride.h, dilation.h, output_padding.h, padding.top, padding.bottom),
            extent(x[3], w[3], stride.w, dilation.w, output_padding.w, padding.left, padding.right)};
  }
  Shape infer(const Shape& x, const Shape& w, const Shape& b) const {
    const Shape y = infer(x, w);
    TL_CHECK(b == Shape{y[1]}, "[conv_transpose2d] expected b(", y[1], "), got ", b);
    return y;
  }

  template <class T>
  Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& w) const {
    Tensor<T> y = Tensor<T>::empty(infer(x.shape(), w.shape()), Layout::channels_last);
    const Tensor<T> image = x.to(Layout::channels_last);
    kernels::conv_backward_input(transposed(x.shape(), w.shape(), y.shape()), image.data(), w.plain().data(),
                                 y.mutable_data());
    return y;
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b) const {
    infer(x.shape(), w.shape(), b.shape());
    return add(forward(x, w), b.reshape({b.size(), 1, 1}));
  }

  static constexpr Reads reads(int input) { return {.inputs = input == 0 ? 0b10u : input == 1 ? 0b01u : 0u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const kernels::ConvShape shape = transposed(s.input_shape(0), s.input_shape(1), dy.shape());
    const Tensor<T> gradient = dy.to(Layout::channels_last);
    if (d.wants(0)) {
      Tensor<T> dx = Tensor<T>::empty(s.input_shape(0), Layout::channels_last);
      AlignedArray<T> packed(static_cast<std::size_t>(kernels::conv_packed_size<T>(shape)));
      kernels::conv_pack(shape, s.input(1).plain().data(), packed.data());
      kernels::conv_forward<T>(shape, gradient.data(), packed.data(), nullptr, {}, dx.mutable_data());
      d.add(0, dx);
    }
    if (d.wants(1)) {
      const Tensor<T> x = s.input(0).to(Layout::channels_last);
      Tensor<T> dw = Tensor<T>::empty(s.input_shape(1));
      kernels::conv_backward_weight(shape, gradient.data(), x.data(), dw.mutable_data());
      d.add(1, dw);
    }
    if (s.input_count() == 3 && d.wants(2)) {
      Tensor<T> db = Tensor<T>::empty(s.input_shape(2));
      const Shape& y = dy.shape();
      kernels::conv_backward_bias({.n = y[0], .oh = y[2], .ow = y[3], .o = y[1]}, gradient.data(),
                                  db.mutable_data());
      d.add(2, db);
    }
  }

 private:
  static Index extent(Index in, Index kernel, Index stride, Index dilation, Index extra, Index before,
                      Index after) {
    TL_CHECK(
        kernel >= 1 && stride >= 1 && dilation >= 1 && before >= 0 && after >= 0 && extra >= 0 &&
            extra < std::max(stride, dilation),
        "[conv_transpose2d] expected kernel, stride and dilation of at least 1, padding of at least 0 and "
        "output_padding below stride or dilation, got kernel ",
        kernel, ", stride ", stride, ", dilation ", dilation, ", padding ", before, " and ", after,
        ", output_padding ", extra);
    const Index out = (in - 1) * stride + dilation * (kernel - 1) + 1 + extra - before - after;
    TL_CHECK(in >= 1 && out >= 1,
             "[conv_transpose2d] expected an image and a padding that leave a result, got ", in,
             " pixels with padding ", before, " and ", after);
    return out;
  }
  /// The convolution that takes y to x.
  kernels::ConvShape transposed(const Shape& x, const Shape& w, const Shape& y) const {
    return Conv2d{.stride = stride, .padding = padding, .dilation = dilation, .groups = groups}.kernel_shape(
        y, w, x);
  }
};

}  // namespace tl::ops
