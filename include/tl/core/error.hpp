// Errors: one exception type for everything a user can get wrong.
//
// A message names the operation in brackets, what was expected and what arrived:
//   [linear] expected x(N,I), w(O,I), b(O), got (2,3), (4,5), (4)
// Broken invariants of the library itself are assert()s; kernels do not throw.
#pragma once

#include <cstddef>
#include <initializer_list>
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

/// What messages are made of.
template <class T>
concept Printable = requires(std::ostream& out, const T& value) {
  out << value;
};

namespace internal {

/// A value somewhere else and how to print it: so the functions below are compiled once, and not once for
/// each combination of types.
class Part {
 public:
  template <Printable Value>
  Part(const Value& value)
      : value_(&value),
        print_([](std::ostream& out, const void* v) { out << *static_cast<const Value*>(v); }) {}
  template <std::size_t size>
  Part(const char (&text)[size])
      : value_(text), print_([](std::ostream& out, const void* v) { out << static_cast<const char*>(v); }) {}
  friend std::ostream& operator<<(std::ostream& out, const Part& part) {
    part.print_(out, part.value_);
    return out;
  }

 private:
  const void* value_;
  void (*print_)(std::ostream&, const void*);
};

inline std::string concat(std::initializer_list<Part> parts) {
  std::ostringstream out;
  for (const Part& part : parts) out << part;
  return std::move(out).str();
}
[[noreturn, gnu::cold]] inline void fail(std::initializer_list<Part> parts) { throw Error(concat(parts)); }

}  // namespace internal

/// Joins printable values into one string: concat("got ", shape, ", ", 3).
template <Printable... Parts>
[[gnu::always_inline]] inline std::string concat(const Parts&... parts) {
  return internal::concat({parts...});
}

/// Throws tl::Error with the joined message.
template <Printable... Parts>
[[noreturn, gnu::always_inline]] inline void fail(const Parts&... parts) {
  internal::fail({parts...});
}

}  // namespace tl

/// Throws tl::Error with the joined message when the condition does not hold.
#define TL_CHECK(condition, ...)     \
  do {                               \
    if (!(condition)) [[unlikely]] { \
      ::tl::fail(__VA_ARGS__);       \
    }                                \
  } while (false)
