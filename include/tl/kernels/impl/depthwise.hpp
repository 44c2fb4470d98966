// Definitions of depthwise.hpp.
//
// Forward, one axis at a time: output m sees the inputs m * stride - pad + t * dilation through the weights
// t. Backward with respect to x is the same with dy as the input, for each phase of the stride by itself: the
// inputs j = first + m * stride meet only every stride-th weight. Rows are made in blocks of seven
// neighbouring outputs (112, 56, 28, 14 and 7 are multiples of it); at the borders the columns outside point
// to zeros.
#pragma once

#include <tl/kernels/depthwise.hpp>

#if TL_KERNELS_DEFINE
#include <tl/kernels/simd_rows.hpp>

namespace tl::kernels::internal {

inline constexpr int depthwise_outputs = 7;      // of one block
inline constexpr Index depthwise_channels = 64;  // of one task: its weights stay in the first cache

/// One row of x that outputs see, with the row of weights it meets.
template <class T>
struct DepthwiseRow {
  const T* x;               // the column of the first output's first tap, channel 0
  const T* w;               // the first tap's weights
  const T* const* columns;  // the columns of a block one by one, when some are outside
};

template <class T>
struct DepthwiseRun {
  const DepthwiseRow<T>* rows = nullptr;
  Index row_count = 0;
  Index taps = 0, stride = 1, dilation = 1;
  Index channels = 0;         // between columns of x
  Index w_step = 0;           // between taps
  Index first = 0, last = 0;  // channels to make
  const T* bias = nullptr;
  T low = 0, high = 0;
};

template <class T>
struct DepthwiseWeightRun {
  const T *x = nullptr, *dy = nullptr;  // the first column of each
  const T *const *x_columns = nullptr, *const *dy_columns = nullptr;
  T* dw = nullptr;  // (taps, channels)
  Index taps = 0, stride = 1, dilation = 1, channels = 0, first = 0, last = 0;
};

template <class T>
using DepthwiseBlocks = void(const DepthwiseRun<T>& run, Index blocks, T* y, Index y_step);
template <class T>
struct DepthwiseKernels {
  DepthwiseBlocks<T>*inside, *border, *single;  // single: one output, its columns like a border's
};
template <class T>
struct DepthwiseWeightKernels {
  void (*inside)(const DepthwiseWeightRun<T>& run, Index blocks);
  void (*border)(const DepthwiseWeightRun<T>& run, Index blocks);
};

}  // namespace tl::kernels::internal

#define TL_KERNELS_IMPL <tl/kernels/impl/depthwise.inl>
#include <tl/kernels/for_each_isa.hpp>

namespace tl::kernels {
namespace internal {

inline constexpr int depthwise_slot = 48;  // of scratch memory, and the next five

template <class T>
DepthwiseKernels<T> depthwise_kernels(int taps, int stride) {
  TL_KERNELS_DISPATCH(depthwise_kernels<T>, taps, stride);
}
template <class T>
DepthwiseWeightKernels<T> depthwise_weight_kernels(int taps, int stride) {
  TL_KERNELS_DISPATCH(depthwise_weight_kernels<T>, taps, stride);
}

/// Outputs first, first + step, ... (count of them); the m-th sees the inputs m * stride - pad + t * dilation
/// through the weights tap_first + t * tap_step, t in [0, taps).
struct DepthwisePhase {
  Index first = 0, step = 1, count = 0;
  Index stride = 1, pad = 0, dilation = 1;
  Index taps = 0, tap_first = 0, tap_step = 1;

