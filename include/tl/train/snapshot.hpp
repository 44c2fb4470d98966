// Snapshot: the parameters and running statistics of a network as they were, to be put back bit for bit.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <tl/nn/module.hpp>

namespace tl::train {

template <class T>
class Snapshot {
 public:
  explicit Snapshot(const nn::Module<T>& network) {
    for (const auto& list : {network.parameters(), network.buffers()}) {
      for (const nn::Named<T>& entry : list) saved_.emplace_back(entry.var, entry.var.value().clone());
    }
  }

  void restore() const {
    for (const auto& [var, value] : saved_)
      std::copy_n(value.data(), value.size(), Var<T>(var).mutable_value().mutable_data());
  }

 private:
  std::vector<std::pair<Var<T>, Tensor<T>>> saved_;
};

}  // namespace tl::train
