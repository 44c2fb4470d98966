// Errors: one exception type for everything a user can get wrong.
//
// A message names the operation in brackets, what was expected and what arrived:
//   [linear] expected x(N,I), w(O,I), b(O), got (2,3), (4,5), (4)
// Broken invariants of the library itself are assert()s; kernels do not throw.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#ifdef __FAST_MATH__
#error "tl keeps its results reproducible to the bit: compile it without -ffast-math (or -Ofast)"
#endif

namespace tl {

/// Thrown for a mistake the caller can mend: wrong shapes, damaged files, impossible options.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class T>
concept Printable = requires(std::ostream& out, const T& value) {
  out << value;
};

/// Joins printable values into one string: concat("got ", shape, ", ", 3).
template <Printable... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(concat(parts...));
}

}  // namespace tl

/// Throws tl::Error with the joined message when the condition does not hold.
#define TL_CHECK(condition, ...)     \
  do {                               \
    if (!(condition)) [[unlikely]] { \
      ::tl::fail(__VA_ARGS__);       \
    }                                \
  } while (false)