  Index input(Index m, Index t) const { return m * stride - pad + t * dilation; }
  int known_taps() const { return dilation == 1 && taps <= 5 ? static_cast<int>(taps) : 0; }
  int known_stride() const { return stride <= 2 ? static_cast<int>(stride) : 0; }
};

inline DepthwisePhase forward_phase(Index outputs, Index kernel, Index stride, Index pad, Index dilation) {
  return {.count = outputs, .stride = stride, .pad = pad, .dilation = dilation, .taps = kernel};
}

/// The phase of the inputs r, r + stride, ... in the gradient with respect to x. Weight k takes input j to
/// output (j + pad - k * dilation) / stride where that is integral; in ascending order of outputs k descends.
inline DepthwisePhase backward_phase(Index r, Index inputs, Index kernel, Index stride, Index pad,
                                     Index dilation) {
  Index k_last = -1, taps = 0, k_step = 1;
  for (Index k = 0; k < kernel; ++k) {
    if ((r + pad - k * dilation) % stride != 0) continue;
    if (taps == 1) k_step = k - k_last;
    k_last = k;
    ++taps;
  }
  DepthwisePhase phase{.first = r, .step = stride, .count = ceil_div(std::max<Index>(0, inputs - r), stride)};
  if (taps == 0) return phase;
  phase.taps = taps;
  phase.tap_first = k_last;
  phase.tap_step = -k_step;
  phase.dilation = k_step * dilation / stride;
  phase.pad = -(r + pad - k_last * dilation) / stride;
  return phase;
}

/// What a pass over images needs: x (n,h,w,c) -> y (n,oh,ow,c), weights (kh*kw,c), phases of rows and
/// columns.
template <class T>
struct DepthwisePass {
  Index n, h, w, c, oh, ow, kw;
  const DepthwisePhase *rows, *columns;
  Index row_phases, column_phases;
  const T *x, *weights, *bias;
  T low, high;
  T* y;
};

/// Pointers to `count` columns of a row from `column` on; those outside are zeros.
template <class T>
void fill_columns(const T* row, Index width, Index channels, Index column, Index count, const T* zeros,
                  const T** columns) {
  for (Index q = 0; q < count; ++q) {
    const Index at = column + q;
    columns[q] = at >= 0 && at < width ? row + at * channels : zeros;
  }
}

/// The outputs of a phase of columns in one row of y; run.rows hold the starts of rows of x.
template <class T>
void depthwise_row(const DepthwisePass<T>& pass, const DepthwisePhase& phase,
                   const DepthwiseKernels<T>& kernels, DepthwiseRun<T> run, const T* zeros, T* y) {
  const Index outputs = phase.count < depthwise_outputs ? 1 : depthwise_outputs;
  const Index span = (outputs - 1) * phase.stride + std::max<Index>(0, phase.taps - 1) * phase.dilation + 1;
  auto* rows = scratch<DepthwiseRow<T>, depthwise_slot + 1>(static_cast<std::size_t>(run.row_count));
  const T** columns = scratch<const T*, depthwise_slot>(static_cast<std::size_t>(run.row_count * span));
  const DepthwiseRow<T>* starts = run.rows;
  run.rows = rows;
  run.taps = phase.taps;
  run.stride = phase.stride;
  run.dilation = phase.dilation;
  run.w_step = phase.tap_step * pass.c;
  for (Index m = 0; m < phase.count;) {
    m = std::min(m, phase.count - outputs);  // the last block makes some outputs again rather than be shorter
    Index blocks = 0;
    for (Index at = m; outputs > 1 && at + outputs <= phase.count; at += outputs, ++blocks) {
      if (phase.input(at, 0) < 0 || phase.input(at, 0) + span > pass.w) break;
    }
    const Index column = phase.input(m, 0);
    for (Index r = 0; r < run.row_count; ++r) {
      rows[r] = {starts[r].x + column * pass.c, starts[r].w + phase.tap_first * pass.c, columns + r * span};
      if (blocks == 0) fill_columns(starts[r].x, pass.w, pass.c, column, span, zeros, columns + r * span);
    }
    T* to = y + (phase.first + m * phase.step) * pass.c;
    if (blocks > 0) {
      kernels.inside(run, blocks, to, phase.step * pass.c);
    } else {
      (outputs > 1 ? kernels.border : kernels.single)(run, 1, to, phase.step * pass.c);
    }
    m += std::max<Index>(1, blocks) * outputs;
  }
}

/// A task makes some channels of a few rows of y, which share most of the rows of x they see.
template <class T>
void depthwise_pass(const DepthwisePass<T>& pass) {
  if (pass.n * pass.oh * pass.ow * pass.c == 0) return;
  constexpr Index group = 8;
  T* zeros = scratch<T, depthwise_slot>(static_cast<std::size_t>(pass.c));
  std::fill(zeros, zeros + pass.c, T(0));
  auto* kernels = scratch<DepthwiseKernels<T>, depthwise_slot>(static_cast<std::size_t>(pass.column_phases));
  for (Index p = 0; p < pass.column_phases; ++p) {
    kernels[p] = depthwise_kernels<T>(pass.columns[p].known_taps(), pass.columns[p].known_stride());
  }
  Index most_taps = 1, taps = 0;
  for (Index p = 0; p < pass.row_phases; ++p) {
    most_taps = std::max(most_taps, pass.rows[p].taps);
    taps += pass.rows[p].taps;
  }
  const Index across = ceil_div(pass.c, 2 * depthwise_channels);
  const Index channels = ceil_div(ceil_div(pass.c, across), 16) * 16;
  const Index groups = ceil_div(pass.oh, group);
  const Index work = std::min(pass.oh, group) * pass.ow * channels * (1 + taps * pass.kw / pass.row_phases);
  parallel_for(
      pass.n * groups * across, std::max<Index>(1, 4 * cheap_grain / work), [&](Index begin, Index end) {
        auto* starts = scratch<DepthwiseRow<T>, depthwise_slot>(static_cast<std::size_t>(most_taps));
        for (Index task = begin; task < end; ++task) {
          const Index first = task % across * channels, first_row = task / across % groups * group;
          const Index image = task / across / groups;
          DepthwiseRun<T> run{.rows = starts,
                              .channels = pass.c,
                              .first = first,
                              .last = std::min(pass.c, first + channels),
                              .bias = pass.bias,
                              .low = pass.low,
                              .high = pass.high};
          for (Index i = first_row; i < std::min(pass.oh, first_row + group); ++i) {
            const DepthwisePhase& phase = pass.rows[i % pass.row_phases];
            run.row_count = 0;
            for (Index t = 0; t < phase.taps; ++t) {
              const Index row = phase.input(i / phase.step, t), k = phase.tap_first + t * phase.tap_step;
              if (row < 0 || row >= pass.h) continue;
              starts[run.row_count++] = {pass.x + (image * pass.h + row) * pass.w * pass.c,
                                         pass.weights + k * pass.kw * pass.c, nullptr};
            }
            T* y = pass.y + (image * pass.oh + i) * pass.ow * pass.c;
            for (Index p = 0; p < pass.column_phases; ++p) {
              depthwise_row(pass, pass.columns[p], kernels[p], run, zeros, y);
            }
          }
        }
      });
}

/// With a multiplier every channel is repeated for each of its filters, and the rest goes on as if it were 1.
template <class T>
const T* depthwise_expand(const ConvShape& s, const T* x) {
  if (s.o == s.c) return x;
  T* expanded = scratch<T, depthwise_slot + 2>(static_cast<std::size_t>(s.n * s.h * s.w * s.o));
  const Index extents[] = {s.n * s.h * s.w * s.c, s.o / s.c}, strides[] = {1, 0};
  copy_strided(2, extents, strides, x, expanded);
  return expanded;
}

/// Products of one row of dy with the rows of x that its outputs see, added to dw (KH*KW,C).
template <class T>
void depthwise_weight_row(const ConvShape& s, DepthwiseWeightRun<T> run, const DepthwisePhase& rows,
                          const DepthwisePhase& columns, Index i, const T* image, const T* dy, const T* zeros,
                          T* dw) {
  const auto kernels = depthwise_weight_kernels<T>(columns.known_taps(), columns.known_stride());
  constexpr Index outputs = depthwise_outputs;
  const Index span = (outputs - 1) * columns.stride + (columns.taps - 1) * columns.dilation + 1;
  const T** pointers = scratch<const T*, depthwise_slot>(static_cast<std::size_t>(span + outputs));
  run.x_columns = pointers;
  run.dy_columns = pointers + span;
  const auto inside = [&](Index m) {
    return m + outputs <= s.ow && columns.input(m, 0) >= 0 && columns.input(m, 0) + span <= s.w;
  };
  for (Index k = 0; k < s.kh; ++k) {
    const Index row = rows.input(i, k);
    if (row < 0 || row >= s.h) continue;
    const T* x = image + row * s.w * s.o;
    run.dw = dw + k * s.kw * s.o;
    for (Index m = 0; m < s.ow;) {
      Index blocks = 0;
      while (inside(m + blocks * outputs)) ++blocks;
      if (blocks > 0) {
        run.x = x + columns.input(m, 0) * s.o;
        run.dy = dy + m * s.o;
        kernels.inside(run, blocks);
      } else {
        fill_columns(x, s.w, s.o, columns.input(m, 0), span, zeros, pointers);
        fill_columns(dy, s.ow, s.o, m, outputs, zeros, pointers + span);
        kernels.border(run, 1);
      }
      m += std::max<Index>(1, blocks) * outputs;
    }
  }
}

}  // namespace internal

template <class T>
void depthwise_pack(const ConvShape& shape, const T* w_oihw, T* packed) {
  transpose(1, shape.o, shape.kh * shape.kw, w_oihw, packed);
}

template <class T>
void depthwise_forward(const ConvShape& shape, const T* x, const T* packed, const T* bias,
                       Activation activation, T* y) {
  const ConvShape& s = shape;
  assert(s.groups == s.c && s.o % s.c == 0);
  const auto rows = internal::forward_phase(s.oh, s.kh, s.stride_h, s.pad_top, s.dilation_h);
  const auto columns = internal::forward_phase(s.ow, s.kw, s.stride_w, s.pad_left, s.dilation_w);
  const T infinity = std::numeric_limits<T>::infinity();
  internal::depthwise_pass<T>({s.n, s.h, s.w, s.o, s.oh, s.ow, s.kw, &rows, &columns, 1, 1,
                               internal::depthwise_expand(s, x), packed, bias,
                               activation == Activation::none ? -infinity : T(0),
                               activation == Activation::relu6 ? T(6) : infinity, y});
}

template <class T>
void depthwise_backward_input(const ConvShape& shape, const T* dy, const T* w_oihw, T* dx) {
  const ConvShape& s = shape;
  assert(s.groups == s.c && s.o % s.c == 0);
  auto* phases = scratch<internal::DepthwisePhase, internal::depthwise_slot>(
      static_cast<std::size_t>(s.stride_h + s.stride_w));
  auto* column_phases = phases + s.stride_h;
  for (Index r = 0; r < s.stride_h; ++r) {
    phases[r] = internal::backward_phase(r, s.h, s.kh, s.stride_h, s.pad_top, s.dilation_h);
  }
  for (Index r = 0; r < s.stride_w; ++r) {
    column_phases[r] = internal::backward_phase(r, s.w, s.kw, s.stride_w, s.pad_left, s.dilation_w);
  }
  const T infinity = std::numeric_limits<T>::infinity();
  const T* no_bias = nullptr;
  T* packed = scratch<T, internal::depthwise_slot + 1>(static_cast<std::size_t>(s.weight_size()));
  depthwise_pack(s, w_oihw, packed);
  T* expanded =
      s.o == s.c ? dx
                 : scratch<T, internal::depthwise_slot + 2>(static_cast<std::size_t>(s.n * s.h * s.w * s.o));
  internal::depthwise_pass<T>({s.n, s.oh, s.ow, s.o, s.h, s.w, s.kw, phases, column_phases, s.stride_h,
                               s.stride_w, dy, packed, no_bias, -infinity, infinity, expanded});
  if (expanded != dx) reduce_rows(Reduce::sum, s.n * s.h * s.w * s.c, s.o / s.c, expanded, dx);
}

template <class T>
void depthwise_backward_weight(const ConvShape& shape, const T* x, const T* dy, T* dw_oihw) {
  const ConvShape& s = shape;
  assert(s.groups == s.c && s.o % s.c == 0);
  const auto rows = internal::forward_phase(s.oh, s.kh, s.stride_h, s.pad_top, s.dilation_h);
  const auto columns = internal::forward_phase(s.ow, s.kw, s.stride_w, s.pad_left, s.dilation_w);
  x = internal::depthwise_expand(s, x);
  T* zeros = scratch<T, internal::depthwise_slot>(static_cast<std::size_t>(s.o));
  std::fill(zeros, zeros + s.o, T(0));

  // Up to 16 chunks of at least 256 pixels; where they are few, blocks of channels are tasks of their own.
  const Index size = s.kh * s.kw * s.o, all_rows = s.n * s.oh;
  const Index chunk_rows =
      std::max(internal::ceil_div(all_rows, 16), internal::ceil_div(256, std::max<Index>(1, s.ow)));
  const Index chunks = internal::ceil_div(all_rows, chunk_rows);
  const Index channels = internal::depthwise_channels, across = internal::ceil_div(s.o, channels);
  const Index parts = chunks < 8 ? across : 1;
  T* partial =
      scratch<T, internal::depthwise_slot + 3>(static_cast<std::size_t>(std::max<Index>(1, chunks) * size));
  if (chunks == 0) std::fill(partial, partial + size, T(0));
  const Index work = chunk_rows * s.ow * size / parts;
  parallel_for(chunks * parts, std::max<Index>(1, 4 * internal::cheap_grain / std::max<Index>(1, work)),
               [&](Index begin, Index end) {
                 for (Index task = begin; task < end; ++task) {
                   const Index chunk = task / parts, first_part = parts == 1 ? 0 : task % parts;
                   const Index first = first_part * channels,
                               last = parts == 1 ? s.o : std::min(s.o, first + channels);
                   T* dw = partial + chunk * size;
                   for (Index k = 0; k < s.kh * s.kw; ++k)
                     std::fill(dw + k * s.o + first, dw + k * s.o + last, T(0));
                   for (Index row = chunk * chunk_rows; row < std::min(all_rows, (chunk + 1) * chunk_rows);
                        ++row) {
                     for (Index c = first; c < last; c += channels) {
                       const internal::DepthwiseWeightRun<T> run{.taps = s.kw,
                                                                 .stride = s.stride_w,
                                                                 .dilation = s.dilation_w,
                                                                 .channels = s.o,
                                                                 .first = c,
                                                                 .last = std::min(last, c + channels)};
                       internal::depthwise_weight_row(s, run, rows, columns, row % s.oh,
                                                      x + row / s.oh * s.h * s.w * s.o, dy + row * s.ow * s.o,
                                                      zeros, dw);
                     }
                   }
                 }
               });
  for (Index step = 1; step < chunks; step *= 2) {
    for (Index chunk = 0; chunk + step < chunks; chunk += 2 * step) {
      add_in_place(size, partial + (chunk + step) * size, partial + chunk * size);
    }
  }
  transpose(1, s.kh * s.kw, s.o, partial, dw_oihw);
}

TL_KERNELS_INSTANTIATE(depthwise_pack)
TL_KERNELS_INSTANTIATE(depthwise_forward)
TL_KERNELS_INSTANTIATE(depthwise_backward_input)
TL_KERNELS_INSTANTIATE(depthwise_backward_weight)

}  // namespace tl::kernels
#endif  // TL_KERNELS_DEFINE
