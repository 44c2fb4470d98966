// subgraph: the part of a network between some of its values, as a network of its own.
//
//   inputs  -> nodes needed for the outputs ->  outputs
//
// Parameters, buffers and constants are shared with the whole; values on which nothing depends are left out.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include <tl/graph/graph.hpp>

namespace tl {

/// The nodes that compute `outputs` from `inputs`. The new inputs' example shapes are `input_shapes`. Throws
/// when an output needs an input of the whole that is not among `inputs`.
template <class T>
Graph<T> subgraph(const Graph<T>& whole, std::span<const ValueId> inputs, std::span<const Shape> input_shapes,
                  std::span<const ValueId> outputs) {
  TL_CHECK(inputs.size() == input_shapes.size(), "[subgraph] expected a shape for each of ", inputs.size(),
           " inputs, got ", input_shapes.size());
  std::vector<bool> needed(whole.values().size(), false), given(whole.values().size(), false);
  for (const std::span<const ValueId> ids : {inputs, outputs}) {
    for (const ValueId id : ids) whole.value(id);
  }
  for (const ValueId id : inputs) given[static_cast<std::size_t>(id)] = true;
  for (const ValueId id : outputs) needed[static_cast<std::size_t>(id)] = true;
  for (auto node = whole.nodes().rbegin(); node != whole.nodes().rend(); ++node) {
    const auto output = static_cast<std::size_t>(node->output);
    if (!needed[output] || given[output]) continue;
    for (const ValueId id : node->inputs) needed[static_cast<std::size_t>(id)] = true;
  }

  Graph<T> part;
  std::vector<ValueId> moved(whole.values().size(), -1);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    moved[static_cast<std::size_t>(inputs[i])] = part.add_input(whole.value(inputs[i]).name, input_shapes[i]);
  for (std::size_t i = 0; i < moved.size(); ++i) {
    const GraphValue<T>& value = whole.values()[i];
    if (!needed[i] || given[i] || value.kind == ValueKind::result) continue;
    TL_CHECK(value.kind != ValueKind::input, "[subgraph] expected '", value.name, "' among the inputs");
    moved[i] = part.add_var(value.name, value.kind, value.var);
  }
  const auto new_ids = [&moved](std::span<const ValueId> ids) {
    std::vector<ValueId> result;
    for (const ValueId id : ids) result.push_back(moved[static_cast<std::size_t>(id)]);
    return result;
  };
  for (const GraphNode<T>& node : whole.nodes()) {
    const auto output = static_cast<std::size_t>(node.output);
    if (!needed[output] || given[output]) continue;
    moved[output] =
        part.add_node(node.name, node.operation, new_ids(node.inputs), whole.value(node.output).name);
  }
  part.set_outputs(new_ids(outputs));
  part.metadata = whole.metadata;
  part.open_batch = whole.open_batch;
  return part;
}

/// Where a network of one input falls into two parts: the last value that all later nodes read, and no other
/// earlier one, and before which all nodes are among `allowed` (by node). The input where there is none, the
/// output where all are.
template <class T>
ValueId last_cut(const Graph<T>& graph, const std::vector<bool>& allowed) {
  const std::vector<GraphNode<T>>& nodes = graph.nodes();
  const auto end =
      static_cast<std::size_t>(std::find(allowed.begin(), allowed.end(), false) - allowed.begin());
  if (end == nodes.size()) return graph.outputs()[0];
  std::vector<std::size_t> last_reader(graph.values().size(), 0);
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    for (const ValueId id : nodes[n].inputs) last_reader[static_cast<std::size_t>(id)] = n;
  }
  for (std::size_t k = end; k-- > 0;) {
    bool alone = last_reader[static_cast<std::size_t>(graph.inputs()[0])] <= k;
    for (std::size_t n = 0; n < k && alone; ++n)
      alone = last_reader[static_cast<std::size_t>(nodes[n].output)] <= k;
    if (alone) return nodes[k].output;
  }
  return graph.inputs()[0];
}

/// The same network without the nodes and weights that its outputs do not need.
template <class T>
Graph<T> pruned(const Graph<T>& graph) {
  std::vector<Shape> shapes;
  for (const ValueId id : graph.inputs()) shapes.push_back(graph.value(id).shape);
  return subgraph<T>(graph, graph.inputs(), shapes, graph.outputs());
}

}  // namespace tl
