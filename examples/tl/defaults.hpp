// What tl finetune does where it is not told: which network, which file, which method.
#pragma once

#include <filesystem>
#include <string>

#include <tl/core/shape.hpp>

namespace program {

/// The network that comes with the program: in the share/ folder beside an installed program, or in the
/// weights/ folder of the sources it was built from. Throws where there is none, naming where it looked.
std::filesystem::path shipped_weights();

/// The folder's name with .onnx, in the current folder. Throws where that is there already: without --out
/// nothing is replaced.
std::filesystem::path default_out(const std::filesystem::path& folder);

/// A method for so many photos, and the size of images for the network that comes with the program.
/// docs/benchmarks.md tells what it rests on.
struct Choice {
  std::string method;
  tl::Index size = 0;
  std::string why;
};

Choice choice_for(tl::Index photos);

}  // namespace program
