// The bytes of pickles: numbers and texts, as the opcodes have them.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <tl/core/error.hpp>
#include <tl/core/numbers.hpp>
#include <tl/io/pth/value.hpp>

namespace tl::io::pth {

/// Takes from the front; throws where there is not enough.
class PickleBytes {
 public:
  explicit PickleBytes(std::string_view bytes) : rest_(bytes) {}

  std::string_view rest() const { return rest_; }

  /// The next `count` bytes.
  std::string_view take(std::uint64_t count) {
    TL_CHECK(count <= rest_.size(), "it ends inside its pickle");
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  template <std::integral Number>
  Number number() {
    Number value = 0;
    std::memcpy(&value, take(sizeof(value)).data(), sizeof(value));
    return value;
  }
  /// What stands before the next line feed.
  std::string_view line() {
    const std::string_view text = take(rest_.find('\n'));
    take(1);
    return text;
  }
  double big_endian_double() {
    const std::string_view big_endian = take(sizeof(double));
    std::uint64_t bits = 0;
    for (const char byte : big_endian) bits = bits << 8 | static_cast<unsigned char>(byte);
    return same_bits<double>(bits);
  }
  /// A length of one byte, then a number of so many bytes in two's complement.
  Value long_number() {
    const std::string_view bytes = take(number<std::uint8_t>());
    if (bytes.size() > sizeof(std::int64_t)) return {BigNumber{bytes}};
    const bool negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
    std::int64_t value = negative ? -1 : 0;
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
    return {value};
  }

 private:
  std::string_view rest_;
};

}  // namespace tl::io::pth
