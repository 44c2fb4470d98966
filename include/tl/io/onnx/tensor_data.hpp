// The elements of a TensorProto, from wherever they are stored, as a Tensor<T>.
//
// float16, bfloat16 and double become T; every count is compared with the bytes that are really there before
// memory is taken. External data (https://onnx.ai/onnx/repo-docs/ExternalData.html) is read only from inside
// the model's folder, straight into the tensor where the types agree.
#pragma once

#include <algorithm>
#include <bit>
#include <charconv>
#include <concepts>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <tl/core/file.hpp>
#include <tl/io/elements.hpp>
#include <tl/io/onnx/proto.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::onnx {

static_assert(std::endian::native == std::endian::little, "raw tensor data is little-endian");

using io::BFloat16;
using io::Float16;

/// Bytes of one element in raw and external data, 0 for types that are not supported.
inline std::size_t bytes_per_element(DataType type) {
  switch (type) {
    case DataType::uint8:
    case DataType::int8:
    case DataType::boolean:
      return 1;
    case DataType::uint16:
    case DataType::int16:
    case DataType::float16:
    case DataType::bfloat16:
      return 2;
    case DataType::float32:
    case DataType::int32:
    case DataType::uint32:
      return 4;
    case DataType::float64:
    case DataType::int64:
    case DataType::uint64:
      return 8;
    default:
      return 0;
  }
}

inline bool is_floating(DataType type) {
  return type == DataType::float32 || type == DataType::float64 || type == DataType::float16 ||
         type == DataType::bfloat16;
}

inline std::string_view type_name(DataType type) {
  constexpr std::string_view names[] = {
      "undefined", "float32", "uint8",   "int8",   "uint16", "int16",     "int32",      "int64",   "string",
      "boolean",   "float16", "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16"};
  const auto i = static_cast<std::size_t>(type);
  return i < std::size(names) ? names[i] : "an element type this library does not know";
}

/// The files beside a model that its external data may lie in.
class ExternalFiles {
 public:
  /// `folder` is the one that holds the .onnx file.
  explicit ExternalFiles(std::filesystem::path folder) : folder_(folder.empty() ? "." : std::move(folder)) {}

  /// Where `count` bytes of a tensor lie. Checks that the place is inside the folder and inside the file.
  struct Place {
    std::filesystem::path path;
    std::size_t offset = 0;
  };
  Place locate(const TensorProto& tensor, std::size_t count) const {
    std::string location;
    std::size_t offset = 0, length = count;
    for (const auto& [key, value] : tensor.external_data) {
      if (key == "location") location = value;
      if (key == "offset") offset = number(tensor, key, value);
      if (key == "length") length = number(tensor, key, value);
    }
    TL_CHECK(length == count, "tensor '", tensor.name, "': expected ", count,
             " bytes of external data, got a length of ", length);
    Place place{inside_folder(tensor, location), offset};
    const std::size_t size = size_of(tensor, place.path);
    TL_CHECK(offset <= size && count <= size - offset, "tensor '", tensor.name, "': expected ", count,
             " bytes from byte ", offset, " on in '", place.path.string(), "', but it has ", size,
             ": copy the complete file there");
    return place;
  }

 private:
  static std::size_t number(const TensorProto& tensor, const std::string& key, const std::string& text) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    TL_CHECK(error == std::errc() && end == text.data() + text.size(), "tensor '", tensor.name,
             "': expected a number as the ", key, " of its external data, got '", text, "'");
    return value;
  }

  std::filesystem::path inside_folder(const TensorProto& tensor, const std::string& location) const {
    const std::filesystem::path relative(location);
    bool leaves = relative.empty() || relative.is_absolute() || location.find('\0') != std::string::npos;
    for (const auto& part : relative) leaves |= part == "..";
    std::error_code error;
    if (!leaves) {  // symbolic links must not lead out either
      const auto home = std::filesystem::weakly_canonical(folder_, error);
      const auto target = std::filesystem::weakly_canonical(folder_ / relative, error);
      leaves =
          error || std::mismatch(home.begin(), home.end(), target.begin(), target.end()).first != home.end();
    }
    TL_CHECK(!leaves, "tensor '", tensor.name, "': external data at '", location,
             "' is refused, because it is not inside the model's folder '", folder_.string(),
             "': put the file beside the model and name it there");
    return folder_ / relative;
  }

  std::size_t size_of(const TensorProto& tensor, const std::filesystem::path& path) const {
    try {
      return tl::file_size(path);
    } catch (const Error& error) {
      fail("tensor '", tensor.name, "' has its data in another file: ", error.what(),
           ": copy it beside the model");
    }
  }

  std::filesystem::path folder_;
};

/// The shape of a stored tensor. Throws on negative and very large extents, overflow and more than eight
/// dimensions.
inline Shape shape_of(const TensorProto& tensor) {
  try {
    const Shape shape(tensor.dims);
    shape.size();
    // Beside an extent of 0 others take no memory, but they would overflow what is computed of them.
    constexpr Index most = Index{1} << 31;
    for (const Index extent : shape)
      TL_CHECK(extent <= most, "expected extents of at most ", most, ", got ", shape);
    return shape;
  } catch (const Error& error) {
    fail("tensor '", tensor.name, "': ", error.what());
  }
}

