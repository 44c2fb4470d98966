// trace: the graph of what a function does with one example.
//
// The function runs once in inference mode; each operation becomes a node. Leaves that the caller names
// become parameters and buffers and stay shared with the graph; other leaves become constants.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <tl/graph/graph.hpp>

namespace tl {

/// A leaf that the traced function uses, and what it is.
template <class T>
struct TracedLeaf {
  std::string name;  ///< what the graph calls it
  ValueKind kind;    ///< parameter or buffer
  Var<T> var;        ///< stays shared with the graph
};

namespace trace_impl {

template <class T>
class Tracer final : public Observer<T> {
 public:
  explicit Tracer(const std::vector<TracedLeaf<T>>& leaves) {
    for (const TracedLeaf<T>& leaf : leaves) leaves_.emplace(leaf.var.identity(), &leaf);
  }

  void input(const Var<T>& x) {
    Shape one = x.shape();
    if (!one.empty()) one[0] = 1;
    remember(x, graph.add_input("input", one));
  }

  void executed(const OperationPtr<T>& operation, std::span<const Var<T>> inputs,
                const Var<T>& output) override {
    std::vector<ValueId> ids;
    for (const Var<T>& input : inputs) ids.push_back(id_of(input));
    const std::string name = concat(operation->name(), "_", graph.nodes().size());
    remember(output, graph.add_node(name, operation, std::move(ids)));
  }

  ValueId id_of(const Var<T>& var) {
    if (const auto it = ids_.find(var.identity()); it != ids_.end()) return it->second;
    if (const auto it = leaves_.find(var.identity()); it != leaves_.end()) {
      return remember(var, graph.add_var(it->second->name, it->second->kind, var));
    }
    return remember(var, graph.add_var(concat("constant_", ids_.size()), ValueKind::constant, var));
  }

  Graph<T> graph;

 private:
  ValueId remember(const Var<T>& var, ValueId id) {
    alive_.push_back(var);  // keeps the identity from being used again
    ids_[var.identity()] = id;
    return id;
  }

  std::unordered_map<const void*, const TracedLeaf<T>*> leaves_;
  std::unordered_map<const void*, ValueId> ids_;
  std::vector<Var<T>> alive_;
};

}  // namespace trace_impl

/// The graph of `function`, run on an example of shape (N,...). Attributes that depend on the example's N,
/// such as an explicit reshape, are fixed at its value.
template <class T>
Graph<T> trace(const std::function<Var<T>(const Var<T>&)>& function, const Tensor<T>& example,
               const std::vector<TracedLeaf<T>>& leaves) {
  const NoGrad no_grad;
  trace_impl::Tracer<T> tracer(leaves);
  const Var<T> x(example);
  tracer.input(x);
  const Var<T> y = function(x);
  tracer.graph.set_outputs({tracer.id_of(y)});
  return std::move(tracer.graph);
}

}  // namespace tl
