// Base64: bytes as text of 64 letters, three bytes in four characters, filled up with '='.
//
// Source: RFC 4648, section 4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <tl/core/error.hpp>

namespace tl {

namespace base64_impl {
inline constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

/// RFC 4648, section 4, with padding and without line breaks.
inline std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k)
      text += i + k <= bytes.size() ? base64_impl::digits[group >> (18 - 6 * k) & 63u] : '=';
  }
  return text;
}

/// Throws when the text has other characters, or a length that is no multiple of 4.
inline std::string from_base64(std::string_view text) {
  TL_CHECK(text.size() % 4 == 0, "its base64 text has ", text.size(), " characters");
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t digit = base64_impl::digits.find(c);
    TL_CHECK(digit != std::string_view::npos, "its base64 text is damaged");
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xffu);
  }
  return bytes;
}

}  // namespace tl
