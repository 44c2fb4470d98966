// Stochastic gradient descent with momentum over groups of parameters; the update is kernels/sgd.hpp's.
//
//   tl::optim::Sgd<float> sgd({{.params = model.parameters(), .lr = 0.01}}, {.momentum = 0.9});
//   loss.backward();  sgd.step();  sgd.zero_grad();
#pragma once

#include <set>
#include <string>
#include <vector>

#include <tl/kernels/sgd.hpp>
#include <tl/nn/module.hpp>

namespace tl::optim {

struct SgdOptions {
  double momentum = 0.9;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

/// Parameters that share a rate. Frozen ones may be among them; they are passed over.
template <class T>
struct ParameterGroup {
  std::vector<nn::Named<T>> params;
  double lr = 0.01;
  double weight_decay = -1;  ///< below 0: the optimizer's
  std::string name{};
};

template <class T>
class Sgd {
 public:
  explicit Sgd(std::vector<ParameterGroup<T>> groups, const SgdOptions& options = {})
      : options_(options), groups_(std::move(groups)) {
    TL_CHECK(options.momentum >= 0 && options.weight_decay >= 0,
             "[sgd] expected momentum and weight decay of at least 0, got ", options.momentum, " and ",
             options.weight_decay);
    TL_CHECK(!options.nesterov || (options.momentum > 0 && options.dampening == 0),
             "[sgd] expected momentum above 0 and no dampening with Nesterov's momentum, got ",
             options.momentum, " and ", options.dampening);
    std::set<const void*> seen;
    for (const ParameterGroup<T>& group : groups_) {
      TL_CHECK(group.lr >= 0, "[sgd] expected a rate of at least 0, got ", group.lr);
      for (const nn::Named<T>& param : group.params) {
        TL_CHECK(seen.insert(param.var.identity()).second, "[sgd] expected each parameter once, got '",
                 param.name, "' twice");
      }
      velocities_.emplace_back(group.params.size());
    }
  }

  /// Moves every parameter that has a gradient; all rates are multiplied by `factor`, a schedule's value.
  void step(double factor = 1) {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const ParameterGroup<T>& group = groups_[g];
      for (std::size_t i = 0; i < group.params.size(); ++i) {
        Var<T> param = group.params[i].var;
        if (!param.requires_grad() || !param.grad().defined()) continue;
        Tensor<T>& velocity = velocities_[g][i];
        const bool first = !velocity.defined();
        if (first && options_.momentum != 0)
          velocity = Tensor<T>::empty(param.shape(), param.value().layout());
        const kernels::SgdStep update{
            .lr = group.lr * factor,
            .momentum = options_.momentum,
            .dampening = options_.dampening,
            .weight_decay = group.weight_decay < 0 ? options_.weight_decay : group.weight_decay,
            .nesterov = options_.nesterov,
            .first = first};
        TL_CHECK(param.grad().shape() == param.shape(), "[sgd] expected a gradient of shape ", param.shape(),
                 " for '", group.params[i].name, "', got ", param.grad().shape());
        const Tensor<T> gradient = param.grad().to(param.value().layout());
        kernels::sgd_update(update, param.value().size(), gradient.data(), velocity.mutable_data(),
                            param.mutable_value().mutable_data());
      }
    }
  }

  void zero_grad() {
    for (ParameterGroup<T>& group : groups_) {
      for (nn::Named<T>& param : group.params) param.var.zero_grad();
    }
  }

  std::vector<ParameterGroup<T>>& groups() { return groups_; }
  const std::vector<ParameterGroup<T>>& groups() const { return groups_; }
  /// The momentum buffers, by group and parameter; undefined before a parameter's first step. For
  /// checkpoints.
  std::vector<std::vector<Tensor<T>>>& velocities() { return velocities_; }

 private:
  SgdOptions options_;
  std::vector<ParameterGroup<T>> groups_;
  std::vector<std::vector<Tensor<T>>> velocities_;
};

}  // namespace tl::optim
