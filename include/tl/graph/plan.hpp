// PlanCache: what is run in place of a graph, made when it is first needed and again when it no longer holds.
//
//   inference    fused(graph): nothing will ask for a gradient
//   training     fused_for_training(graph): what is frozen is folded, the rest shares its parameters
//
// A plan holds copies of folded weights. It is made anew when one of them was written to, or when a parameter
// was frozen or thawed; both are looked up for every run, which costs microseconds.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <tl/graph/fuse.hpp>

namespace tl {

/// While one lives on a thread, models run there node by node: with the bits of the modules they were traced
/// from.
class NodeByNode {
 public:
  NodeByNode() : saved_(active()) { active() = true; }
  ~NodeByNode() { active() = saved_; }
  NodeByNode(const NodeByNode&) = delete;
  NodeByNode& operator=(const NodeByNode&) = delete;
  static bool& active() {
    thread_local bool flag = false;
    return flag;
  }

 private:
  bool saved_;
};

/// The plans of one graph; safe from several threads.
template <class T>
class PlanCache {
 public:
  enum class Purpose { inference, training };

  std::shared_ptr<const Graph<T>> get(const Graph<T>& graph, Purpose purpose) {
    const std::lock_guard lock(mutex_);
    const bool inference = purpose == Purpose::inference;
    Plan& plan = inference ? inference_ : training_;
    if (!inference) inference_ = {};  // the next step will change what it folded: its memory is wanted
    if (!plan.graph || !holds(plan, graph, inference)) plan = make(graph, inference);
    return plan.graph;
  }

  void clear() {
    const std::lock_guard lock(mutex_);
    inference_ = training_ = {};
  }

 private:
  /// A tensor whose elements went into a plan. Sharing the buffer keeps another from taking its place
  /// unnoticed.
  struct Folded {
    std::size_t value = 0;
    Tensor<T> tensor;
    std::uint64_t version = 0;
  };
  struct Plan {
    std::shared_ptr<const Graph<T>> graph;
    std::vector<bool> trainable;  ///< by value; empty for inference, which does not ask
    std::vector<Folded> folded;
  };

  static std::vector<bool> trainable_of(const Graph<T>& graph) {
    std::vector<bool> result;
    for (const GraphValue<T>& value : graph.values()) result.push_back(value.var.requires_grad());
    return result;
  }

  static bool holds(const Plan& plan, const Graph<T>& graph, bool inference) {
    for (const Folded& f : plan.folded) {
      const Tensor<T>& now = graph.values()[f.value].var.value();
      if (!now.shares_buffer(f.tensor) || now.version() != f.version) return false;
    }
    return inference || plan.trainable == trainable_of(graph);
  }

  static Plan make(const Graph<T>& graph, bool inference) {
    Plan plan;
    plan.graph = std::make_shared<const Graph<T>>(inference ? fused(graph) : fused_for_training(graph));
    if (!inference) plan.trainable = trainable_of(graph);
    const std::vector<bool> frozen = frozen_nodes(graph);
    for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
      if (!inference && !frozen[n]) continue;
      for (const ValueId id : graph.nodes()[n].inputs) {
        const Var<T>& var = graph.value(id).var;
        if (var.defined())
          plan.folded.push_back({static_cast<std::size_t>(id), var.value(), var.value().version()});
      }
    }
    return plan;
  }

  std::mutex mutex_;
  Plan inference_, training_;
};

}  // namespace tl
