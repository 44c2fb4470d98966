// Batch normalisation folded into the convolution before it.
//
//   w'(o) = w(o) s(o)    b'(o) = (b(o) - mean(o)) s(o) + beta(o)    s = gamma / sqrt(var + epsilon)
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <tl/graph/subgraph.hpp>
#include <tl/ops/conv.hpp>
#include <tl/ops/norm.hpp>

namespace tl {

/// Gives the weights (O,...) and the bias (O) of a convolution the scale and shift of the normalisation after
/// it, whose parameters and statistics are stored in the graph; computed in double.
template <class T>
void fold_into(const Graph<T>& graph, const GraphNode<T>& norm, Tensor<T>& w, Tensor<T>& b) {
  const double epsilon = norm.operation->template get_if<ops::BatchNorm>()->epsilon;
  const auto value = [&](std::size_t input, Index o) {
    return static_cast<double>(graph.value(norm.inputs[input]).var.value().data()[o]);
  };
  T* weights = w.mutable_data();
  T* bias = b.mutable_data();
  const Index row = w.size() / w.shape(0);
  for (Index o = 0; o < w.shape(0); ++o) {
    const double scale = value(1, o) / std::sqrt(value(4, o) + epsilon);
    for (Index i = 0; i < row; ++i)
      weights[o * row + i] = static_cast<T>(static_cast<double>(weights[o * row + i]) * scale);
    bias[o] = static_cast<T>((static_cast<double>(bias[o]) - value(3, o)) * scale + value(2, o));
  }
}

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
      Tensor<T> w = weight.var.value().plain().clone();
      Tensor<T> b = conv->inputs.size() == 3 ? result.value(conv->inputs[2]).var.value().clone()
                                             : Tensor<T>::zeros({w.shape(0)});
      fold_into(graph, node, w, b);
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
