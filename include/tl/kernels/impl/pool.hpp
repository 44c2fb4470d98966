// Definitions of pool.hpp. Rows and columns of windows are independent, so each axis is described by itself:
// which inputs an output sees, and which outputs see an input. The backward kernels gather along the latter,
// so that every thread writes rows of its own.
#pragma once

#include <tl/kernels/pool.hpp>

#if TL_KERNELS_DEFINE
#include <tl/kernels/simd_rows.hpp>

namespace tl::kernels::internal {

inline constexpr int pool_slot = 44;  // of scratch memory, and the next two

/// Output o sees the inputs first[o] + k * step, k in [0, count[o]); input i is seen by the outputs
/// cover[cover_begin[i]] to cover[cover_begin[i+1] - 1]. An average multiplies by the factors of both axes.
struct PoolAxis {
  Index inputs = 0, outputs = 0, step = 1;
  Index *first = nullptr, *count = nullptr;
  Index *cover_begin = nullptr, *cover = nullptr;
  double* factor = nullptr;
};

template <class T>
struct PoolRows {
  using Max = void(const PoolAxis& rows, const PoolAxis& columns, Index channels, Index row, const T* x, T* y,
                   std::int32_t* argmax);
  Max *max, *max_with_positions;
  void (*max_backward)(const PoolAxis& rows, const PoolAxis& columns, Index channels, Index row, const T* dy,
                       const std::int32_t* argmax, T* dx);
  void (*average)(const PoolAxis& rows, const PoolAxis& columns, Index channels, Index row, const T* x, T* y);
  void (*average_backward)(const PoolAxis& rows, const PoolAxis& columns, Index channels, Index row,
                           const T* dy, T* dx);
};

}  // namespace tl::kernels::internal

#define TL_KERNELS_IMPL <tl/kernels/impl/pool.inl>
#include <tl/kernels/for_each_isa.hpp>

