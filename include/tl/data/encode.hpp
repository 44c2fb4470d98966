// Writing images as PNG.
#pragma once

#include <climits>
#include <filesystem>
#include <string>

#include <tl/core/file.hpp>
#include <tl/data/image.hpp>
#include <tl/data/stb_image_write.hpp>

namespace tl::data {

/// The bytes of a PNG file. Throws when the image has no pixels.
inline std::string encode_png(const Image& image) {
  TL_CHECK(!image.empty() && image.row_bytes() <= INT_MAX && image.height() <= INT_MAX / image.row_bytes(),
           "[encode_png] expected an image with at least one pixel and at most 2 GB, got ", image.size());
  std::string bytes;
  const auto append = [](void* to, void* from, int count) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(from), static_cast<std::size_t>(count));
  };
  const int done = stb::stbi_write_png_to_func(
      append, &bytes, static_cast<int>(image.width()), static_cast<int>(image.height()),
      static_cast<int>(Image::channels), image.data(), static_cast<int>(image.row_bytes()));
  TL_CHECK(done != 0, "[encode_png] not enough memory for ", image.size());
  return bytes;
}

/// Writes a PNG file, whole or not at all.
inline void write_png(const std::filesystem::path& path, const Image& image) {
  write_file_atomically(path, encode_png(image));
}

}  // namespace tl::data
