// Reductions over axes; no axes means all of them.
//
//   sum, mean         dx = dy, repeated; mean divides by the number of values
//   max               the largest values share dy
//   log_sum_exp       log(sum exp(x)),   dx = dy exp(x - y)
//   euclidean_norm    sqrt(sum x^2),     dx = dy x / y, 0 where y = 0
#pragma once

#include <limits>
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

/// The sum of the values along the axes.
struct Sum {
  static constexpr std::string_view name = "sum";
  std::vector<Index> axes;  ///< negative ones count from the end; none: all
  bool keep_axes = false;   ///< reduced axes stay, with extent 1

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

/// The mean of the values along the axes.
struct Mean {
  static constexpr std::string_view name = "mean";
  std::vector<Index> axes;  ///< negative ones count from the end; none: all
  bool keep_axes = false;   ///< reduced axes stay, with extent 1

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

/// The greatest value along the axes; equal ones share the gradient.
struct Max {
  static constexpr std::string_view name = "max";
  std::vector<Index> axes;  ///< negative ones count from the end; none: all
  bool keep_axes = false;   ///< reduced axes stay, with extent 1

  Shape infer(const Shape& x) const { return reduce_impl::infer(name, x, axes, keep_axes); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    infer(x.shape());
    return reduce<T>(kernels::Reduce::max, x, axes, keep_axes);
  }
  static constexpr Reads reads(int) { return {.inputs = 0b1u, .output = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Shape kept = reduce_impl::infer(name, s.input_shape(0), axes, true);
    const Tensor<T> largest = binary(kernels::Binary::equal, s.input(0), s.output().reshape(kept), name);
    const Tensor<T> count = reduce<T>(kernels::Reduce::sum, largest, axes, true);
    d.add(0, mul(largest, div(dy.reshape(kept), count)));
  }
};

/// log(sum exp(x)) along the axes, without overflow.
struct LogSumExp {
  static constexpr std::string_view name = "log_sum_exp";
  std::vector<Index> axes;  ///< negative ones count from the end; none: all
  bool keep_axes = false;   ///< reduced axes stay, with extent 1

  Shape infer(const Shape& x) const { return reduce_impl::infer(name, x, axes, keep_axes); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    // Less the largest, so that nothing overflows; an infinite one is not subtracted from itself.
    const Tensor<T> largest = unary(kernels::Unary::clip, reduce<T>(kernels::Reduce::max, x, axes, true),
                                    std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max());
    const Tensor<T> sum =
        reduce<T>(kernels::Reduce::sum, unary(kernels::Unary::exp, sub(x, largest)), axes, true);
    return add(largest, unary(kernels::Unary::log, sum)).reshape(infer(x.shape()));
  }
  static constexpr Reads reads(int) { return {.inputs = 0b1u, .output = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Shape kept = reduce_impl::infer(name, s.input_shape(0), axes, true);
    const Tensor<T> share = unary(kernels::Unary::exp, sub(s.input(0), s.output().reshape(kept)));
    d.add(0, mul(share, dy.reshape(kept)));
  }
};

/// sqrt(sum x^2) along the axes; the gradient at 0 is 0.
struct EuclideanNorm {
  static constexpr std::string_view name = "euclidean_norm";
  std::vector<Index> axes;  ///< negative ones count from the end; none: all
  bool keep_axes = false;   ///< reduced axes stay, with extent 1

  Shape infer(const Shape& x) const { return reduce_impl::infer(name, x, axes, keep_axes); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    infer(x.shape());
    return unary(kernels::Unary::sqrt, reduce<T>(kernels::Reduce::sum_squares, x, axes, keep_axes));
  }
  static constexpr Reads reads(int) { return {.inputs = 0b1u, .output = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Shape kept = reduce_impl::infer(name, s.input_shape(0), axes, true);
    const Tensor<T> factor = binary(kernels::Binary::keep_where, div(dy, s.output()), s.output(), name);
    d.add(0, mul(s.input(0), factor.reshape(kept)));
  }
};

}  // namespace tl::ops
