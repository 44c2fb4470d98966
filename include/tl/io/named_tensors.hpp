// NamedTensors: what a file of weights holds, whatever its format.
#pragma once

#include <map>
#include <string>

#include <tl/tensor/tensor.hpp>

namespace tl::io {

/// Tensors by name, and text beside them.
struct NamedTensors {
  std::map<std::string, Tensor<float>> tensors;  ///< whatever the file's element type
  std::map<std::string, std::string> metadata;   ///< empty where the format has no place for it
};

}  // namespace tl::io
