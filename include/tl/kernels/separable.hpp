// Convolutions in a row around a depthwise one, as MobileNets stack them, by bands of image rows.
//
//   x -> [first convolution] -> depthwise convolution -> pointwise convolution -> y      all channels-last
//
// The values between, up to six times as wide as x and y, would go to memory and come back. Here a task makes
// a band of a few rows of them at a time, which stays in its processor's second cache, and keeps the rows
// that the next band needs too. The sums are those of conv_forward, to the bit.
#pragma once

#include <tl/kernels/conv.hpp>

namespace tl::kernels {

/// One of the convolutions: its weights as conv_pack left them; bias (o) may be null.
template <class T>
struct ConvStage {
  ConvShape shape{};                         ///< extents, strides, padding
  const T* packed = nullptr;                 ///< weights
  const T* bias = nullptr;                   ///< (o), null for 0
  Activation activation = Activation::none;  ///< applied to the sum
};

/// Without a first convolution, first.packed is null.
template <class T>
struct SeparableConv {
  ConvStage<T> first{};         ///< before the depthwise one; may be missing
  ConvStage<T> depthwise{};     ///< one filter a channel
  ConvStage<T> pointwise{};     ///< 1 x 1
  const T* residual = nullptr;  ///< added before the last activation; (n,oh,ow,o), may be null, may be y
};

/// Whether bands pay, as measured on EfficientNet-Lite0: every image fetches the weights again, where every
/// stage by itself, over the whole batch, fetches the values between. Small batches save waiting at the end
/// of stages, too. `first` may be null.
inline bool separable_pays(const ConvShape* first, const ConvShape& depthwise, const ConvShape& pointwise) {
  const Index weights = (first == nullptr ? 0 : first->weight_size()) + pointwise.weight_size();
  const Index values = depthwise.h * depthwise.w * depthwise.c;
  return values * (depthwise.n < 4 ? 2 : 1) >= weights;
}

/// The first convolution must be one that conv_plan computes directly, and the depthwise one the only one
/// with groups.
template <class T>
void separable_forward(const SeparableConv<T>& conv, const T* x, T* y);

}  // namespace tl::kernels

#if TL_KERNELS_DEFINE
#include <algorithm>
#include <cassert>
#include <cstddef>

#include <tl/core/memory.hpp>
#include <tl/core/parallel.hpp>

