// Pooling of images: maximum and average over sliding windows, and averages over a fixed number of regions.
//
//   x:(N,C,H,W) -> y:(N,C,OH,OW);  formulas in kernels/pool.hpp
#pragma once

#include <tl/kernels/pool.hpp>
#include <tl/ops/conv.hpp>

namespace tl::ops {

/// The sliding window that max and average pooling share.
struct PoolWindow {
  Size2 kernel{};      ///< extents of the window
  Size2 stride{};      ///< pixels from one window to the next
  Padding2 padding{};  ///< pixels around the image; a maximum ignores them
  Size2 dilation{};    ///< pixels from one pixel of a window to the next; 1: none is left out
  bool ceil = false;   ///< a last window may reach beyond the padding (ONNX ceil_mode)

  /// The result's shape for x:(N,C,H,W); `name` is the operation's, for messages.
  Shape infer(std::string_view name, const Shape& x) const {
    TL_CHECK(x.rank() == 4, "[", name, "] expected x(N,C,H,W), got ", x);
    return {x[0], x[1],
            window_extent(name, x[2], padding.top, padding.bottom, kernel.h, stride.h, dilation.h, ceil),
            window_extent(name, x[3], padding.left, padding.right, kernel.w, stride.w, dilation.w, ceil)};
  }
  /// The same for the kernels; y is what infer() says of x.
  kernels::PoolShape kernel_shape(const Shape& x, const Shape& y) const {
    return {.n = x[0],
            .h = x[2],
            .w = x[3],
            .c = x[1],
            .oh = y[2],
            .ow = y[3],
            .kh = kernel.h,
            .kw = kernel.w,
            .stride_h = stride.h,
            .stride_w = stride.w,
            .pad_top = padding.top,
            .pad_left = padding.left,
            .dilation_h = dilation.h,
            .dilation_w = dilation.w};
  }
};

/// Greatest value of each window; the gradient goes to the pixel it came from.
struct MaxPool2d {
  static constexpr std::string_view name = "max_pool2d";
  PoolWindow window{};  ///< which pixels each value is made of

  Shape infer(const Shape& x) const { return window.infer(name, x); }
  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x) const {
    const Tensor<T> image = x.to(Layout::channels_last);
    Tensor<T> y = Tensor<T>::empty(infer(x.shape()), Layout::channels_last);
    Tensor<std::int32_t> argmax;
    if (context.recording()) argmax = Tensor<std::int32_t>::empty(y.shape(), Layout::channels_last);
    kernels::max_pool_forward(window.kernel_shape(x.shape(), y.shape()), image.data(), y.mutable_data(),
                              argmax.mutable_data());
    context.keep_indices(argmax);
    return y;
  }
  static constexpr Reads reads(int) { return {.context = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Tensor<T> gradient = dy.to(Layout::channels_last);
    Tensor<T> dx = Tensor<T>::empty(s.input_shape(0), Layout::channels_last);
    kernels::max_pool_backward(window.kernel_shape(dx.shape(), dy.shape()), gradient.data(),
                               s.kept_indices().data(), dx.mutable_data());
    d.add(0, dx);
  }
};

/// Mean of each window; padding counts as zeros only with include_padding.
struct AveragePool2d {
  static constexpr std::string_view name = "average_pool2d";
  PoolWindow window{};           ///< which pixels each value is made of
  bool include_padding = false;  ///< whether padding counts as zeros; otherwise it does not count

  Shape infer(const Shape& x) const { return window.infer(name, x); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    const Tensor<T> image = x.to(Layout::channels_last);
    Tensor<T> y = Tensor<T>::empty(infer(x.shape()), Layout::channels_last);
    kernels::average_pool_forward(window.kernel_shape(x.shape(), y.shape()), count(), image.data(),
                                  y.mutable_data());
    return y;
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Tensor<T> gradient = dy.to(Layout::channels_last);
    Tensor<T> dx = Tensor<T>::empty(s.input_shape(0), Layout::channels_last);
    kernels::average_pool_backward(window.kernel_shape(dx.shape(), dy.shape()), count(), gradient.data(),
                                   dx.mutable_data());
    d.add(0, dx);
  }