namespace tl::kernels {
namespace internal {

template <class T>
PoolRows<T> pool_rows() {
  TL_KERNELS_DISPATCH(pool_rows<T>);
}

/// An axis without its cover lists, in scratch memory; `most` is the greatest count.
template <int slot>
PoolAxis new_axis(Index inputs, Index outputs, Index most, Index step) {
  Index* block = scratch<Index, slot>(static_cast<std::size_t>(outputs * (2 + most) + inputs + 1));
  return {inputs,
          outputs,
          step,
          block,
          block + outputs,
          block + 2 * outputs,
          block + 2 * outputs + inputs + 1,
          scratch<double, slot>(static_cast<std::size_t>(outputs))};
}

inline void fill_cover(PoolAxis& axis) {
  std::fill(axis.cover_begin, axis.cover_begin + axis.inputs + 1, Index{0});
  for (Index o = 0; o < axis.outputs; ++o) {
    for (Index k = 0; k < axis.count[o]; ++k) ++axis.cover_begin[axis.first[o] + k * axis.step + 1];
  }
  for (Index i = 0; i < axis.inputs; ++i) axis.cover_begin[i + 1] += axis.cover_begin[i];
  for (Index o = axis.outputs; o-- > 0;) {  // from the back, so that cover_begin ends up right
    for (Index k = 0; k < axis.count[o]; ++k) {
      axis.cover[--axis.cover_begin[axis.first[o] + k * axis.step + 1]] = o;
    }
  }
  for (Index i = 0; i < axis.inputs; ++i) axis.cover_begin[i] = axis.cover_begin[i + 1];
  axis.cover_begin[axis.inputs] = 0;
  for (Index o = 0; o < axis.outputs; ++o) axis.cover_begin[axis.inputs] += axis.count[o];
}

/// Windows of `size` elements `dilation` apart. `padded_end`: up to where padding counts in a divisor, none
/// if 0.
template <int slot>
PoolAxis window_axis(Index inputs, Index outputs, Index size, Index stride, Index pad, Index dilation,
                     Index padded_end) {
  PoolAxis axis = new_axis<slot>(inputs, outputs, std::min(size, inputs), dilation);
  for (Index o = 0; o < outputs; ++o) {
    const Index start = o * stride - pad;
    const Index below = std::clamp<Index>(ceil_div(std::max<Index>(0, -start), dilation), 0, size);
    const auto up_to = [&](Index end) {
      return std::clamp<Index>(ceil_div(std::max<Index>(0, end - start), dilation), 0, size);
    };
    axis.count[o] = std::max<Index>(0, up_to(inputs) - below);
    axis.first[o] = axis.count[o] == 0 ? 0 : start + below * dilation;
    const Index counted = padded_end == 0 ? axis.count[o] : up_to(padded_end);
    axis.factor[o] = 1 / static_cast<double>(std::max<Index>(1, counted));
  }
  fill_cover(axis);
  return axis;
}

template <int slot>
PoolAxis adaptive_axis(Index inputs, Index outputs) {
  PoolAxis axis = new_axis<slot>(inputs, outputs, ceil_div(inputs, std::max<Index>(1, outputs)) + 1, 1);
  for (Index o = 0; o < outputs; ++o) {
    axis.first[o] = o * inputs / outputs;
    axis.count[o] = ceil_div((o + 1) * inputs, outputs) - axis.first[o];
    axis.factor[o] = 1 / static_cast<double>(std::max<Index>(1, axis.count[o]));
  }
  fill_cover(axis);
  return axis;
}

struct PoolAxes {
  PoolAxis rows, columns;
};

inline PoolAxes window_axes(const PoolShape& s, const AverageCount& count) {
  return {window_axis<pool_slot>(s.h, s.oh, s.kh, s.stride_h, s.pad_top, s.dilation_h,
                                 count.include_pad ? s.h + count.pad_bottom : 0),
          window_axis<pool_slot + 1>(s.w, s.ow, s.kw, s.stride_w, s.pad_left, s.dilation_w,
                                     count.include_pad ? s.w + count.pad_right : 0)};
}

inline PoolAxes adaptive_axes(const PoolShape& s) {
  return {adaptive_axis<pool_slot>(s.h, s.oh), adaptive_axis<pool_slot + 1>(s.w, s.ow)};
}

/// body(image, row) for every row of n images, in parallel; `work` is the cost of a row in elements.
template <class Body>
void each_image_row(Index n, Index rows, Index work, const Body& body) {
  parallel_for(n * rows, std::max<Index>(1, 2 * reduce_grain / std::max<Index>(1, work)),
               [&](Index begin, Index end) {
                 for (Index i = begin; i < end; ++i) body(i / rows, i % rows);
               });
}

template <class T>
void average_forward(const PoolShape& s, const PoolAxes& axes, const T* x, T* y) {
  const auto average = pool_rows<T>().average;
  const Index window = axes.rows.count[s.oh / 2] * axes.columns.count[s.ow / 2];
  each_image_row(s.n, s.oh, s.ow * s.c * window, [&](Index image, Index row) {
    average(axes.rows, axes.columns, s.c, row, x + image * s.h * s.w * s.c,
            y + (image * s.oh + row) * s.ow * s.c);
  });
}

template <class T>
void average_backward(const PoolShape& s, const PoolAxes& axes, const T* dy, T* dx) {
  const auto backward = pool_rows<T>().average_backward;
  each_image_row(s.n, s.h, 2 * s.w * s.c, [&](Index image, Index row) {
    backward(axes.rows, axes.columns, s.c, row, dy + image * s.oh * s.ow * s.c,
             dx + (image * s.h + row) * s.w * s.c);
  });
}

template <class T>
void max_forward(const PoolShape& s, const PoolAxes& axes, const T* x, T* y, std::int32_t* argmax) {
  if (s.oh * s.ow == 0) return;
  const auto rows = pool_rows<T>();
  const auto row_kernel = argmax == nullptr ? rows.max : rows.max_with_positions;
  const Index window = axes.rows.count[s.oh / 2] * axes.columns.count[s.ow / 2];
  each_image_row(s.n, s.oh, s.ow * s.c * window, [&](Index image, Index row) {
    const Index to = (image * s.oh + row) * s.ow * s.c;
    row_kernel(axes.rows, axes.columns, s.c, row, x + image * s.h * s.w * s.c, y + to,
               argmax == nullptr ? nullptr : argmax + to);
  });
}

template <class T>
void max_backward(const PoolShape& s, const PoolAxes& axes, const T* dy, const std::int32_t* argmax, T* dx) {
  const auto backward = pool_rows<T>().max_backward;
  each_image_row(s.n, s.h, 2 * s.w * s.c, [&](Index image, Index row) {
    const Index from = image * s.oh * s.ow * s.c;
    backward(axes.rows, axes.columns, s.c, row, dy + from, argmax + from,
             dx + (image * s.h + row) * s.w * s.c);
  });
}

}  // namespace internal

template <class T>
void max_pool_forward(const PoolShape& shape, const T* x, T* y, std::int32_t* argmax) {
  internal::max_forward(shape, internal::window_axes(shape, {}), x, y, argmax);
}

template <class T>
void max_pool_backward(const PoolShape& shape, const T* dy, const std::int32_t* argmax, T* dx) {
  internal::max_backward(shape, internal::window_axes(shape, {}), dy, argmax, dx);
}

template <class T>
void average_pool_forward(const PoolShape& shape, const AverageCount& count, const T* x, T* y) {
  if (shape.oh * shape.ow == 0) return;
  internal::average_forward(shape, internal::window_axes(shape, count), x, y);
}

template <class T>
void average_pool_backward(const PoolShape& shape, const AverageCount& count, const T* dy, T* dx) {
  internal::average_backward(shape, internal::window_axes(shape, count), dy, dx);
}

template <class T>
void adaptive_average_pool_forward(const PoolShape& shape, const T* x, T* y) {
  const PoolShape& s = shape;
  if (s.oh * s.ow == 0) return;
  if (s.oh == 1 && s.ow == 1) {  // one sum over all pixels of an image
    const Index pixels = s.h * s.w;
    internal::reduce_columns<T>(internal::Reduction::sum, s.n, pixels, s.c, x, nullptr, pixels * s.c, s.c, y,
                                s.c);
    scale(s.n * s.c, 1 / static_cast<T>(pixels), y, y);
    return;
  }
  internal::average_forward(s, internal::adaptive_axes(s), x, y);
}

template <class T>
void adaptive_average_pool_backward(const PoolShape& shape, const T* dy, T* dx) {
  internal::average_backward(shape, internal::adaptive_axes(shape), dy, dx);
}

template <class T>
void adaptive_max_pool_forward(const PoolShape& shape, const T* x, T* y, std::int32_t* argmax) {
  internal::max_forward(shape, internal::adaptive_axes(shape), x, y, argmax);
}

template <class T>
void adaptive_max_pool_backward(const PoolShape& shape, const T* dy, const std::int32_t* argmax, T* dx) {
  internal::max_backward(shape, internal::adaptive_axes(shape), dy, argmax, dx);
}

TL_KERNELS_INSTANTIATE(max_pool_forward)
TL_KERNELS_INSTANTIATE(max_pool_backward)
TL_KERNELS_INSTANTIATE(average_pool_forward)
TL_KERNELS_INSTANTIATE(average_pool_backward)
TL_KERNELS_INSTANTIATE(adaptive_average_pool_forward)
TL_KERNELS_INSTANTIATE(adaptive_average_pool_backward)
TL_KERNELS_INSTANTIATE(adaptive_max_pool_forward)
TL_KERNELS_INSTANTIATE(adaptive_max_pool_backward)

}  // namespace tl::kernels
#endif  // TL_KERNELS_DEFINE
