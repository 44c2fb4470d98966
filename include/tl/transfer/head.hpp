// replace_head: a new last layer for the classes at hand.
//
//   features:(N,D)  ->  w:(classes,D), b:(classes)  ->  logits:(N,classes)
//
// D comes from the network and from head_features.hpp. A softmax at the end is left out: the loss works on
// logits. set_linear_head puts weights into it that a classifier has learned elsewhere
// (transfer/classifiers/).
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <tl/graph/subgraph.hpp>
#include <tl/io/metadata.hpp>
#include <tl/nn/init.hpp>
#include <tl/nn/model.hpp>
#include <tl/transfer/head_features.hpp>

namespace tl::transfer {

/// Where the classifier of a network stands.
struct Head {
  ValueId input = -1;           ///< what the last node with a weight reads: fully connected, or a convolution
  Index width = 0;              ///< D
  bool is_convolution = false;  ///< and not fully connected
  int node = -1;                ///< index of that node
};

/// Follows the network from its output back to the last layer with a weight. Throws when there is none that
/// could be replaced.
template <class T>
Head find_head(const Graph<T>& graph) {
  TL_CHECK(graph.outputs().size() == 1, "[head] expected a network with one output, got ",
           graph.outputs().size());
  for (ValueId id = graph.outputs()[0];;) {
    const int index = graph.producer(id);
    TL_CHECK(index >= 0,
             "[head] expected a fully connected or convolutional layer before the output, got none");
    const GraphNode<T>& node = graph.nodes()[static_cast<std::size_t>(index)];
    const bool is_linear = node.operation->template get_if<ops::Linear>() != nullptr;
    const auto* convolution = node.operation->template get_if<ops::Conv2d>();
    if (is_linear || convolution != nullptr) {
      const GraphValue<T>& weight = graph.value(node.inputs[1]);
      TL_CHECK(weight.var.defined(), "[head] expected a weight in node '", node.name,
               "', got a computed value");
      const Index groups = convolution != nullptr ? convolution->groups : 1;
      return {node.inputs[0], weight.var.shape(1) * groups, convolution != nullptr, index};
    }
    TL_CHECK(node.inputs.size() == 1,
             "[head] expected a fully connected or convolutional layer before the output, got [",
             node.operation->name(), "] (node '", node.name, "')");
    id = node.inputs[0];
  }
}

/// Gives the network a last layer for these classes, which become its labels. Initial weights depend on the
/// seed. What else the head reads than the old one did is `added`; `example` is the shape of an input image,
/// (1,3,H,W), for it.
template <class T>
void replace_head(Model<T>& model, const std::vector<std::string>& class_names, std::uint64_t seed = 0,
                  const HeadFeatures& added = {}, const Shape& example = {1, 3, 224, 224}) {
  using head_features_impl::unused;
  TL_CHECK(class_names.size() >= 2, "[head] expected at least two classes, got ", class_names.size());
  const auto classes = static_cast<Index>(class_names.size());
  const Head head = find_head(model.graph());
  Graph<T> graph = model.graph();
  graph.set_outputs({head.input});
  graph = pruned(graph);  // the names of the old head are free again
  if (head.is_convolution)
    graph.set_outputs({head_features_impl::mean_of(graph, graph.outputs()[0], "head/pool")});
  Index width = head.width;
  if (added.wide || added.mirrored) width = add_head_features(graph, added, example);
  const ValueId features = graph.outputs()[0];
  const ValueId w =
      graph.add_var(unused(graph, "head.weight"), ValueKind::parameter,
                    Var<T>(nn::kaiming_uniform<T>({classes, width}, Rng(seed, 0x68656164)), true));  // "head"
  const ValueId b = graph.add_var(unused(graph, "head.bias"), ValueKind::parameter,
                                  Var<T>(Tensor<T>::zeros({classes}), true));
  graph.set_outputs(
      {graph.add_node(unused(graph, "head"), ops::Linear{}, {features, w, b}, unused(graph, "logits"))});
  io::set_labels(graph.metadata, class_names);
  io::drop_reference(graph.metadata);
  model.edit([&graph](Graph<T>& its) { its = std::move(graph); });
}

/// Overwrites the weight (classes,D) and the bias (classes) of the network's last layer, which must be fully
/// connected, as replace_head leaves it.
template <class T>
void set_linear_head(Model<T>& model, const Tensor<float>& weight, const Tensor<float>& bias) {
  const Head head = find_head(model.graph());
  const GraphNode<T>& node = model.graph().nodes()[static_cast<std::size_t>(head.node)];
  TL_CHECK(!head.is_convolution && node.inputs.size() == 3,
           "[head] expected a fully connected layer with a bias (node '", node.name,
           "'): call replace_head first");
  Var<T> w = model.graph().value(node.inputs[1]).var, b = model.graph().value(node.inputs[2]).var;
  TL_CHECK(b.defined(), "[head] expected a bias in node '", node.name, "', got a computed value");
  TL_CHECK(w.shape() == weight.shape() && b.shape() == bias.shape(), "[head] expected weight ", w.shape(),
           " and bias ", b.shape(), ", got ", weight.shape(), " and ", bias.shape());
  std::copy_n(weight.cast<T>().data(), weight.size(), w.mutable_value().mutable_data());
  std::copy_n(bias.cast<T>().data(), bias.size(), b.mutable_value().mutable_data());
  io::drop_reference(model.metadata());
}

}  // namespace tl::transfer
