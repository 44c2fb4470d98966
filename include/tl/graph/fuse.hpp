// The same network with fewer passes over memory: fused() for inference, fused_for_training() for training.
//
//   conv -> batch norm -> + residual -> relu      becomes      one convolution with folded weights
//   batch norm -> + residual -> relu              becomes      one batch normalisation
//
// Folded weights are copies as of now, which cannot be trained; weights that nothing is folded into are
// shared. Folding rounds differently: results agree to the precision of T, not to the bit. A fused batch
// normalisation shares its parameters with the original, trains as it does and gives the same bits.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include <tl/graph/fold.hpp>
#include <tl/graph/graph.hpp>
#include <tl/graph/layout.hpp>
#include <tl/graph/separable.hpp>
#include <tl/ops/activation.hpp>
#include <tl/ops/arithmetic.hpp>
#include <tl/ops/dropout.hpp>
#include <tl/ops/fused_conv.hpp>
#include <tl/ops/fused_norm.hpp>

namespace tl {

namespace fuse_impl {

/// A convolution or batch normalisation and the nodes that it takes in, in the order of execution.
struct Chain {
  std::size_t first = 0, last = 0;  ///< indices of nodes
  bool is_convolution = false;
  std::optional<std::size_t> norm{};  ///< folded into the convolution
  ValueId residual = -1;
  kernels::Activation activation = kernels::Activation::none;
  bool complete = false;  ///< nothing can follow an activation
};

/// relu and relu6 can follow a sum within the kernel.
template <class T>
std::optional<kernels::Activation> activation_of(const Operation<T>& operation) {
  if (operation.template get_if<ops::Relu>() != nullptr) return kernels::Activation::relu;
  const auto* clip = operation.template get_if<ops::Clip>();
  if (clip != nullptr && clip->low() == 0 && clip->high() == 6) return kernels::Activation::relu6;
  return {};
}

template <class T>
class Fuser {
 public:
  /// Convolutions are fused where every node of the chain may be folded.
  Fuser(const Graph<T>& graph, std::vector<bool> foldable)
      : graph_(graph), foldable_(std::move(foldable)), readers_(graph.values().size(), 0) {
    for (const GraphNode<T>& node : graph.nodes()) {
      for (const ValueId id : node.inputs) ++readers_[static_cast<std::size_t>(id)];
    }
    for (const ValueId id : graph.outputs()) ++readers_[static_cast<std::size_t>(id)];
  }

  Graph<T> run() {
    find_chains();
    moved_.assign(graph_.values().size(), -1);
    for (const ValueId id : graph_.inputs())
      moved_[static_cast<std::size_t>(id)] = result_.add_input(graph_.value(id).name, graph_.value(id).shape);
    std::vector<const Chain*> ends(graph_.nodes().size(), nullptr);
    std::vector<bool> taken_in(graph_.nodes().size(), false);
    for (const Chain& chain : chains_) {
      if (!chain.is_convolution && chain.last == chain.first) continue;
      ends[chain.last] = &chain;
      for (const std::size_t n : members(chain)) taken_in[n] = true;
    }
    for (std::size_t n = 0; n < graph_.nodes().size(); ++n) {
      if (ends[n] != nullptr) {
        write(*ends[n]);
      } else if (!taken_in[n]) {
        const GraphNode<T>& node = graph_.nodes()[n];
        moved(node.output) =
            result_.add_node(node.name, node.operation, ids_of(node.inputs), name_of(node.output));
      }
    }
    result_.set_outputs(ids_of(graph_.outputs()));
    result_.metadata = graph_.metadata;
    result_.open_batch = graph_.open_batch;
    join_separable(result_);
    return std::move(result_);
  }

