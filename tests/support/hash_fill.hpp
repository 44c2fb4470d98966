// Tensor contents from an integer hash, the same in C++ and in Python (tests/fixtures/hash_fill.py), so that
// fixtures hold results only and no weights.
//
//   k = mix64(fnv1a64(name) + i) >> 40          24 bits, i counts elements row-major in the logical shape
//   u = (k - 2^23) / 2^23                       in [-1, 1), exact in float
//   element = offset + scale * u                in double, then rounded to the tensor's type
//
// FNV-1a: Fowler, Noll, Vo (offset basis and prime of the 64-bit version). Scales of the fixtures have at
// most 24 significant bits, so scale * u is exact and a fused multiply-add changes nothing.
#pragma once

#include <cstdint>
#include <string_view>
#include <tl/core/rng.hpp>
#include <tl/core/shape.hpp>

namespace tl::test {

constexpr std::uint64_t fnv1a64(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

/// The number u in [-1, 1) at element `i` of the tensor called `name`.
constexpr double hash_value(std::string_view name, std::uint64_t i) {
  const auto k = static_cast<double>(mix64(fnv1a64(name) + i) >> 40);
  return (k - 0x1p23) * 0x1p-23;
}

/// data[i] = offset + scale * hash_value(name, i) for i < n.
template <class T>
void hash_fill(std::string_view name, T* data, Index n, double scale = 1.0, double offset = 0.0) {
  const std::uint64_t key = fnv1a64(name);
  for (Index i = 0; i < n; ++i) {
    const auto k = static_cast<double>(mix64(key + static_cast<std::uint64_t>(i)) >> 40);
    data[i] = static_cast<T>(offset + scale * ((k - 0x1p23) * 0x1p-23));
  }
}

}  // namespace tl::test
