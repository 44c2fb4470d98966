// Snapshot: the parameters and running statistics of a network as they were, to be put back bit for bit.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <tl/nn/module.hpp>

namespace tl::train {

/// Parameters and running statistics of a network as they were.
template <class T>
class Snapshot {
 public:
  /// Copies them.
  explicit Snapshot(const nn::Module<T>& network) {
    for (const nn::Named<T>& entry : all_of(network)) saved_.emplace_back(entry, entry.var.value().clone());
  }
  /// Of values that were saved elsewhere: those of the network's entries that `values` names.
  Snapshot(const nn::Module<T>& network, const std::map<std::string, Tensor<T>>& values) {
    for (const nn::Named<T>& entry : all_of(network)) {
      const auto found = values.find(entry.name);
      if (found == values.end()) continue;
      TL_CHECK(found->second.shape() == entry.var.shape(), "[snapshot] expected '", entry.name, "' of shape ",
               entry.var.shape(), ", got ", found->second.shape());
      saved_.emplace_back(entry, found->second);
    }
  }

  /// Puts them back into the network, which must still live.
  void restore() const {
    for (const auto& [entry, value] : saved_) {
      Tensor<T>& now = Var<T>(entry.var).mutable_value();
      const Tensor<T> same_layout = value.to(now.layout());
      std::copy_n(same_layout.data(), same_layout.size(), now.mutable_data());
    }
  }

  /// What was saved, by name.
  std::map<std::string, Tensor<T>> values() const {
    std::map<std::string, Tensor<T>> all;
    for (const auto& [entry, value] : saved_) all[entry.name] = value;
    return all;
  }

 private:
  static std::vector<nn::Named<T>> all_of(const nn::Module<T>& network) {
    std::vector<nn::Named<T>> all = network.parameters();
    for (nn::Named<T>& buffer : network.buffers()) all.push_back(std::move(buffer));
    return all;
  }

  std::vector<std::pair<nn::Named<T>, Tensor<T>>> saved_;
};

}  // namespace tl::train
