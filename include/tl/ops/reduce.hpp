// Sum and mean over axes; no axes means all of them.
//
//   y = sum_{axes} x   dx = dy, repeated;      mean divides both by the number of values
#pragma once

#include <vector>

#include <tl/ops/operation.hpp>
#include <tl/tensor/math.hpp>

namespace tl::ops {

namespace reduce_impl {

inline Shape infer(std::string_view name, const Shape& x, const std::vector<Index>& axes, bool keep_axes) {
  return reduced_shape(x, axis_flags(x, axes, name), keep_axes);
}

/// dy repeated along the reduced axes of x, times a factor.
template <class T>
Tensor<T> repeat(const Tensor<T>& dy, const Saved<T>& s, const std::vector<Index>& axes, T factor) {
  const Tensor<T> kept = dy.reshape(infer("sum", s.input_shape(0), axes, true));
  return expand(factor == T{1} ? kept : scale(kept, factor), s.input_shape(0), s.input_layout(0));
}

}  // namespace reduce_impl

struct Sum {
  static constexpr std::string_view name = "sum";
  std::vector<Index> axes;
  bool keep_axes = false;

  Shape infer(const Shape& x) const { return reduce_impl::infer(name, x, axes, keep_axes); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    infer(x.shape());
    return reduce<T>(kernels::Reduce::sum, x, axes, keep_axes);
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    d.add(0, reduce_impl::repeat(dy, s, axes, T{1}));
  }
};

struct Mean {
  static constexpr std::string_view name = "mean";
  std::vector<Index> axes;
  bool keep_axes = false;

  Shape infer(const Shape& x) const { return reduce_impl::infer(name, x, axes, keep_axes); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    infer(x.shape());
    return reduce<T>(kernels::Reduce::mean, x, axes, keep_axes);
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const T share = static_cast<T>(dy.size()) / static_cast<T>(s.input_shape(0).size());
    d.add(0, reduce_impl::repeat(dy, s, axes, share));
  }
};

}  // namespace tl::ops
