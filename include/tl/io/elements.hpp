// Elements as files store them, little-endian, and how they become float.
//
// Sources: IEEE 754 binary16, binary32 and binary64; bfloat16 is the upper half of a binary32.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <tl/core/numbers.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::io {

static_assert(std::endian::native == std::endian::little, "elements are read little-endian");

/// IEEE 754 binary16 as it is stored.
struct Float16 {
  std::uint16_t bits = 0;  ///< sign, 5 of exponent, 10 of fraction
  /// The same number, exactly.
  explicit operator float() const {
    const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16;
    const std::uint32_t magnitude = bits & 0x7fffu;
    if (magnitude >= 0x7c00u) return same_bits<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    // A float whose exponent is too small by 112; the product corrects it, for subnormals too.
    return same_bits<float>(sign | same_bits<std::uint32_t>(same_bits<float>(magnitude << 13) * 0x1p112f));
  }
};

/// The upper half of a binary32.
struct BFloat16 {
  std::uint16_t bits = 0;  ///< sign, 8 of exponent, 7 of fraction
  /// The same number, exactly.
  explicit operator float() const { return same_bits<float>(std::uint32_t{bits} << 16); }
};

/// Element types of files of weights. Of whole numbers only the width matters: they are not read.
enum class Element { float16, bfloat16, float32, float64, whole8, whole16, whole32, whole64 };

/// Of one element.
inline std::size_t bytes_of(Element element) {
  constexpr std::array<std::size_t, 8> bytes{2, 2, 4, 8, 1, 2, 4, 8};
  return bytes[static_cast<std::size_t>(element)];
}

/// Whether its values can be read.
inline bool is_floating(Element element) { return element <= Element::float64; }

namespace elements_impl {

/// Walks the tensor row by row; `at` is the same element's place in the file.
template <class Stored>
void gather(const char* from, const Shape& shape, const Strides& step, float* to) {
  std::array<Index, Shape::max_rank> index{};
  Index at = 0;
  for (Index i = 0, count = shape.size(); i < count; ++i) {
    Stored value;
    std::memcpy(&value, from + static_cast<std::size_t>(at) * sizeof(Stored), sizeof(Stored));
    to[i] = static_cast<float>(value);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      const auto a = static_cast<std::size_t>(axis);
      at += step[a];
      if (++index[a] < shape[axis]) break;
      at -= index[a] * step[a];
      index[a] = 0;
    }
  }
}

}  // namespace elements_impl

/// A tensor, plain, of floating-point elements; axis i goes on by step[i] elements. The caller has checked
/// that all of them lie in the file.
inline Tensor<float> read_elements(Element element, const char* from, const Shape& shape,
                                   const Strides& step) {
  using elements_impl::gather;
  Tensor<float> tensor = Tensor<float>::empty(shape);
  if (shape.size() == 0) return tensor;
  float* to = tensor.mutable_data();
  if (element == Element::float32 && step == strides_of(shape, Layout::plain)) {
    std::memcpy(to, from, static_cast<std::size_t>(shape.size()) * sizeof(float));
  } else if (element == Element::float32) {
    gather<float>(from, shape, step, to);
  } else if (element == Element::float64) {
    gather<double>(from, shape, step, to);
  } else if (element == Element::float16) {
    gather<Float16>(from, shape, step, to);
  } else {
    gather<BFloat16>(from, shape, step, to);
  }
  return tensor;
}

}  // namespace tl::io
