// How much working memory a convolution takes: for plans of memory, before anything is computed.
//
// Bounds that hold on every instruction set, from the shapes alone. Each place (tl::scratch) grows to the
// largest request of all calls and stays, so the places of a network are the largest of its convolutions'.
#pragma once

#include <algorithm>
#include <cstddef>

#include <tl/kernels/conv_plan.hpp>
#include <tl/kernels/conv_shape.hpp>

namespace tl::kernels {

/// Working memory by place, in elements.
struct ConvScratch {
  Index weights = 0;    ///< packed for the forward pass, where they are not kept
  Index turned = 0;     ///< packed for the gradient of the image
  Index sums = 0;       ///< of a gradient of weights, or transformed weights
  Index tiles = 0;      ///< transformed images, of the calling thread
  Index own_tiles = 0;  ///< the same of every thread
  Index depthwise = 0;  ///< images repeated for a multiplier, partial sums, sums before a residual
  Index band = 0;       ///< of every thread: rows between convolutions (kernels/separable.hpp)

  /// Becomes enough for the other too, place by place: scratch memory is used again.
  void grow(const ConvScratch& other) {
    weights = std::max(weights, other.weights);
    turned = std::max(turned, other.turned);
    sums = std::max(sums, other.sums);
    tiles = std::max(tiles, other.tiles);
    own_tiles = std::max(own_tiles, other.own_tiles);
    depthwise = std::max(depthwise, other.depthwise);
    band = std::max(band, other.band);
  }
  /// In all, with the tiles of matrix products, which every network has.
  Index total(Index threads) const {
    constexpr Index product = Index{1} << 20, product_of_each = Index{200} << 10;
    return weights + turned + sums + tiles + depthwise + product +
           threads * (own_tiles + band + product_of_each);
  }
};

namespace conv_scratch_impl {

inline constexpr Index widest_panel = 32;  // of any instruction set
inline constexpr Index k_block = 256;

inline Index padded(Index n) { return (n + widest_panel - 1) / widest_panel * widest_panel; }

inline Index planes_of(ConvAlgorithm algorithm) {
  return algorithm == ConvAlgorithm::winograd_2x2 ? 16 : algorithm == ConvAlgorithm::winograd_4x4 ? 36 : 0;
}
/// Elements of one transformed plane (WinogradPlanes).
inline Index plane(Index tiles, Index row) { return tiles * row + 1104; }

inline Index tile_count(Index n, Index h, Index w, Index planes) {
  const Index m = planes == 16 ? 2 : 4;
  return n * ((h + m - 1) / m) * ((w + m - 1) / m);
}

/// What winograd_conv takes for `tiles` tiles of c channels to o.
inline void add_winograd(Index planes, Index tiles, Index c, Index o, ConvScratch& s) {
  const Index most = std::min(tiles, 28 * 36 / planes);
  const auto block = [&](Index count) {
    return (c + k_block - 1) / k_block * planes * plane(count, k_block + 16) +
           planes * plane(count, padded(o) + 16);
  };
  const bool shared = c * o > Index{128} * 128;  // those between are one or the other
  s.tiles = std::max(s.tiles, block(shared ? std::min(tiles, 7 * most) : most));
  s.own_tiles = std::max(s.own_tiles, c * o > Index{256} * 256 ? 0 : block(most));
}

}  // namespace conv_scratch_impl

/// Of the forward pass; `packs` where the weights are packed anew in every call.
template <class T>
ConvScratch conv_forward_scratch(const ConvShape& s, bool packs) {
  using namespace conv_scratch_impl;
  ConvScratch scratch;
  const Index planes = planes_of(conv_plan<T>(s).forward);
  if (planes > 0) {
    add_winograd(planes, tile_count(s.n, s.oh, s.ow, planes), s.c, s.o, scratch);
    if (packs) scratch.weights = planes * s.c * padded(s.o);
  } else if (packs) {
    scratch.weights = s.groups * s.kh * s.kw * (s.c / s.groups) * padded(s.o / s.groups);
  }
  if (s.depthwise() && s.o != s.c) scratch.depthwise = s.n * s.h * s.w * s.o;
  return scratch;
}

/// Of the gradients of the image and of the weights.
template <class T>
ConvScratch conv_backward_scratch(const ConvShape& s, bool of_image, bool of_weights) {
  using namespace conv_scratch_impl;
  ConvScratch scratch;
  const ConvPlan plan = conv_plan<T>(s);
  const Index taps = s.kh * s.kw, channels = s.c / s.groups, outputs = s.o / s.groups;
  if (s.depthwise()) {
    constexpr Index chunks = 16;
    scratch.depthwise = chunks * taps * s.o + (s.o != s.c ? 2 * s.n * s.h * s.w * s.o : 0);
    return scratch;
  }
  if (of_image) {
    if (const Index planes = planes_of(plan.backward_input); planes > 0) {
      scratch.sums = planes * s.o * padded(s.c);
      add_winograd(planes, tile_count(s.n, s.h, s.w, planes), s.o, s.c, scratch);
    } else {
      scratch.turned = taps * outputs * padded(channels);
    }
  }
  if (of_weights) {
    constexpr Index most_parts = 16;
    Index sums = most_parts * outputs * taps * channels;
    if (outputs * taps * channels > (Index{200} << 10)) sums /= (taps * channels + k_block - 1) / k_block;
    sums = std::max(sums, outputs * taps * channels);
    if (const Index planes = planes_of(plan.backward_weight); planes > 0) {
      constexpr Index most_tiles = 256;
      const Index tiles = std::min(most_tiles, tile_count(s.n, s.oh, s.ow, planes));
      sums = planes * s.o * padded(s.c);
      scratch.tiles =
          std::max(scratch.tiles, planes * (plane(tiles, padded(s.c) + 16) + plane(tiles, padded(s.o) + 16)));
    }
    const Index bias = (s.n * s.oh * s.ow / 1024 + 1) * s.o;
    scratch.sums = std::max({scratch.sums, sums, bias});
  }
  return scratch;
}

/// Of bands of a depthwise convolution's rows, before and after it.
template <class T>
ConvScratch separable_scratch(const ConvShape& depthwise) {
  constexpr Index band_bytes = Index{512} << 10;
  const Index wide_row = depthwise.w * depthwise.c, deep_row = depthwise.ow * depthwise.o;
  const Index taller = (depthwise.kh - 1) * depthwise.dilation_h + 1 + depthwise.stride_h;
  ConvScratch scratch;
  scratch.band = band_bytes / static_cast<Index>(sizeof(T)) + taller * wide_row + deep_row;
  return scratch;
}

}  // namespace tl::kernels
