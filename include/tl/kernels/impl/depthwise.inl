// Depthwise convolution for one instruction set; described in depthwise.hpp and impl/depthwise.hpp.

namespace tl::kernels::TL_ISA {

/// Blocks of neighbouring outputs of one row, for any number of taps, stride and dilation. With `table` there
/// is one block, whose columns are found through pointers.
template <class T, int outputs, bool table>
void depthwise_blocks_any(const internal::DepthwiseRun<T>& run, Index blocks, T* y, Index y_step) {
  using V = Vec<T>;
  const V low = V::set1(run.low), high = V::set1(run.high);
  for (Index block = 0; block < blocks; ++block, y += outputs * y_step) {
    const Index moved = block * outputs * run.stride * run.channels;
    each_vector<T>(
        run.last - run.first, [&](Index i, Index some) __attribute__((always_inline)) {
          const Index c = run.first + i;
          V sums[outputs];
          const V bias = run.bias == nullptr ? V::zero() : load_some(run.bias + c, some);
          TL_UNROLL for (int b = 0; b < outputs; ++b) sums[b] = bias;
          for (Index r = 0; r < run.row_count; ++r) {
            const internal::DepthwiseRow<T>& row = run.rows[r];
            for (Index t = 0; t < run.taps; ++t) {
              const V weight = load_some(row.w + t * run.w_step + c, some);
              TL_UNROLL for (int b = 0; b < outputs; ++b) {
                const Index q = b * run.stride + t * run.dilation;
                const T* column = table ? row.columns[q] : row.x + moved + q * run.channels;
                sums[b] = fma(load_some(column + c, some), weight, sums[b]);
              }
            }
          }
          TL_UNROLL for (int b = 0; b < outputs; ++b) {
            store_some(min(high, max(low, sums[b])), y + b * y_step + c, some);
          }
        });
  }
}

/// Columns of x that a block sees.
template <int taps, int stride>
inline constexpr int depthwise_span = (internal::depthwise_outputs - 1) * stride + taps;

/// The same where taps and stride are known and the taps are neighbours: each column of x is loaded once for
/// all the outputs that see it.
template <class T, int taps, int stride, bool table>
void depthwise_blocks(const internal::DepthwiseRun<T>& run, Index blocks, T* y, Index y_step) {
  using V = Vec<T>;
  constexpr int outputs = internal::depthwise_outputs, span = depthwise_span<taps, stride>;
  const V low = V::set1(run.low), high = V::set1(run.high);
  const Index last = run.last - (run.last - run.first) % V::width;
  for (Index block = 0; block < blocks; ++block) {
    const Index moved = block * outputs * stride * run.channels;
    T* to = y + block * outputs * y_step;
    for (Index c = run.first; c < last; c += V::width) {
      V sums[outputs];
      const V bias = run.bias == nullptr ? V::zero() : V::load(run.bias + c);
      TL_UNROLL for (int b = 0; b < outputs; ++b) sums[b] = bias;
      for (Index r = 0; r < run.row_count; ++r) {
        const internal::DepthwiseRow<T>& row = run.rows[r];
        V weights[taps];
        TL_UNROLL for (int t = 0; t < taps; ++t) weights[t] = V::load(row.w + t * run.w_step + c);
        TL_UNROLL for (int q = 0; q < span; ++q) {
          const V v = V::load((table ? row.columns[q] : row.x + moved + q * run.channels) + c);
          TL_UNROLL for (int t = 0; t < taps; ++t) {
            if (q >= t && (q - t) % stride == 0 && (q - t) / stride < outputs) {
              sums[(q - t) / stride] = fma(v, weights[t], sums[(q - t) / stride]);
            }
          }
        }
      }
      TL_UNROLL for (int b = 0; b < outputs; ++b) min(high, max(low, sums[b])).store(to + b * y_step + c);
    }
  }
  if (last == run.last) return;
  internal::DepthwiseRun<T> rest = run;
  rest.first = last;
  depthwise_blocks_any<T, outputs, table>(rest, blocks, y, y_step);
}

/// Adds to dw the products of blocks of one row of dy with the columns of x that its outputs see.
template <class T, bool table>
void depthwise_weight_blocks_any(const internal::DepthwiseWeightRun<T>& run, Index blocks) {
  using V = Vec<T>;
  constexpr int outputs = internal::depthwise_outputs;
  each_vector<T>(
      run.last - run.first, [&](Index i, Index some) __attribute__((always_inline)) {
        const Index c = run.first + i;
        for (Index t = 0; t < run.taps; ++t) {
          V total = load_some(run.dw + t * run.channels + c, some);
          for (Index block = 0; block < blocks; ++block) {
            TL_UNROLL for (int b = 0; b < outputs; ++b) {
              const Index q = b * run.stride + t * run.dilation;
              const T* x =
                  table ? run.x_columns[q] : run.x + (block * outputs * run.stride + q) * run.channels;
              const T* dy = table ? run.dy_columns[b] : run.dy + (block * outputs + b) * run.channels;
              total = fma(load_some(x + c, some), load_some(dy + c, some), total);
            }
          }
          store_some(total, run.dw + t * run.channels + c, some);
        }
      });
}

template <class T, int taps, int stride, bool table>
void depthwise_weight_blocks(const internal::DepthwiseWeightRun<T>& run, Index blocks) {
  using V = Vec<T>;
  constexpr int outputs = internal::depthwise_outputs, span = depthwise_span<taps, stride>;
  const Index last = run.last - (run.last - run.first) % V::width;
  for (Index c = run.first; c < last; c += V::width) {
    V sums[taps];
    TL_UNROLL for (int t = 0; t < taps; ++t) sums[t] = V::load(run.dw + t * run.channels + c);
    for (Index block = 0; block < blocks; ++block) {
      V gradients[outputs];
      TL_UNROLL for (int b = 0; b < outputs; ++b) {
        gradients[b] =
            V::load((table ? run.dy_columns[b] : run.dy + (block * outputs + b) * run.channels) + c);
      }
      TL_UNROLL for (int q = 0; q < span; ++q) {
        const T* from = table ? run.x_columns[q] : run.x + (block * outputs * stride + q) * run.channels;
        const V v = V::load(from + c);
        TL_UNROLL for (int t = 0; t < taps; ++t) {
          if (q >= t && (q - t) % stride == 0 && (q - t) / stride < outputs) {
            sums[t] = fma(v, gradients[(q - t) / stride], sums[t]);
          }
        }
      }
    }
    TL_UNROLL for (int t = 0; t < taps; ++t) sums[t].store(run.dw + t * run.channels + c);
  }
  if (last == run.last) return;
  internal::DepthwiseWeightRun<T> rest = run;
  rest.first = last;
  depthwise_weight_blocks_any<T, table>(rest, blocks);
}

template <class T, int taps, int stride>
internal::DepthwiseKernels<T> depthwise_kernels_of() {
  return {&depthwise_blocks<T, taps, stride, false>, &depthwise_blocks<T, taps, stride, true>,
          &depthwise_blocks_any<T, 1, true>};
}

/// taps 0: any.
template <class T>
internal::DepthwiseKernels<T> depthwise_kernels(int taps, int stride) {
  if (stride == 1) {
    switch (taps) {
      case 1:
        return depthwise_kernels_of<T, 1, 1>();
      case 2:
        return depthwise_kernels_of<T, 2, 1>();
      case 3:
        return depthwise_kernels_of<T, 3, 1>();
      case 5:
        return depthwise_kernels_of<T, 5, 1>();
    }
  } else if (stride == 2) {
    if (taps == 3) return depthwise_kernels_of<T, 3, 2>();
    if (taps == 5) return depthwise_kernels_of<T, 5, 2>();
  }
  return {&depthwise_blocks_any<T, internal::depthwise_outputs, false>,
          &depthwise_blocks_any<T, internal::depthwise_outputs, true>, &depthwise_blocks_any<T, 1, true>};
}

template <class T, int taps, int stride>
internal::DepthwiseWeightKernels<T> depthwise_weight_kernels_of() {
  return {&depthwise_weight_blocks<T, taps, stride, false>, &depthwise_weight_blocks<T, taps, stride, true>};
}

template <class T>
internal::DepthwiseWeightKernels<T> depthwise_weight_kernels(int taps, int stride) {
  if (taps == 3 && stride == 1) return depthwise_weight_kernels_of<T, 3, 1>();
  if (taps == 3 && stride == 2) return depthwise_weight_kernels_of<T, 3, 2>();
  if (taps == 5 && stride == 1) return depthwise_weight_kernels_of<T, 5, 1>();
  if (taps == 5 && stride == 2) return depthwise_weight_kernels_of<T, 5, 2>();
  return {&depthwise_weight_blocks_any<T, false>, &depthwise_weight_blocks_any<T, true>};
}

}  // namespace tl::kernels::TL_ISA
