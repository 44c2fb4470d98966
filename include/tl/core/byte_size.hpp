// Amounts of memory as people write them: "512M", "1.5G", and back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

#include <tl/core/error.hpp>
#include <tl/core/numbers.hpp>

namespace tl {

/// "2000" as bytes, "512M", "1.5G" in powers of 1024: K, M, G or T, of either case. Throws for anything else,
/// and for less than a byte.
inline std::size_t parse_byte_size(std::string_view text) {
  constexpr std::string_view units = "KMGT";
  std::string_view digits = text;
  double unit = 1;
  if (const std::size_t i = text.empty() ? units.npos : units.find(text.back() & ~('a' - 'A'));
      i != units.npos) {
    unit = static_cast<double>(std::size_t{1024} << 10 * i);
    digits.remove_suffix(1);
  }
  const bool decimal = digits.find_first_not_of("0123456789.") == digits.npos;
  const double bytes = decimal ? parse_number<double>(digits).value_or(0) * unit : 0;
  TL_CHECK(bytes >= 1 && bytes < 0x1p60,
           "expected an amount of memory such as 512M, 1.5G or a number of bytes, got '", text, "'");
  return static_cast<std::size_t>(bytes);
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
