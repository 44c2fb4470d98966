// Amounts of memory as people write them: "512M", "1.5G", and back.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

#include <tl/core/error.hpp>

namespace tl {

/// "2000" as bytes, "512M", "1.5G" in powers of 1024: K, M, G or T, of either case. Throws for anything else,
/// and for less than a byte.
inline std::size_t parse_byte_size(std::string_view text) {
  constexpr std::string_view units = "KMGT";
  double value = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (error == std::errc{} && rest + 1 == end) {
    const char unit = *rest >= 'a' && *rest <= 'z' ? static_cast<char>(*rest - 'a' + 'A') : *rest;
    for (std::size_t i = units.find(unit); i != std::string_view::npos && i < units.size(); --i) {
      value *= 1024;
      rest = end;
    }
  }
  TL_CHECK(error == std::errc{} && rest == end && value >= 1 && value < 0x1p60,
           "expected an amount of memory such as 512M, 1.5G or a number of bytes, got '", text, "'");
  return static_cast<std::size_t>(value);
}

/// 1572864 as "1.5 MiB": four digits at most.
inline std::string byte_size_text(std::size_t bytes) {
  constexpr std::array<const char*, 5> units = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < units.size(); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, "%.*f %s", unit == 0 || value >= 100 ? 0 : 1, value, units[unit]);
  return text;
}

}  // namespace tl