namespace tl::kernels {

namespace internal {

inline constexpr int separable_slot = 54;              // of scratch memory, and the next
inline constexpr Index band_bytes = Index{512} << 10;  // half of what a processor's second cache holds

/// Rows [begin,end).
struct RowRange {
  Index begin = 0, end = 0;
  Index size() const { return end - begin; }
};

/// The input rows that some output rows see.
inline RowRange rows_seen(const ConvShape& s, const RowRange& rows) {
  const Index first = rows.begin * s.stride_h - s.pad_top;
  const Index last = (rows.end - 1) * s.stride_h - s.pad_top + (s.kh - 1) * s.dilation_h;
  const Index begin = std::clamp<Index>(first, 0, s.h);
  return {begin, std::clamp<Index>(last + 1, begin, s.h)};
}

/// The convolution of one image that makes these rows alone, of the rows seen.
inline ConvShape band_of(const ConvShape& s, const RowRange& rows, const RowRange& seen) {
  ConvShape band = s;
  band.n = 1;
  band.h = seen.size();
  band.oh = rows.size();
  band.pad_top = seen.begin - (rows.begin * s.stride_h - s.pad_top);
  return band;
}

/// Rows of the result that a band makes.
template <class T>
Index band_rows(const ConvShape& depthwise) {
  const ConvShape& s = depthwise;
  const Index most = band_bytes / static_cast<Index>(sizeof(T));
  const Index around = ((s.kh - 1) * s.dilation_h + 1 - s.stride_h) * s.w * s.c;
  return std::clamp<Index>((most - around) / (s.stride_h * s.w * s.c + s.ow * s.o), 1,
                           std::max<Index>(1, s.oh));
}

/// Parts of an image that are tasks of their own: each makes the first rows of its first band again.
inline Index separable_parts(const ConvShape& depthwise) {
  constexpr Index wanted_tasks = 8, fewest_rows = 7;
  return std::clamp<Index>(wanted_tasks / std::max<Index>(1, depthwise.n), 1,
                           std::max<Index>(1, depthwise.oh / fewest_rows));
}

/// The rows of one image in [rows.begin,rows.end) of the result.
template <class T>
void separable_rows(const SeparableConv<T>& conv, const T* x, const T* residual, const RowRange& rows, T* y) {
  const ConvStage<T>&first = conv.first, &depthwise = conv.depthwise, &pointwise = conv.pointwise;
  const bool expands = first.packed != nullptr;
  const Index wide_row = depthwise.shape.w * depthwise.shape.c,
              deep_row = depthwise.shape.ow * depthwise.shape.o;
  const Index x_row = expands ? first.shape.w * first.shape.c : wide_row;
  const Index y_row = pointwise.shape.ow * pointwise.shape.o;
  const Index step = band_rows<T>(depthwise.shape);
  const Index most_seen =
      (step - 1) * depthwise.shape.stride_h + (depthwise.shape.kh - 1) * depthwise.shape.dilation_h + 1;
  T* wide = expands ? scratch<T, separable_slot>(static_cast<std::size_t>(most_seen * wide_row)) : nullptr;
  T* deep = scratch<T, separable_slot + 1>(static_cast<std::size_t>(step * deep_row));
  RowRange held;  // the rows in `wide`
  const Index bands = (rows.size() + step - 1) / step;
  for (Index b = 0; b < bands; ++b) {
    const RowRange band{rows.begin + rows.size() * b / bands, rows.begin + rows.size() * (b + 1) / bands};
    const RowRange seen = rows_seen(depthwise.shape, band);
    const T* from = x + seen.begin * x_row;
    if (expands) {
      const RowRange kept{seen.begin, std::max(seen.begin, held.end)}, made{kept.end, seen.end};
      if (kept.size() > 0)
        std::copy_n(wide + (kept.begin - held.begin) * wide_row, kept.size() * wide_row, wide);
      if (made.size() > 0) {
        const RowRange read = rows_seen(first.shape, made);
        conv_forward(band_of(first.shape, made, read), x + read.begin * x_row, first.packed, first.bias,
                     {.activation = first.activation}, wide + kept.size() * wide_row);
      }
      held = seen;
      from = wide;
    }
    conv_forward(band_of(depthwise.shape, band, seen), from, depthwise.packed, depthwise.bias,
                 {.activation = depthwise.activation}, deep);
    conv_forward(band_of(pointwise.shape, band, band), static_cast<const T*>(deep), pointwise.packed,
                 pointwise.bias,
                 {.activation = pointwise.activation,
                  .residual = residual == nullptr ? nullptr : residual + band.begin * y_row},
                 y + band.begin * y_row);
  }
}

}  // namespace internal

template <class T>
void separable_forward(const SeparableConv<T>& conv, const T* x, T* y) {
  const ConvShape &depthwise = conv.depthwise.shape, &pointwise = conv.pointwise.shape;
  const ConvShape& input = conv.first.packed != nullptr ? conv.first.shape : depthwise;
  assert(depthwise.depthwise() && pointwise.pointwise());
  const Index parts = internal::separable_parts(depthwise);
  parallel_for(depthwise.n * parts, 1, [&](Index begin, Index end) {
    for (Index task = begin; task < end; ++task) {
      const Index image = task / parts, part = task % parts;
      const Index y_image = image * pointwise.oh * pointwise.ow * pointwise.o;
      internal::separable_rows(conv, x + image * input.h * input.w * input.c,
                               conv.residual == nullptr ? nullptr : conv.residual + y_image,
                               {depthwise.oh * part / parts, depthwise.oh * (part + 1) / parts}, y + y_image);
    }
  });
}

TL_KERNELS_INSTANTIATE(separable_forward)

}  // namespace tl::kernels
#endif
