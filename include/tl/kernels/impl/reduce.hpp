// Definitions of reduce.hpp: how reductions are cut into blocks, and how the blocks' results are joined.
#pragma once

#include <tl/kernels/reduce.hpp>

#if TL_KERNELS_DEFINE
#include <tl/kernels/simd.hpp>

namespace tl::kernels::internal {

enum class Reduction { sum, sum_squares, dot, max };

template <class T>
struct ReduceBlocks {
  T (*run)(Index n, const T* a, const T* b);  // b of the dot product only
  void (*columns)(Index rows, Index columns, const T* a, const T* b, Index stride, T* y);
};

}  // namespace tl::kernels::internal

#define TL_KERNELS_IMPL <tl/kernels/impl/reduce.inl>
#include <tl/kernels/for_each_isa.hpp>

namespace tl::kernels {
namespace internal {

inline constexpr Index reduce_grain = 16384;  // elements a task
inline constexpr int reduce_slot = 40;        // of scratch memory

template <class T>
ReduceBlocks<T> reduce_blocks(Reduction reduction) {
  TL_KERNELS_DISPATCH(reduce_blocks<T>, reduction);
}

constexpr Reduction reduction_of(Reduce op) {
  return op == Reduce::max           ? Reduction::max
         : op == Reduce::sum_squares ? Reduction::sum_squares
                                     : Reduction::sum;
}

/// What joins partial results.
constexpr Reduction joining(Reduction reduction) {
  return reduction == Reduction::max ? Reduction::max : Reduction::sum;
}

template <class T>
T empty_reduction(Reduce op) {
  return op == Reduce::mean  ? std::numeric_limits<T>::quiet_NaN()
         : op == Reduce::max ? -std::numeric_limits<T>::infinity()
                             : T(0);
}

template <class T>
T reduce_all(Reduction reduction, Index n, const T* a, const T* b) {
  const auto run = reduce_blocks<T>(reduction).run;
  if (n <= reduce_grain) return run(n, a, b);
  const Index blocks = (n + reduce_grain - 1) / reduce_grain;
  T* partial = scratch<T, reduce_slot>(static_cast<std::size_t>(blocks));
  parallel_for(n, reduce_grain, [&](Index begin, Index end) {
    partial[begin / reduce_grain] = run(end - begin, a + begin, b == nullptr ? b : b + begin);
  });
  return reduce_blocks<T>(joining(reduction)).run(blocks, partial, nullptr);
}

template <class T>
void reduce_rows(Reduction reduction, Index rows, Index columns, const T* x, Index stride_x, T* y,
                 Index stride_y) {
  if (rows < 4 && columns >= 4 * reduce_grain) {  // few long rows: each in parallel
    for (Index r = 0; r < rows; ++r)
      y[r * stride_y] = reduce_all<T>(reduction, columns, x + r * stride_x, nullptr);
    return;
  }
  const auto run = reduce_blocks<T>(reduction).run;
  parallel_for(rows, std::max<Index>(1, reduce_grain / std::max<Index>(1, columns)),
               [&](Index begin, Index end) {
                 for (Index r = begin; r < end; ++r)
                   y[r * stride_y] = run(columns, x + r * stride_x, nullptr);
               });
}

/// (B,R,C) -> (B,C): chunks of rows and blocks of columns, then the chunks joined pairwise.
template <class T>
void reduce_columns(Reduction reduction, Index batch, Index rows, Index columns, const T* a, const T* b,
                    Index batch_stride, Index row_stride, T* y, Index batch_stride_y) {
  constexpr Index most_columns = 1024;
  if (batch == 0 || columns == 0) return;
  const auto block = reduce_blocks<T>(reduction).columns;
  const auto join = binary_block_of<T>(joining(reduction) == Reduction::max ? Binary::max : Binary::add);
  const Index chunk_rows = std::clamp<Index>(reduce_grain / columns, 64, 512);
  const Index chunks = std::max<Index>(1, (rows + chunk_rows - 1) / chunk_rows);
  const Index across = (columns + most_columns - 1) / most_columns;
  T* partial =
      chunks == 1 ? nullptr : scratch<T, reduce_slot>(static_cast<std::size_t>(batch * chunks * columns));
  const Index task = std::min(rows, chunk_rows) * std::min(columns, most_columns);
  parallel_for(batch * chunks * across, std::max<Index>(1, reduce_grain / std::max<Index>(1, task)),
               [&](Index begin, Index end) {
                 for (Index i = begin; i < end; ++i) {
                   const Index c = i % across * most_columns, chunk = i / across % chunks;
                   const Index image = i / across / chunks, r = chunk * chunk_rows;
                   const Index from = image * batch_stride + r * row_stride + c;
                   T* to = chunks == 1 ? y + image * batch_stride_y + c
                                       : partial + (image * chunks + chunk) * columns + c;
                   block(std::min(chunk_rows, rows - r), std::min(most_columns, columns - c), a + from,
                         b == nullptr ? b : b + from, row_stride, to);
                 }
               });
  if (chunks == 1) return;
  parallel_for(batch, std::max<Index>(1, reduce_grain / (chunks * columns)), [&](Index begin, Index end) {
    for (Index image = begin; image < end; ++image) {
      T* rows_of_partials = partial + image * chunks * columns;
      for (Index step = 1; step < chunks; step *= 2) {
        for (Index chunk = 0; chunk + step < chunks; chunk += 2 * step) {
          T* to = rows_of_partials + chunk * columns;
          join(columns, to, 1, to + step * columns, 1, to);
        }
      }
      std::copy(rows_of_partials, rows_of_partials + columns, y + image * batch_stride_y);
    }
  });
}

/// Joins values that arrive one by one pairwise, like a binary counter.
template <class T>
class PairwiseJoin {
 public:
  explicit PairwiseJoin(BinaryBlock<T> join) : join_(join) {}
  void add(T value) {
    std::size_t level = 0;
    for (; (count_ >> level & 1) != 0; ++level) value = joined(levels_[level], value);
    levels_[level] = value;
    ++count_;
  }
  /// Of at least one value.
  T result() const {
    std::size_t level = static_cast<std::size_t>(std::countr_zero(count_));
    T value = levels_[level];
    while ((count_ >> ++level) != 0) {
      if ((count_ >> level & 1) != 0) value = joined(levels_[level], value);
    }
    return value;
  }

