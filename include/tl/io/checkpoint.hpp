// Checkpoints: a training as a file, from which it goes on with the same bits.
//
// A .safetensors file of the parameters ("model/NAME"), the running statistics among them, and what the
// optimiser remembers (SGD: "velocity/GROUP/NAME"); what else the program needs (epoch, step) stands in the
// metadata.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <tl/io/safetensors.hpp>
#include <tl/optim/optimiser.hpp>

namespace tl::io {

namespace checkpoint_impl {

/// A tensor that a checkpoint holds. The optimiser's are optional: of a frozen parameter it has none.
struct Entry {
  std::string name;
  Tensor<float>* tensor;
  Shape shape;
  bool optional;
};

inline std::vector<Entry> entries(nn::Module<float>& model, optim::Optimiser<float>& optimiser) {
  std::vector<Entry> all;
  for (const auto& list : {model.parameters(), model.buffers()}) {
    for (nn::Named<float> named : list)
      all.push_back({"model/" + named.name, &named.var.mutable_value(), named.var.shape(), false});
  }
  for (const optim::Slot<float>& slot : optimiser.slots())
    all.push_back({slot.name, slot.tensor, slot.shape, true});
  return all;
}

}  // namespace checkpoint_impl

/// Writes model, optimiser and `state`, whole or not at all.
inline void save_checkpoint(const std::filesystem::path& path, nn::Module<float>& model,
                            optim::Optimiser<float>& optimiser, std::map<std::string, std::string> state) {
  NamedTensors content{{}, std::move(state)};
  for (const checkpoint_impl::Entry& entry : checkpoint_impl::entries(model, optimiser)) {
    if (entry.tensor->defined()) content.tensors[entry.name] = *entry.tensor;
  }
  write_safetensors(path, content);
}

/// Puts a checkpoint back into a model and an optimiser built the same way; returns the state. Throws, and
/// changes nothing, when it belongs to others.
inline std::map<std::string, std::string> load_checkpoint(const std::filesystem::path& path,
                                                          nn::Module<float>& model,
                                                          optim::Optimiser<float>& optimiser) {
  NamedTensors content = read_safetensors(path);
  const std::string problem = concat("[checkpoint] '", path.string(), "' is of another training: ");
  const std::vector<checkpoint_impl::Entry> entries = checkpoint_impl::entries(model, optimiser);
  std::vector<Tensor<float>> values;
  for (const checkpoint_impl::Entry& entry : entries) {
    auto found = content.tensors.extract(entry.name);
    TL_CHECK(!found.empty() || entry.optional, problem, "it lacks '", entry.name, "'");
    values.push_back(found.empty() ? Tensor<float>{} : std::move(found.mapped()));
    TL_CHECK(found.empty() || values.back().shape() == entry.shape, problem, "expected '", entry.name,
             "' of shape ", entry.shape, ", got ", values.back().shape());
  }
  TL_CHECK(content.tensors.empty(), problem, "it also holds '", content.tensors.begin()->first, "'");
  for (std::size_t i = 0; i < entries.size(); ++i) *entries[i].tensor = std::move(values[i]);
  return std::move(content.metadata);
}

}  // namespace tl::io
