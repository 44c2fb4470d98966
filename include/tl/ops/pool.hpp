// Pooling of images: maximum and average over sliding windows, and averages over a fixed number of regions.
//
//   x:(N,C,H,W) -> y:(N,C,OH,OW);  formulas in kernels/pool.hpp
#pragma once

#include <tl/kernels/pool.hpp>
#include <tl/ops/conv.hpp>

namespace tl::ops {

/// The sliding window that max and average pooling share.
struct PoolWindow {
  Size2 kernel{};
  Size2 stride{};
  Padding2 padding{};
  Size2 dilation{};
  bool ceil = false;  ///< a last window may reach beyond the padding (ONNX ceil_mode)

  Shape infer(std::string_view name, const Shape& x) const {
    TL_CHECK(x.rank() == 4, "[", name, "] expected x(N,C,H,W), got ", x);
    return {x[0], x[1],
            window_extent(name, x[2], padding.top, padding.bottom, kernel.h, stride.h, dilation.h, ceil),
            window_extent(name, x[3], padding.left, padding.right, kernel.w, stride.w, dilation.w, ceil)};
  }
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
  PoolWindow window{};

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
  PoolWindow window{};
  bool include_padding = false;

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

/// Mean of each of OH x OW regions that cover the image; 1 x 1 is global average pooling.
struct AdaptiveAveragePool2d {
  static constexpr std::string_view name = "adaptive_average_pool2d";
  Size2 output{};

  Shape infer(const Shape& x) const {
    TL_CHECK(x.rank() == 4 && output.h >= 1 && output.w >= 1 && x[2] >= 1 && x[3] >= 1,
             "[adaptive_average_pool2d] expected x(N,C,H,W) and an output of at least 1 x 1, got ", x,
             " and ", output.h, " x ", output.w);
    return {x[0], x[1], output.h, output.w};
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    const Tensor<T> image = x.to(Layout::channels_last);
    Tensor<T> y = Tensor<T>::empty(infer(x.shape()), Layout::channels_last);
    kernels::adaptive_average_pool_forward(kernel_shape(x.shape()), image.data(), y.mutable_data());
    return y;
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Tensor<T> gradient = dy.to(Layout::channels_last);
    Tensor<T> dx = Tensor<T>::empty(s.input_shape(0), Layout::channels_last);
    kernels::adaptive_average_pool_backward(kernel_shape(dx.shape()), gradient.data(), dx.mutable_data());
    d.add(0, dx);
  }

 private:
  kernels::PoolShape kernel_shape(const Shape& x) const {
    return {.n = x[0], .h = x[2], .w = x[3], .c = x[1], .oh = output.h, .ow = output.w};
  }
};

/// Greatest value of each of OH x OW regions that cover the image, cut as those of the average are.
struct AdaptiveMaxPool2d {
  static constexpr std::string_view name = "adaptive_max_pool2d";
  Size2 output{};

  Shape infer(const Shape& x) const {
    TL_CHECK(x.rank() == 4 && output.h >= 1 && output.w >= 1 && x[2] >= 1 && x[3] >= 1,
             "[adaptive_max_pool2d] expected x(N,C,H,W) and an output of at least 1 x 1, got ", x, " and ",
             output.h, " x ", output.w);
    return {x[0], x[1], output.h, output.w};
  }
  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x) const {
    const Tensor<T> image = x.to(Layout::channels_last);
    Tensor<T> y = Tensor<T>::empty(infer(x.shape()), Layout::channels_last);
    Tensor<std::int32_t> argmax;
    if (context.recording()) argmax = Tensor<std::int32_t>::empty(y.shape(), Layout::channels_last);
    const Index h = x.shape(2), w = x.shape(3), channels = x.shape(1);
    T* values = y.mutable_data();
    std::int32_t* places = argmax.mutable_data();
    for (Index n = 0; n < x.shape(0); ++n) {
      for (Index i = 0; i < output.h; ++i) {
        for (Index j = 0; j < output.w; ++j) {
          // One region is a window of its own extent that starts at -padding.
          const Index top = i * h / output.h, bottom = ((i + 1) * h + output.h - 1) / output.h;
          const Index left = j * w / output.w, right = ((j + 1) * w + output.w - 1) / output.w;
          const kernels::PoolShape region{.n = 1,
                                          .h = h,
                                          .w = w,
                                          .c = channels,
                                          .oh = 1,
                                          .ow = 1,
                                          .kh = bottom - top,
                                          .kw = right - left,
                                          .pad_top = -top,
                                          .pad_left = -left};
          const Index at = ((n * output.h + i) * output.w + j) * channels;
          kernels::max_pool_forward(region, image.data() + n * h * w * channels, values + at,
                                    places == nullptr ? nullptr : places + at);
        }
      }
    }
    context.keep_indices(argmax);
    return y;
  }
  static constexpr Reads reads(int) { return {.context = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Tensor<T> gradient = dy.to(Layout::channels_last);
    Tensor<T> dx = Tensor<T>::empty(s.input_shape(0), Layout::channels_last);
    const kernels::PoolShape shape{.n = dx.shape(0),
                                   .h = dx.shape(2),
                                   .w = dx.shape(3),
                                   .c = dx.shape(1),
                                   .oh = output.h,
                                   .ow = output.w};
    kernels::max_pool_backward(shape, gradient.data(), s.kept_indices().data(), dx.mutable_data());
    d.add(0, dx);
  }
};

/// Greatest value of each channel's image: (N,C,H,W) -> (N,C,1,1).
struct GlobalMaxPool2d {
  static constexpr std::string_view name = "global_max_pool2d";

  Shape infer(const Shape& x) const { return over(x).infer(x); }
  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x) const {
    return over(x.shape()).forward(context, x);
  }
  static constexpr Reads reads(int) { return {.context = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    over(s.input_shape(0)).backward(s, dy, d);
  }

 private:
  static MaxPool2d over(const Shape& x) {
    TL_CHECK(x.rank() == 4, "[global_max_pool2d] expected x(N,C,H,W), got ", x);
    return {.window = {.kernel = {x[2], x[3]}}};
  }
};

}  // namespace tl::ops
