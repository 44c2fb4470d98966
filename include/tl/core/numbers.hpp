// Numbers as text and as bits, also with standard libraries that lack these parts of C++17 and C++20 (libc++
// before 20, which WebAssembly is compiled with).
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace tl {

/// The bits of `value` as a type of the same size: std::bit_cast.
template <class To, class From>
constexpr To same_bits(const From& value) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, value);
}

/// The whole of `text` as a number: "-1.5e3", "inf". Nothing for anything else (spaces, a plus, hexadecimal
/// digits) and for what the type cannot hold.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
#ifndef __cpp_lib_to_chars  // from_chars and to_chars know integers alone
  if constexpr (std::is_floating_point_v<Number>) {
    const bool decimal = text.find_first_not_of("+-.0123456789eEinfaINFA") == text.npos;
    if (text.empty() || text[0] == '+' || !decimal) return {};
    const std::string word(text);  // strtod wants a zero at the end, and follows the program's locale
    char* end = nullptr;
    const double wide = std::strtod(word.c_str(), &end);
    value = static_cast<Number>(wide);
    if (end != word.c_str() + word.size() || (std::isinf(value) && text.find_first_of("iI") == text.npos))
      return {};
    return value;
  } else
#endif
  {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return {};
    return value;
  }
}

/// The shortest decimal that gives the same number back.
template <class Real>
std::string shortest(Real value) {
  std::array<char, 32> text;
#ifdef __cpp_lib_to_chars
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
#else
  for (int digits = 1; digits <= 17; ++digits) {
    std::snprintf(text.data(), text.size(), "%.*g", digits, static_cast<double>(value));
    if (parse_number<Real>(text.data()) == value) break;
  }
  return text.data();
#endif
}

}  // namespace tl