 private:
  /// Every convolution with stored weights begins a chain, and every batch normalisation that follows none;
  /// nodes that only it feeds make it longer.
  void find_chains() {
    std::vector<int> chain_at(graph_.values().size(), -1);  // the chain whose result so far a value is
    for (std::size_t n = 0; n < graph_.nodes().size(); ++n) {
      const GraphNode<T>& node = graph_.nodes()[n];
      if (foldable_[n] && node.operation->template get_if<ops::Conv2d>() != nullptr && stored(node, 1) &&
          (node.inputs.size() < 3 || stored(node, 2))) {
        begin_chain(n, true, chain_at);
        continue;
      }
      // Of two chains that meet in an addition, the one that ends later is asked first.
      std::vector<int> candidates;
      for (const ValueId id : node.inputs) {
        const auto i = static_cast<std::size_t>(id);
        if (chain_at[i] >= 0 && readers_[i] == 1) candidates.push_back(chain_at[i]);
      }
      std::sort(candidates.begin(), candidates.end(),
                [&](int a, int b) { return chains_[index(a)].last > chains_[index(b)].last; });
      for (const int chain : candidates) {
        if (!take_in(chains_[index(chain)], n)) continue;
        members_[index(chain)].push_back(n);
        chain_at[static_cast<std::size_t>(node.output)] = chain;
        break;
      }
      if (node.operation->template get_if<ops::BatchNorm>() != nullptr &&
          chain_at[static_cast<std::size_t>(node.output)] < 0)
        begin_chain(n, false, chain_at);
    }
  }

  void begin_chain(std::size_t n, bool is_convolution, std::vector<int>& chain_at) {
    chain_at[static_cast<std::size_t>(graph_.nodes()[n].output)] = static_cast<int>(chains_.size());
    chains_.push_back({.first = n, .last = n, .is_convolution = is_convolution});
    members_.push_back({n});
  }

  bool take_in(Chain& chain, std::size_t n) {
    const GraphNode<T>& node = graph_.nodes()[n];
    const ValueId end = graph_.nodes()[chain.last].output;
    if (chain.complete || (chain.is_convolution && !foldable_[n])) return false;
    if (node.operation->template get_if<ops::BatchNorm>() != nullptr) {
      const bool all_stored = stored(node, 1) && stored(node, 2) && stored(node, 3) && stored(node, 4);
      if (!chain.is_convolution || chain.last != chain.first || !all_stored) return false;
      chain.norm = n;
    } else if (node.operation->template get_if<ops::Add>() != nullptr) {
      const ValueId other = node.inputs[0] == end ? node.inputs[1] : node.inputs[0];
      if (chain.residual >= 0 || graph_.value(other).var.defined()) return false;
      if (!chain.is_convolution && !same_shape(end, other)) return false;
      chain.residual = other;
    } else if (const auto activation = activation_of(*node.operation)) {
      chain.activation = *activation;
      chain.complete = true;
    } else {
      return false;
    }
    chain.last = n;
    return true;
  }

  bool stored(const GraphNode<T>& node, std::size_t input) const {
    return graph_.value(node.inputs[input]).var.defined();
  }
  const Tensor<T>& tensor(const GraphNode<T>& node, std::size_t input) const {
    return graph_.value(node.inputs[input]).var.value();
  }

  /// Whether two values surely have one shape, whatever the size of the batch: a batch normalisation adds no
  /// operands that repeat.
  bool same_shape(ValueId a, ValueId b) {
    if (!shapes_) {
      shapes_.emplace();
      std::vector<Shape> inputs;
      for (const ValueId id : graph_.inputs()) {
        inputs.push_back(graph_.value(id).shape);
        if (inputs.back().rank() > 0) inputs.back()[0] += 1;
      }
      try {
        *shapes_ = graph_.infer(inputs);
      } catch (const Error&) {  // the network takes its example's batch alone, or no example is known
      }
    }
    if (shapes_->empty()) return false;
    const Shape &left = (*shapes_)[static_cast<std::size_t>(a)],
                &right = (*shapes_)[static_cast<std::size_t>(b)];
    return left == right && left.rank() == 4 && left[2] * left[3] > 1;
  }

  void write(const Chain& chain) { chain.is_convolution ? write_convolution(chain) : write_norm(chain); }

  void write_norm(const Chain& chain) {
    const GraphNode<T>& node = graph_.nodes()[chain.first];
    const GraphNode<T>& last = graph_.nodes()[chain.last];
    std::vector<ValueId> inputs = ids_of(node.inputs);
    if (chain.residual >= 0) inputs.push_back(new_id(chain.residual));
    const ops::FusedBatchNorm operation{*node.operation->template get_if<ops::BatchNorm>(), chain.activation};
    moved(last.output) = result_.add_node(node.name, operation, std::move(inputs), name_of(last.output));
  }

