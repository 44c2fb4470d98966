// What a training is between two steps, as named tensors: the parameters ("model/NAME"), the running
// statistics among them, and what the optimiser remembers (SGD: "velocity/GROUP/NAME"). Whoever trains adds
// tensors of its own ("kept/NAME") and text (epoch, step). io/checkpoint.hpp makes files of it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <tl/io/named_tensors.hpp>
#include <tl/optim/optimiser.hpp>

namespace tl::io {

namespace training_state_impl {

/// A tensor of the training. The optimiser's are optional: of a frozen parameter it has none.
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

}  // namespace training_state_impl

/// Adds model and optimiser to what the training keeps beside them. The tensors are those that are trained,
/// not copies.
inline NamedTensors training_state(nn::Module<float>& model, optim::Optimiser<float>& optimiser,
                                   NamedTensors kept = {}) {
  for (const training_state_impl::Entry& entry : training_state_impl::entries(model, optimiser)) {
    if (entry.tensor->defined()) kept.tensors[entry.name] = *entry.tensor;
  }
  return kept;
}

/// Puts a state back into a model and an optimiser built the same way; returns what was kept beside them.
/// Throws, and changes nothing, when it belongs to others.
inline NamedTensors put_back(NamedTensors state, nn::Module<float>& model,
                             optim::Optimiser<float>& optimiser) {
  const std::string problem = "the checkpoint is of another training: ";
  const std::vector<training_state_impl::Entry> entries = training_state_impl::entries(model, optimiser);
  std::vector<Tensor<float>> values;
  for (const training_state_impl::Entry& entry : entries) {
    auto found = state.tensors.extract(entry.name);
    TL_CHECK(!found.empty() || entry.optional, problem, "it lacks '", entry.name, "'");
    values.push_back(found.empty() ? Tensor<float>{} : std::move(found.mapped()));
    TL_CHECK(found.empty() || values.back().shape() == entry.shape, problem, "expected '", entry.name,
             "' of shape ", entry.shape, ", got ", values.back().shape());
  }
  for (const auto& [name, tensor] : state.tensors)
    TL_CHECK(name.starts_with("kept/"), problem, "it also holds '", name, "'");
  for (std::size_t i = 0; i < entries.size(); ++i) *entries[i].tensor = std::move(values[i]);
  return state;
}

}  // namespace tl::io
