// Whole numbers that are known when a model is loaded: the arithmetic on shapes that exporters leave behind.
//
// The extent of the batch is not known then. Every such tensor is therefore computed twice, for two imagined
// inputs that differ in their open extents: where both agree the number is certain, where they differ it
// depends on the batch. Moving elements (Gather, Concat, Slice, ...) is done to both, and so is arithmetic
// that keeps numbers affine in the batch, a N + b: two inputs determine those. Other arithmetic is refused on
// them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include <tl/tensor/math.hpp>
#include <tl/tensor/move.hpp>

namespace tl::onnx {

/// Whole numbers of a file, plain.
using IntTensor = Tensor<std::int64_t>;

/// Open extents of the two imagined inputs: the batch, and an image size that the file leaves open.
inline constexpr std::array<Index, 2> imagined_batch = {2, 3};
/// Height or width, where the file leaves them open.
inline constexpr std::array<Index, 2> imagined_size = {224, 256};

/// No extent, amount or count in a network is larger; files that say otherwise are refused.
inline constexpr Index largest_extent = Index{1} << 31;

/// The largest constant that a file may make of smaller ones.
inline constexpr Index largest_made = Index{1} << 24;

/// Whole numbers for the two imagined inputs.
struct Integers {
  std::array<IntTensor, 2> at;  ///< one for each input

  /// Of numbers that do not depend on the input.
  static Integers same(IntTensor tensor) { return {{tensor, tensor}}; }
  /// Lists, one for each input.
  static Integers vector(const std::array<std::vector<Index>, 2>& values) {
    const auto make = [](const std::vector<Index>& v) {
      return IntTensor::from(std::span<const Index>(v), {static_cast<Index>(v.size())});
    };
    return {{make(values[0]), make(values[1])}};
  }

  bool defined() const { return at[0].defined(); }      ///< whether there are any
  const Shape& shape() const { return at[0].shape(); }  ///< for the first imagined input
  /// Whether both inputs give the same.
  bool certain() const {
    return at[0].shape() == at[1].shape() &&
           (at[0].shares_buffer(at[1]) ||
            std::equal(at[0].span().begin(), at[0].span().end(), at[1].span().begin(), at[1].span().end()));
  }
  /// The numbers, which may not depend on the batch.
  const IntTensor& tensor() const {
    TL_CHECK(certain(),
             "arithmetic on an open extent (the batch) is not supported: export with a fixed size");
    return at[0];
  }
  /// Applies `f` to both.
  template <class F>
  Integers map(const F& f) const {
    return certain() ? same(f(at[0])) : Integers{{f(at[0]), f(at[1])}};
  }
};

/// The elements of x repeated to `shape`, which it must be able to broadcast to.
template <class T>
Tensor<T> repeat_to(const Tensor<T>& x, const Shape& shape) {
  TL_CHECK(broadcast_shapes(x.shape(), shape, "expand") == shape, "[expand] expected a shape that ",
           x.shape(), " can be repeated to, got ", shape);
  Tensor<T> y = Tensor<T>::empty(shape);
  if (y.size() == 0) return y;
  const Tensor<T> plain = x.plain();
  const Strides strides = broadcast_strides(plain, shape);
  std::array<Index, Shape::max_rank> extents{};
  std::copy(shape.begin(), shape.end(), extents.begin());
  kernels::copy_strided(shape.rank(), extents.data(), strides.data(), plain.data(), y.mutable_data());
  return y;
}

/// f of each pair of elements, broadcast.
template <class F>
IntTensor combine(const IntTensor& a, const IntTensor& b, const F& f) {
  const Shape shape = broadcast_shapes(a.shape(), b.shape(), "arithmetic");
  TL_CHECK(shape.size() <= std::max({a.size(), b.size(), largest_made}), "arithmetic that makes more than ",
           largest_made, " whole numbers is not supported");
  const IntTensor left = repeat_to(a, shape), right = repeat_to(b, shape);
  IntTensor y = IntTensor::empty(shape);
  std::transform(left.data(), left.data() + left.size(), right.data(), y.mutable_data(), f);
  return y;
}

/// The same for both imagined inputs.
template <class F>
Integers combine(const Integers& a, const Integers& b, const F& f) {
  if (a.certain() && b.certain()) return Integers::same(combine(a.tensor(), b.tensor(), f));
  return {{combine(a.at[0], b.at[0], f), combine(a.at[1], b.at[1], f)}};
}

/// Arithmetic on numbers from files: overflow and division by zero are errors.
namespace checked {
inline Index add(Index a, Index b) {
  Index y = 0;
  TL_CHECK(!__builtin_add_overflow(a, b, &y), "overflow in ", a, " + ", b);
  return y;
}
inline Index sub(Index a, Index b) {
  Index y = 0;
  TL_CHECK(!__builtin_sub_overflow(a, b, &y), "overflow in ", a, " - ", b);
  return y;
}
inline Index mul(Index a, Index b) {
  Index y = 0;
  TL_CHECK(!__builtin_mul_overflow(a, b, &y), "overflow in ", a, " * ", b);
  return y;
}
inline Index div(Index a, Index b) {
  TL_CHECK(b != 0 && !(b == -1 && a == std::numeric_limits<Index>::min()), "expected a quotient, got ", a,
           " / ", b);
  return a / b;
}
/// The remainder with the sign of b (ONNX Mod, fmod = 0).
inline Index mod(Index a, Index b) {
  TL_CHECK(b != 0, "expected a remainder, got ", a, " mod 0");
  if (b == -1) return 0;
  const Index remainder = a % b;
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}
}  // namespace checked

// Whether the result is affine in the batch when a and b are.
namespace affine {
inline bool always(const Integers&, const Integers&) { return true; }
inline bool product(const Integers& a, const Integers& b) { return a.certain() || b.certain(); }
inline bool quotient(const Integers& a, const Integers& b) {
  if (!b.certain()) return false;
  const Integers rest = combine(a, b, checked::mod);
  const auto is_zero = [](std::int64_t number) { return number == 0; };
  const auto all_zero = [is_zero](const Tensor<std::int64_t>& values) {
    return std::all_of(values.span().begin(), values.span().end(), is_zero);
  };
  return all_zero(rest.at[0]) && all_zero(rest.at[1]);
}
}  // namespace affine

/// y[.., i.., ..] = x[.., indices[i..], ..] along one axis.
template <class T>
Tensor<T> gather(const Tensor<T>& x, const IntTensor& indices, Index signed_axis) {
  const int axis = x.shape().axis(signed_axis);
  Shape shape;
  Index outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) shape.push_back(x.shape(i)), outer *= x.shape(i);
  for (const Index extent : indices.shape()) shape.push_back(extent);
  for (int i = axis + 1; i < x.rank(); ++i) shape.push_back(x.shape(i)), inner *= x.shape(i);
  TL_CHECK(shape.size() <= std::max(x.size(), largest_made), "gathering more than ", largest_made,
           " elements is not supported");
  const Index extent = x.shape(axis);
  const Tensor<T> from = x.plain();
  Tensor<T> y = Tensor<T>::empty(shape);
  T* to = y.mutable_data();
  for (Index o = 0; o < outer; ++o) {
    for (const Index index : indices.span()) {
      TL_CHECK(index >= -extent && index < extent, "[gather] expected indices in [", -extent, ", ", extent,
               "), got ", index);
      to = std::copy_n(from.data() + (o * extent + (index < 0 ? index + extent : index)) * inner, inner, to);
    }
  }
  return y;
}

}  // namespace tl::onnx
