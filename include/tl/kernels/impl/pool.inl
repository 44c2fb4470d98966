// Pooling for one instruction set; described in pool.hpp. Every function makes one row of pixels.

namespace tl::kernels::TL_ISA {

// Positions are std::int32_t in memory and integers as wide as T in registers.
template <class T>
struct Positions;
template <>
struct Positions<float> {
  typedef std::int32_t Packed __attribute__((vector_size(TL_ISA_BYTES)));
};
template <>
struct Positions<double> {
  typedef std::int32_t Packed __attribute__((vector_size(TL_ISA_BYTES / 2)));
};

template <class T>
TL_INLINE Bits<T> load_positions(const std::int32_t* p, Index some) {
  typename Positions<T>::Packed packed = {};
  if (some == Vec<T>::width) {
    std::memcpy(&packed, p, sizeof packed);
  } else {
    for (Index i = 0; i < some; ++i) packed[i] = p[i];
  }
  return {__builtin_convertvector(packed, typename Registers<T>::Integer)};
}
template <class T>
TL_INLINE void store_positions(Bits<T> positions, std::int32_t* p, Index some) {
  const auto packed = __builtin_convertvector(positions.v, typename Positions<T>::Packed);
  if (some == Vec<T>::width) {
    std::memcpy(p, &packed, sizeof packed);
  } else {
    for (Index i = 0; i < some; ++i) p[i] = packed[i];
  }
}

template <bool positions, class T>
void max_pool_row(const internal::PoolAxis& rows, const internal::PoolAxis& columns, Index channels,
                  Index row, const T* x, T* y, std::int32_t* argmax) {
  using V = Vec<T>;
  const Index first_row = rows.first[row], row_count = rows.count[row];
  for (Index column = 0; column < columns.outputs; ++column, y += channels) {
    const Index first_column = columns.first[column], column_count = columns.count[column];
    const bool empty = row_count == 0 || column_count == 0;
    const Index start = empty ? -1 : first_row * columns.inputs + first_column;
    each_vector<T>(
        channels, [&](Index c, Index some) __attribute__((always_inline)) {
          V best = empty ? V::set1(-std::numeric_limits<T>::infinity())
                         : load_some(x + start * channels + c, some);
          Bits<T> at = Bits<T>::set1(static_cast<typename Bits<T>::Lane>(start));
          for (Index i = 0; i < row_count; ++i) {
            Index position = start + i * rows.step * columns.inputs;
            for (Index k = 0; k < column_count; ++k, position += columns.step) {
              const V v = load_some(x + position * channels + c, some);
              const Mask<T> better = (v > best) | (v != v);
              best = select(better, v, best);
              if constexpr (positions) {
                const auto here = Bits<T>::set1(static_cast<typename Bits<T>::Lane>(position)).v;
                at.v = (better.v & here) | (~better.v & at.v);
              }
            }
          }
          store_some(best, y + c, some);
          if constexpr (positions) store_positions<T>(at, argmax + c, some);
        });
    if constexpr (positions) argmax += channels;
  }
}

/// The outputs that see one pixel, a few at a time: body(count, outputs, first) with `first` false from the
/// second time on. A pixel that no output sees gets one empty call.
template <class Body>
TL_INLINE void each_cover(const internal::PoolAxis& rows, const internal::PoolAxis& columns, Index row,
                          Index column, const Body& body) {
  constexpr int most = 16;
  Index outputs[most];
  int count = 0;
  bool first = true;
  for (Index i = rows.cover_begin[row]; i < rows.cover_begin[row + 1]; ++i) {
    for (Index k = columns.cover_begin[column]; k < columns.cover_begin[column + 1]; ++k) {
      if (count == most) {
        body(count, outputs, first);
        first = false;
        count = 0;
      }
      outputs[count++] = rows.cover[i] * columns.outputs + columns.cover[k];
    }
  }
  body(count, outputs, first);
}

/// dx of one input row: what flows back from every output whose maximum lies there.
template <class T>
void max_pool_backward_row(const internal::PoolAxis& rows, const internal::PoolAxis& columns, Index channels,
                           Index row, const T* dy, const std::int32_t* argmax, T* dx) {
  using V = Vec<T>;
  for (Index column = 0; column < columns.inputs; ++column, dx += channels) {
    const auto here = Bits<T>::set1(static_cast<typename Bits<T>::Lane>(row * columns.inputs + column)).v;
    each_cover(rows, columns, row, column, [&](int count, const Index* outputs, bool first) {
      each_vector<T>(
          channels, [&](Index c, Index some) __attribute__((always_inline)) {
            V total = first ? V::zero() : load_some(dx + c, some);
            for (int k = 0; k < count; ++k) {
              const Index from = outputs[k] * channels + c;
              const Mask<T> taken{load_positions<T>(argmax + from, some).v == here};
              total += select(taken, load_some(dy + from, some), V::zero());
            }
            store_some(total, dx + c, some);
          });
    });
  }
}

template <class T>
void average_pool_row(const internal::PoolAxis& rows, const internal::PoolAxis& columns, Index channels,
                      Index row, const T* x, T* y) {
  using V = Vec<T>;
  const Index row_count = rows.count[row];
  for (Index column = 0; column < columns.outputs; ++column, y += channels) {
    const Index start = rows.first[row] * columns.inputs + columns.first[column];
    const Index column_count = columns.count[column];
    const V factor = V::set1(static_cast<T>(rows.factor[row] * columns.factor[column]));
    each_vector<T>(
        channels, [&](Index c, Index some) __attribute__((always_inline)) {
          V total = V::zero();
          for (Index i = 0; i < row_count; ++i) {
            Index position = start + i * rows.step * columns.inputs;
            for (Index k = 0; k < column_count; ++k, position += columns.step) {
              total += load_some(x + position * channels + c, some);
            }
          }
          store_some(total * factor, y + c, some);
        });
  }
}

/// dx of one input row: first over the rows of outputs that see it, then along the row.
template <class T>
void average_pool_backward_row(const internal::PoolAxis& rows, const internal::PoolAxis& columns,
                               Index channels, Index row, const T* dy, T* dx) {
  using V = Vec<T>;
  const Index width = columns.outputs * channels, first = rows.cover_begin[row];
  const Index seen = rows.cover_begin[row + 1] - first;
  const T* gathered = dy + (seen == 1 ? rows.cover[first] * width : 0);
  const double row_factor = seen == 1 ? rows.factor[rows.cover[first]] : 1;
  if (seen != 1) {
    T* total = scratch<T, internal::pool_slot + 2>(static_cast<std::size_t>(width));
    std::fill(total, total + width, T(0));
    for (Index i = first; i < first + seen; ++i) {
      const V factor = V::set1(static_cast<T>(rows.factor[rows.cover[i]]));
      const T* from = dy + rows.cover[i] * width;
      each_vector<T>(
          width, [&](Index c, Index some) __attribute__((always_inline)) {
            store_some(fma(load_some(from + c, some), factor, load_some(total + c, some)), total + c, some);
          });
    }
    gathered = total;
  }
  for (Index column = 0; column < columns.inputs; ++column, dx += channels) {
    const Index begin = columns.cover_begin[column], end = columns.cover_begin[column + 1];
    for (Index k = begin; k < end; ++k) {
      const V factor = V::set1(static_cast<T>(row_factor * columns.factor[columns.cover[k]]));
      const T* from = gathered + columns.cover[k] * channels;
      each_vector<T>(
          channels, [&](Index c, Index some) __attribute__((always_inline)) {
            const V part = load_some(from + c, some) * factor;
            store_some(k == begin ? part : load_some(dx + c, some) + part, dx + c, some);
          });
    }
    if (begin == end) std::fill(dx, dx + channels, T(0));
  }
}

template <class T>
internal::PoolRows<T> pool_rows() {
  return {&max_pool_row<false, T>, &max_pool_row<true, T>, &max_pool_backward_row<T>, &average_pool_row<T>,
          &average_pool_backward_row<T>};
}

}  // namespace tl::kernels::TL_ISA