namespace tensor_data_impl {

template <class Stored, class T>
T convert(Stored value) {
  if constexpr (std::is_same_v<Stored, Float16> || std::is_same_v<Stored, BFloat16>) {
    return static_cast<T>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<Stored, bool>) {
    return value ? T{1} : T{0};
  } else {
    return static_cast<T>(value);
  }
}

/// Elements of type Stored, as raw bytes, from another file, or one by one in `list`, into `to`.
template <class Stored, class Listed, class T>
void copy_elements(const TensorProto& tensor, const std::vector<Listed>& list, const ExternalFiles& files,
                   const Shape& shape, Tensor<T>& to) {
  using Raw = std::conditional_t<std::is_same_v<Stored, bool>, std::uint8_t, Stored>;
  const auto count = static_cast<std::size_t>(shape.size());
  std::size_t bytes = 0;
  TL_CHECK(!__builtin_mul_overflow(count, sizeof(Raw), &bytes), "tensor '", tensor.name,
           "' is too large: ", shape);
  const auto expect = [&](std::size_t wanted, std::string_view unit, std::size_t got) {
    TL_CHECK(got == wanted, "tensor '", tensor.name, "': expected ", wanted, " ", unit, " for shape ", shape,
             ", got ", got, ": the file is damaged or not complete");
  };
  const auto from_bytes = [&](const char* raw) {
    to = Tensor<T>::empty(shape);
    T* out = to.mutable_data();
    if constexpr (std::is_same_v<Raw, T>) {
      if (bytes > 0) std::memcpy(out, raw, bytes);
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        Raw value;
        std::memcpy(&value, raw + i * sizeof(Raw), sizeof(Raw));
        out[i] = convert<Stored, T>(static_cast<Stored>(value));
      }
    }
  };

  if (tensor.is_external) {
    const ExternalFiles::Place place = files.locate(tensor, bytes);
    if constexpr (std::is_same_v<Raw, T>) {
      to = Tensor<T>::empty(shape);
      read_file_part(place.path, place.offset, reinterpret_cast<char*>(to.mutable_data()), bytes);
    } else {
      std::string raw(bytes, '\0');  // locate() has seen that the file holds as much
      read_file_part(place.path, place.offset, raw.data(), bytes);
      from_bytes(raw.data());
    }
  } else if (tensor.has_raw_data) {
    expect(bytes, "bytes", tensor.raw_data.size());
    from_bytes(tensor.raw_data.data());
  } else {
    expect(count, "values", list.size());
    to = Tensor<T>::empty(shape);
    std::transform(list.begin(), list.end(), to.mutable_data(), [](Listed value) {
      if constexpr (std::is_same_v<Stored, Float16> || std::is_same_v<Stored, BFloat16>) {
        return convert<Stored, T>(Stored{static_cast<std::uint16_t>(value)});
      } else {
        return convert<Stored, T>(static_cast<Stored>(value));
      }
    });
  }
}

}  // namespace tensor_data_impl

/// The elements of a stored tensor, plain. Floating-point elements become a floating-point T and whole
/// numbers any T. Throws tl::Error, which names the tensor, for everything that does not fit.
template <class T>
Tensor<T> to_tensor(const TensorProto& tensor, const ExternalFiles& files) {
  using tensor_data_impl::copy_elements;
  TL_CHECK(!tensor.is_segment, "tensor '", tensor.name, "' is stored in segments, which is not supported");
  TL_CHECK(
      bytes_per_element(tensor.data_type) > 0 && (std::floating_point<T> || !is_floating(tensor.data_type)),
      "tensor '", tensor.name, "': expected ", std::floating_point<T> ? "numbers" : "whole numbers", ", got ",
      type_name(tensor.data_type));
  const Shape shape = shape_of(tensor);
  Tensor<T> result;
  switch (tensor.data_type) {
    case DataType::uint8:
      copy_elements<std::uint8_t>(tensor, tensor.int32_data, files, shape, result);
      break;
    case DataType::int8:
      copy_elements<std::int8_t>(tensor, tensor.int32_data, files, shape, result);
      break;
    case DataType::boolean:
      copy_elements<bool>(tensor, tensor.int32_data, files, shape, result);
      break;
    case DataType::uint16:
      copy_elements<std::uint16_t>(tensor, tensor.int32_data, files, shape, result);
      break;
    case DataType::int16:
      copy_elements<std::int16_t>(tensor, tensor.int32_data, files, shape, result);
      break;
    case DataType::int32:
      copy_elements<std::int32_t>(tensor, tensor.int32_data, files, shape, result);
      break;
    case DataType::uint32:
      copy_elements<std::uint32_t>(tensor, tensor.uint64_data, files, shape, result);
      break;
    case DataType::int64:
      copy_elements<std::int64_t>(tensor, tensor.int64_data, files, shape, result);
      break;
    case DataType::uint64:
      copy_elements<std::uint64_t>(tensor, tensor.uint64_data, files, shape, result);
      break;
    default:
      break;
  }
  if constexpr (std::floating_point<T>) {
    switch (tensor.data_type) {
      case DataType::float32:
        copy_elements<float>(tensor, tensor.float_data, files, shape, result);
        break;
      case DataType::float64:
        copy_elements<double>(tensor, tensor.double_data, files, shape, result);
        break;
      case DataType::float16:
        copy_elements<Float16>(tensor, tensor.int32_data, files, shape, result);
        break;
      case DataType::bfloat16:
        copy_elements<BFloat16>(tensor, tensor.int32_data, files, shape, result);
        break;
      default:
        break;
    }
  }
  return result;
}

}  // namespace tl::onnx
