// Resampling of RGB bytes with fixed-point weights: the two passes of an antialiased resize.
//
//   y = clip((2^21 + sum_k w[k] x[first + k]) >> 22, 0, 255)        w in units of 2^-22
//
// Integer sums: the same bits on every instruction set. Source: the arithmetic of Pillow's Resample.c, so
// that results are Pillow's; the splitting of weights for 16-bit multiplication is ours.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <tl/core/memory.hpp>
#include <tl/core/shape.hpp>

namespace tl::kernels {

/// Bits behind the point of a weight.
inline constexpr int resample_bits = 22;

/// What every output position of one axis is made of: positions first[i] .. first[i] + count[i] - 1 of the
/// input with weights[i * stride ...]; the stride is a multiple of 4, weights beyond count are 0.
struct ResampleTaps {
  std::vector<std::int32_t> first;    ///< (positions)
  std::vector<std::int32_t> count;    ///< (positions)
  std::vector<std::int32_t> weights;  ///< (positions * stride), in units of 2^-22
  Index stride = 0;                   ///< weights a position

  Index size() const { return static_cast<Index>(first.size()); }  ///< output positions
};

/// Along rows: x (rows, width_in, 3), rows row_bytes apart, to y (rows, taps.size(), 3) without gaps.
/// Reads up to 13 bytes beyond the last row of x and writes up to 1 byte beyond the end of y.
inline void resample_horizontal(Index rows, Index row_bytes, const ResampleTaps& taps, const std::uint8_t* x,
                                std::uint8_t* y);

/// Along columns: the first `bytes` of the rows of x, which are row_bytes apart, to y (taps.size(), bytes)
/// without gaps. Reads up to 15 bytes beyond what it uses of the last row and writes as many beyond y.
inline void resample_vertical(Index bytes, Index row_bytes, const ResampleTaps& taps, const std::uint8_t* x,
                              std::uint8_t* y);

}  // namespace tl::kernels

#define TL_KERNELS_IMPL <tl/kernels/impl/resample.inl>
#include <tl/kernels/for_each_isa.hpp>

namespace tl::kernels {

inline void resample_horizontal(Index rows, Index row_bytes, const ResampleTaps& taps, const std::uint8_t* x,
                                std::uint8_t* y) {
  TL_KERNELS_DISPATCH(resample_horizontal, rows, row_bytes, taps, x, y);
}

inline void resample_vertical(Index bytes, Index row_bytes, const ResampleTaps& taps, const std::uint8_t* x,
                              std::uint8_t* y) {
  TL_KERNELS_DISPATCH(resample_vertical, bytes, row_bytes, taps, x, y);
}

}  // namespace tl::kernels
