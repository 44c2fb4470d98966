// Decoding images: bytes of a JPEG, PNG or BMP to upright RGB pixels.
//
// Transparency is composited on white, gray becomes RGB, CMYK and YCCK become RGB as Pillow converts them,
// the EXIF orientation is applied. Files are untrusted: sizes are checked before memory is taken, and what
// is wrong with a file becomes one tl::Error. Compiled once with the kernels where these are
// (kernels/isa.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <tl/core/file.hpp>
#include <tl/core/precompiled.hpp>
#include <tl/data/image.hpp>
#include <tl/data/image_header.hpp>

namespace tl::data {

/// Names what decides which pixels a file gives; to be changed with them. Part of the key of kept features.
inline constexpr std::string_view decoder_version = "stb_image 1";

/// Larger files are not read.
inline constexpr std::size_t most_file_bytes = std::size_t{1} << 30;

/// What a decoder refuses.
struct DecodeOptions {
  Index max_pixels = 100'000'000;  ///< refuse larger images
};

/// Decodes a JPEG, PNG or BMP, told by its content, to upright RGB. Throws tl::Error when it cannot be read,
/// or would take more memory than MemoryPool's limit alone. What it takes counts as in use meanwhile: large
/// images that do not fit into memory together are decoded one after the other.
TL_KERNELS_INLINE Image decode_image(Bytes bytes, const DecodeOptions& options = {});

/// Bytes of memory that decoding takes at one time, at most, of a file with this head.
TL_KERNELS_INLINE std::size_t decoding_bytes(Bytes bytes, const ImageHeader& header);

/// Reads an image file. Throws tl::Error, which names the file, when it cannot be read.
inline Image read_image(const std::filesystem::path& path, const DecodeOptions& options = {}) {
  const std::string bytes = read_file(path, most_file_bytes);
  try {
    return decode_image({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, options);
  } catch (const Error& error) {
    fail("cannot read '", path.string(), "': ", error.what());
  } catch (const MemoryLimitError& error) {
    throw MemoryLimitError(concat("cannot read '", path.string(), "': ", error.what()));
  }
}

}  // namespace tl::data

#if TL_KERNELS_DEFINE
#include <tl/data/impl/decode.hpp>
#endif
