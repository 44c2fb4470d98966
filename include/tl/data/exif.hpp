// EXIF: the one entry we need, which way up a photo was taken.
//
// A block is a small TIFF file: byte order "II" or "MM", 42, the offset of a directory; there a count and
// entries of 12 bytes (tag, type, count, value). Tag 0x0112, type SHORT, is the orientation, 1 to 8.
// Source: CIPA DC-008 (Exif 2.32), 4.5 and 4.6.4.
#pragma once

#include <cstdint>
#include <span>

#include <tl/data/image.hpp>

namespace tl::data {

/// The orientation 1..8 a TIFF block (what follows "Exif\0\0") tells; 1, upright, where it is missing or the
/// block is damaged. Reads nothing outside the block and never throws.
inline int exif_orientation(std::span<const std::uint8_t> block) {
  if (block.size() < 8) return 1;
  const bool little = block[0] == 'I' && block[1] == 'I';
  if (!little && !(block[0] == 'M' && block[1] == 'M')) return 1;
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      value |= static_cast<std::uint32_t>(block[at + i]) << (8 * (little ? i : bytes - 1 - i));
    }
    return value;
  };
  const std::size_t directory = number(4, 4);
  if (number(2, 2) != 42 || directory > block.size() - 2) return 1;
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > block.size()) return 1;
    if (number(entry, 2) != 0x0112) continue;
    const std::uint32_t value = number(entry + 8, 2);
    const bool valid = number(entry + 2, 2) == 3 && number(entry + 4, 4) == 1 && value >= 1 && value <= 8;
    return valid ? static_cast<int>(value) : 1;
  }
  return 1;
}

/// Turns and mirrors an image as its EXIF orientation (1..8) asks, so that it stands upright.
inline Image upright(Image image, int orientation) {
  assert(orientation >= 1 && orientation <= 8);
  if (orientation == 1) return image;
  const bool swapped = orientation >= 5;  // rows become columns
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Image turned(swapped ? image.width() : image.height(), swapped ? image.height() : image.width());
  const Index down = from_bottom ? -image.row_bytes() : image.row_bytes();
  const Index right = from_right ? -Image::channels : Image::channels;
  const std::uint8_t* start = image.data() + (from_bottom ? image.bytes() - image.row_bytes() : 0) +
                              (from_right ? image.row_bytes() - Image::channels : 0);
  const Index step_y = swapped ? right : down;
  const Index step_x = swapped ? down : right;
  for (Index y = 0; y < turned.height(); ++y) {
    const std::uint8_t* from = start + y * step_y;
    std::uint8_t* to = turned.row(y);
    for (Index x = 0; x < turned.width(); ++x, to += Image::channels) {
      for (Index c = 0; c < Image::channels; ++c) to[c] = from[x * step_x + c];
    }
  }
  return turned;
}

}  // namespace tl::data
