// The register-blocked product for one instruction set; described in gemm_tile.hpp.

namespace tl::kernels::TL_ISA {

/// Rows of the largest tile, k of one block, and columns of a panel: two vectors.
inline constexpr int tile_rows = TL_ISA_LEVEL == 2 ? 14 : TL_ISA_LEVEL == 1 ? 6 : 4;
inline constexpr Index k_block = 256;
template <class T>
inline constexpr Index panel_width = 2 * Vec<T>::width;

/// A's block is either [row][row_stride], or [k][k_stride] when its k is the slow index in memory already.
/// Copies into it may write up to one vector beyond a row's end.
template <class T>
inline constexpr Index row_stride = k_block + 64 / static_cast<Index>(sizeof(T));
inline constexpr Index k_stride = TL_ISA_LEVEL == 2 ? 16 : TL_ISA_LEVEL == 1 ? 8 : 4;
template <class T>
inline constexpr Index tile_elements = std::max<Index>(tile_rows* row_stride<T>,
                                                       k_block* k_stride + Vec<T>::width);

/// tl::scratch of `count` elements.
template <class T, int slot>
TL_INLINE T* workspace(Index count) {
  return scratch<T, slot>(static_cast<std::size_t>(count));
}

/// Where a tile's result goes and what it starts from: c[rows[r] + column].
template <class T>
struct TileOutput {
  T* c = nullptr;
  const Index* rows = nullptr;
  const T* start = nullptr;  // at the same offsets, for example c itself; null: zero
  const T* bias = nullptr;   // by column, added at the start; null: none
  Index columns = 0;
  Activation activation = Activation::none;
};

template <class T, int rows, int vectors, bool k_major>
void multiply_tile(Index k, const T* a, [[maybe_unused]] Index a_step, const T* b, Index ldb,
                   const TileOutput<T>& out) {
  using V = Vec<T>;
  constexpr Index width = V::width;
  const Index last = out.columns - (vectors - 1) * width;  // columns in the last vector
  const bool full = last == width;

  V sums[rows][vectors];
  TL_UNROLL for (int r = 0; r < rows; ++r) {
    TL_UNROLL for (int v = 0; v < vectors; ++v) sums[r][v] = V::zero();
  }
  if (out.start != nullptr) {
    TL_UNROLL for (int r = 0; r < rows; ++r) {
      const T* start = out.start + out.rows[r];
      TL_UNROLL for (int v = 0; v < vectors; ++v) {
        sums[r][v] = v + 1 < vectors || full ? V::load(start + v * width) : V::load(start + v * width, last);
      }
    }
  }
  if (out.bias != nullptr) {
    TL_UNROLL for (int v = 0; v < vectors; ++v) {
      const V bias =
          v + 1 < vectors || full ? V::load(out.bias + v * width) : V::load(out.bias + v * width, last);
      TL_UNROLL for (int r = 0; r < rows; ++r) sums[r][v] += bias;
    }
  }

  if (out.start == nullptr) {  // the lines that will be written are fetched meanwhile
    TL_UNROLL for (int r = 0; r < rows; ++r) {
      TL_UNROLL for (int v = 0; v < vectors; ++v) __builtin_prefetch(out.c + out.rows[r] + v * width, 1);
    }
  }

  for (Index p = 0; p < k; ++p) {
    V columns[vectors];
    TL_UNROLL for (int v = 0; v < vectors; ++v) columns[v] = V::load(b + v * width);
    TL_UNROLL for (int r = 0; r < rows; ++r) {
      const V x = V::set1(k_major ? a[r] : a[r * row_stride<T>]);
      TL_UNROLL for (int v = 0; v < vectors; ++v) sums[r][v] = fma(x, columns[v], sums[r][v]);
    }
    a += k_major ? a_step : 1;
    b += ldb;
  }

  if (out.activation != Activation::none) {
    const V zero = V::zero(), six = V::set1(6);
    const bool clip = out.activation == Activation::relu6;
    TL_UNROLL for (int r = 0; r < rows; ++r) {
      TL_UNROLL for (int v = 0; v < vectors; ++v) {
        sums[r][v] = max(zero, sums[r][v]);
        if (clip) sums[r][v] = min(six, sums[r][v]);
      }
    }
  }
  TL_UNROLL for (int r = 0; r < rows; ++r) {
    T* c = out.c + out.rows[r];
    TL_UNROLL for (int v = 0; v < vectors; ++v) {
      if (v + 1 < vectors || full) {
        sums[r][v].store(c + v * width);
      } else {
        sums[r][v].store(c + v * width, last);
      }
    }
  }
}

template <class T>
using TileFunction = void (*)(Index, const T*, Index, const T*, Index, const TileOutput<T>&);

template <class T, int vectors, bool k_major, int... row>
constexpr std::array<TileFunction<T>, sizeof...(row)> tile_table(std::integer_sequence<int, row...>) {
  return {multiply_tile<T, row + 1, vectors, k_major>...};
}

/// C (rows, out.columns) = start + bias + A*B, then the activation: 1 <= rows <= tile_rows, columns at most a
/// panel. A is [row][row_stride], or for k_major [k][a_step]; B has ldb elements from one k to the next, and
/// is readable to the end of its last vector.
template <class T, bool k_major>
TL_INLINE void multiply_tile(int rows, Index k, const T* a, Index a_step, const T* b, Index ldb,
                             const TileOutput<T>& out) {
  using Rows = std::make_integer_sequence<int, tile_rows>;
  static constexpr auto one = tile_table<T, 1, k_major>(Rows{}), two = tile_table<T, 2, k_major>(Rows{});
  const auto& table = out.columns > Vec<T>::width ? two : one;
  table[static_cast<std::size_t>(rows - 1)](k, a, a_step, b, ldb, out);
}

/// Cuts n into `parts` ranges that differ by at most one: where range i begins.
TL_INLINE Index even_split(Index n, Index parts, Index i) { return n * i / parts; }

/// k cut into equal blocks of at most k_block, whole vectors where there are several.
struct KBlocks {
  Index k, step;
  explicit KBlocks(Index k_) : k(k_), step(k_) {
    if (k > k_block) {
      const Index blocks = (k + k_block - 1) / k_block;
      step = ((k + blocks - 1) / blocks + 15) / 16 * 16;
    }
  }
};

/// Copies n elements, writing up to one vector more; reads no more.
template <class T>
TL_INLINE void copy_over(const T* from, Index n, T* to) {
  constexpr Index width = Vec<T>::width;
  Index i = 0;
  for (; i + width <= n; i += width) Vec<T>::load(from + i).store(to + i);
  if (i < n) Vec<T>::load(from + i, n - i).store(to + i);
}
template <class T>
TL_INLINE void zero_over(Index n, T* to) {
  for (Index i = 0; i < n; i += Vec<T>::width) Vec<T>::zero().store(to + i);
}

/// Rows [0,k) of a panel from columns of memory: to[p*panel_width + i] = from[i*stride + p] for i < columns,
/// and zeros beyond; or from rows of memory: from[p*stride + i].
template <class T>
void copy_panel(Trans trans, const T* from, Index stride, Index columns, Index k, T* to) {
  constexpr Index width = panel_width<T>;
  if (columns < width) std::fill(to, to + k * width, T(0));
  if (trans == Trans::yes) return internal::transpose_tile(k, columns, from, stride, to, width);
  for (Index p = 0; p < k; ++p, from += stride, to += width) {
    if (columns == width) {
      Vec<T>::load(from).store(to);
      Vec<T>::load(from + Vec<T>::width).store(to + Vec<T>::width);
    } else {
      std::copy(from, from + columns, to);
    }
  }
}

/// A whole product C (m,n) = ... A (m,k) * B (k,n) with B packed: what is not A.
template <class T>
struct ProductOutput {
  T* c = nullptr;
  const T* start = nullptr;
  const T* bias = nullptr;
  Activation activation = Activation::none;
};

/// Elements of a packed B: for each block of k, for each panel of columns, [k][panel_width], zeros beyond n.
template <class T>
constexpr Index packed_elements(Index k, Index n) {
  return (n + panel_width<T> - 1) / panel_width<T> * panel_width<T> * k;
}

/// The tiles of rows [row_begin,row_end) and panels [panel_begin,panel_end). `Rows` gives A:
///   static constexpr bool k_major;
///   void copy(Index row, int rows, Index k_begin, Index k_end, T* tile) const;   into A's block
///   void offsets(Index row, int rows, Index* offset) const;                      of the rows of c
template <class T, class Rows>
void multiply_packed_part(Index n, Index k, const Rows& rows, const T* packed, const ProductOutput<T>& out,
                          Index row_begin, Index row_end, Index panel_begin, Index panel_end) {
  constexpr Index width = panel_width<T>;
  T* tile = workspace<T, 10>(tile_elements<T>);
  const Index padded = (n + width - 1) / width * width;
  const Index tiles = (row_end - row_begin + tile_rows - 1) / tile_rows;
  const KBlocks blocks(k);
  for (Index k0 = 0; k0 < k; k0 += blocks.step) {
    const Index k1 = std::min(k, k0 + blocks.step);
    for (Index t = 0; t < tiles; ++t) {
      const Index row = row_begin + even_split(row_end - row_begin, tiles, t);
      const int count = static_cast<int>(row_begin + even_split(row_end - row_begin, tiles, t + 1) - row);
      Index offsets[tile_rows];
      rows.offsets(row, count, offsets);
      rows.copy(row, count, k0, k1, tile);
      for (Index panel = panel_begin; panel < panel_end; ++panel) {
        const Index column = panel * width;
        TileOutput<T> part{.c = out.c + column, .rows = offsets, .columns = std::min(width, n - column)};
        const T* start = k0 == 0 ? out.start : out.c;
        if (start != nullptr) part.start = start + column;
        if (k0 == 0 && out.bias != nullptr) part.bias = out.bias + column;
        if (k1 == k) part.activation = out.activation;
        multiply_tile<T, Rows::k_major>(count, k1 - k0, tile, k_stride,
                                        packed + padded * k0 + column * (k1 - k0), width, part);
      }
    }
  }
}

/// C (m,n) = start + bias + A*B, then the activation, in parallel: blocks of rows, and of columns where there
/// are few rows. Every element is summed in the order of k, whatever the cut.
template <class T, class Rows>
void multiply_packed(Index m, Index n, Index k, const Rows& rows, const T* packed,
                     const ProductOutput<T>& out) {
  constexpr Index width = panel_width<T>, most_tiles = 8, wanted_tasks = 16;
  const Index panels = (n + width - 1) / width, tiles = (m + tile_rows - 1) / tile_rows;
  Index row_parts = 1, column_parts = 1;
  if (m * n * k > Index{1} << 18) {
    row_parts = std::min(tiles, std::max(wanted_tasks, (tiles + most_tiles - 1) / most_tiles));
    if (tiles < wanted_tasks * 2 && panels >= 4) {  // longer runs of rows, so that B is read less often
      column_parts = std::min<Index>(4, panels);
      row_parts = std::min(tiles, wanted_tasks / column_parts);
    }
    row_parts = (row_parts + 1) / 2 * 2 <= tiles ? (row_parts + 1) / 2 * 2 : row_parts;
  }
  parallel_for(row_parts * column_parts, 1, [&](Index begin, Index end) {
    for (Index task = begin; task < end; ++task) {
      const Index i = task / column_parts, j = task % column_parts;
      multiply_packed_part(n, k, rows, packed, out, even_split(tiles, row_parts, i) * m / tiles,
                           even_split(tiles, row_parts, i + 1) * m / tiles,
                           even_split(panels, column_parts, j), even_split(panels, column_parts, j + 1));
    }
  });
}

}  // namespace tl::kernels::TL_ISA
