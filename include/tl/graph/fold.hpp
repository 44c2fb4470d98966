// Batch normalisation folded into the convolution before it.
//
//   w'(o) = w(o) s(o)    b'(o) = (b(o) - mean(o)) s(o) + beta(o)    s = gamma / sqrt(var + epsilon)
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <tl/graph/subgraph.hpp>
#include <tl/ops/conv.hpp>
#include <tl/ops/norm.hpp>

namespace tl {

/// What a normalisation in inference does to each channel: y = scale x + shift, computed in double.
struct ChannelScale {
  std::vector<double> scale;  ///< (C)
  std::vector<double> shift;  ///< (C)

  /// Of a node whose parameters and statistics are stored in the graph.
  template <class T>
  ChannelScale(const Graph<T>& graph, const GraphNode<T>& norm) {
    const double epsilon = norm.operation->template get_if<ops::BatchNorm>()->epsilon;
    const auto stored = [&](std::size_t input) { return graph.value(norm.inputs[input]).var.value(); };
    const Tensor<T> gamma = stored(1), beta = stored(2), mean = stored(3), var = stored(4);
    for (Index o = 0; o < gamma.size(); ++o) {
      const auto value = [o](const Tensor<T>& list) { return static_cast<double>(list.data()[o]); };
      scale.push_back(value(gamma) / std::sqrt(value(var) + epsilon));
      shift.push_back(value(beta) - value(mean) * scale.back());
    }
  }

  /// Weights (O,...) of a convolution before the normalisation, into `to`.
  template <class T>
  void fold_weights(const Tensor<T>& w, T* to) const {
    const Tensor<T> elements = w.is_deferred() ? w.clone() : w.plain();
    const Index row = w.size() / std::max<Index>(1, w.shape(0));
    const T* from = elements.data();
    for (const double factor : scale) {
      for (Index i = 0; i < row; ++i) *to++ = static_cast<T>(static_cast<double>(*from++) * factor);
    }
  }
  /// The same of its bias (O); none is zero.
  template <class T>
  Tensor<T> fold_bias(const Tensor<T>& b) const {
    Tensor<T> folded = Tensor<T>::empty({static_cast<Index>(scale.size())});
    T* to = folded.mutable_data();
    for (std::size_t o = 0; o < scale.size(); ++o) {
      const double bias = b.defined() ? static_cast<double>(b.data()[o]) : 0;
      to[o] = static_cast<T>(bias * scale[o] + shift[o]);
    }
    return folded;
  }
};

/// The network without the batch normalisations that only a convolution with stored weights feeds: for
/// programs that only infer. Weights keep their names; a bias that did not exist is called after its weight.
template <class T>
Graph<T> with_folded_batch_norm(const Graph<T>& graph) {
  Graph<T> result = graph;
  std::vector<int> readers(graph.values().size(), 0), producer(graph.values().size(), -1);
  for (const GraphNode<T>& node : graph.nodes()) {
    for (const ValueId id : node.inputs) ++readers[static_cast<std::size_t>(id)];
  }
  for (const ValueId id : graph.outputs()) ++readers[static_cast<std::size_t>(id)];
  const auto all_stored = [&](const GraphNode<T>& node) {
    for (std::size_t i = 1; i < node.inputs.size(); ++i) {
      if (!graph.value(node.inputs[i]).var.defined()) return false;
    }
    return true;
  };
  const auto bias_name = [](std::string weight) {
    const std::string suffix = ".weight";
    if (weight.ends_with(suffix)) weight.resize(weight.size() - suffix.size());
    return weight + ".bias";
  };

  std::vector<GraphNode<T>> nodes;
  for (const GraphNode<T>& node : graph.nodes()) {
    const auto input = static_cast<std::size_t>(node.inputs[0]);
    GraphNode<T>* conv = producer[input] < 0 ? nullptr : &nodes[static_cast<std::size_t>(producer[input])];
    const bool folds = node.operation->template get_if<ops::BatchNorm>() != nullptr && all_stored(node) &&
                       conv != nullptr && conv->operation->template get_if<ops::Conv2d>() != nullptr &&
                       readers[input] == 1 && all_stored(*conv);
    if (folds) {
      const GraphValue<T> weight = result.value(conv->inputs[1]);
      const ChannelScale channels(graph, node);
      Tensor<T> w = Tensor<T>::empty(weight.var.shape());
      channels.fold_weights(weight.var.value(), w.mutable_data());
      Tensor<T> b = channels.fold_bias(conv->inputs.size() == 3 ? result.value(conv->inputs[2]).var.value()
                                                                : Tensor<T>());
      const std::string name =
          conv->inputs.size() == 3 ? result.value(conv->inputs[2]).name : bias_name(weight.name);
      const bool trained = weight.var.requires_grad();
      conv->inputs = {conv->inputs[0],
                      result.add_var(weight.name, weight.kind, Var<T>(std::move(w), trained)),
                      result.add_var(name, weight.kind, Var<T>(std::move(b), trained))};
      conv->output = node.output;
      producer[static_cast<std::size_t>(node.output)] = producer[input];
    } else {
      producer[static_cast<std::size_t>(node.output)] = static_cast<int>(nodes.size());
      nodes.push_back(node);
    }
  }
  result.nodes() = std::move(nodes);
  return pruned(result);
}

}  // namespace tl
