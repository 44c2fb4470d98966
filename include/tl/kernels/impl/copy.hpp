// Definitions of transpose.hpp. Moving elements needs no instruction set of its own: blocks of 4 by 4 (2 by
// 2) in 128-bit registers are faster than memory.
#pragma once

#include <tl/kernels/for_each_isa.hpp>
#include <tl/kernels/transpose.hpp>

#if TL_KERNELS_DEFINE
namespace tl::kernels {
namespace internal {

inline constexpr Index copy_grain = 16384;  // elements a task

/// dst[r * stride_dst + c] = src[c * stride_src + r] for few rows or columns, a compile-time number of them.
template <int few, bool few_rows, class T>
void transpose_narrow(Index many, const T* src, Index stride_src, T* dst, Index stride_dst) {
  for (Index i = 0; i < many; ++i) {
    T values[few];
    TL_UNROLL for (int k = 0; k < few; ++k) values[k] =
        few_rows ? src[i * stride_src + k] : src[k * stride_src + i];
    TL_UNROLL for (int k = 0; k < few; ++k)(few_rows ? dst[k * stride_dst + i] : dst[i * stride_dst + k]) =
        values[k];
  }
}

template <bool few_rows, class T>
void transpose_narrow(Index few, Index many, const T* src, Index stride_src, T* dst, Index stride_dst) {
  switch (few) {
    case 1:
      return transpose_narrow<1, few_rows>(many, src, stride_src, dst, stride_dst);
    case 2:
      return transpose_narrow<2, few_rows>(many, src, stride_src, dst, stride_dst);
    case 3:
      return transpose_narrow<3, few_rows>(many, src, stride_src, dst, stride_dst);
    default:
      return transpose_narrow<4, few_rows>(many, src, stride_src, dst, stride_dst);
  }
}

/// One square block that fills 128-bit registers.
template <class T>
void transpose_block(const T* src, Index stride_src, T* dst, Index stride_dst) {
  if constexpr (sizeof(T) == 4) {
    typedef std::int32_t Four __attribute__((vector_size(16)));
    Four a, b, c, d;
    std::memcpy(&a, src, 16);
    std::memcpy(&b, src + stride_src, 16);
    std::memcpy(&c, src + 2 * stride_src, 16);
    std::memcpy(&d, src + 3 * stride_src, 16);
    const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    const Four ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const Four cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    a = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    b = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    c = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    d = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
    std::memcpy(dst, &a, 16);
    std::memcpy(dst + stride_dst, &b, 16);
    std::memcpy(dst + 2 * stride_dst, &c, 16);
    std::memcpy(dst + 3 * stride_dst, &d, 16);
  } else {
    static_assert(sizeof(T) == 8);
    typedef std::int64_t Two __attribute__((vector_size(16)));
    Two a, b;
    std::memcpy(&a, src, 16);
    std::memcpy(&b, src + stride_src, 16);
    const Two low = __builtin_shufflevector(a, b, 0, 2), high = __builtin_shufflevector(a, b, 1, 3);
    std::memcpy(dst, &low, 16);
    std::memcpy(dst + stride_dst, &high, 16);
  }
}

/// dst[r * stride_dst + c] = src[c * stride_src + r], r below rows and c below columns.
template <class T>
void transpose_tile(Index rows, Index columns, const T* src, Index stride_src, T* dst, Index stride_dst) {
  if (columns <= 4) return transpose_narrow<false>(columns, rows, src, stride_src, dst, stride_dst);
  if (rows <= 4) return transpose_narrow<true>(rows, columns, src, stride_src, dst, stride_dst);
  constexpr Index side = sizeof(T) == 4 ? 4 : sizeof(T) == 8 ? 2 : 1;
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));  // columns of one cache line, written together
  for (Index first = 0; first < columns; first += line) {
    const Index last = std::min(columns, first + line);
    Index r = 0;
    if constexpr (side > 1) {
      for (; r + side <= rows; r += side) {
        Index c = first;
        for (; c + side <= last; c += side) {
          transpose_block(src + c * stride_src + r, stride_src, dst + r * stride_dst + c, stride_dst);
        }
        for (; c < last; ++c) {
          for (Index k = r; k < r + side; ++k) dst[k * stride_dst + c] = src[c * stride_src + k];
        }
      }
    }
    for (; r < rows; ++r) {
      for (Index c = first; c < last; ++c) dst[r * stride_dst + c] = src[c * stride_src + r];
    }
  }
}

