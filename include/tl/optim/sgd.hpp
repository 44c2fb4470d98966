// Stochastic gradient descent with momentum over groups of parameters; the update is kernels/sgd.hpp's.
//
//   tl::optim::Sgd<float> sgd({{.params = model.parameters(), .lr = 0.01}}, {.momentum = 0.9});
//   loss.backward();  sgd.step();  sgd.zero_grad();
#pragma once

#include <utility>
#include <vector>

#include <tl/kernels/sgd.hpp>
#include <tl/optim/optimiser.hpp>

namespace tl::optim {

/// The defaults are PyTorch's but for the momentum.
struct SgdOptions {
  double momentum = 0.9;    ///< share of the last step's direction in this one's, at least 0; 0: none
  double dampening = 0;     ///< share of the gradient left out of the momentum
  double weight_decay = 0;  ///< times a weight is added to its gradient; at least 0; a group may have its own
  bool nesterov = false;    ///< whether to step from where the momentum leads (Sutskever et al. 2013)
};

/// Stochastic gradient descent with momentum; PyTorch's formula, in kernels/sgd.hpp.
template <class T>
class Sgd final : public Optimiser<T> {
 public:
  using typename Optimiser<T>::Memory;

  /// Throws for options outside their ranges, a rate below 0, or a parameter in two groups.
  explicit Sgd(std::vector<ParameterGroup<T>> groups, const SgdOptions& options = {})
      : Optimiser<T>("sgd", std::move(groups), options.weight_decay), options_(options) {
    TL_CHECK(options.momentum >= 0 && options.weight_decay >= 0,
             "[sgd] expected momentum and weight decay of at least 0, got ", options.momentum, " and ",
             options.weight_decay);
    TL_CHECK(!options.nesterov || (options.momentum > 0 && options.dampening == 0),
             "[sgd] expected momentum above 0 and no dampening with Nesterov's momentum, got ",
             options.momentum, " and ", options.dampening);
  }

  /// The momentum buffers, by group and parameter; undefined before a parameter's first step.
  Memory& velocities() { return velocities_; }
  std::vector<Slot<T>> slots() override {
    std::vector<Slot<T>> all;
    this->add_slots(all, "velocity", velocities_);
    return all;
  }

 private:
  void update(const typename Optimiser<T>::Place& place, double lr, double weight_decay,
              const Tensor<T>& gradient, Tensor<T>& value) override {
    Tensor<T>& velocity = this->at(velocities_, place);
    const bool first = !velocity.defined();
    if (first && options_.momentum != 0) velocity = Tensor<T>::empty(value.shape(), value.layout());
    kernels::sgd_update({.lr = lr,
                         .momentum = options_.momentum,
                         .dampening = options_.dampening,
                         .weight_decay = weight_decay,
                         .nesterov = options_.nesterov,
                         .first = first},
                        value.size(), gradient.data(), velocity.mutable_data(), value.mutable_data());
  }

  SgdOptions options_;
  Memory velocities_ = this->empty_memory();
};

}  // namespace tl::optim
