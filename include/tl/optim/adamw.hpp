// Adam with decoupled weight decay over groups of parameters; the update is kernels/adamw.hpp's.
//
//   tl::optim::AdamW<float> adamw({{.params = model.parameters(), .lr = 0.001}}, {.weight_decay = 0.01});
//   loss.backward();  adamw.step();  adamw.zero_grad();
#pragma once

#include <utility>
#include <vector>

#include <tl/kernels/adamw.hpp>
#include <tl/optim/optimiser.hpp>

namespace tl::optim {

/// The defaults are PyTorch's.
struct AdamWOptions {
  double beta1 = 0.9;    ///< what the mean of gradients keeps at each step, in [0, 1)
  double beta2 = 0.999;  ///< what the mean of their squares keeps, in [0, 1)
  double eps = 1e-8;     ///< added to the root of the squares, above 0
  /// Share of a weight that goes at each step, times the rate; a group may have its own.
  double weight_decay = 0.01;
};

/// Adam with decoupled weight decay (Loshchilov, Hutter 2019, https://arxiv.org/abs/1711.05101).
template <class T>
class AdamW final : public Optimiser<T> {
 public:
  /// Throws for options outside their ranges, a rate below 0, or a parameter in two groups.
  explicit AdamW(std::vector<ParameterGroup<T>> groups, const AdamWOptions& options = {})
      : Optimiser<T>("adamw", std::move(groups), options.weight_decay), options_(options) {
    TL_CHECK(options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1,
             "[adamw] expected beta1 and beta2 in [0, 1), got ", options.beta1, " and ", options.beta2);
    TL_CHECK(options.eps > 0 && options.weight_decay >= 0,
             "[adamw] expected eps above 0 and a weight decay of at least 0, got ", options.eps, " and ",
             options.weight_decay);
  }

  std::vector<Slot<T>> slots() override {
    std::vector<Slot<T>> all;
    this->add_slots(all, "mean", means_);
    this->add_slots(all, "square", squares_);
    this->add_slots(all, "steps", steps_, true);
    return all;
  }

 private:
  using typename Optimiser<T>::Memory;

  void update(const typename Optimiser<T>::Place& place, double lr, double weight_decay,
              const Tensor<T>& gradient, Tensor<T>& value) override {
    Tensor<T>&mean = this->at(means_, place), &square = this->at(squares_, place);
    Tensor<T>& steps = this->at(steps_, place);
    if (!mean.defined() || !square.defined() || !steps.defined()) {  // a checkpoint may lack some
      mean = Tensor<T>::zeros(value.shape(), value.layout());
      square = Tensor<T>::zeros(value.shape(), value.layout());
      steps = Tensor<T>::zeros({});
    }
    const T t = *steps.mutable_data() += 1;
    kernels::adamw_update({.lr = lr,
                           .beta1 = options_.beta1,
                           .beta2 = options_.beta2,
                           .eps = options_.eps,
                           .weight_decay = weight_decay,
                           .t = static_cast<double>(t)},
                          value.size(), gradient.data(), mean.mutable_data(), square.mutable_data(),
                          value.mutable_data());
  }

  AdamWOptions options_;
  /// Running means of gradients and of their squares; steps that each parameter has taken.
  Memory means_ = this->empty_memory(), squares_ = this->empty_memory(), steps_ = this->empty_memory();
};

}  // namespace tl::optim
