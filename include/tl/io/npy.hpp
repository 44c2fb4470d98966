// NumPy's .npy files: one array each.
//
//   "\x93NUMPY"  version (2 bytes)  header length (2 bytes; 4 from version 2 on)  header  elements
//
// The header is a Python dictionary such as {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }.
// Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <bit>
#include <charconv>
#include <concepts>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include <tl/core/file.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::io {

static_assert(std::endian::native == std::endian::little, ".npy files are read and written little-endian");

/// What the header of a .npy file says.
struct NpyHeader {
  std::string descr;            ///< element type: "<f4", "<f8", "<i8" or "|u1"
  bool fortran_order = false;   ///< whether the first index varies fastest
  Shape shape;                  ///< as the file has it
  std::size_t data_offset = 0;  ///< where the elements begin
};

/// What a .npy file is read to and written from.
template <class T>
concept NpyElement = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::int64_t> ||
    std::same_as<T, std::uint8_t>;

/// The element type as the header has it, such as "<f4".
template <NpyElement T>
constexpr std::string_view npy_descr() {
  if constexpr (std::same_as<T, float>) return "<f4";
  if constexpr (std::same_as<T, double>) return "<f8";
  if constexpr (std::same_as<T, std::int64_t>) return "<i8";
  return "|u1";
}

namespace npy_impl {

inline constexpr std::string_view magic = "\x93NUMPY";

/// Reads the header's dictionary. Any surprise throws; the caller adds the file's name.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  NpyHeader parse() {
    NpyHeader header;
    bool seen[3] = {};
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr") {
        header.descr = quoted();
        seen[0] = true;
      } else if (key == "fortran_order") {
        header.fortran_order = truth();
        seen[1] = true;
      } else if (key == "shape") {
        header.shape = tuple();
        seen[2] = true;
      } else {
        fail("unknown key '", key, "' in its header");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    TL_CHECK(seen[0] && seen[1] && seen[2], "descr, fortran_order or shape is missing in its header");
    return header;
  }

 private:
  void skip_blanks() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n' || text_.front() == '\t'))
      text_.remove_prefix(1);
  }
  bool accept(char c) {
    skip_blanks();
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) { TL_CHECK(accept(c), "expected '", c, "' in its header"); }

  std::string_view quoted() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const std::size_t end = text_.find(quote);
    TL_CHECK(end != std::string_view::npos, "expected an end of the text in its header");
    const std::string_view inside = text_.substr(0, end);
    text_.remove_prefix(end + 1);
    return inside;
  }
  bool truth() {
    skip_blanks();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(0, word.size()) != word) continue;
      text_.remove_prefix(word.size());
      return value;
    }
    fail("expected True or False in its header");
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      Index extent = -1;
      skip_blanks();
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), extent);
      TL_CHECK(error == std::errc() && extent >= 0, "expected extents of at least 0 in its header");
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      shape.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::string_view text_;
};

/// The elements, stored as Stored, in row-major order as T.
template <class Stored, class T>
Tensor<T> elements(const NpyHeader& header, std::string_view bytes) {
  const Shape& shape = header.shape;
  const Index count = shape.size();
  std::size_t wanted = 0;
  TL_CHECK(!__builtin_mul_overflow(static_cast<std::size_t>(count), sizeof(Stored), &wanted) &&
               bytes.size() == wanted,
           "expected ", count, " elements of ", sizeof(Stored), " bytes for shape ", shape, ", got ",
           bytes.size(), " bytes");
  Tensor<T> tensor = Tensor<T>::empty(shape);
  T* out = tensor.mutable_data();
  if constexpr (std::same_as<Stored, T>) {
    if (!header.fortran_order) {
      if (wanted > 0) std::memcpy(out, bytes.data(), wanted);
      return tensor;
    }
  }
  // Walks the tensor row by row; `at` is the same element's place in the file.
  Strides step = strides_of(shape, Layout::plain);
  if (header.fortran_order) {
    Index stride = 1;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      step[static_cast<std::size_t>(axis)] = stride;
      stride *= shape[axis];
    }
  }
  std::array<Index, Shape::max_rank> index{};
  Index at = 0;
  for (Index i = 0; i < count; ++i) {
    Stored value;
    std::memcpy(&value, bytes.data() + static_cast<std::size_t>(at) * sizeof(Stored), sizeof(Stored));
    out[i] = static_cast<T>(value);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      const auto a = static_cast<std::size_t>(axis);
      at += step[a];
      if (++index[a] < shape[axis]) break;
      at -= index[a] * step[a];
      index[a] = 0;
    }
  }
  return tensor;
}

}  // namespace npy_impl

