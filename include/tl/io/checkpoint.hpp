// Checkpoints: a training as a file, from which it goes on with the same bits.
//
// A .safetensors file of the parameters ("model/NAME"), the running statistics among them, and the momentum
// of the optimizer ("velocity/GROUP/NAME"); what else the program needs (epoch, step) stands in the metadata.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <tl/io/safetensors.hpp>
#include <tl/optim/sgd.hpp>

namespace tl::io {

namespace checkpoint_impl {

/// Calls visit(name, tensor, optional) for everything a checkpoint holds.
template <class Visit>
void for_each(nn::Module<float>& model, optim::Sgd<float>& sgd, const Visit& visit) {
  for (const auto& list : {model.parameters(), model.buffers()}) {
    for (nn::Named<float> entry : list) visit("model/" + entry.name, entry.var.mutable_value(), false);
  }
  for (std::size_t g = 0; g < sgd.groups().size(); ++g) {
    for (std::size_t i = 0; i < sgd.groups()[g].params.size(); ++i)
      visit(concat("velocity/", g, "/", sgd.groups()[g].params[i].name), sgd.velocities()[g][i], true);
  }
}

}  // namespace checkpoint_impl

/// Writes model, momentum and `state`, whole or not at all.
inline void save_checkpoint(const std::filesystem::path& path, nn::Module<float>& model,
                            optim::Sgd<float>& sgd, std::map<std::string, std::string> state) {
  NamedTensors content{{}, std::move(state)};
  checkpoint_impl::for_each(model, sgd, [&](const std::string& name, Tensor<float>& tensor, bool) {
    if (tensor.defined()) content.tensors[name] = tensor;
  });
  write_safetensors(path, content);
}

/// Puts a checkpoint back into a model and an optimizer built the same way; returns the state. Throws when it
/// belongs to another network.
inline std::map<std::string, std::string> load_checkpoint(const std::filesystem::path& path,
                                                          nn::Module<float>& model, optim::Sgd<float>& sgd) {
  const NamedTensors content = read_safetensors(path);
  checkpoint_impl::for_each(model, sgd, [&](const std::string& name, Tensor<float>& tensor, bool optional) {
    const auto found = content.tensors.find(name);
    if (found == content.tensors.end()) {
      TL_CHECK(optional, "[checkpoint] '", path.string(), "' is of another network: it lacks '", name, "'");
      tensor = {};
      return;
    }
    if (!optional) {
      TL_CHECK(found->second.shape() == tensor.shape(), "[checkpoint] '", path.string(),
               "' is of another network: expected '", name, "' of shape ", tensor.shape(), ", got ",
               found->second.shape());
    }
    tensor = found->second;
  });
  return content.metadata;
}

}  // namespace tl::io
