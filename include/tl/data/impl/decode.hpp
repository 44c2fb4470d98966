// The definition of decode.hpp, and all that stb_image is needed for.
#pragma once

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <memory>
#include <vector>

#include <tl/data/decode.hpp>
#include <tl/data/stb_image.hpp>

namespace tl::data {

namespace decode_impl {

/// One sample `value` with opacity `alpha` on white, rounded to nearest.
constexpr std::uint8_t on_white(unsigned value, unsigned alpha) {
  const unsigned sum = value * alpha + 255 * (255 - alpha) + 128;
  return static_cast<std::uint8_t>((sum + (sum >> 8)) >> 8);
}

/// Pixels of 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha) samples to RGB.
inline Image to_rgb(const std::uint8_t* from, Size size, int samples) {
  Image image(size);
  std::uint8_t* to = image.data();
  const Index pixels = size.height * size.width;
  if (samples == 3) {
    std::memcpy(to, from, static_cast<std::size_t>(3 * pixels));
    return image;
  }
  for (Index i = 0; i < pixels; ++i, from += samples, to += 3) {
    const std::uint8_t alpha = samples % 2 == 0 ? from[samples - 1] : 255;
    for (int c = 0; c < 3; ++c) to[c] = on_white(from[samples > 2 ? c : 0], alpha);
  }
  return image;
}

/// stb_image takes four components without a word from Adobe for YCbCr with a fourth to ignore. They are
/// CMYK, inverted as Adobe writes it, or YCCK: say so in the copy it reads.
inline std::vector<std::uint8_t> with_adobe_marker(Bytes bytes, const ImageHeader& header) {
  constexpr std::array<std::uint8_t, 16> cmyk = {0xFF, 0xEE, 0,   14, 'A', 'd', 'o', 'b',
                                                 'e',  0,    100, 0,  0,   0,   0,   0};
  std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  if (header.adobe_transform_at == 0) {
    copy.insert(copy.begin() + 2, cmyk.begin(), cmyk.end());
  } else if (copy[header.adobe_transform_at] != 0) {
    copy[header.adobe_transform_at] = 2;
  }
  return copy;
}

}  // namespace decode_impl

/// First what stb_image makes its samples of, beside them; then the samples beside the RGB image, and that
/// beside the upright one.
TL_KERNELS_INLINE std::size_t decoding_bytes(Bytes bytes, const ImageHeader& header) {
  constexpr Index block = 16;  // JPEG stores whole blocks
  const Index pixels = (header.size.height + block) * (header.size.width + block);
  Index before = 0, samples = 4;  // bytes a pixel
  switch (header.format) {
    case ImageFormat::jpeg:  // planes, and coefficients of two bytes
      before = header.components * (header.progressive ? 3 : 1);
      samples = 3;
      break;
    case ImageFormat::png: {  // inflated, as samples of their depth, and these again where interlaced
      const Index depth = bytes[24] == 16 ? 2 : 1, type = bytes[25];
      const Index stored = type == 2 ? 3 : type == 4 ? 2 : type == 6 ? 4 : 1;
      samples = type == 0 ? 2 : 4;  // one may become transparent, a palette colours
      before = depth * (stored + samples) - samples + (bytes[28] != 0 ? depth * samples : 0);
      break;
    }
    case ImageFormat::bmp:
      break;
  }
  const Index images = Image::channels * (header.orientation == 1 ? 1 : 2);
  return 2 * bytes.size() + static_cast<std::size_t>(pixels * (samples + std::max(before, images)));
}

TL_KERNELS_INLINE Image decode_image(Bytes bytes, const DecodeOptions& options) {
  const ImageHeader header = read_image_header(bytes, options.max_pixels);
  TL_CHECK(bytes.size() <= INT_MAX - 16, "the file is too large: ", bytes.size(), " bytes");
  const std::size_t working = decoding_bytes(bytes, header), limit = MemoryPool::instance().limit();
  TL_CHECK(working <= limit, "it is too large: decoding ", header.size, " pixels takes up to ",
           byte_size_text(working), " of memory, the limit is ", byte_size_text(limit));
  const MemoryClaim claim(working);
  std::vector<std::uint8_t> amended;
  if (header.format == ImageFormat::jpeg && header.components == 4) {
    amended = decode_impl::with_adobe_marker(bytes, header);
    bytes = amended;
  }
  // Pixels have at most 8 bytes, rows one more; stb_image grows its blocks by doubling them.
  stb_impl::growth_limit =
      4096 +
      2 * std::max(bytes.size(), static_cast<std::size_t>(header.size.height * (8 * header.size.width + 8)));
  int width = 0, height = 0, samples = 0;
  const std::unique_ptr<std::uint8_t, void (*)(void*)> pixels(
      stb::stbi_load_from_memory(bytes.data(), static_cast<int>(bytes.size()), &width, &height, &samples, 0),
      std::free);
  TL_CHECK(pixels != nullptr, "the image is damaged or of an unusual kind (", stb::stbi_failure_reason(),
           ')');
  TL_CHECK((Size{height, width} == header.size) && samples >= 1 && samples <= 4,
           "the image is damaged (its size "
           "is ",
           header.size, " at one place and ", Size{height, width}, " at another)");
  if (header.opaque && samples == 4) {
    const std::size_t count = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
    for (std::size_t i = 0; i < count; ++i) pixels.get()[4 * i + 3] = 255;
  }
  return upright(decode_impl::to_rgb(pixels.get(), header.size, samples), header.orientation);
}

}  // namespace tl::data
