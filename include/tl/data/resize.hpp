// Resizing: antialiased, separable, and identical to Pillow's on the same pixels.
//
//   scale  = box / output size,  s = max(scale, 1)            the filter widens when shrinking
//   center = box start + (i + 1/2) scale
//   y[i]   = sum_k x[k] f((k + 1/2 - center) / s) / sum_k f(...)   over |k + 1/2 - center| < support s
//
// Rows first, then columns (the other way round where mostly the height shrinks), rounded to bytes between
// them. Filters: triangle (bilinear, support 1) and cubic convolution with a = -1/2 (bicubic, support 2; Keys
// 1981). Source of the conventions: Resample.c of Pillow 13; earlier ones always begin with the rows.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include <tl/data/image.hpp>
#include <tl/kernels/resample.hpp>

namespace tl::data {

/// How values between pixels are made: not at all, from a triangle, or by cubic convolution with a = -1/2.
enum class Filter { nearest, bilinear, bicubic };

/// "nearest", "bilinear" or "bicubic", as in spec strings.
inline std::string_view name_of(Filter filter) {
  return filter == Filter::nearest ? "nearest" : filter == Filter::bilinear ? "bilinear" : "bicubic";
}

/// A part of the input in pixels, right and bottom excluded; may begin and end between pixels.
struct Box {
  float left = 0;    ///< in single precision, as Pillow rounds
  float top = 0;     ///< the same
  float right = 0;   ///< excluded
  float bottom = 0;  ///< excluded
};

/// A part of the output in whole pixels.
struct Window {
  Index top = 0;     ///< first row
  Index left = 0;    ///< first column
  Index height = 0;  ///< rows
  Index width = 0;   ///< columns
};

/// All of an image.
inline Box whole(const Image& image) {
  return {0, 0, static_cast<float>(image.width()), static_cast<float>(image.height())};
}

namespace resize_impl {

inline double filter_value(Filter filter, double x) {
  x = std::abs(x);
  if (filter == Filter::bilinear) return x < 1 ? 1 - x : 0;
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/// The taps of outputs [begin, begin + count) of `size`, from the part [from, to) of `extent` inputs.
inline kernels::ResampleTaps make_taps(Index extent, float from, float to, Index size, Index begin,
                                       Index count, Filter filter) {
  const double scale = static_cast<double>(to - from) / static_cast<double>(size);
  const double widen = std::max(scale, 1.0);
  const double support = (filter == Filter::bilinear ? 1.0 : 2.0) * widen;
  const Index most = std::min(extent, static_cast<Index>(std::ceil(support)) * 2 + 1);
  kernels::ResampleTaps taps;
  taps.stride = (most + 3) / 4 * 4;
  taps.first.resize(static_cast<std::size_t>(count));
  taps.count.resize(static_cast<std::size_t>(count));
  taps.weights.resize(static_cast<std::size_t>(count * taps.stride));
  std::vector<double> exact(static_cast<std::size_t>(most));
  for (Index i = 0; i < count; ++i) {
    const double center = from + (static_cast<double>(begin + i) + 0.5) * scale;
    const Index first = std::max<Index>(0, static_cast<Index>(center - support + 0.5));
    const Index last = std::min(extent, static_cast<Index>(center + support + 0.5));
    double sum = 0;
    for (Index k = first; k < last; ++k) {
      const double value = filter_value(filter, (static_cast<double>(k) - center + 0.5) * (1 / widen));
      exact[static_cast<std::size_t>(k - first)] = value;
      sum += value;
    }
    taps.first[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(first);
    taps.count[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(last - first);
    std::int32_t* weights = taps.weights.data() + i * taps.stride;
    for (Index k = 0; k < last - first; ++k) {
      const double weight = exact[static_cast<std::size_t>(k)] / (sum != 0 ? sum : 1);
      const double scaled = weight * (1 << kernels::resample_bits);
      weights[k] = static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
  }
  return taps;
}

/// What one axis of a resize reads, inputs [begin, end), and how; nothing moves where the size stays.
struct Axis {
  bool moves = false;
  Index begin = 0, end = 0;
  kernels::ResampleTaps taps;  ///< positions relative to begin
};

inline Axis make_axis(Index extent, float from, float to, Index size, Index begin, Index count,
                      Filter filter) {
  Axis axis{size != extent || from != 0 || to != static_cast<float>(size), begin, begin + count, {}};
  if (!axis.moves) return axis;
  axis.taps = make_taps(extent, from, to, size, begin, count, filter);
  const auto& first = axis.taps.first;
  axis.end = 0;
  axis.begin = *std::min_element(first.begin(), first.end());
  for (std::size_t i = 0; i < first.size(); ++i)
    axis.end = std::max<Index>(axis.end, first[i] + axis.taps.count[i]);
  for (std::int32_t& position : axis.taps.first) position -= static_cast<std::int32_t>(axis.begin);
  return axis;
}

inline Image resize_nearest(const Image& image, Size size, const Box& box, const Window& window) {
  const auto positions = [](float from, float to, Index extent, Index count, Index begin, Index used) {
    std::vector<Index> result(static_cast<std::size_t>(used));
    const double step = static_cast<double>(to - from) / static_cast<double>(count);
    double at = from + step * 0.5;  // added up as Pillow does, for the same rounding
    for (Index i = 0; i < begin + used; ++i, at += step) {
      if (i >= begin)
        result[static_cast<std::size_t>(i - begin)] = std::min(extent - 1, static_cast<Index>(at));
    }
    return result;
  };
  const auto xs = positions(box.left, box.right, image.width(), size.width, window.left, window.width);
  const auto ys = positions(box.top, box.bottom, image.height(), size.height, window.top, window.height);
  Image result(window.height, window.width);
  std::uint8_t* to = result.data();
  for (const Index y : ys) {
    const std::uint8_t* from = image.row(y);
    for (const Index x : xs) {
      for (Index c = 0; c < 3; ++c) *to++ = from[3 * x + c];
    }
  }
  return result;
}

inline Image cut(const Image& image, const Window& window) {
  Image result(window.height, window.width);
  for (Index y = 0; y < window.height; ++y) {
    std::memcpy(result.row(y), image.row(window.top + y) + 3 * window.left,
                static_cast<std::size_t>(result.row_bytes()));
  }
  return result;
}

}  // namespace resize_impl

/// The part `window` of what resizing the part `box` of an image to `size` gives; nothing else is computed.
inline Image resize_window(const Image& image, Size size, Filter filter, const Box& box,
                           const Window& window) {
  using namespace resize_impl;
  TL_CHECK(!image.empty(), "[resize] expected an image with pixels, got ", image.size());
  TL_CHECK(size.height > 0 && size.width > 0, "[resize] expected a size of at least 1x1, got ", size);
  TL_CHECK(box.left >= 0 && box.top >= 0 && box.left < box.right && box.top < box.bottom &&
               box.right <= static_cast<float>(image.width()) &&
               box.bottom <= static_cast<float>(image.height()),
           "[resize] expected a box inside ", image.size(), ", got left ", box.left, ", top ", box.top,
           ", right ", box.right, ", bottom ", box.bottom);
  TL_CHECK(window.top >= 0 && window.left >= 0 && window.height > 0 && window.width > 0 &&
               window.height <= size.height - window.top && window.width <= size.width - window.left,
           "[resize] expected a window inside ", size, ", got top ", window.top, ", left ", window.left, ", ",
           window.height, 'x', window.width);
  if (filter == Filter::nearest) return resize_nearest(image, size, box, window);
  const Axis xs =
      make_axis(image.width(), box.left, box.right, size.width, window.left, window.width, filter);
  const Axis ys =
      make_axis(image.height(), box.top, box.bottom, size.height, window.top, window.height, filter);
  if (!xs.moves && !ys.moves) return cut(image, window);

  Image result;
  const std::uint8_t* from = image.row(ys.begin) + Image::channels * xs.begin;
  Index row_bytes = image.row_bytes(), height = ys.end - ys.begin, width = xs.end - xs.begin;
  const auto pass = [&](bool horizontal) {
    const Axis& axis = horizontal ? xs : ys;
    if (!axis.moves) return;
    (horizontal ? width : height) = axis.taps.size();
    Image next(height, width);
    if (horizontal) {
      kernels::resample_horizontal(height, row_bytes, axis.taps, from, next.data());
    } else {
      kernels::resample_vertical(next.row_bytes(), row_bytes, axis.taps, from, next.data());
    }
    result = std::move(next);
    from = result.data();
    row_bytes = result.row_bytes();
  };
  const Index shorter = image.height() - size.height, narrower = image.width() - size.width;
  const bool rows_first = !(shorter > 0 && shorter > 2 * narrower);
  pass(rows_first);
  pass(!rows_first);
  return result;
}

/// The part `box` of an image resized to height x width.
inline Image resize(const Image& image, Index height, Index width, Filter filter, const Box& box) {
  return resize_window(image, {height, width}, filter, box, {0, 0, height, width});
}
/// The whole image resized to height x width.
inline Image resize(const Image& image, Index height, Index width, Filter filter) {
  return resize(image, height, width, filter, whole(image));
}

/// The size whose shorter side is `side`, the longer in proportion and rounded down, as torchvision does.
inline Size short_side_size(Size size, Index side) {
  TL_CHECK(side > 0 && size.height > 0 && size.width > 0,
           "[resize] expected a short side of at least 1, got ", side, " for ", size);
  if (size.width <= size.height) return {side * size.height / size.width, side};
  return {side, side * size.width / size.height};
}

/// The whole image resized so that its shorter side is `side`.
inline Image resize_short_side(const Image& image, Index side, Filter filter) {
  const Size size = short_side_size(image.size(), side);
  return resize(image, size.height, size.width, filter);
}

/// The part `window` of an image.
inline Image crop(const Image& image, const Window& window) {
  TL_CHECK(window.top >= 0 && window.left >= 0 && window.height >= 0 && window.width >= 0 &&
               window.height <= image.height() - window.top && window.width <= image.width() - window.left,
           "[crop] expected a window inside ", image.size(), ", got top ", window.top, ", left ", window.left,
           ", ", window.height, 'x', window.width);
  return resize_impl::cut(image, window);
}

}  // namespace tl::data
