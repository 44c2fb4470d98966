// Safetensors: named tensors in one file, the format of the Hugging Face library of that name.
//
//   header length (8 bytes)   header (JSON)   elements
//   {"__metadata__": {"key": "text"}, "fc.weight": {"dtype": "F32", "shape": [10,64], "data_offsets":
//   [0,2560]}}
//
// Source: https://huggingface.co/docs/safetensors. The one header of the library that needs nlohmann-json;
// tl.hpp leaves it out.
#pragma once

#include <bit>
#include <concepts>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <tl/core/file.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::io {

static_assert(std::endian::native == std::endian::little, "safetensors are read and written little-endian");

/// Tensors by name, and text beside them.
struct NamedTensors {
  std::map<std::string, Tensor<float>> tensors;
  std::map<std::string, std::string> metadata;
};

namespace safetensors_impl {

inline constexpr std::size_t most_header_bytes = std::size_t{100} << 20;

inline Tensor<float> read_tensor(const nlohmann::json& entry, std::string_view data) {
  TL_CHECK(entry.at("dtype") == "F32", "expected elements of type F32, got ", entry.at("dtype").dump());
  const auto extents = entry.at("shape").get<std::vector<Index>>();
  const Shape shape{std::span<const Index>(extents)};
  const auto offsets = entry.at("data_offsets").get<std::vector<std::size_t>>();
  TL_CHECK(offsets.size() == 2 && offsets[0] <= offsets[1] && offsets[1] <= data.size() &&
               shape.size() <= static_cast<Index>(data.size() / sizeof(float)) &&
               offsets[1] - offsets[0] == static_cast<std::size_t>(shape.size()) * sizeof(float),
           "its elements do not lie where it says");
  Tensor<float> tensor = Tensor<float>::empty(shape);
  if (shape.size() > 0) std::memcpy(tensor.mutable_data(), data.data() + offsets[0], offsets[1] - offsets[0]);
  return tensor;
}

}  // namespace safetensors_impl

/// Reads the bytes of a file. Throws tl::Error when they are damaged or hold other elements than float32.
inline NamedTensors decode_safetensors(std::string_view bytes) {
  std::uint64_t length = 0;
  TL_CHECK(bytes.size() >= sizeof(length), "it ends inside its header");
  std::memcpy(&length, bytes.data(), sizeof(length));
  TL_CHECK(length <= safetensors_impl::most_header_bytes && length <= bytes.size() - sizeof(length),
           "it ends inside its header");
  const std::string_view data = bytes.substr(sizeof(length) + length);
  NamedTensors result;
  try {
    const nlohmann::json header = nlohmann::json::parse(bytes.substr(sizeof(length), length));
    TL_CHECK(header.is_object(), "its header is not a JSON object");
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        result.metadata = entry.get<std::map<std::string, std::string>>();
      } else {
        result.tensors[name] = safetensors_impl::read_tensor(entry, data);
      }
    }
  } catch (const nlohmann::json::exception&) {
    fail("its header is damaged");
  }
  return result;
}

/// Reads a .safetensors file of float32 tensors.
inline NamedTensors read_safetensors(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  try {
    return decode_safetensors(bytes);
  } catch (const Error& error) {
    fail("[safetensors] cannot read '", path.string(), "': ", error.what());
  }
}

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
  std::string text = header.dump();
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
