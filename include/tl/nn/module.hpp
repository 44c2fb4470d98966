// Module<T>: a part of a network with named parameters, buffers and children.
//
// Two switches that do not touch each other:
//   train() / eval()        whether dropout drops and batch normalisation uses the batch;
//   freeze() / unfreeze()   whether parameters are trained. A frozen BatchNorm2d stays in inference mode.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/autograd/functions.hpp>

namespace tl::nn {

template <class T>
struct Named {
  std::string name;
  Var<T> var;
};

/// True when `pattern` matches the whole name; '*' stands for any characters and '?' for one.
inline bool glob_match(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, star = std::string_view::npos, mark = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

template <class T>
class Module {
 public:
  virtual ~Module() = default;
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  virtual Var<T> forward(const Var<T>& x) = 0;
  Var<T> operator()(const Var<T>& x) { return forward(x); }

  /// All parameters, those of children included, named like "layer1.0.conv1.weight".
  std::vector<Named<T>> parameters() const { return collect(&Module::parameters_); }
  /// State that is saved but not trained, such as running statistics.
  std::vector<Named<T>> buffers() const { return collect(&Module::buffers_); }

  /// The parameter of a name; throws when there is none.
  Var<T> parameter(std::string_view name) const {
    for (const Named<T>& p : parameters()) {
      if (p.name == name) return p.var;
    }
    fail("[module] expected the name of a parameter, got '", name, "'");
  }

  /// Switches this module and its children to training or inference.
  virtual void train(bool on = true) {
    training_ = on;
    for (auto& [name, child] : children_) child->train(on);
  }
  void eval() { train(false); }
  bool is_training() const { return training_; }

  /// Freezes the parameters whose names match a glob; returns how many matched.
  Index freeze(std::string_view pattern = "*") { return set_trainable(pattern, false); }
  Index unfreeze(std::string_view pattern = "*") { return set_trainable(pattern, true); }

  void zero_grad() {
    for (Named<T>& p : parameters()) p.var.zero_grad();
  }

 protected:
  Var<T> add_parameter(std::string name, Tensor<T> value) {
    return parameters_.emplace_back(Named<T>{std::move(name), Var<T>(std::move(value), true)}).var;
  }
  /// A parameter that already exists elsewhere, shared with it.
  void share_parameter(std::string name, Var<T> var) {
    parameters_.push_back({std::move(name), std::move(var)});
  }
  void share_buffer(std::string name, Var<T> var) { buffers_.push_back({std::move(name), std::move(var)}); }
  Var<T> add_buffer(std::string name, Tensor<T> value) {
    return buffers_.emplace_back(Named<T>{std::move(name), Var<T>(std::move(value))}).var;
  }
  template <class M>
  std::shared_ptr<M> add_module(std::string name, std::shared_ptr<M> child) {
    children_.emplace_back(std::move(name), child);
    return child;
  }
  void clear_parameters() {
    parameters_.clear();
    buffers_.clear();
  }
  /// True when this module has parameters of its own and all of them are frozen.
  bool frozen() const {
    if (parameters_.empty()) return false;
    for (const Named<T>& p : parameters_) {
      if (p.var.requires_grad()) return false;
    }
    return true;
  }
  Mode mode() const { return {.training = training_ && !frozen()}; }

 private:
  std::vector<Named<T>> collect(std::vector<Named<T>> Module::*own) const {
    std::vector<Named<T>> all = this->*own;
    for (const auto& [name, child] : children_) {
      for (Named<T>& inner : child->collect(own))
        all.push_back({name + "." + inner.name, std::move(inner.var)});
    }
    return all;
  }

  Index set_trainable(std::string_view pattern, bool trainable) {
    Index matched = 0;
    for (Named<T>& p : parameters()) {
      if (!glob_match(pattern, p.name)) continue;
      p.var.set_requires_grad(trainable);
      ++matched;
    }
    return matched;
  }

  bool training_ = true;
  std::vector<Named<T>> parameters_, buffers_;
  std::vector<std::pair<std::string, std::shared_ptr<Module>>> children_;
};

template <class T>
using ModulePtr = std::shared_ptr<Module<T>>;

}  // namespace tl::nn