 private:
  T joined(T a, T b) const {
    T y;
    join_(1, &a, 1, &b, 1, &y);
    return y;
  }
  BinaryBlock<T> join_;
  std::array<T, 64> levels_;
  std::uint64_t count_ = 0;
};

/// Any strides: every output on its own, from gathered runs.
template <class T>
void reduce_strided(Reduction reduction, const StridedLoop<2>& loop, const T* x, T* y) {
  std::array<Index, Shape::max_rank> extents[2]{}, from[2]{}, to{};
  std::size_t rank[2] = {0, 0};
  for (int axis = 0; axis < loop.rank(); ++axis) {
    const bool kept = loop.strides(axis)[1] != 0;
    std::size_t& at = rank[kept];
    extents[kept][at] = loop.extent(axis);
    from[kept][at] = loop.strides(axis)[0];
    if (kept) to[at] = loop.strides(axis)[1];
    ++at;
  }
  const StridedLoop<1> inner(static_cast<int>(rank[0]), extents[0].data(), {from[0].data()});
  const StridedLoop<2> outer(static_cast<int>(rank[1]), extents[1].data(), {from[1].data(), to.data()});
  const auto run = reduce_blocks<T>(reduction).run;
  const auto join = binary_block_of<T>(joining(reduction) == Reduction::max ? Binary::max : Binary::add);
  const Index stride = inner.inner_strides()[0];

  const auto reduced = [&](const T* first) {
    constexpr Index most = 256;
    PairwiseJoin<T> result(join);
    inner.rows(0, inner.size(), [&](const auto& offsets, Index, Index count) {
      const T* row = first + offsets[0];
      if (stride == 1) return result.add(run(count, row, nullptr));
      std::array<T, most> dense;
      for (Index i = 0; i < count; i += most) {
        const Index some = std::min(most, count - i);
        for (Index k = 0; k < some; ++k) dense[static_cast<std::size_t>(k)] = row[(i + k) * stride];
        result.add(run(some, dense.data(), nullptr));
      }
    });
    return result.result();
  };
  parallel_for(outer.size(), std::max<Index>(1, reduce_grain / inner.size()), [&](Index begin, Index end) {
    outer.rows(begin, end, [&](const auto& offsets, Index, Index count) {
      for (Index i = 0; i < count; ++i) {
        y[offsets[1] + i * outer.inner_strides()[1]] = reduced(x + offsets[0] + i * outer.inner_strides()[0]);
      }
    });
  });
}

}  // namespace internal

template <class T>
void reduce(Reduce op, int rank, const Index* extents, const Index* strides, const bool* reduced, const T* x,
            T* y) {
  // Strides in y: dense over the kept axes, 0 along the reduced ones.
  std::array<Index, Shape::max_rank> strides_y{};
  std::array<int, Shape::max_rank> order{};
  Index outputs = 1, count = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    order[static_cast<std::size_t>(axis)] = axis;
    if (!reduced[axis]) strides_y[static_cast<std::size_t>(axis)] = outputs;
    (reduced[axis] ? count : outputs) *= extents[axis];
  }
  if (outputs == 0) return;
  if (count == 0) return fill(outputs, internal::empty_reduction<T>(op), y);

