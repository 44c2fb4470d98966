// join_separable: fused convolutions in a row around a depthwise one become one operation, whose values in
// between stay in the caches (kernels/separable.hpp).
#pragma once

#include <utility>
#include <vector>

#include <tl/graph/graph.hpp>
#include <tl/ops/separable.hpp>

namespace tl {

namespace separable_impl {

template <class T>
class Joiner {
 public:
  explicit Joiner(Graph<T>& graph) : graph_(graph), producer_(graph.values().size(), -1) {
    readers_.assign(graph.values().size(), 0);
    for (const GraphNode<T>& node : graph.nodes()) {
      for (const ValueId id : node.inputs) ++readers_[static_cast<std::size_t>(id)];
    }
    for (const ValueId id : graph.outputs()) ++readers_[static_cast<std::size_t>(id)];
  }

  void run() {
    std::vector<GraphNode<T>> nodes;
    for (GraphNode<T>& node : graph_.nodes()) {
      join(node, nodes);
      producer_[static_cast<std::size_t>(node.output)] = static_cast<int>(nodes.size());
      nodes.push_back(std::move(node));
    }
    std::erase_if(nodes, [](const GraphNode<T>& node) { return node.operation == nullptr; });
    graph_.nodes() = std::move(nodes);
  }

 private:
  static const ops::FusedConv2d* convolution(const GraphNode<T>& node) {
    return node.operation == nullptr ? nullptr : node.operation->template get_if<ops::FusedConv2d>();
  }
  Shape weights(const GraphNode<T>& node) const { return graph_.value(node.inputs[1]).shape; }

  bool is_pointwise(const GraphNode<T>& node) const {
    const ops::FusedConv2d* conv = convolution(node);
    if (conv == nullptr) return false;
    const Shape w = weights(node);
    return w[2] == 1 && w[3] == 1 && conv->convolution.groups == 1 &&
           conv->convolution.stride == ops::Size2{} && conv->convolution.padding == ops::Padding2{};
  }
  bool is_depthwise(const GraphNode<T>& node) const {
    const ops::FusedConv2d* conv = convolution(node);
    return conv != nullptr && node.inputs.size() == 3 && conv->convolution.groups > 1 &&
           weights(node)[1] == 1;
  }
  /// Not one that may be computed by Winograd's algorithm, which packs its weights by the size of the image.
  bool can_be_first(const GraphNode<T>& node) const {
    const ops::FusedConv2d* conv = convolution(node);
    return conv != nullptr && node.inputs.size() == 3 && conv->convolution.groups == 1 &&
           (conv->convolution.stride.h > 1 || weights(node)[2] == 1);
  }

  /// The node before that computes a value which only `node` reads.
  GraphNode<T>* only_before(const GraphNode<T>& node, std::vector<GraphNode<T>>& nodes) const {
    const auto input = static_cast<std::size_t>(node.inputs[0]);
    if (readers_[input] != 1 || producer_[input] < 0) return nullptr;
    return &nodes[static_cast<std::size_t>(producer_[input])];
  }

  /// Takes the nodes before a pointwise convolution into it.
  void join(GraphNode<T>& node, std::vector<GraphNode<T>>& nodes) const {
    if (!is_pointwise(node)) return;
    GraphNode<T>* depthwise = only_before(node, nodes);
    if (depthwise == nullptr || !is_depthwise(*depthwise)) return;
    GraphNode<T>* first = only_before(*depthwise, nodes);
    if (first != nullptr && !can_be_first(*first)) first = nullptr;

    ops::SeparableConv2d joined{.depthwise = *convolution(*depthwise),
                                .pointwise = *convolution(node),
                                .adds = node.inputs.size() == 4};
    if (first != nullptr) joined.first = *convolution(*first);
    std::vector<ValueId> inputs = first != nullptr ? first->inputs : depthwise->inputs;
    if (first != nullptr) inputs.insert(inputs.end(), depthwise->inputs.begin() + 1, depthwise->inputs.end());
    inputs.insert(inputs.end(), node.inputs.begin() + 1, node.inputs.end());
    node.operation = make_operation<T>(std::move(joined));
    node.inputs = std::move(inputs);
    depthwise->operation = nullptr;
    if (first != nullptr) first->operation = nullptr;
  }

  Graph<T>& graph_;
  std::vector<int> producer_;  ///< by value: the index of the node that computes it
  std::vector<int> readers_;
};

}  // namespace separable_impl

/// Joins what can be joined in a fused graph. No gradient flows through the joined nodes.
template <class T>
void join_separable(Graph<T>& graph) {
  separable_impl::Joiner<T>(graph).run();
}

}  // namespace tl
