// What optimisers share: groups of parameters, which of them move in a step, and the memory that a checkpoint
// keeps. What moves them is in sgd.hpp and adamw.hpp.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <tl/nn/module.hpp>

namespace tl::optim {

/// Parameters that share a rate. Frozen ones may be among them; they are passed over.
template <class T>
struct ParameterGroup {
  std::vector<nn::Named<T>> params;  ///< handles to what a module computes with
  double lr = 0.01;                  ///< the rate, at least 0
  double weight_decay = -1;          ///< below 0: the optimiser's
  std::string name{};                ///< for reports, such as "head"; need not be unique
};

/// A tensor that an optimiser remembers from step to step; undefined before its parameter's first step.
template <class T>
struct Slot {
  std::string name;   ///< KIND/GROUP/PARAMETER, such as "velocity/0/fc.weight"
  Tensor<T>* tensor;  ///< the optimiser's own, to read or to fill
  Shape shape;        ///< what the tensor has once it is defined
};

/// Moves parameters by their gradients. It asks no module: what is in the groups is what it moves.
template <class T>
class Optimiser {
 public:
  virtual ~Optimiser() = default;
  Optimiser(const Optimiser&) = delete;
  Optimiser& operator=(const Optimiser&) = delete;

  /// Moves every parameter that has a gradient; all rates are multiplied by `factor`, a schedule's value.
  void step(double factor = 1) {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const ParameterGroup<T>& group = groups_[g];
      const double decay = group.weight_decay < 0 ? weight_decay_ : group.weight_decay;
      for (std::size_t i = 0; i < group.params.size(); ++i) {
        Var<T> param = group.params[i].var;
        if (!param.requires_grad() || !param.grad().defined()) continue;
        TL_CHECK(param.grad().shape() == param.shape(), "[", name_, "] expected a gradient of shape ",
                 param.shape(), " for '", group.params[i].name, "', got ", param.grad().shape());
        const Tensor<T> gradient = param.grad().to(param.value().layout());
        update({g, i}, group.lr * factor, decay, gradient, param.mutable_value());
      }
    }
  }

  /// Forgets the gradients of all parameters in the groups.
  void zero_grad() {
    for (ParameterGroup<T>& group : groups_) {
      for (nn::Named<T>& param : group.params) param.var.zero_grad();
    }
  }

  /// To change rates between steps; parameters stay where they are.
  std::vector<ParameterGroup<T>>& groups() { return groups_; }
  /// The same for reading.
  const std::vector<ParameterGroup<T>>& groups() const { return groups_; }
  /// All that it remembers, for checkpoints.
  virtual std::vector<Slot<T>> slots() = 0;

 protected:
  /// A tensor for each parameter of each group.
  using Memory = std::vector<std::vector<Tensor<T>>>;
  /// Which parameter: in the group of that number, at that place.
  struct Place {
    std::size_t group;  ///< index into groups()
    std::size_t param;  ///< index into that group's params
  };

  /// `name` is for messages, such as "sgd"; the weight decay is that of groups which have none of their
  /// own.
  Optimiser(std::string name, std::vector<ParameterGroup<T>> groups, double weight_decay)
      : name_(std::move(name)), groups_(std::move(groups)), weight_decay_(weight_decay) {
    std::set<const void*> seen;
    for (const ParameterGroup<T>& group : groups_) {
      TL_CHECK(group.lr >= 0, "[", name_, "] expected a rate of at least 0, got ", group.lr);
      for (const nn::Named<T>& param : group.params) {
        TL_CHECK(seen.insert(param.var.identity()).second, "[", name_,
                 "] expected each parameter once, got '", param.name, "' twice");
      }
    }
  }

  /// Moves a parameter's value by a gradient of its shape and layout.
  virtual void update(const Place& place, double lr, double weight_decay, const Tensor<T>& gradient,
                      Tensor<T>& value) = 0;

  /// Undefined tensors in the places of all parameters.
  Memory empty_memory() const {
    Memory memory;
    for (const ParameterGroup<T>& group : groups_) memory.emplace_back(group.params.size());
    return memory;
  }
  /// What is remembered of one parameter.
  static Tensor<T>& at(Memory& memory, const Place& place) { return memory[place.group][place.param]; }

  /// Lists a memory of tensors that are shaped as their parameters, or are numbers.
  void add_slots(std::vector<Slot<T>>& slots, const std::string& kind, Memory& memory,
                 bool numbers = false) const {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      for (std::size_t i = 0; i < groups_[g].params.size(); ++i) {
        const nn::Named<T>& param = groups_[g].params[i];
        slots.push_back(
            {concat(kind, "/", g, "/", param.name), &memory[g][i], numbers ? Shape{} : param.var.shape()});
      }
    }
  }

 private:
  std::string name_;
  std::vector<ParameterGroup<T>> groups_;
  double weight_decay_;
};

}  // namespace tl::optim
