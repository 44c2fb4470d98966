// Moving the elements of tensors: permute, slice, pad, concatenate, expand. Layouts are honoured by strides,
// so that an image batch stays channels-last wherever its axes keep their meaning.
#pragma once

#include <span>
#include <vector>

#include <tl/kernels/elementwise.hpp>
#include <tl/kernels/transpose.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl {

namespace move_impl {

/// Copies a window of src (strides in memory order of dst's layout) into a window of dst.
template <class T>
void copy_window(const Shape& window, const T* src, const Strides& src_strides, T* dst,
                 const Strides& dst_strides, Layout order_by) {
  const auto order = memory_order(window, order_by);
  std::array<Index, Shape::max_rank> extents{}, from{}, to{};
  for (int i = 0; i < window.rank(); ++i) {
    const auto axis = static_cast<std::size_t>(order[static_cast<std::size_t>(i)]);
    const auto at = static_cast<std::size_t>(i);
    extents[at] = window[static_cast<int>(axis)];
    from[at] = src_strides[axis];
    to[at] = dst_strides[axis];
  }
  kernels::copy_strided(window.rank(), extents.data(), from.data(), src, to.data(), dst);
}

/// Whether elements with these strides lie in memory as a layout wants them.
inline bool lies_as(const Shape& shape, const Strides& strides, Layout layout) {
  if (layout == Layout::channels_last && shape.rank() != 4) return false;
  const Strides wanted = strides_of(shape, layout);
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    if (shape[axis] != 1 && strides[a] != wanted[a]) return false;
  }
  return true;
}

}  // namespace move_impl

/// y(i_axes[0], i_axes[1], ...) = x(i_0, i_1, ...): axis k of y is axis axes[k] of x. y shares the buffer of
/// x where memory is in the right order for either layout, as between (N,C,H,W) channels-last and (N,H,W,C)
/// plain; otherwise it is plain.
template <class T>
Tensor<T> permute(const Tensor<T>& x, std::span<const int> axes) {
  TL_CHECK(static_cast<int>(axes.size()) == x.rank(), "[transpose] expected ", x.rank(), " axes for ",
           x.shape(), ", got ", axes.size());
  Shape shape = x.shape();
  Strides strides{};
  const Strides from = x.strides();
  unsigned seen = 0;
  for (int k = 0; k < x.rank(); ++k) {
    const int axis = x.shape().axis(axes[static_cast<std::size_t>(k)]);
    TL_CHECK((seen >> axis & 1u) == 0, "[transpose] expected each axis once, got axis ", axis, " twice");
    seen |= 1u << axis;
    shape[k] = x.shape(axis);
    strides[static_cast<std::size_t>(k)] = from[static_cast<std::size_t>(axis)];
  }
  for (const Layout layout : {Layout::plain, Layout::channels_last}) {
    if (move_impl::lies_as(shape, strides, layout)) return x.reinterpret(shape, layout);
  }
  Tensor<T> y = Tensor<T>::empty(shape);
  move_impl::copy_window(shape, x.data(), strides, y.mutable_data(), y.strides(), Layout::plain);
  return y;
}

/// A part of a tensor: for each axis the first index, the step (not 0; may be negative) and the extent.
struct Window {
  std::vector<Index> start;  ///< the first index on each axis
  std::vector<Index> step;   ///< from one index to the next, not 0
  Shape shape;               ///< the extents of the part
};

/// A copy of that part.
template <class T>
Tensor<T> slice(const Tensor<T>& x, const Window& window) {
  Tensor<T> y = Tensor<T>::empty(window.shape, x.layout());
  if (y.size() == 0) return y;
  Strides strides = x.strides();
  const T* src = x.data();
  for (int axis = 0; axis < x.rank(); ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    src += window.start[a] * strides[a];
    strides[a] *= window.step[a];
  }
  move_impl::copy_window(window.shape, src, strides, y.mutable_data(), y.strides(), x.layout());
  return y;
}

/// The inverse of slice: a tensor of `shape`, zero but for the window, which holds y.
template <class T>
Tensor<T> unslice(const Tensor<T>& y, const Window& window, const Shape& shape) {
  Tensor<T> x = Tensor<T>::zeros(shape, y.layout());
  if (y.size() == 0) return x;
  Strides strides = x.strides();
  T* dst = x.mutable_data();
  for (int axis = 0; axis < x.rank(); ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    dst += window.start[a] * strides[a];
    strides[a] *= window.step[a];
  }
  move_impl::copy_window(window.shape, y.data(), y.strides(), dst, strides, y.layout());
  return x;
}

/// The window of extent `length` from `start` along one axis, all of the others.
inline Window window_along(const Shape& shape, int axis, Index start, Index length) {
  const auto rank = static_cast<std::size_t>(shape.rank());
  Window window{std::vector<Index>(rank, 0), std::vector<Index>(rank, 1), shape};
  window.start[static_cast<std::size_t>(axis)] = start;
  window.shape[axis] = length;
  return window;
}

/// x surrounded by `value`: before[k] and after[k] elements on axis k (negative crops).
template <class T>
Tensor<T> pad(const Tensor<T>& x, const std::vector<Index>& before, const std::vector<Index>& after,
              T value) {
  TL_CHECK(before.size() == static_cast<std::size_t>(x.rank()) && after.size() == before.size(),
           "[pad] expected ", x.rank(), " amounts before and after for ", x.shape(), ", got ", before.size(),
           " and ", after.size());
  Shape shape = x.shape(), inside = x.shape();
  Strides from = x.strides();
  Strides at{};
  Index begin = 0;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    shape[axis] = x.shape(axis) + before[a] + after[a];
    TL_CHECK(shape[axis] >= 0, "[pad] expected extents of at least 0, got ", shape[axis], " on axis ", axis,
             " of ", x.shape());
    const Index first = std::max<Index>(0, -before[a]);  // the first element of x that survives
    at[a] = std::max<Index>(0, before[a]);
    inside[axis] = std::max<Index>(0, std::min(x.shape(axis) - first, shape[axis] - at[a]));
    begin += first * from[a];
  }
  Tensor<T> y = Tensor<T>::full(shape, value, x.layout());
  if (inside.size() == 0) return y;
  const Strides to = y.strides();
  T* dst = y.mutable_data();
  for (int axis = 0; axis < x.rank(); ++axis)
    dst += at[static_cast<std::size_t>(axis)] * to[static_cast<std::size_t>(axis)];
  move_impl::copy_window(inside, x.data() + begin, from, dst, to, x.layout());
  return y;
}

/// Tensors joined along one axis; the result has the first one's layout.
template <class T>
Tensor<T> concat(std::span<const Tensor<T>> parts, int axis, const Shape& shape) {
  Tensor<T> y = Tensor<T>::empty(shape, parts[0].layout());
  if (y.size() == 0) return y;
  const Strides to = y.strides();
  T* dst = y.mutable_data();
  for (const Tensor<T>& part : parts) {
    if (part.size() > 0)
      move_impl::copy_window(part.shape(), part.data(), part.strides(), dst, to, y.layout());
    dst += part.shape(axis) * to[static_cast<std::size_t>(axis)];
  }
  return y;
}

}  // namespace tl
