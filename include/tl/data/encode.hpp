// Writing images as PNG and JPEG.
#pragma once

#include <climits>
#include <filesystem>
#include <string>

#include <tl/core/file.hpp>
#include <tl/data/image.hpp>
#include <tl/data/stb_image_write.hpp>

namespace tl::data {

namespace encode_impl {

inline void check(const char* what, const Image& image) {
  TL_CHECK(!image.empty() && image.row_bytes() <= INT_MAX && image.height() <= INT_MAX / image.row_bytes(),
           "[", what, "] expected an image with at least one pixel and at most 2 GB, got ", image.size());
}

inline void append(void* to, void* from, int count) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(from), static_cast<std::size_t>(count));
}

}  // namespace encode_impl

/// The bytes of a PNG file. Throws when the image has no pixels.
inline std::string encode_png(const Image& image) {
  encode_impl::check("encode_png", image);
  std::string bytes;
  const int done = stb::stbi_write_png_to_func(
      encode_impl::append, &bytes, static_cast<int>(image.width()), static_cast<int>(image.height()),
      static_cast<int>(Image::channels), image.data(), static_cast<int>(image.row_bytes()));
  TL_CHECK(done != 0, "[encode_png] not enough memory for ", image.size());
  return bytes;
}

/// The bytes of a JPEG file of a quality from 1 to 100. Throws when the image has no pixels, or too many for
/// the format.
inline std::string encode_jpeg(const Image& image, int quality = 85) {
  constexpr Index most = 65535;
  encode_impl::check("encode_jpeg", image);
  TL_CHECK(image.height() <= most && image.width() <= most && quality >= 1 && quality <= 100,
           "[encode_jpeg] expected sides of at most ", most, " pixels and a quality of 1 to 100, got ",
           image.size(), " and ", quality);
  std::string bytes;
  const int done = stb::stbi_write_jpg_to_func(encode_impl::append, &bytes, static_cast<int>(image.width()),
                                               static_cast<int>(image.height()),
                                               static_cast<int>(Image::channels), image.data(), quality);
  TL_CHECK(done != 0, "[encode_jpeg] cannot encode ", image.size());
  return bytes;
}

/// Writes a PNG file, whole or not at all.
inline void write_png(const std::filesystem::path& path, const Image& image) {
  write_file_atomically(path, encode_png(image));
}

}  // namespace tl::data
