// Image: decoded pixels, RGB, eight bits, height x width x channels (HWC) in memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <tl/core/memory.hpp>
#include <tl/core/shape.hpp>

namespace tl::data {

/// Height and width, in pixels.
struct Size {
  Index height = 0;  ///< rows
  Index width = 0;   ///< columns
  /// Both equal.
  friend bool operator==(const Size& a, const Size& b) { return a.height == b.height && a.width == b.width; }
  /// "HEIGHTxWIDTH"
  friend std::ostream& operator<<(std::ostream& out, const Size& size) {
    return out << size.height << 'x' << size.width;
  }
};

/// Height x width RGB pixels without gaps between the rows. Moves; clone() copies.
class Image {
 public:
  static constexpr Index channels = 3;  ///< R, G, B
  /// Bytes after the last pixel that vector code may read and overwrite.
  static constexpr Index slack = 16;

  Image() = default;
  /// Uninitialised pixels. Throws when the size is negative or too large to address.
  Image(Index height, Index width) : height_(height), width_(width) {
    pixels_ =
        AlignedArray<std::uint8_t>(static_cast<std::size_t>(Shape{height, width, channels}.size() + slack));
  }
  /// Uninitialised pixels.
  explicit Image(Size size) : Image(size.height, size.width) {}

  Index height() const { return height_; }                    ///< rows
  Index width() const { return width_; }                      ///< columns
  Size size() const { return {height_, width_}; }             ///< in pixels
  bool empty() const { return height_ == 0 || width_ == 0; }  ///< without pixels
  Index row_bytes() const { return width_ * channels; }       ///< from one row to the next
  Index bytes() const { return height_ * row_bytes(); }       ///< of all pixels, slack not counted

  std::uint8_t* data() { return pixels_.data(); }                              ///< height x width x RGB
  const std::uint8_t* data() const { return pixels_.data(); }                  ///< height x width x RGB
  std::uint8_t* row(Index y) { return data() + y * row_bytes(); }              ///< of row y, from the top
  const std::uint8_t* row(Index y) const { return data() + y * row_bytes(); }  ///< of row y, from the top

  /// With pixels of its own.
  Image clone() const {
    Image copy(height_, width_);
    if (!empty()) std::memcpy(copy.data(), data(), static_cast<std::size_t>(bytes()));
    return copy;
  }
  /// Same size and pixels.
  friend bool operator==(const Image& a, const Image& b) {
    return a.size() == b.size() && std::equal(a.data(), a.data() + a.bytes(), b.data());
  }

 private:
  Index height_ = 0, width_ = 0;
  AlignedArray<std::uint8_t> pixels_;
};

}  // namespace tl::data
