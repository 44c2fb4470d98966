// Memory layouts of a tensor.
//
// A shape is logical: images are N,C,H,W whatever lies in memory. `plain` stores the last axis innermost.
// `channels_last` stores an image batch as N,H,W,C: what image decoders deliver and what fast CPU kernels
// want.
#pragma once

#include <array>
#include <ostream>

#include <tl/core/shape.hpp>

namespace tl {

/// `plain` stores the last axis innermost, `channels_last` an image batch as N,H,W,C.
enum class Layout { plain, channels_last };

/// "plain" or "channels_last"
inline std::ostream& operator<<(std::ostream& out, Layout layout) {
  return out << (layout == Layout::plain ? "plain" : "channels_last");
}

/// A step in elements for each logical axis; entries beyond the rank are 0.
using Strides = std::array<Index, Shape::max_rank>;

/// Elements to step over in memory for each logical axis.
inline Strides strides_of(const Shape& shape, Layout layout) {
  Strides strides{};
  if (layout == Layout::channels_last) {
    assert(shape.rank() == 4);
    strides[3] = shape[1];
    strides[2] = shape[1] * shape[3];
    strides[1] = 1;
    strides[0] = shape[1] * shape[2] * shape[3];
    return strides;
  }
  Index step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<std::size_t>(axis)] = step;
    step *= shape[axis];
  }
  return strides;
}

/// The logical axes of a shape from the outermost to the innermost in memory.
inline std::array<int, Shape::max_rank> memory_order(const Shape& shape, Layout layout) {
  if (layout == Layout::channels_last) return {0, 2, 3, 1};
  std::array<int, Shape::max_rank> order{};
  for (int axis = 0; axis < shape.rank(); ++axis) order[static_cast<std::size_t>(axis)] = axis;
  return order;
}

/// True where both layouts of this shape are the same bytes: one channel, or one pixel.
inline bool layouts_coincide(const Shape& shape) {
  return shape.rank() == 4 && (shape[1] == 1 || shape[2] * shape[3] == 1);
}

}  // namespace tl