 private:
  kernels::AverageCount count() const {
    return {include_padding, window.padding.bottom, window.padding.right};
  }
};

/// The result's shape for x:(N,C,H,W) and regions of `output`; `name` is the operation's, for messages.
inline Shape adaptive_shape(std::string_view name, const Shape& x, Size2 output) {
  TL_CHECK(x.rank() == 4 && output.h >= 1 && output.w >= 1 && x[2] >= 1 && x[3] >= 1, "[", name,
           "] expected x(N,C,H,W) and an output of at least 1 x 1, got ", x, " and ", output.h, " x ",
           output.w);
  return {x[0], x[1], output.h, output.w};
}
/// The same for the kernels.
inline kernels::PoolShape adaptive_kernel_shape(const Shape& x, Size2 output) {
  return {.n = x[0], .h = x[2], .w = x[3], .c = x[1], .oh = output.h, .ow = output.w};
}

/// Mean of each of OH x OW regions that cover the image; 1 x 1 is global average pooling.
struct AdaptiveAveragePool2d {
  static constexpr std::string_view name = "adaptive_average_pool2d";
  Size2 output{};  ///< OH and OW

  Shape infer(const Shape& x) const { return adaptive_shape(name, x, output); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    const Tensor<T> image = x.to(Layout::channels_last);
    Tensor<T> y = Tensor<T>::empty(infer(x.shape()), Layout::channels_last);
    kernels::adaptive_average_pool_forward(adaptive_kernel_shape(x.shape(), output), image.data(),
                                           y.mutable_data());
    return y;
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Tensor<T> gradient = dy.to(Layout::channels_last);
    Tensor<T> dx = Tensor<T>::empty(s.input_shape(0), Layout::channels_last);
    kernels::adaptive_average_pool_backward(adaptive_kernel_shape(dx.shape(), output), gradient.data(),
                                            dx.mutable_data());
    d.add(0, dx);
  }
};

/// Greatest value of each of OH x OW regions that cover the image, cut as those of the average are.
struct AdaptiveMaxPool2d {
  static constexpr std::string_view name = "adaptive_max_pool2d";
  Size2 output{};  ///< OH and OW

  Shape infer(const Shape& x) const { return adaptive_shape(name, x, output); }
  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x) const {
    const Tensor<T> image = x.to(Layout::channels_last);
    Tensor<T> y = Tensor<T>::empty(infer(x.shape()), Layout::channels_last);
    Tensor<std::int32_t> argmax;
    if (context.recording()) argmax = Tensor<std::int32_t>::empty(y.shape(), Layout::channels_last);
    kernels::adaptive_max_pool_forward(adaptive_kernel_shape(x.shape(), output), image.data(),
                                       y.mutable_data(), argmax.mutable_data());
    context.keep_indices(argmax);
    return y;
  }
  static constexpr Reads reads(int) { return {.context = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Tensor<T> gradient = dy.to(Layout::channels_last);
    Tensor<T> dx = Tensor<T>::empty(s.input_shape(0), Layout::channels_last);
    kernels::adaptive_max_pool_backward(adaptive_kernel_shape(dx.shape(), output), gradient.data(),
                                        s.kept_indices().data(), dx.mutable_data());
    d.add(0, dx);
  }
};

/// Greatest value of each channel's image: (N,C,H,W) -> (N,C,1,1).
struct GlobalMaxPool2d {
  static constexpr std::string_view name = "global_max_pool2d";

  Shape infer(const Shape& x) const { return adaptive_shape(name, x, {}); }
  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x) const {
    infer(x.shape());
    return AdaptiveMaxPool2d{}.forward(context, x);
  }
  static constexpr Reads reads(int) { return {.context = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    AdaptiveMaxPool2d{}.backward(s, dy, d);
  }
};

}  // namespace tl::ops
