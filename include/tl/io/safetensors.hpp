// Safetensors: named tensors in one file, the format of the Hugging Face library of that name.
//
//   header length (8 bytes)   header (JSON)   elements
//   {"__metadata__": {"key": "text"}, "fc.weight": {"dtype": "F32", "shape": [10,64], "data_offsets":
//   [0,2560]}}
//
// Source: https://huggingface.co/docs/safetensors. The one header of the library that needs nlohmann-json;
// tl.hpp leaves it out.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <tl/core/file.hpp>
#include <tl/io/elements.hpp>
#include <tl/io/named_tensors.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::io {

static_assert(std::endian::native == std::endian::little, "safetensors are read and written little-endian");

namespace safetensors_impl {

inline constexpr std::size_t most_header_bytes = std::size_t{100} << 20;

/// Where a tensor's elements lie: bytes [begin, end) behind the header.
using Range = std::pair<std::size_t, std::size_t>;

/// A value for a message. dump() calls itself for values inside values, and a file may nest them without end.
inline std::string shown(const nlohmann::json& value) {
  return value.is_structured() ? concat("an ", value.type_name()) : value.dump();
}

/// A list of whole numbers of at least 0, which JSON could also write as 2.5 or true.
inline std::vector<Index> whole_numbers(const nlohmann::json& list) {
  TL_CHECK(list.is_array(), "expected a list of numbers, got ", shown(list));
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
  for (const nlohmann::json& number : list)
    TL_CHECK(number.is_number_unsigned() && number.get<std::uint64_t>() <= most,
             "expected whole numbers of at least 0, got ", shown(number));
  return list.get<std::vector<Index>>();
}

/// Throws for element types of the format that no weights have, such as 8-bit floating-point numbers.
inline Element element_of(const nlohmann::json& dtype) {
  static const std::map<std::string, Element> known{
      {"F16", Element::float16}, {"BF16", Element::bfloat16}, {"F32", Element::float32},
      {"F64", Element::float64}, {"I8", Element::whole8},     {"U8", Element::whole8},
      {"BOOL", Element::whole8}, {"I16", Element::whole16},   {"U16", Element::whole16},
      {"I32", Element::whole32}, {"U32", Element::whole32},   {"I64", Element::whole64},
      {"U64", Element::whole64}};
  const auto found = dtype.is_string() ? known.find(dtype.get<std::string>()) : known.end();
  TL_CHECK(found != known.end(), "expected elements of type F32, F16, BF16, F64 or whole numbers, got ",
           shown(dtype));
  return found->second;
}

/// The tensor of an entry, undefined where its elements are whole numbers.
inline Tensor<float> read_tensor(const nlohmann::json& entry, std::string_view data, Range& range) {
  const Element element = element_of(entry.at("dtype"));
  const std::vector<Index> extents = whole_numbers(entry.at("shape"));
  const Shape shape{std::span<const Index>(extents)};
  const std::vector<Index> offsets = whole_numbers(entry.at("data_offsets"));
  const auto size = static_cast<Index>(data.size()), width = static_cast<Index>(bytes_of(element));
  TL_CHECK(offsets.size() == 2 && offsets[0] <= offsets[1] && offsets[1] <= size &&
               shape.size() <= size / width && offsets[1] - offsets[0] == shape.size() * width,
           "its elements do not lie where it says");
  range = {static_cast<std::size_t>(offsets[0]), static_cast<std::size_t>(offsets[1])};
  if (!is_floating(element)) return {};
  if (shape.size() == 0) return Tensor<float>::empty(shape);
  return read_elements(element, data.data() + range.first, shape, strides_of(shape, Layout::plain));
}

/// The format wants every byte behind the header to belong to one tensor.
inline void check_ranges(std::vector<Range> ranges, std::size_t size) {
  std::sort(ranges.begin(), ranges.end());
  std::size_t end = 0;
  for (const Range& range : ranges) {
    TL_CHECK(range.first == end, "its tensors overlap, or leave gaps");
    end = range.second;
  }
  TL_CHECK(end == size, "its tensors take ", end, " bytes, but there are ", size);
}

}  // namespace safetensors_impl

/// Reads the bytes of a file. float16, bfloat16 and double become float; tensors of whole numbers are left
/// out. Throws tl::Error when the bytes are damaged or hold elements of other types.
inline NamedTensors decode_safetensors(std::string_view bytes) {
  std::uint64_t length = 0;
  TL_CHECK(bytes.size() >= sizeof(length), "it ends inside its header");
  std::memcpy(&length, bytes.data(), sizeof(length));
  TL_CHECK(length <= safetensors_impl::most_header_bytes && length <= bytes.size() - sizeof(length),
           "it ends inside its header");
  const std::string_view data = bytes.substr(sizeof(length) + length);
  NamedTensors result;
  std::vector<safetensors_impl::Range> ranges;
  try {
    const nlohmann::json header = nlohmann::json::parse(bytes.substr(sizeof(length), length));
    TL_CHECK(header.is_object(), "its header is not a JSON object");
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        result.metadata = entry.get<std::map<std::string, std::string>>();
      } else {
        Tensor<float> tensor = safetensors_impl::read_tensor(entry, data, ranges.emplace_back());
        if (tensor.defined()) result.tensors[name] = std::move(tensor);
      }
    }
  } catch (const nlohmann::json::exception&) {
    fail("its header is damaged");
  }
  safetensors_impl::check_ranges(std::move(ranges), data.size());
  return result;
}

/// Reads a .safetensors file; see decode_safetensors.
inline NamedTensors read_safetensors(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  try {
    return decode_safetensors(bytes);
  } catch (const Error& error) {
    fail("[safetensors] cannot read '", path.string(), "': ", error.what());
  }
}

/// The bytes of a file. Throws when a name or a text is not UTF-8.
inline std::string encode_safetensors(const NamedTensors& content) {
  nlohmann::json header = nlohmann::json::object();
  if (!content.metadata.empty()) header["__metadata__"] = content.metadata;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : content.tensors) {
    const std::size_t bytes = static_cast<std::size_t>(tensor.size()) * sizeof(float);
    header[name] = {{"dtype", "F32"},
                    {"shape", std::vector<Index>(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    fail("[safetensors] expected names and metadata in UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // elements begin at a multiple of 8 bytes
  const std::uint64_t length = text.size();
  std::string result(sizeof(length), '\0');
  std::memcpy(result.data(), &length, sizeof(length));
  result += text;
  result.reserve(result.size() + offset);
  for (const auto& [name, tensor] : content.tensors) {
    const Tensor<float> plain = tensor.plain();
    result.append(reinterpret_cast<const char*>(plain.data()),
                  static_cast<std::size_t>(plain.size()) * sizeof(float));
  }
  return result;
}

/// Writes a .safetensors file, whole or not at all.
inline void write_safetensors(const std::filesystem::path& path, const NamedTensors& content) {
  write_file_atomically(path, encode_safetensors(content));
}

}  // namespace tl::io
