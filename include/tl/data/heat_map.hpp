// Heat maps: numbers in [0,1] as colours, and laid over an image.
//
// The colours are "inferno", from black over red to light yellow: equal steps look equal, lightness alone
// tells the order, and red-green blindness does not matter. Source: S. van der Walt and N. Smith 2015 for
// matplotlib, https://bids.github.io/colormap (CC0); here 17 of its 256 colours, and linear between them,
// which is off by at most 7 of 255.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include <tl/data/image.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::data {

using Colour = std::array<double, 3>;  ///< red, green, blue, 0 to 255

/// The colour of a number in [0,1]; of smaller and larger ones, that of 0 and 1.
inline Colour inferno(double x) {
  static constexpr std::array<Colour, 17> table{{
      {0, 0, 4},
      {11, 7, 36},
      {33, 12, 74},
      {60, 9, 101},
      {87, 16, 109},
      {112, 25, 110},
      {137, 34, 106},
      {163, 43, 97},
      {187, 55, 85},
      {209, 70, 68},
      {227, 89, 50},
      {241, 113, 30},
      {249, 141, 10},
      {252, 171, 15},
      {249, 202, 50},
      {242, 232, 101},
      {252, 255, 164},
  }};
  const double at = std::clamp(x, 0.0, 1.0) * static_cast<double>(table.size() - 1);
  const std::size_t low = std::min(static_cast<std::size_t>(at), table.size() - 2);
  const double share = at - static_cast<double>(low);
  Colour colour{};
  for (std::size_t c = 0; c < 3; ++c) colour[c] = (1 - share) * table[low][c] + share * table[low + 1][c];
  return colour;
}

/// The image (H,W) under the colours of heat:(H,W), which cover it by `opacity` in [0,1].
inline Image overlay_heat(const Image& image, const Tensor<float>& heat, double opacity = 0.5) {
  TL_CHECK(heat.shape() == Shape({image.height(), image.width()}), "[overlay_heat] expected heat of ",
           image.size(), ", got ", heat.shape());
  TL_CHECK(opacity >= 0 && opacity <= 1, "[overlay_heat] expected an opacity of 0 to 1, got ", opacity);
  Image result(image.size());
  const std::uint8_t* from = image.data();
  std::uint8_t* to = result.data();
  for (const float x : heat.span()) {
    for (const double colour : inferno(static_cast<double>(x)))
      *to++ = static_cast<std::uint8_t>(std::lround((1 - opacity) * *from++ + opacity * colour));
  }
  return result;
}

}  // namespace tl::data
