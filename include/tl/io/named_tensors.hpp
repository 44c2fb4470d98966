// NamedTensors: what a file of weights holds, whatever its format.
#pragma once

#include <map>
#include <string>

#include <tl/tensor/tensor.hpp>

namespace tl::io {

/// Tensors by name, and text beside them.
struct NamedTensors {
  std::map<std::string, Tensor<float>> tensors;
  std::map<std::string, std::string> metadata;
};

}  // namespace tl::io
