// Files of weights without a network; see weights.hpp.
#include "weights.hpp"

#include <algorithm>

#include <tl/io/pth.hpp>
#include <tl/io/safetensors.hpp>
#include <tl/models/efficientnet.hpp>
#include <tl/models/resnet.hpp>

namespace program {

namespace {

bool is_pth_file(const std::filesystem::path& path) {
  return path.extension() == ".pth" || path.extension() == ".pt";
}

/// The number of classes of the file's head, 0 where it has none of this name.
Index classes_in(const tl::io::NamedTensors& file, const std::string& head) {
  for (const auto& [name, tensor] : file.tensors) {
    if ((name == head || tl::io::translated_name(name) == head) && tensor.rank() == 2) return tensor.shape(0);
  }
  return 0;
}

std::string names_of_networks() {
  std::string names;
  for (const Network& network : networks()) names += (names.empty() ? "" : ", ") + network.name;
  return names;
}

}  // namespace

bool is_weights_file(const std::filesystem::path& path) {
  return is_pth_file(path) || path.extension() == ".safetensors";
}

tl::io::NamedTensors read_weights(const std::filesystem::path& path) {
  return is_pth_file(path) ? tl::io::read_pth(path) : tl::io::read_safetensors(path);
}

const std::vector<Network>& networks() {
  using namespace tl::models;
  static const std::vector<Network> all{
      {"resnet_small", "fc.weight", 64, [](Index classes) { return resnet_small<float>(classes); }},
      {"resnet18", "fc.weight", 224, [](Index classes) { return resnet18<float>(classes); }},
      {"resnet34", "fc.weight", 224, [](Index classes) { return resnet34<float>(classes); }},
      {"resnet50", "fc.weight", 224, [](Index classes) { return resnet50<float>(classes); }},
      {"efficientnet_lite0", "classifier.weight", 224,
       [](Index classes) { return efficientnet_lite0<float>(classes); }}};
  return all;
}

LoadedNetwork load_network(const std::string& name, const tl::io::NamedTensors& file) {
  const auto found = std::find_if(networks().begin(), networks().end(),
                                  [&](const Network& network) { return network.name == name; });
  TL_CHECK(found != networks().end(), "expected one of ", names_of_networks(), " as --model, got '", name,
           "'");
  LoadedNetwork loaded{&*found, classes_in(file, found->head), nullptr, {}};
  TL_CHECK(loaded.classes > 0, "the file has no '", found->head, "', which is the last layer of ", name);
  loaded.module = found->make(loaded.classes);
  loaded.report = tl::io::load_weights(*loaded.module, file);
  TL_CHECK(loaded.report.missing.empty(), "the file is not complete for ", name, ": ", loaded.report.text());
  return loaded;
}

std::optional<LoadedNetwork> find_network(const tl::io::NamedTensors& file) {
  for (const Network& network : networks()) {
    LoadedNetwork loaded{&network, classes_in(file, network.head), nullptr, {}};
    if (loaded.classes == 0) continue;
    loaded.module = network.make(loaded.classes);
    try {
      loaded.report = tl::io::load_weights(*loaded.module, file, {.skip_mismatched = true});
    } catch (const tl::Error&) {
      continue;  // no tensor fits
    }
    if (loaded.report.complete()) return loaded;
  }
  return {};
}

}  // namespace program
