// Matrix product for one instruction set; described in gemm.hpp.

namespace tl::kernels::TL_ISA {

/// A stored (m,k): its rows are copied as they are.
template <class T>
struct PlainRows {
  static constexpr bool k_major = false;
  const T* a;
  Index lda, ldc;

  TL_INLINE void copy(Index row, int rows, Index k_begin, Index k_end, T* tile) const {
    for (int r = 0; r < rows; ++r) {
      copy_over(a + (row + r) * lda + k_begin, k_end - k_begin, tile + r * row_stride<T>);
    }
  }
  TL_INLINE void offsets(Index row, int rows, Index* offset) const {
    for (int r = 0; r < rows; ++r) offset[r] = (row + r) * ldc;
  }
};

/// A stored (k,m): the tile keeps k as its slow index.
template <class T>
struct TransposedRows {
  static constexpr bool k_major = true;
  const T* a;
  Index lda, ldc;

  TL_INLINE void copy(Index row, int rows, Index k_begin, Index k_end, T* tile) const {
    for (Index p = k_begin; p < k_end; ++p) {
      copy_over(a + p * lda + row, rows, tile);
      tile += k_stride;
    }
  }
  TL_INLINE void offsets(Index row, int rows, Index* offset) const {
    for (int r = 0; r < rows; ++r) offset[r] = (row + r) * ldc;
  }
};

/// Packs op(B)'s rows [0,k) and columns [0,n) as packed_elements describes.
template <class T>
void pack_columns(Trans trans, Index n, Index k, const T* b, Index ldb, T* packed) {
  constexpr Index width = panel_width<T>;
  const Index panels = (n + width - 1) / width, padded = panels * width;
  const KBlocks blocks(k);
  parallel_for(panels, std::max<Index>(1, (Index{1} << 15) / (k * width)), [&](Index begin, Index end) {
    for (Index k0 = 0; k0 < k; k0 += blocks.step) {
      const Index count = std::min(k, k0 + blocks.step) - k0;
      for (Index panel = begin; panel < end; ++panel) {
        const Index column = panel * width, columns = std::min(width, n - column);
        copy_panel(trans, trans == Trans::yes ? b + column * ldb + k0 : b + k0 * ldb + column, ldb, columns,
                   count, packed + padded * k0 + column * count);
      }
    }
  });
}

/// B large enough to be worth packing, in pieces that bound the working memory.
template <class T, class Rows>
void gemm_packed(Trans trans_b, Index m, Index n, Index k, const Rows& rows, const T* b, Index ldb, T* c,
                 bool accumulate) {
  constexpr Index most_k = 1024, most_n = 1024;
  T* packed = workspace<T, 11>(packed_elements<T>(std::min(k, most_k), std::min(n, most_n)));
  for (Index n0 = 0; n0 < n; n0 += most_n) {
    const Index columns = std::min(most_n, n - n0);
    for (Index k0 = 0; k0 < k; k0 += most_k) {
      const Index count = std::min(most_k, k - k0);
      pack_columns(trans_b, columns, count, trans_b == Trans::yes ? b + n0 * ldb + k0 : b + k0 * ldb + n0,
                   ldb, packed);
      Rows part = rows;
      part.a += Rows::k_major ? k0 * rows.lda : k0;
      multiply_packed(m, columns, count, part, packed,
                      ProductOutput<T>{.c = c + n0, .start = accumulate || k0 > 0 ? c + n0 : nullptr});
    }
  }
}

/// Few rows: B (k,n) is read where it is; only its last, partial panel is copied.
template <class T, class Rows>
void gemm_few_rows(Index m, Index n, Index k, const Rows& rows, const T* b, Index ldb, T* c,
                   bool accumulate) {
  constexpr Index width = panel_width<T>;
  const Index tiles = (m + tile_rows - 1) / tile_rows;
  const Index grain = width * std::max<Index>(1, (Index{1} << 17) / (m * k * width));
  parallel_for(n, grain, [&](Index begin, Index end) {
    T* tile = workspace<T, 10>(tile_elements<T>);
    T* edge = workspace<T, 12>(k_block * width);
    const Index whole = begin + (end - begin) / width * width;
    const KBlocks blocks(k);
    for (Index k0 = 0; k0 < k; k0 += blocks.step) {
      const Index count = std::min(blocks.step, k - k0);
      if (whole < end) copy_panel(Trans::no, b + k0 * ldb + whole, ldb, end - whole, count, edge);
      for (Index t = 0; t < tiles; ++t) {
        const Index row = even_split(m, tiles, t);
        const int height = static_cast<int>(even_split(m, tiles, t + 1) - row);
        Index offsets[tile_rows];
        rows.offsets(row, height, offsets);
        rows.copy(row, height, k0, k0 + count, tile);
        for (Index column = begin; column < end; column += width) {
          TileOutput<T> part{.c = c + column, .rows = offsets, .columns = std::min(width, end - column)};
          if (accumulate || k0 > 0) part.start = c + column;
          multiply_tile<T, Rows::k_major>(height, count, tile, k_stride,
                                          column < whole ? b + k0 * ldb + column : edge,
                                          column < whole ? ldb : width, part);
        }
      }
    }
  });
}

inline constexpr int dot_columns = 4;
inline constexpr int dot_rows = TL_ISA_LEVEL == 2 ? 4 : TL_ISA_LEVEL == 1 ? 3 : 2;

/// Dot products of `rows` rows of A with four of B, both along k.
template <class T, int rows>
void dot_tile(Index k, const T* a, Index lda, const T* const* b, T (*result)[dot_columns]) {
  using V = Vec<T>;
  V sums[rows][dot_columns];
  TL_UNROLL for (int r = 0; r < rows; ++r) {
    TL_UNROLL for (int j = 0; j < dot_columns; ++j) sums[r][j] = V::zero();
  }
  const T *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3];
  const auto step = [&](Index p, auto load) __attribute__((always_inline)) {
    V x[rows];
    TL_UNROLL for (int r = 0; r < rows; ++r) x[r] = load(a + r * lda + p);
    const V y[dot_columns] = {load(b0 + p), load(b1 + p), load(b2 + p), load(b3 + p)};
    TL_UNROLL for (int j = 0; j < dot_columns; ++j) {
      TL_UNROLL for (int r = 0; r < rows; ++r) sums[r][j] = fma(x[r], y[j], sums[r][j]);
    }
  };
  Index p = 0;
  for (; p + V::width <= k; p += V::width) {
    step(
        p, [](const T* from) __attribute__((always_inline)) { return V::load(from); });
  }
  if (p < k) {
    const Index rest = k - p;
    step(
        p, [rest](const T* from) __attribute__((always_inline)) { return V::load(from, rest); });
  }
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < dot_columns; ++j) result[r][j] = sum(sums[r][j]);
  }
}

