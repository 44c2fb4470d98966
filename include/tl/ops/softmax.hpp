// Softmax and log-softmax along one axis; formulas and gradients in kernels/softmax.hpp.
#pragma once

#include <vector>

#include <tl/kernels/softmax.hpp>
#include <tl/ops/operation.hpp>
#include <tl/tensor/move.hpp>

namespace tl::ops {

namespace softmax_impl {

/// Runs `rows(count, extent, tensors...)` with `axis` innermost; inputs are moved there, the result moved
/// back.
template <class T, class Rows, class... Inputs>
Tensor<T> along_axis(const Shape& shape, Index signed_axis, const Rows& rows, const Inputs&... inputs) {
  const int axis = shape.axis(signed_axis), last = shape.rank() - 1;
  std::vector<int> order(static_cast<std::size_t>(shape.rank()));
  for (int i = 0; i <= last; ++i) order[static_cast<std::size_t>(i)] = i;
  std::swap(order[static_cast<std::size_t>(axis)], order.back());  // its own inverse
  const auto innermost = [&](const Tensor<T>& x) {
    return (axis == last ? x : permute<T>(x, order)).plain();
  };
  Shape moved = shape;
  std::swap(moved[axis], moved[last]);
  Tensor<T> y = Tensor<T>::empty(moved);
  const Index extent = shape[axis];
  rows(extent == 0 ? 0 : shape.size() / extent, extent, innermost(inputs).data()..., y.mutable_data());
  return axis == last ? y : permute<T>(y, order);
}

}  // namespace softmax_impl

/// exp(x) / sum exp(x) along one axis, without overflow.
struct Softmax {
  static constexpr std::string_view name = "softmax";
  Index axis = -1;  ///< negative ones count from the end

  Shape infer(const Shape& x) const {
    x.axis(axis, name);
    return x;
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    infer(x.shape());
    return softmax_impl::along_axis<T>(x.shape(), axis, kernels::softmax_forward<T>, x);
  }
  static constexpr Reads reads(int) { return {.output = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    d.add(0, softmax_impl::along_axis<T>(dy.shape(), axis, kernels::softmax_backward<T>, s.output(), dy));
  }
};

/// x - log(sum exp(x)) along one axis, without overflow.
struct LogSoftmax {
  static constexpr std::string_view name = "log_softmax";
  Index axis = -1;  ///< negative ones count from the end

  Shape infer(const Shape& x) const {
    x.axis(axis, name);
    return x;
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    infer(x.shape());
    return softmax_impl::along_axis<T>(x.shape(), axis, kernels::log_softmax_forward<T>, x);
  }
  static constexpr Reads reads(int) { return {.output = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    d.add(0, softmax_impl::along_axis<T>(dy.shape(), axis, kernels::log_softmax_backward<T>, s.output(), dy));
  }
};

}  // namespace tl::ops
