// Moving elements: strided copies and transposes.
//
//   copy_strided     dst[i . strides_dst] = src[i . strides_src] for every index i below the extents
//   transpose        (B,R,C) -> (B,C,R)
//
// Elements are std::uint8_t, std::int32_t, std::int64_t, float or double.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include <tl/core/parallel.hpp>
#include <tl/core/shape.hpp>
#include <tl/kernels/impl/strided.hpp>
#include <tl/kernels/isa.hpp>

namespace tl::kernels {

/// Copies rank <= 8 extents, outermost first, from any strides (in elements; 0 repeats, negative walks
/// backwards from src) to a dense dst. Permutes, slices, expands and changes layouts. src and dst are
/// distinct.
template <class T>
void copy_strided(int rank, const Index* extents, const Index* strides_src, const T* src, T* dst);

/// The same into a strided destination: padding, concatenation, the gradient of a slice. No two elements may
/// have the same place in dst, so no stride of dst is 0 where the extent is above 1.
template <class T>
void copy_strided(int rank, const Index* extents, const Index* strides_src, const T* src,
                  const Index* strides_dst, T* dst);

/// y(b,c,r) = x(b,r,c).
template <class T>
void transpose(Index batch, Index rows, Index columns, const T* x, T* y);

/// Images from planes (N,C,HW) to channels-last (N,HW,C).
template <class T>
void nchw_to_nhwc(Index n, Index c, Index hw, const T* x, T* y) {
  transpose(n, c, hw, x, y);
}

/// Images from channels-last (N,HW,C) to planes (N,C,HW).
template <class T>
void nhwc_to_nchw(Index n, Index c, Index hw, const T* x, T* y) {
  transpose(n, hw, c, x, y);
}

}  // namespace tl::kernels

#include <tl/kernels/impl/copy.hpp>