/// Copies where dst is dense along the last axis and src along the axis `row`.
template <class T>
void copy_transposed(const StridedLoop<2>& loop, int row, const T* src, T* dst) {
  constexpr Index tile_rows = 64, tile_columns = 256;
  const int column = loop.rank() - 1;
  const Index rows = loop.extent(row), columns = loop.extent(column);
  const Index stride_src = loop.strides(column)[0], stride_dst = loop.strides(row)[1];
  const Index down = (rows + tile_rows - 1) / tile_rows;
  const Index across = (columns + tile_columns - 1) / tile_columns;
  const Index tile = std::min(rows, tile_rows) * std::min(columns, tile_columns);
  const Index planes = loop.size() / std::max<Index>(1, rows * columns);
  parallel_for(planes * down * across, std::max<Index>(1, copy_grain / std::max<Index>(1, tile)),
               [&](Index begin, Index end) {
                 for (Index task = begin; task < end; ++task) {
                   const Index c = task % across * tile_columns;
                   const Index r = task / across % down * tile_rows;
                   Index plane = task / across / down;
                   Index from = c * stride_src + r, to = r * stride_dst + c;
                   for (int axis = column - 1; axis >= 0; --axis) {
                     if (axis == row) continue;
                     const Index at = plane % loop.extent(axis);
                     plane /= loop.extent(axis);
                     from += at * loop.strides(axis)[0];
                     to += at * loop.strides(axis)[1];
                   }
                   transpose_tile(std::min(tile_rows, rows - r), std::min(tile_columns, columns - c),
                                  src + from, stride_src, dst + to, stride_dst);
                 }
               });
}

template <class T>
void copy_row(Index n, const T* src, Index stride_src, T* dst, Index stride_dst) {
  if (stride_src == 1 && stride_dst == 1) {
    std::memcpy(dst, src, static_cast<std::size_t>(n) * sizeof(T));
  } else if (stride_dst == 1) {
    for (Index i = 0; i < n; ++i) dst[i] = src[i * stride_src];
  } else {
    for (Index i = 0; i < n; ++i) dst[i * stride_dst] = src[i * stride_src];
  }
}

}  // namespace internal

template <class T>
void copy_strided(int rank, const Index* extents, const Index* strides_src, const T* src,
                  const Index* strides_dst, T* dst) {
  // The order of the axes is ours to choose: dst is written as sequentially as it can be.
  std::array<int, Shape::max_rank> order{};
  int axes = 0;
  for (int axis = 0; axis < rank; ++axis) {
    if (extents[axis] == 0) return;
    if (extents[axis] > 1) order[static_cast<std::size_t>(axes++)] = axis;
  }
  std::stable_sort(order.begin(), order.begin() + axes,
                   [&](int a, int b) { return strides_dst[a] > strides_dst[b]; });
  std::array<Index, Shape::max_rank> extent{}, from{}, to{};
  for (std::size_t i = 0; i < static_cast<std::size_t>(axes); ++i) {
    extent[i] = extents[order[i]];
    from[i] = strides_src[order[i]];
    to[i] = strides_dst[order[i]];
  }
  const internal::StridedLoop<2> loop(axes, extent.data(), {from.data(), to.data()});
  const Index stride_src = loop.inner_strides()[0], stride_dst = loop.inner_strides()[1];
  if (stride_dst == 1 && stride_src != 1) {
    for (int axis = 0; axis + 1 < loop.rank(); ++axis) {
      if (loop.strides(axis)[0] == 1) return internal::copy_transposed(loop, axis, src, dst);
    }
  }
  parallel_for(loop.size(), internal::copy_grain, [&](Index begin, Index end) {
    loop.rows(begin, end, [&](const auto& offsets, Index, Index count) {
      internal::copy_row(count, src + offsets[0], stride_src, dst + offsets[1], stride_dst);
    });
  });
}

template <class T>
void copy_strided(int rank, const Index* extents, const Index* strides_src, const T* src, T* dst) {
  std::array<Index, Shape::max_rank> dense{};
  Index stride = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    dense[static_cast<std::size_t>(axis)] = stride;
    stride *= extents[axis];
  }
  copy_strided(rank, extents, strides_src, src, dense.data(), dst);
}

template <class T>
void transpose(Index batch, Index rows, Index columns, const T* x, T* y) {
  const Index extents[] = {batch, columns, rows}, strides[] = {rows * columns, 1, columns};
  copy_strided(3, extents, strides, x, y);
}

#ifdef TL_KERNELS_IMPLEMENTATION
#define TL_INSTANTIATE_COPIES(T)                                                              \
  template void copy_strided<T>(int, const Index*, const Index*, const T*, T*);               \
  template void copy_strided<T>(int, const Index*, const Index*, const T*, const Index*, T*); \
  template void transpose<T>(Index, Index, Index, const T*, T*);
TL_INSTANTIATE_COPIES(std::uint8_t)
TL_INSTANTIATE_COPIES(std::int32_t)
TL_INSTANTIATE_COPIES(std::int64_t)
TL_INSTANTIATE_COPIES(float)
TL_INSTANTIATE_COPIES(double)
#undef TL_INSTANTIATE_COPIES
#endif

}  // namespace tl::kernels
#endif  // TL_KERNELS_DEFINE