/// The header of a .npy file of version 1, 2 or 3, given the whole file. Throws tl::Error.
inline NpyHeader npy_header(std::string_view bytes) {
  TL_CHECK(bytes.size() >= 10 && bytes.substr(0, 6) == npy_impl::magic, "it does not begin as .npy files do");
  const int version = static_cast<unsigned char>(bytes[6]);
  TL_CHECK(version >= 1 && version <= 3, "expected version 1 to 3, got ", version);
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  TL_CHECK(bytes.size() >= 8 + length_bytes, "it ends inside its header");
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, length_bytes);
  TL_CHECK(length <= bytes.size() - 8 - length_bytes, "it ends inside its header");
  NpyHeader header = npy_impl::HeaderParser(bytes.substr(8 + length_bytes, length)).parse();
  header.data_offset = 8 + length_bytes + length;
  return header;
}

/// The array in the bytes of a .npy file, plain, in C order whatever the file's order. Stored float32 and
/// float64 become either floating-point T, uint8 becomes any T, int64 only itself. Throws tl::Error.
template <NpyElement T>
Tensor<T> decode_npy(std::string_view bytes) {
  using npy_impl::elements;
  const NpyHeader header = npy_header(bytes);
  const std::string_view data = bytes.substr(header.data_offset);
  if (header.descr == "|u1" || header.descr == "<u1") return elements<std::uint8_t, T>(header, data);
  if constexpr (std::floating_point<T>) {
    if (header.descr == "<f4") return elements<float, T>(header, data);
    if (header.descr == "<f8") return elements<double, T>(header, data);
  }
  if constexpr (std::same_as<T, std::int64_t>) {
    if (header.descr == "<i8") return elements<std::int64_t, T>(header, data);
  }
  fail("expected elements of type ", npy_descr<T>(), ", got ", header.descr, ": convert it with astype()");
}

/// Reads a .npy file; see decode_npy.
template <NpyElement T>
Tensor<T> read_npy(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  try {
    return decode_npy<T>(bytes);
  } catch (const Error& error) {
    fail("[npy] cannot read '", path.string(), "': ", error.what());
  }
}

/// The bytes of a .npy file (version 1, C order) with the tensor's elements in logical order.
template <NpyElement T>
std::string encode_npy(const Tensor<T>& tensor) {
  const Tensor<T> plain = tensor.plain();
  std::string header = concat("{'descr': '", npy_descr<T>(), "', 'fortran_order': False, 'shape': (");
  for (int axis = 0; axis < plain.rank(); ++axis)
    header += concat(axis > 0 ? " " : "", plain.shape(axis), axis + 1 < plain.rank() || axis == 0 ? "," : "");
  header += "), }";
  // The elements begin at a multiple of 64 bytes; the header's last byte is a line feed.
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string bytes(npy_impl::magic);
  bytes += {'\1', '\0', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(plain.data()),
               static_cast<std::size_t>(plain.size()) * sizeof(T));
  return bytes;
}

/// Writes a .npy file, whole or not at all.
template <NpyElement T>
void write_npy(const std::filesystem::path& path, const Tensor<T>& tensor) {
  write_file_atomically(path, encode_npy(tensor));
}

}  // namespace tl::io
