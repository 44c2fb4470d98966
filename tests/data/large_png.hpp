// A PNG of any size in a few bytes, made without its pixels ever being in memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <tl/core/shape.hpp>

namespace tl::test {

/// A black RGB image: one deflate block of fixed Huffman codes (RFC 1951), a zero and copies of 258 more of
/// it. The checksums, which no reader of images here reads, are zeros.
inline std::string black_png(Index height, Index width) {
  const auto big_endian = [](Index value) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 255);
    return text;
  };
  const auto chunk = [&](std::string_view type, const std::string& body) {
    return big_endian(static_cast<Index>(body.size())).append(type).append(body).append(4, '\0');
  };
  std::string data = "\x78\x01";
  unsigned bits = 0, count = 0;
  const auto put = [&](std::string_view code) {
    for (const char bit : code) {
      bits |= static_cast<unsigned>(bit - '0') << count;
      if (++count < 8) continue;
      data += static_cast<char>(bits);
      bits = count = 0;
    }
  };
  constexpr Index copied = 258;
  constexpr std::string_view zero = "00110000", copy = "1100010100000", end = "0000000";
  const Index zeros = height * (3 * width + 1);
  put("110");  // the last block, of fixed codes
  put(zero);
  for (Index i = 0; i < (zeros - 1) / copied; ++i) put(copy);
  for (Index i = 0; i < (zeros - 1) % copied; ++i) put(zero);
  put(end);
  put("0000000");  // the rest of the last byte
  data.append(4, '\0');
  const std::string header = big_endian(width) + big_endian(height) + std::string("\x08\x02\0\0\0", 5);
  return "\x89PNG\r\n\x1A\n" + chunk("IHDR", header) + chunk("IDAT", data) + chunk("IEND", "");
}

}  // namespace tl::test
