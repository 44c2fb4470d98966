// Loops over strided arrays: neighbouring dimensions are joined where every operand allows it, and the rest
// is visited as rows of the innermost dimension, in dense order.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>

#include <tl/core/shape.hpp>

namespace tl::kernels::internal {

constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }

/// `operands` arrays over the same extents, outermost first. At least one dimension; offsets are in elements.
template <int operands>
class StridedLoop {
 public:
  using Offsets = std::array<Index, operands>;

  StridedLoop(int rank, const Index* extents, const std::array<const Index*, operands>& strides) {
    assert(rank >= 0 && rank <= Shape::max_rank);
    for (int axis = 0; axis < rank; ++axis) {
      Offsets stride;
      for (std::size_t k = 0; k < operands; ++k) stride[k] = strides[k][axis];
      add(extents[axis], stride);
    }
    if (rank_ == 0) append(1, Offsets{});
  }

  int rank() const { return rank_; }
  Index extent(int axis) const { return extents_[static_cast<std::size_t>(axis)]; }
  const Offsets& strides(int axis) const { return strides_[static_cast<std::size_t>(axis)]; }
  Index inner() const { return extent(rank_ - 1); }
  const Offsets& inner_strides() const { return strides(rank_ - 1); }
  Index size() const {
    Index product = 1;
    for (int axis = 0; axis < rank_; ++axis) product *= extent(axis);
    return product;
  }

  /// Calls visit(offsets, dense, count) for the parts of rows that make up elements [begin,end) in dense
  /// order.
  template <class Visit>
  void rows(Index begin, Index end, const Visit& visit) const {
    if (begin >= end) return;
    std::array<Index, Shape::max_rank> at{};
    Offsets offsets{};
    Index rest = begin;
    for (int axis = rank_ - 1; axis >= 0; --axis) {
      const auto d = static_cast<std::size_t>(axis);
      at[d] = rest % extents_[d];
      rest /= extents_[d];
      for (std::size_t k = 0; k < operands; ++k) offsets[k] += at[d] * strides_[d][k];
    }
    const auto last = static_cast<std::size_t>(rank_ - 1);
    for (Index dense = begin; dense < end;) {
      const Index count = std::min(extents_[last] - at[last], end - dense);
      visit(static_cast<const Offsets&>(offsets), dense, count);
      dense += count;
      for (std::size_t k = 0; k < operands; ++k) offsets[k] -= at[last] * strides_[last][k];
      at[last] = 0;
      for (std::size_t d = last; d-- > 0;) {
        for (std::size_t k = 0; k < operands; ++k) offsets[k] += strides_[d][k];
        if (++at[d] < extents_[d]) break;
        for (std::size_t k = 0; k < operands; ++k) offsets[k] -= at[d] * strides_[d][k];
        at[d] = 0;
      }
    }
  }

 private:
  void append(Index extent, const Offsets& stride) {
    extents_[static_cast<std::size_t>(rank_)] = extent;
    strides_[static_cast<std::size_t>(rank_)] = stride;
    ++rank_;
  }
  void add(Index extent, const Offsets& stride) {
    if (extent == 1) return;
    if (rank_ > 0) {
      const auto last = static_cast<std::size_t>(rank_ - 1);
      bool joins = true;
      for (std::size_t k = 0; k < operands; ++k) joins = joins && strides_[last][k] == stride[k] * extent;
      if (joins) {
        extents_[last] *= extent;
        strides_[last] = stride;
        return;
      }
    }
    append(extent, stride);
  }

  int rank_ = 0;
  std::array<Index, Shape::max_rank> extents_{};
  std::array<Offsets, Shape::max_rank> strides_{};
};

}  // namespace tl::kernels::internal
