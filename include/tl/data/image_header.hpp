// What the head of an image file tells, read before any memory is taken for its pixels: format, size,
// orientation, and whether the file can hold that many pixels at all.
//
// Sources: ITU T.81 annex B (JPEG markers), T.872 6.5.3 (Adobe's APP14), the PNG specification (third
// edition), BITMAPINFOHEADER of the Windows API.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include <tl/core/error.hpp>
#include <tl/data/exif.hpp>
#include <tl/data/image.hpp>

namespace tl::data {

/// A file, or what there is of it.
using Bytes = std::span<const std::uint8_t>;

/// What can be read.
enum class ImageFormat { jpeg, png, bmp };

/// What the head of an image file tells.
struct ImageHeader {
  ImageFormat format = ImageFormat::jpeg;  ///< by the first bytes, not by the name
  Size size;                               ///< as stored, before the orientation is applied
  int orientation = 1;                     ///< EXIF, 1..8
  int components = 3;                      ///< JPEG only: 1 gray, 3, 4 (CMYK or YCCK)
  bool progressive = false;            ///< JPEG only: coefficients of the whole image are in memory at once
  std::size_t adobe_transform_at = 0;  ///< JPEG only: offset of the transform byte in APP14, 0 without one
  bool opaque = false;                 ///< BMP only: the fourth byte of a pixel has no meaning
};

/// The upright size, with the EXIF orientation applied.
inline Size upright_size(const ImageHeader& header) {
  return header.orientation >= 5 ? Size{header.size.width, header.size.height} : header.size;
}

namespace header_impl {

inline std::uint32_t big_endian(Bytes bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes[at + i];
  return value;
}
inline std::uint32_t little_endian(Bytes bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | bytes[at + i];
  return value;
}

inline bool starts_with(Bytes bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

/// stb_image 2.27 writes beyond its tables when a Huffman table has more than 256 codes.
inline void check_huffman_tables(Bytes body) {
  while (!body.empty()) {
    std::size_t codes = 0;
    for (std::size_t i = 1; i <= 16 && i < body.size(); ++i) codes += body[i];
    TL_CHECK(codes <= 256 && body.size() >= 17 + codes, "damaged JPEG (Huffman table of ", codes, " codes)");
    body = body.subspan(17 + codes);
  }
}

/// The segment a marker opens: `body` follows its two bytes of length.
inline void read_jpeg_segment(std::uint8_t marker, Bytes body, std::size_t body_at, ImageHeader& header) {
  const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
  if (frame && header.size == Size{}) {
    TL_CHECK(
        marker <= 0xC2,
        "this kind of JPEG is not supported (lossless, hierarchical or arithmetic coding): save it again "
        "as a usual JPEG or PNG");
    TL_CHECK(body.size() >= 6, "damaged JPEG (short frame header)");
    header.size = {static_cast<Index>(big_endian(body, 1, 2)), static_cast<Index>(big_endian(body, 3, 2))};
    header.components = body[5];
    header.progressive = marker == 0xC2;
  } else if (marker == 0xC4) {
    check_huffman_tables(body);
  } else if (marker == 0xE1 && starts_with(body, std::string_view("Exif\0\0", 6))) {
    header.orientation = exif_orientation(body.subspan(6));
  } else if (marker == 0xEE && starts_with(body, "Adobe") && body.size() >= 12) {
    header.adobe_transform_at = body_at + 11;
  }
}

/// Walks over all markers: a file that ends before its end-of-image marker is truncated.
inline ImageHeader read_jpeg_header(Bytes bytes) {
  ImageHeader header;
  header.format = ImageFormat::jpeg;
  bool complete = false;
  int scans = 0;
  for (std::size_t at = 2; !complete;) {
    const void* found = at < bytes.size() ? std::memchr(bytes.data() + at, 0xFF, bytes.size() - at) : nullptr;
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - bytes.data()) + 1;
    if (at >= bytes.size()) break;
    const std::uint8_t marker = bytes[at];
    if (marker == 0xFF) continue;  // a fill byte
    ++at;
    if (marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8)) continue;  // no segment follows these
    complete = marker == 0xD9;
    if (complete || bytes.size() - at < 2) continue;
    const std::size_t length = big_endian(bytes, at, 2);
    if (length < 2 || length > bytes.size() - at) break;
    constexpr int most_scans = 500;  // each may cost a pass over all pixels for a few bytes
    scans += marker == 0xDA ? 1 : 0;
    TL_CHECK(scans <= most_scans, "damaged JPEG (more than ", most_scans, " scans)");
    read_jpeg_segment(marker, bytes.subspan(at + 2, length - 2), at + 2, header);
    at += length;
  }
  TL_CHECK(complete, "the file is damaged or ends before its image does (truncated JPEG)");
  TL_CHECK(!(header.size == Size{}), "damaged JPEG (no frame header)");
  return header;
}

/// The most pixels n bytes can hold: one bit a block of 8x8, and the coarsest subsampling takes 1/16 of them.
inline bool jpeg_can_hold(std::size_t bytes, Size size) {
  return static_cast<double>(size.height) * static_cast<double>(size.width) / (64 * 16) <
         static_cast<double>(bytes) * 8;
}

inline ImageHeader read_png_header(Bytes bytes) {
  ImageHeader header;
  header.format = ImageFormat::png;
  TL_CHECK(bytes.size() >= 33 && starts_with(bytes.subspan(12), "IHDR"), "damaged PNG (no image header)");
  const std::uint32_t width = big_endian(bytes, 16, 4), height = big_endian(bytes, 20, 4);
  header.size = {static_cast<Index>(height), static_cast<Index>(width)};
  for (std::size_t at = 8; bytes.size() - at >= 12;) {
    const std::size_t length = big_endian(bytes, at, 4);
    if (length > bytes.size() - at - 12) break;
    if (starts_with(bytes.subspan(at + 4), "eXIf")) {
      header.orientation = exif_orientation(bytes.subspan(at + 8, length));
    }
    at += 12 + length;
  }
  return header;
}

/// Deflate makes at most 1032 bytes of one.
inline bool png_can_hold(Bytes bytes, Size size) {
  constexpr std::array<int, 7> samples = {1, 0, 3, 1, 2, 0, 4};
  const std::uint8_t depth = bytes[24], type = bytes[25];
  const double row =
      static_cast<double>(size.width) * depth * (type < samples.size() ? samples[type] : 1) / 8;
  return static_cast<double>(size.height) * row <= 1032.0 * static_cast<double>(bytes.size());
}

inline ImageHeader read_bmp_header(Bytes bytes) {
  ImageHeader header;
  header.format = ImageFormat::bmp;
  TL_CHECK(bytes.size() >= 30, "damaged BMP (no image header)");
  const std::size_t pixels_at = little_endian(bytes, 10, 4);
  const bool old = little_endian(bytes, 14, 4) == 12;
  TL_CHECK(old || bytes.size() >= 54, "damaged BMP (no image header)");
  const auto width = static_cast<std::int32_t>(little_endian(bytes, 18, old ? 2 : 4));
  const auto height = static_cast<std::int32_t>(little_endian(bytes, old ? 20 : 22, old ? 2 : 4));
  header.size = {height < 0 ? -static_cast<Index>(height) : height, width};
  const std::uint32_t bits = little_endian(bytes, old ? 24 : 28, 2);
  const std::uint32_t compression = old ? 0 : little_endian(bytes, 30, 4);
  TL_CHECK(compression == 0 || compression == 3 || compression == 6,
           "compressed BMP files are not supported: save it again as PNG");
  header.opaque = compression == 0;
  TL_CHECK(width > 0 && height != 0, "damaged BMP (size ", width, 'x', height, ')');
  const double row = static_cast<double>((static_cast<Index>(width) * bits + 31) / 32 * 4);
  TL_CHECK(static_cast<double>(pixels_at) + static_cast<double>(header.size.height) * row <=
               static_cast<double>(bytes.size()),
           "the file ends before its image does (truncated BMP)");
  return header;
}

}  // namespace header_impl

