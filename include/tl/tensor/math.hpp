// Arithmetic on tensors without a tape: broadcasting, functions of one value, reductions over axes.
//
// Broadcasting is NumPy's: shapes are aligned at their last axes, and an extent of 1 is repeated.
#pragma once

#include <span>
#include <vector>

#include <tl/kernels/elementwise.hpp>
#include <tl/kernels/reduce.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl {

/// The shape of a and b broadcast together; throws where they do not fit.
inline Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view operation) {
  Shape shape = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  for (int i = 1; i <= shorter.rank(); ++i) {
    Index& extent = shape[shape.rank() - i];
    const Index other = shorter[shorter.rank() - i];
    TL_CHECK(extent == other || extent == 1 || other == 1, "[", operation,
             "] expected shapes that broadcast together, got ", a, " and ", b);
    if (extent == 1) extent = other;
  }
  return shape;
}

/// Strides by which x is read as if it had `shape`; 0 where it is repeated.
template <class T>
Strides broadcast_strides(const Tensor<T>& x, const Shape& shape) {
  const Strides own = x.strides();
  Strides strides{};
  const int offset = shape.rank() - x.rank();
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (x.shape(axis) != 1)
      strides[static_cast<std::size_t>(axis + offset)] = own[static_cast<std::size_t>(axis)];
  }
  return strides;
}

/// f(a, b), element by element; `name` is the operation's, for messages. Throws where shapes do not
/// broadcast.
template <class T>
Tensor<T> binary(kernels::Binary op, const Tensor<T>& a, const Tensor<T>& b, std::string_view name) {
  const Shape shape = broadcast_shapes(a.shape(), b.shape(), name);
  // The result lies as the larger operand does, so that the common case walks memory in order.
  const Layout layout = shape.rank() != 4                     ? Layout::plain
                        : a.shape() == shape && a.rank() == 4 ? a.layout()
                        : b.rank() == 4                       ? b.layout()
                                                              : Layout::plain;
  const Tensor<T> left = a.shape() == shape ? a.to(layout) : a;
  const Tensor<T> right = b.shape() == shape ? b.to(layout) : b;
  const Strides left_strides = broadcast_strides(left, shape),
                right_strides = broadcast_strides(right, shape);
  const auto order = memory_order(shape, layout);
  std::array<Index, Shape::max_rank> extents{}, sa{}, sb{};
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape.rank()); ++i) {
    const auto axis = static_cast<std::size_t>(order[i]);
    extents[i] = shape[order[i]];
    sa[i] = left_strides[axis];
    sb[i] = right_strides[axis];
  }
  Tensor<T> y = Tensor<T>::empty(shape, layout);
  kernels::binary_broadcast(op, shape.rank(), extents.data(), sa.data(), sb.data(), left.data(), right.data(),
                            y.mutable_data());
  return y;
}

/// A + b.
template <class T>
Tensor<T> add(const Tensor<T>& a, const Tensor<T>& b) {
  return binary(kernels::Binary::add, a, b, "add");
}
/// A - b.
template <class T>
Tensor<T> sub(const Tensor<T>& a, const Tensor<T>& b) {
  return binary(kernels::Binary::sub, a, b, "sub");
}
/// A * b, element by element.
template <class T>
Tensor<T> mul(const Tensor<T>& a, const Tensor<T>& b) {
  return binary(kernels::Binary::mul, a, b, "mul");
}
/// A / b, element by element.
template <class T>
Tensor<T> div(const Tensor<T>& a, const Tensor<T>& b) {
  return binary(kernels::Binary::div, a, b, "div");
}

/// y = f(x); see kernels::Unary for the functions and their parameters.
template <class T>
Tensor<T> unary(kernels::Unary op, const Tensor<T>& x, T alpha = T{}, T beta = T{}) {
  Tensor<T> y = Tensor<T>::empty(x.shape(), x.layout());
  kernels::unary_forward(op, alpha, beta, x.size(), x.data(), y.mutable_data());
  return y;
}

/// dx = dy f'(saved).
template <class T>
Tensor<T> unary_gradient(kernels::Unary op, const Tensor<T>& saved, const Tensor<T>& dy, T alpha = T{},
                         T beta = T{}) {
  const Tensor<T> gradient = dy.to(saved.layout());
  Tensor<T> dx = Tensor<T>::empty(saved.shape(), saved.layout());
  kernels::unary_backward(op, alpha, beta, saved.size(), saved.data(), gradient.data(), dx.mutable_data());
  return dx;
}

/// Factor * x.
template <class T>
Tensor<T> scale(const Tensor<T>& x, T factor) {
  Tensor<T> y = Tensor<T>::empty(x.shape(), x.layout());
  kernels::scale(x.size(), factor, x.data(), y.mutable_data());
  return y;
}

/// Axes as flags: no axes means all of them.
inline std::array<bool, Shape::max_rank> axis_flags(const Shape& shape, std::span<const Index> axes,
                                                    std::string_view operation = "reduce") {
  std::array<bool, Shape::max_rank> flags{};
  if (axes.empty()) std::fill_n(flags.begin(), shape.rank(), true);
  for (Index axis : axes) flags[static_cast<std::size_t>(shape.axis(axis, operation))] = true;
  return flags;
}

/// The shape that remains of `shape` when the flagged axes are reduced.
inline Shape reduced_shape(const Shape& shape, const std::array<bool, Shape::max_rank>& flags,
                           bool keep_axes) {
  Shape result;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (!flags[static_cast<std::size_t>(axis)])
      result.push_back(shape[axis]);
    else if (keep_axes)
      result.push_back(1);
  }
  return result;
}

/// Sum, mean or maximum over axes (none given: all). The result is plain.
template <class T>
Tensor<T> reduce(kernels::Reduce op, const Tensor<T>& x, std::span<const Index> axes, bool keep_axes) {
  const auto flags = axis_flags(x.shape(), axes);
  const Strides strides = x.strides();
  std::array<Index, Shape::max_rank> extents{};
  std::copy(x.shape().begin(), x.shape().end(), extents.begin());
  Tensor<T> y = Tensor<T>::empty(reduced_shape(x.shape(), flags, keep_axes));
  kernels::reduce(op, x.rank(), extents.data(), strides.data(), flags.data(), x.data(), y.mutable_data());
  return y;
}

/// The gradient of broadcasting: x summed over the axes along which `shape` was repeated.
template <class T>
Tensor<T> sum_to(const Tensor<T>& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  std::vector<Index> axes;
  const int offset = x.rank() - shape.rank();
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (axis < offset || (shape[axis - offset] == 1 && x.shape(axis) != 1)) axes.push_back(axis);
  }
  if (axes.empty()) return x.reshape(shape);
  return reduce<T>(kernels::Reduce::sum, x, axes, true).reshape(shape);
}

/// x repeated to `shape`, as broadcasting does.
template <class T>
Tensor<T> expand(const Tensor<T>& x, const Shape& shape, Layout layout = Layout::plain) {
  return binary(kernels::Binary::add, Tensor<T>::zeros(shape, layout), x, "expand");
}

}  // namespace tl
