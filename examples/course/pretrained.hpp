// Where the course's programs find the network that comes with tl.
#pragma once

#include <filesystem>

namespace course {

/// The first argument where there is one; otherwise weights/resnet_small.onnx of the repository.
inline std::filesystem::path pretrained(int argc, char** argv) {
#ifdef TL_SOURCE_WEIGHTS
  const std::filesystem::path weights = TL_SOURCE_WEIGHTS;
#else
  const std::filesystem::path weights = "weights";
#endif
  return argc > 1 ? std::filesystem::path(argv[1]) : weights / "resnet_small.onnx";
}

}  // namespace course
