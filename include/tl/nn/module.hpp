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

/// A parameter or buffer and its name.
template <class T>
struct Named {
  std::string name;  ///< with those of the modules around it, such as "layer1.0.conv1.weight"
  Var<T> var;        ///< a handle: what is written to it arrives in the module
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

/// A part of a network: a function of images (N,C,H,W) or rows (N,C) with named parameters, buffers and
/// children.
template <class T>
class Module {
 public:
  virtual ~Module() = default;
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// The output for a batch; throws tl::Error where the shape does not fit. Recorded on the tape.
  virtual Var<T> forward(const Var<T>& x) = 0;
  Var<T> operator()(const Var<T>& x) { return forward(x); }  ///< forward(x)

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
  void eval() { train(false); }                   ///< train(false)
  bool is_training() const { return training_; }  ///< as the last train() or eval() left it; true at first

  /// Freezes the parameters whose names match a glob; returns how many matched.
  Index freeze(std::string_view pattern = "*") { return set_trainable(pattern, false); }
  /// Trains the parameters whose names match a glob again; returns how many matched.
  Index unfreeze(std::string_view pattern = "*") { return set_trainable(pattern, true); }

  /// Forgets the gradients of all parameters, those of children included.
  void zero_grad() {
    for (Named<T>& p : parameters()) p.var.zero_grad();
  }

 protected:
  /// A trained parameter of this module; returns the handle to compute with.
  Var<T> add_parameter(std::string name, Tensor<T> value) {
    return parameters_.emplace_back(Named<T>{std::move(name), Var<T>(std::move(value), true)}).var;
  }
  /// A parameter that already exists elsewhere, shared with it.
  void share_parameter(std::string name, Var<T> var) {
    parameters_.push_back({std::move(name), std::move(var)});
  }
  /// A buffer that already exists elsewhere, shared with it.
  void share_buffer(std::string name, Var<T> var) { buffers_.push_back({std::move(name), std::move(var)}); }
  /// State that is saved but not trained; returns the handle.
  Var<T> add_buffer(std::string name, Tensor<T> value) {
    return buffers_.emplace_back(Named<T>{std::move(name), Var<T>(std::move(value))}).var;
  }
  /// Makes `child` a part of this module; its names begin with `name` and a point.
  template <class M>
  std::shared_ptr<M> add_module(std::string name, std::shared_ptr<M> child) {
    children_.emplace_back(std::move(name), child);
    return child;
  }
  /// Forgets own parameters and buffers, not those of children, to list them anew.
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
  /// Training, but for a module whose own parameters are all frozen.
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

/// Modules are shared, so that networks may use one twice.
template <class T>
using ModulePtr = std::shared_ptr<Module<T>>;

}  // namespace tl::nn
