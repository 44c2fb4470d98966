// What the tests of the data room share: fixtures, hash-filled images, and small files made on the spot.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <tl/core/file.hpp>
#include <tl/core/sha256.hpp>
#include <tl/data/encode.hpp>
#include <tl/data/image.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/hash_fill.hpp"

namespace tl::test {

inline std::filesystem::path data_fixture(const std::string& name) {
  return source_path("tests/data/fixtures/" + name);
}

inline std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// A binary PPM (P6) without comments, as Pillow writes it.
inline data::Image read_ppm(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  std::istringstream head(bytes.substr(0, 40));
  std::string magic;
  Index width = 0, height = 0, most = 0;
  head >> magic >> width >> height >> most;
  data::Image image(height, width);
  REQUIRE(magic == "P6");
  REQUIRE(bytes.size() ==
          static_cast<std::size_t>(head.tellg()) + 1 + static_cast<std::size_t>(image.bytes()));
  std::copy_n(bytes.end() - image.bytes(), image.bytes(), image.data());
  return image;
}

/// The image of bytes floor(128 (u + 1)), u from the hash; make_fixtures.py makes the same.
inline data::Image hashed_image(std::string_view name, Index height, Index width) {
  data::Image image(height, width);
  for (Index i = 0; i < image.bytes(); ++i) {
    image.data()[i] = static_cast<std::uint8_t>((hash_value(name, static_cast<std::uint64_t>(i)) + 1) * 128);
  }
  return image;
}

/// The start of the SHA-256 of the pixels, as make_fixtures.py writes it.
inline std::string pixel_hash(const data::Image& image) {
  const std::string_view pixels(reinterpret_cast<const char*>(image.data()),
                                static_cast<std::size_t>(image.bytes()));
  return hex(sha256(pixels)).substr(0, 16);
}

/// One colour everywhere: which image this is can be told from any pixel.
inline data::Image plain_image(Index height, Index width, int colour) {
  data::Image image(height, width);
  std::fill_n(image.data(), image.bytes(), static_cast<std::uint8_t>(colour));
  return image;
}

/// Writes a file, with the folders above it.
inline void put_file(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline void put_image(const std::filesystem::path& path, const data::Image& image) {
  put_file(path, data::encode_png(image));
}

}  // namespace tl::test
