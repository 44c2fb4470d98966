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

/// y[c] = the join over rows, eight of them at a time: as many streams as the processor prefetches well.
template <class R, class T>
void reduce_column_block(Index rows, Index columns, const T* a, const T* b, Index stride, T* y) {
  using V = Vec<T>;
  constexpr Index width = V::width, together = 8;
  const auto eight = [&](Index r, Index c, auto... tail) __attribute__((always_inline)) {
    V partial[together];
    TL_UNROLL for (Index k = 0; k < together; ++k) partial[k] =
        mapped<R>(a, b, (r + k) * stride + c, tail...);
    TL_UNROLL for (Index step = 1; step < together; step *= 2) {
      TL_UNROLL for (Index k = 0; k < together; k += 2 * step) partial[k] =
          R::join(partial[k], partial[k + step]);
    }
    return partial[0];
  };
  const auto add_to = [&](Index c, Index n, bool first, V v) __attribute__((always_inline)) {
    if (n == width) {
      (first ? v : R::join(V::load(y + c), v)).store(y + c);
    } else {
      (first ? v : R::join(V::load(y + c, n), v)).store(y + c, n);
    }
  };
  if (rows == 0) std::fill(y, y + columns, R::identity);
  Index r = 0;
  for (; r + together <= rows; r += together) {
    Index c = 0;
    for (; c + width <= columns; c += width) add_to(c, width, r == 0, eight(r, c));
    if (c < columns) add_to(c, columns - c, r == 0, eight(r, c, columns - c));
  }
  for (; r < rows; ++r) {
    Index c = 0;
    for (; c + width <= columns; c += width) add_to(c, width, r == 0, mapped<R>(a, b, r * stride + c));
    if (c < columns) add_to(c, columns - c, r == 0, mapped<R>(a, b, r * stride + c, columns - c));
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
