// Files of weights without a network (.pth, .pt, .safetensors), and the networks of tl::models that they fit.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <tl/io/load_weights.hpp>
#include <tl/io/named_tensors.hpp>

#include "common.hpp"

namespace program {

/// By the end of its name.
bool is_weights_file(const std::filesystem::path& path);
tl::io::NamedTensors read_weights(const std::filesystem::path& path);

/// A network of tl::models.
struct Network {
  std::string name;
  std::string head;  ///< the weight (classes,features) of its last layer
  Index image_size;
  std::function<tl::nn::ModulePtr<float>(Index classes)> make;
};

const std::vector<Network>& networks();

/// A network with the weights of a file.
struct LoadedNetwork {
  const Network* network = nullptr;
  Index classes = 0;
  tl::nn::ModulePtr<float> module;
  tl::io::WeightsReport report;
};

/// The network of a name, with as many classes as the file's head has. Throws when the file lacks a tensor.
LoadedNetwork load_network(const std::string& name, const tl::io::NamedTensors& file);
/// The network that has exactly the tensors of a file; none where the file is of another.
std::optional<LoadedNetwork> find_network(const tl::io::NamedTensors& file);

}  // namespace program
