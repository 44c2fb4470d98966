// Shape: the extents of a tensor, outermost first, in the order the field writes them (N,C,H,W for images).
//
// At most eight dimensions, held inline, so that making and copying shapes never allocates. Products are
// checked for overflow because extents may come from hostile files.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string_view>

#include <tl/core/error.hpp>

namespace tl {

using Index = std::int64_t;  ///< extents, positions and counts

/// The extents of a tensor, outermost first: (N,C,H,W) for images. At most eight, held inline.
class Shape {
 public:
  static constexpr int max_rank = 8;  ///< axes a shape can have

  Shape() = default;
  /// Throws for more than eight extents, or one below 0.
  Shape(std::initializer_list<Index> extents)
      : Shape(std::span<const Index>(extents.begin(), extents.size())) {}
  /// The same from a range.
  explicit Shape(std::span<const Index> extents) {
    TL_CHECK(extents.size() <= max_rank, "[shape] expected at most ", max_rank, " dimensions, got ",
             extents.size());
    rank_ = static_cast<int>(extents.size());
    std::copy(extents.begin(), extents.end(), extents_.begin());
    for (Index extent : extents) TL_CHECK(extent >= 0, "[shape] expected extents of at least 0, got ", *this);
  }

  int rank() const { return rank_; }         ///< number of axes
  bool empty() const { return rank_ == 0; }  ///< whether it is a scalar's, ()
  /// An extent; axis in [0, rank()).
  Index operator[](int axis) const {
    assert(axis >= 0 && axis < rank_);
    return extents_[static_cast<std::size_t>(axis)];
  }
  /// The same for writing.
  Index& operator[](int axis) {
    assert(axis >= 0 && axis < rank_);
    return extents_[static_cast<std::size_t>(axis)];
  }
  const Index* begin() const { return extents_.data(); }        ///< of the extents
  const Index* end() const { return extents_.data() + rank_; }  ///< of the extents
  Index back() const { return (*this)[rank_ - 1]; }             ///< the innermost extent
  /// Adds an innermost axis; throws when there are eight.
  void push_back(Index extent) {
    TL_CHECK(rank_ < max_rank, "[shape] expected at most ", max_rank, " dimensions, got one more after ",
             *this);
    extents_[static_cast<std::size_t>(rank_++)] = extent;
  }

  /// Number of elements; 1 for a scalar. Throws when it does not fit an Index.
  Index size() const {
    Index product = 1;
    for (Index extent : *this) {
      TL_CHECK(!__builtin_mul_overflow(product, extent, &product), "[shape] too many elements in ", *this);
    }
    return product;
  }

  /// Turns an axis in [-rank, rank) into one in [0, rank), on behalf of an operation.
  int axis(Index signed_axis, std::string_view operation = "shape") const {
    TL_CHECK(signed_axis >= -rank_ && signed_axis < rank_, "[", operation, "] expected an axis in [", -rank_,
             ", ", rank_, "), got ", signed_axis, " for ", *this);
    return static_cast<int>(signed_axis < 0 ? signed_axis + rank_ : signed_axis);
  }

  /// Same rank and extents.
  friend bool operator==(const Shape& a, const Shape& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }
  /// "(2,3)"
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape) {
    out << '(';
    for (int i = 0; i < shape.rank_; ++i) out << (i ? "," : "") << shape[i];
    return out << ')';
  }

 private:
  std::array<Index, max_rank> extents_{};
  int rank_ = 0;
};

}  // namespace tl