template <class T, int... row>
constexpr auto dot_table(std::integer_sequence<int, row...>) {
  return std::array{&dot_tile<T, row + 1>...};
}

/// Few rows of A (m,k) times B stored (n,k): every output is a dot product of two contiguous rows.
template <class T>
void gemm_dots(Index m, Index n, Index k, const T* a, Index lda, const T* b, Index ldb, T* c, Index ldc,
               bool accumulate) {
  static constexpr auto table = dot_table<T>(std::make_integer_sequence<int, dot_rows>{});
  const Index groups = (m + dot_rows - 1) / dot_rows;
  const Index grain = dot_columns * std::max<Index>(1, (Index{1} << 15) / (m * k));
  parallel_for(n, grain, [&](Index begin, Index end) {
    for (Index column = begin; column < end; column += dot_columns) {
      const Index columns = std::min<Index>(dot_columns, end - column);
      const T* b_rows[dot_columns];
      for (Index j = 0; j < dot_columns; ++j) b_rows[j] = b + (column + std::min(j, columns - 1)) * ldb;
      for (Index g = 0; g < groups; ++g) {
        const Index row = even_split(m, groups, g), count = even_split(m, groups, g + 1) - row;
        T result[dot_rows][dot_columns];
        table[static_cast<std::size_t>(count - 1)](k, a + row * lda, lda, b_rows, result);
        for (Index r = 0; r < count; ++r) {
          T* to = c + (row + r) * ldc + column;
          for (Index j = 0; j < columns; ++j) to[j] = accumulate ? to[j] + result[r][j] : result[r][j];
        }
      }
    }
  });
}

template <class T>
void gemm(Trans trans_a, Trans trans_b, Index m, Index n, Index k, const T* a, Index lda, const T* b,
          Index ldb, T* c, Index ldc, bool accumulate) {
  constexpr Index few_columns = 8, few_rows = 2 * tile_rows, few_dots = 32;
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (Index i = 0; i < m && !accumulate; ++i) std::fill(c + i * ldc, c + i * ldc + n, T(0));
    return;
  }
  const auto turned = [](Trans t) { return t == Trans::no ? Trans::yes : Trans::no; };
  if (n < few_columns && m > n) {  // C^T = op(B)^T op(A)^T has long rows
    T* across = workspace<T, 13>(m * n);
    TL_ISA::gemm(turned(trans_b), turned(trans_a), n, m, k, b, ldb, a, lda, across, m, false);
    for (Index i = 0; i < m; ++i) {
      for (Index j = 0; j < n; ++j) c[i * ldc + j] = (accumulate ? c[i * ldc + j] : T(0)) + across[j * m + i];
    }
    return;
  }
  if (trans_b == Trans::yes && m <= few_dots) {
    if (trans_a == Trans::yes) {
      T* rows = workspace<T, 14>(m * k);
      internal::transpose_tile(m, k, a, lda, rows, k);
      return gemm_dots(m, n, k, rows, k, b, ldb, c, ldc, accumulate);
    }
    return gemm_dots(m, n, k, a, lda, b, ldb, c, ldc, accumulate);
  }
  const bool direct = trans_b == Trans::no && m <= few_rows;
  if (trans_a == Trans::no) {
    const PlainRows<T> rows{a, lda, ldc};
    direct ? gemm_few_rows(m, n, k, rows, b, ldb, c, accumulate)
           : gemm_packed(trans_b, m, n, k, rows, b, ldb, c, accumulate);
  } else {
    const TransposedRows<T> rows{a, lda, ldc};
    direct ? gemm_few_rows(m, n, k, rows, b, ldb, c, accumulate)
           : gemm_packed(trans_b, m, n, k, rows, b, ldb, c, accumulate);
  }
}

}  // namespace tl::kernels::TL_ISA