  // The axes in the order of memory.
  std::stable_sort(order.begin(), order.begin() + rank,
                   [&](int a, int b) { return strides[a] > strides[b]; });
  std::array<Index, Shape::max_rank> extent{}, from{}, to{};
  for (std::size_t i = 0; i < static_cast<std::size_t>(rank); ++i) {
    extent[i] = extents[order[i]];
    from[i] = strides[order[i]];
    to[i] = strides_y[static_cast<std::size_t>(order[i])];
  }
  const internal::StridedLoop<2> loop(rank, extent.data(), {from.data(), to.data()});
  const internal::Reduction reduction = internal::reduction_of(op);
  const int last = loop.rank() - 1;
  const auto kept = [&](int axis) { return loop.strides(axis)[1] != 0; };
  const bool unit = loop.strides(last)[0] == 1;
  if (unit && count > 1 && last == 0 && !kept(0)) {
    *y = internal::reduce_all<T>(reduction, count, x, nullptr);
  } else if (unit && last == 1 && kept(0) && !kept(1)) {
    internal::reduce_rows(reduction, loop.extent(0), loop.extent(1), x, loop.strides(0)[0], y,
                          loop.strides(0)[1]);
  } else if (unit && (last == 1 || (last == 2 && kept(0))) && !kept(last - 1) && loop.strides(last)[1] == 1) {
    const bool batched = last == 2;
    internal::reduce_columns<T>(reduction, batched ? loop.extent(0) : 1, loop.extent(last - 1),
                                loop.extent(last), x, nullptr, batched ? loop.strides(0)[0] : 0,
                                loop.strides(last - 1)[0], y, batched ? loop.strides(0)[1] : 0);
  } else {
    internal::reduce_strided(reduction, loop, x, y);
  }
  if (op == Reduce::mean) {
    for (Index i = 0; i < outputs; ++i) y[i] /= static_cast<T>(count);
  }
}

template <class T>
void reduce_rows(Reduce op, Index rows, Index columns, const T* x, T* y) {
  const Index extents[] = {rows, columns}, strides[] = {columns, 1};
  const bool reduced[] = {false, true};
  reduce(op, 2, extents, strides, reduced, x, y);
}

template <class T>
void reduce_columns(Reduce op, Index rows, Index columns, const T* x, T* y) {
  const Index extents[] = {rows, columns}, strides[] = {columns, 1};
  const bool reduced[] = {true, false};
  reduce(op, 2, extents, strides, reduced, x, y);
}

template <class T>
void dot_columns(Index rows, Index columns, const T* a, const T* b, T* y) {
  internal::reduce_columns(internal::Reduction::dot, 1, rows, columns, a, b, 0, columns, y, 0);
}

template <class T>
T reduce_all(Reduce op, Index n, const T* x) {
  if (n == 0) return internal::empty_reduction<T>(op);
  const T result = internal::reduce_all<T>(internal::reduction_of(op), n, x, nullptr);
  return op == Reduce::mean ? result / static_cast<T>(n) : result;
}

template <class T>
T dot(Index n, const T* a, const T* b) {
  return internal::reduce_all(internal::Reduction::dot, n, a, b);
}

TL_KERNELS_INSTANTIATE(reduce)
TL_KERNELS_INSTANTIATE(reduce_rows)
TL_KERNELS_INSTANTIATE(reduce_columns)
TL_KERNELS_INSTANTIATE(dot_columns)
TL_KERNELS_INSTANTIATE(reduce_all)
TL_KERNELS_INSTANTIATE(dot)

}  // namespace tl::kernels
#endif  // TL_KERNELS_DEFINE