  void write_convolution(const Chain& chain) {
    const GraphNode<T>& node = graph_.nodes()[chain.first];
    const GraphNode<T>& last = graph_.nodes()[chain.last];
    const Shape& shape = tensor(node, 1).shape();
    Tensor<T> w = tensor(node, 1).plain();
    Tensor<T> b = node.inputs.size() == 3 ? tensor(node, 2) : Tensor<T>::zeros({shape[0]});
    if (chain.norm) {
      const ChannelScale channels(graph_, graph_.nodes()[*chain.norm]);
      b = channels.fold_bias(b);
      w = folded_weights(channels, w);
    }
    const ops::FusedConv2d operation{*node.operation->template get_if<ops::Conv2d>(), chain.activation};
    std::vector<ValueId> inputs{
        new_id(node.inputs[0]),
        result_.add_var(graph_.value(node.inputs[1]).name, ValueKind::constant, Var<T>(std::move(w))),
        result_.add_var(node.name + "/bias", ValueKind::constant, Var<T>(std::move(b)))};
    if (chain.residual >= 0) inputs.push_back(new_id(chain.residual));
    moved(last.output) = result_.add_node(node.name, operation, std::move(inputs), name_of(last.output));
  }

  /// Weights that are still in their file are folded when a kernel packs them, so that no copy stays in
  /// memory.
  static Tensor<T> folded_weights(const ChannelScale& channels, const Tensor<T>& w) {
    if (w.is_deferred())
      return Tensor<T>::deferred(w.shape(), [channels, w](T* to) { channels.fold_weights(w, to); });
    Tensor<T> folded = Tensor<T>::empty(w.shape());
    channels.fold_weights(w, folded.mutable_data());
    return folded;
  }

  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  const std::vector<std::size_t>& members(const Chain& chain) const {
    return members_[static_cast<std::size_t>(&chain - chains_.data())];
  }
  ValueId& moved(ValueId id) { return moved_[static_cast<std::size_t>(id)]; }
  const std::string& name_of(ValueId id) const { return graph_.value(id).name; }
  /// A value in the new graph; stored ones are shared when they are first read.
  ValueId new_id(ValueId id) {
    const GraphValue<T>& value = graph_.value(id);
    if (moved(id) < 0 && value.var.defined()) moved(id) = result_.add_var(value.name, value.kind, value.var);
    return moved(id);
  }
  std::vector<ValueId> ids_of(const std::vector<ValueId>& ids) {
    std::vector<ValueId> result;
    result.reserve(ids.size() + 1);  // a residual may follow
    for (const ValueId id : ids) result.push_back(new_id(id));
    return result;
  }

  const Graph<T>& graph_;
  std::vector<bool> foldable_;  ///< by node
  std::optional<std::vector<Shape>> shapes_;
  Graph<T> result_;
  std::vector<int> readers_;
  std::vector<Chain> chains_;
  std::vector<std::vector<std::size_t>> members_;  ///< nodes of each chain
  std::vector<ValueId> moved_;
};

}  // namespace fuse_impl

/// For inference: every convolution is fused.
template <class T>
Graph<T> fused(const Graph<T>& graph) {
  const Graph<T> clean = without_layout_copies(graph, true);
  return fuse_impl::Fuser<T>(clean, std::vector<bool>(clean.nodes().size(), true)).run();
}

/// By node: nothing trained lies before it, and it computes in training what it computes in inference.
template <class T>
std::vector<bool> frozen_nodes(const Graph<T>& graph) {
  const std::vector<bool> trainable = graph.trainable_values(), trains = graph.training_nodes();
  std::vector<bool> frozen(graph.nodes().size());
  for (std::size_t n = 0; n < frozen.size(); ++n) {
    const GraphNode<T>& node = graph.nodes()[n];
    const bool minds_training = node.operation->template get_if<ops::Dropout>() != nullptr ||
                                node.operation->template get_if<ops::BatchNorm>() != nullptr;
    frozen[n] = !trainable[static_cast<std::size_t>(node.output)] && !(trains[n] && minds_training);
  }
  return frozen;
}

/// For training and gradients with respect to parameters: convolutions are fused below what is trained, batch
/// normalisations everywhere. Good until a parameter is frozen or thawed, or the folded ones change.
template <class T>
Graph<T> fused_for_training(const Graph<T>& graph) {
  const Graph<T> clean = without_layout_copies(graph, false);
  return fuse_impl::Fuser<T>(clean, frozen_nodes(clean)).run();
}

}  // namespace tl
