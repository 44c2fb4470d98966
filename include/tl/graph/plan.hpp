// PlanCache: what is run in place of a graph, made when it is first needed and again when it no longer holds.
//
//   inference    fused(graph), large batches in pieces: nothing will ask for a gradient
//   training     fused_for_training(graph): what is frozen is folded, the rest shares its parameters
//
// A plan holds copies of folded weights. It is made anew when one of them was written to, or when a parameter
// was frozen or thawed; both are looked up for every run, which costs microseconds.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <tl/graph/fuse.hpp>
#include <tl/graph/pieces.hpp>

namespace tl {

/// While one lives on a thread, models run there node by node: with the bits of the modules they were traced
/// from.
class NodeByNode {
 public:
  NodeByNode() : saved_(active()) { active() = true; }
  ~NodeByNode() { active() = saved_; }
  NodeByNode(const NodeByNode&) = delete;
  NodeByNode& operator=(const NodeByNode&) = delete;
  /// Whether one lives on this thread.
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
  /// What runs when no gradient is asked for; made anew when the graph has changed.
  std::shared_ptr<const InPieces<T>> for_inference(const Graph<T>& graph) {
    const std::lock_guard lock(mutex_);
    if (!inference_.network || !holds(inference_, graph)) {
      inference_ = {std::make_shared<const InPieces<T>>(fused(graph)), {}, folded_of(graph, true)};
    }
    return inference_.network;
  }

  /// What runs in training; it shares the parameters that are trained, and is made anew like the other.
  std::shared_ptr<const Graph<T>> for_training(const Graph<T>& graph) {
    const std::lock_guard lock(mutex_);
    inference_ = {};  // the next step will change what it folded: its memory is wanted
    std::vector<bool> trainable;
    for (const GraphValue<T>& value : graph.values()) trainable.push_back(value.var.requires_grad());
    if (!training_.network || training_.trainable != trainable || !holds(training_, graph)) {
      training_ = {std::make_shared<const Graph<T>>(fused_for_training(graph)), std::move(trainable),
                   folded_of(graph, false)};
    }
    return training_.network;
  }

  /// Forgets both, for their memory or because the graph has other nodes.
  void clear() {
    const std::lock_guard lock(mutex_);
    inference_ = {};
    training_ = {};
  }

 private:
  /// A tensor whose elements went into a plan. Sharing the buffer keeps another from taking its place
  /// unnoticed.
  struct Folded {
    std::size_t value = 0;
    Tensor<T> tensor;
    std::uint64_t version = 0;
  };
  template <class Network>
  struct Plan {
    std::shared_ptr<const Network> network;
    std::vector<bool> trainable;  ///< by value; empty for inference, which does not ask
    std::vector<Folded> folded;
  };

  template <class Network>
  static bool holds(const Plan<Network>& plan, const Graph<T>& graph) {
    return std::all_of(plan.folded.begin(), plan.folded.end(), [&](const Folded& f) {
      const Tensor<T>& now = graph.values()[f.value].var.value();
      return now.shares_buffer(f.tensor) && now.version() == f.version;
    });
  }

  /// What the nodes read that may be folded: all of them, or the frozen ones.
  static std::vector<Folded> folded_of(const Graph<T>& graph, bool all) {
    std::vector<Folded> folded;
    const std::vector<bool> frozen = frozen_nodes(graph);
    for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
      if (!all && !frozen[n]) continue;
      for (const ValueId id : graph.nodes()[n].inputs) {
        const Var<T>& var = graph.value(id).var;
        if (var.defined())
          folded.push_back({static_cast<std::size_t>(id), var.value(), var.value().version()});
      }
    }
    return folded;
  }

  std::mutex mutex_;
  Plan<InPieces<T>> inference_;
  Plan<Graph<T>> training_;
};

}  // namespace tl
