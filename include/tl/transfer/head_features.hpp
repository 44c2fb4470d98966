// head_features: what a new head reads of a network, beyond the average of its last feature maps.
//
//   wide      mean and maximum of the last maps, and of the last ones before the image is made smaller for
//   the
//             last time: (N,D) -> (N, D + C1 + 2 C2)
//   mirrored  the mean of the features of the image and of its mirror image; shares all weights, costs twice
//
// Both become part of the network: it is trained, saved and run elsewhere as any other. Sources: maxima
// beside means as fastai's head (Howard, Gugger 2020, https://arxiv.org/abs/2002.04688), features of several
// stages as Hariharan et al. 2015, https://arxiv.org/abs/1411.5752. docs/benchmarks.md tells what they are
// worth.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include <tl/graph/subgraph.hpp>
#include <tl/nn/model.hpp>

namespace tl::transfer {

/// What the head reads beside the features that the network computes for its own.
struct HeadFeatures {
  bool wide = false;      ///< also maxima, and the maps of the stage below
  bool mirrored = false;  ///< also those of the mirror image
};

namespace head_features_impl {

/// A name that the graph does not have yet.
template <class T>
std::string unused(const Graph<T>& graph, std::string wanted) {
  while (graph.find(wanted) >= 0) wanted += "_new";
  return wanted;
}

/// Adds mean or maximum of the maps: (N,C,H,W) -> (N,C).
template <class T, class Pool>
ValueId pooled(Graph<T>& graph, ValueId maps, const Pool& pool, const std::string& name) {
  const ValueId one = graph.add_node(unused(graph, name), pool, {maps});
  return graph.add_node(unused(graph, name + "/flatten"), ops::Flatten{}, {one});
}
template <class T>
ValueId mean_of(Graph<T>& graph, ValueId maps, const std::string& name) {
  return pooled(graph, maps, ops::AdaptiveAveragePool2d{{1, 1}}, name);
}
template <class T>
ValueId maximum_of(Graph<T>& graph, ValueId maps, const std::string& name) {
  return pooled(graph, maps, ops::GlobalMaxPool2d{}, name);
}

/// The last maps of more than one pixel on the way to `features`.
template <class T>
ValueId last_maps(const Graph<T>& graph, ValueId features, const std::vector<Shape>& shapes) {
  for (ValueId id = features;;) {
    const Shape& shape = shapes[static_cast<std::size_t>(id)];
    if (shape.rank() == 4 && shape[2] * shape[3] > 1) return id;
    const int producer = graph.producer(id);
    TL_CHECK(producer >= 0, "[head] a wide head needs maps that are pooled to the features (N,C,H,W), but '",
             graph.value(features).name, "' comes from none");
    id = graph.nodes()[static_cast<std::size_t>(producer)].inputs[0];
  }
}

/// The maps that all later nodes are computed from, before the network comes to the size of `last`; -1 where
/// there are none.
template <class T>
ValueId maps_before(const Graph<T>& graph, ValueId last, const std::vector<Shape>& shapes) {
  const Shape& smallest = shapes[static_cast<std::size_t>(last)];
  std::vector<bool> larger;
  for (const GraphNode<T>& node : graph.nodes()) {
    const Shape& shape = shapes[static_cast<std::size_t>(node.output)];
    larger.push_back(shape.rank() == 4 && shape[2] * shape[3] > smallest[2] * smallest[3]);
  }
  const ValueId maps = last_cut(graph, larger);
  return maps == graph.inputs()[0] ? -1 : maps;
}

/// Appends the nodes of `part`, reading `input`; leaves are shared by name. Returns its output.
template <class T>
ValueId append(Graph<T>& whole, const Graph<T>& part, ValueId input, const std::string& suffix) {
  std::vector<ValueId> moved(part.values().size(), -1);
  moved[static_cast<std::size_t>(part.inputs()[0])] = input;
  for (std::size_t i = 0; i < moved.size(); ++i) {
    const GraphValue<T>& value = part.values()[i];
    if (value.kind == ValueKind::result || value.kind == ValueKind::input) continue;
    moved[i] = whole.find(value.name);
    if (moved[i] < 0) moved[i] = whole.add_var(value.name, value.kind, value.var);
  }
  for (const GraphNode<T>& node : part.nodes()) {
    std::vector<ValueId> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(moved[static_cast<std::size_t>(id)]);
    moved[static_cast<std::size_t>(node.output)] = whole.add_node(
        node.name + suffix, node.operation, std::move(inputs), part.value(node.output).name + suffix);
  }
  return moved[static_cast<std::size_t>(part.outputs()[0])];
}

}  // namespace head_features_impl

/// Adds to a network whose output are features (N,D): the output is then what the head is to read. `example`
/// is the shape of an input image, (1,3,H,W). Returns how many features there are.
template <class T>
Index add_head_features(Graph<T>& graph, const HeadFeatures& added, const Shape& example) {
  using namespace head_features_impl;
  if (added.wide) {
    const ValueId features = graph.outputs()[0];
    const std::vector<Shape> shapes = graph.infer(std::span(&example, 1));
    const ValueId last = last_maps(graph, features, shapes);
    const ValueId before = maps_before(graph, last, shapes);
    std::vector<ValueId> parts{features, maximum_of(graph, last, "head/maximum")};
    if (before >= 0) {
      parts.push_back(mean_of(graph, before, "head/mean_before"));
      parts.push_back(maximum_of(graph, before, "head/maximum_before"));
    }
    graph.set_outputs({graph.add_node(unused(graph, "head/wide"), ops::Concat{1}, std::move(parts))});
  }
  if (added.mirrored) {
    Graph<T> both;
    both.metadata = graph.metadata;
    both.open_batch = graph.open_batch;
    const GraphValue<T>& image = graph.value(graph.inputs()[0]);
    const ValueId input = both.add_input(image.name, image.shape);
    // From the last column to the first: an end that lies before it.
    const ops::Slice backwards{
        {{.axis = 3, .start = -1, .end = std::numeric_limits<std::int32_t>::min(), .step = -1}}};
    const ValueId mirror = both.add_node("mirror", backwards, {input});
    // The image itself comes last: what shows a network's maps takes the last ones.
    const ValueId mirrored = append(both, graph, mirror, "/mirrored");
    const ValueId straight = append(both, graph, input, "");
    const ValueId sum = both.add_node(unused(both, "head/both"), ops::Add{}, {straight, mirrored});
    const ValueId half =
        both.add_var(unused(both, "head/half"), ValueKind::constant, Var<T>(Tensor<T>::scalar(T{0.5})));
    both.set_outputs({both.add_node(unused(both, "head/average"), ops::Mul{}, {sum, half})});
    graph = std::move(both);
  }
  return graph.infer(std::span(&example, 1))[static_cast<std::size_t>(graph.outputs()[0])][1];
}

}  // namespace tl::transfer
