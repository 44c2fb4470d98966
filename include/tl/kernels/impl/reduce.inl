// Reductions for one instruction set; described in reduce.hpp.

namespace tl::kernels::TL_ISA {

// A reduction maps every element (with b, where there are two arrays) and joins what comes of it.
template <class T>
struct JoinSum {
  using V = Vec<T>;
  static constexpr T identity = 0;
  static TL_INLINE V join(V a, V b) { return a + b; }
  static TL_INLINE T fold(V a) { return sum(a); }
  static TL_INLINE V load(const T* p, Index n) { return V::load(p, n); }
};
template <class T>
struct Sum : JoinSum<T> {
  static constexpr bool binary = false;
  static TL_INLINE Vec<T> map(Vec<T> a, Vec<T>) { return a; }
};
template <class T>
struct SumSquares : JoinSum<T> {
  static constexpr bool binary = false;
  static TL_INLINE Vec<T> map(Vec<T> a, Vec<T>) { return a * a; }
};
template <class T>
struct Dot : JoinSum<T> {
  static constexpr bool binary = true;
  static TL_INLINE Vec<T> map(Vec<T> a, Vec<T> b) { return a * b; }
};
template <class T>
struct Maximum {
  using V = Vec<T>;
  static constexpr bool binary = false;
  static constexpr T identity = -std::numeric_limits<T>::infinity();
  static TL_INLINE V map(V a, V) { return a; }
  static TL_INLINE V join(V a, V b) { return select(a == a, max(a, b), a); }
  static TL_INLINE T fold(V a) { return any(a != a) ? std::numeric_limits<T>::quiet_NaN() : max_lane(a); }
  static TL_INLINE V load(const T* p, Index n) {
    T lanes[V::width];
    V::set1(identity).store(lanes);
    for (Index i = 0; i < n; ++i) lanes[i] = p[i];
    return V::load(lanes);
  }
};

template <class R, class T>
TL_INLINE Vec<T> mapped(const T* a, const T* b, Index at) {
  return R::map(Vec<T>::load(a + at), R::binary ? Vec<T>::load(b + at) : Vec<T>::zero());
}
template <class R, class T>
TL_INLINE Vec<T> mapped(const T* a, const T* b, Index at, Index n) {
  return R::map(R::load(a + at, n), R::binary ? R::load(b + at, n) : Vec<T>::zero());
}

/// Joins n elements: blocks in vectors of partial results, the blocks pairwise.
template <class R, class T>
T reduce_run(Index n, const T* a, const T* b) {
  using V = Vec<T>;
  constexpr Index block = 1024, width = V::width;
  if (n > block) {
    const Index half = (n / 2 + block - 1) / block * block;
    const T first = reduce_run<R>(half, a, b);
    const T second = reduce_run<R>(n - half, a + half, R::binary ? b + half : b);
    return R::join(V::set1(first), V::set1(second))[0];
  }
  V partial[4];
  TL_UNROLL for (int k = 0; k < 4; ++k) partial[k] = V::set1(R::identity);
  Index i = 0;
  for (; i + 4 * width <= n; i += 4 * width) {
    TL_UNROLL for (int k = 0; k < 4; ++k) {
      partial[k] = R::join(partial[k], mapped<R>(a, b, i + k * width));
    }
  }
  for (; i + width <= n; i += width) partial[0] = R::join(partial[0], mapped<R>(a, b, i));
  if (i < n) partial[1] = R::join(partial[1], mapped<R>(a, b, i, n - i));
  return R::fold(R::join(R::join(partial[0], partial[1]), R::join(partial[2], partial[3])));
}

/// Joins rows of `vectors` vectors, `together` rows at a time, to y (first: or overwrites it).
template <class R, int vectors, int together, class T>
TL_INLINE void reduce_column_group(Index rows, const T* a, const T* b, Index stride, T* y, bool first) {
  using V = Vec<T>;
  V partial[together][vectors];
  TL_UNROLL for (int k = 0; k < together; ++k) {
    TL_UNROLL for (int v = 0; v < vectors; ++v) partial[k][v] = V::set1(R::identity);
  }
  Index r = 0;
  for (; r + together <= rows; r += together) {
    TL_UNROLL for (int k = 0; k < together; ++k) {
      TL_UNROLL for (int v = 0; v < vectors; ++v) {
        partial[k][v] = R::join(partial[k][v], mapped<R>(a, b, (r + k) * stride + v * V::width));
      }
    }
  }
  for (; r < rows; ++r) {
    TL_UNROLL for (int v = 0; v < vectors; ++v) {
      partial[0][v] = R::join(partial[0][v], mapped<R>(a, b, r * stride + v * V::width));
    }
  }
  TL_UNROLL for (int v = 0; v < vectors; ++v) {
    TL_UNROLL for (int step = 1; step < together; step *= 2) {
      TL_UNROLL for (int k = 0; k < together; k += 2 * step) {
        partial[k][v] = R::join(partial[k][v], partial[k + step][v]);
      }
    }
    T* to = y + v * V::width;
    (first ? partial[0][v] : R::join(V::load(to), partial[0][v])).store(to);
  }
}

/// y[c] = the join over rows. Memory is read in its order, 32 rows at a time, whose results are joined.
template <class R, class T>
void reduce_column_block(Index rows, Index columns, const T* a, const T* b, Index stride, T* y) {
  constexpr Index width = Vec<T>::width, block = 32;
  if (rows == 0) std::fill(y, y + columns, R::identity);
  for (Index r = 0; r < rows; r += block) {
    const Index some = std::min(block, rows - r);
    const T* from_b = R::binary ? b + r * stride : b;
    const auto at_b = [&](Index c) { return R::binary ? from_b + c : from_b; };
    const T* from = a + r * stride;
    Index c = 0;
    for (; c + 8 * width <= columns; c += 8 * width) {
      reduce_column_group<R, 8, 1>(some, from + c, at_b(c), stride, y + c, r == 0);
    }
    for (; c + 4 * width <= columns; c += 4 * width) {
      reduce_column_group<R, 4, 2>(some, from + c, at_b(c), stride, y + c, r == 0);
    }
    for (; c + width <= columns; c += width) {
      reduce_column_group<R, 1, 4>(some, from + c, at_b(c), stride, y + c, r == 0);
    }
    if (c == columns) continue;
    const Index tail = columns - c;
    Vec<T> total = Vec<T>::set1(R::identity);
    for (Index k = 0; k < some; ++k) total = R::join(total, mapped<R>(from, from_b, k * stride + c, tail));
    (r == 0 ? total : R::join(R::load(y + c, tail), total)).store(y + c, tail);
  }
}

template <class T>
internal::ReduceBlocks<T> reduce_blocks(internal::Reduction reduction) {
  switch (reduction) {
    case internal::Reduction::sum:
      return {&reduce_run<Sum<T>, T>, &reduce_column_block<Sum<T>, T>};
    case internal::Reduction::sum_squares:
      return {&reduce_run<SumSquares<T>, T>, &reduce_column_block<SumSquares<T>, T>};
    case internal::Reduction::dot:
      return {&reduce_run<Dot<T>, T>, &reduce_column_block<Dot<T>, T>};
    case internal::Reduction::max:
      break;
  }
  return {&reduce_run<Maximum<T>, T>, &reduce_column_block<Maximum<T>, T>};
}

}  // namespace tl::kernels::TL_ISA
