// Walking along rows in vectors, for one instruction set; described in simd_rows.hpp.

namespace tl::kernels::TL_ISA {

/// Calls body(i, n) for the vectors of a row: n elements from i on, fewer than a vector has at the end.
template <class T, class Body>
TL_INLINE void each_vector(Index columns, const Body& body) {
  constexpr Index width = Vec<T>::width;
  Index i = 0;
  for (; i + width <= columns; i += width) body(i, width);
  if (i < columns) body(i, columns - i);
}
template <class T>
TL_INLINE Vec<T> load_some(const T* p, Index n) {
  return n == Vec<T>::width ? Vec<T>::load(p) : Vec<T>::load(p, n);
}
template <class T>
TL_INLINE void store_some(Vec<T> v, T* p, Index n) {
  if (n == Vec<T>::width) {
    v.store(p);
  } else {
    v.store(p, n);
  }
}

}  // namespace tl::kernels::TL_ISA