/// Reads the head of a JPEG, PNG or BMP, told by its content. Throws when it is none of these, truncated,
/// without pixels, or larger than `max_pixels` or than its bytes can hold.
inline ImageHeader read_image_header(Bytes bytes, Index max_pixels) {
  using namespace header_impl;
  TL_CHECK(!bytes.empty(), "the file is empty");
  ImageHeader header;
  bool plausible = true;
  if (starts_with(bytes, "\xFF\xD8\xFF")) {
    header = read_jpeg_header(bytes);
    plausible = jpeg_can_hold(bytes.size(), header.size);
  } else if (starts_with(bytes, "\x89PNG\r\n\x1A\n")) {
    header = read_png_header(bytes);
    plausible = png_can_hold(bytes, header.size);
  } else if (starts_with(bytes, "BM")) {
    header = read_bmp_header(bytes);
  } else {
    fail("it is not an image that can be read (expected JPEG, PNG or BMP)");
  }
  const Size size = header.size;
  TL_CHECK(size.height > 0 && size.width > 0, "it has no pixels (its size is ", size, ')');
  TL_CHECK(size.height <= max_pixels / size.width, "it is too large: expected at most ", max_pixels,
           " pixels, got ", size);
  TL_CHECK(plausible, "the file is damaged or truncated: ", bytes.size(), " bytes cannot hold ", size,
           " pixels");
  return header;
}

}  // namespace tl::data
