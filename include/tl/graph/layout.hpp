// without_layout_copies: the same network with fewer transposes.
//
//   transpose, relu, transpose back              becomes   relu
//   (N,gc,H,W) -> (N,g,c,H,W) -> (N,c,g,H,W) -> (N,cg,H,W), a channel shuffle, becomes one operation that
//   takes
//                                                          channels in another order
//
// Networks converted from channels-last frameworks hold the first, ShuffleNets
// (https://arxiv.org/abs/1707.01083) the second. Results have the same bits. A transpose between (N,C,H,W)
// and (N,H,W,C) moves nothing where memory is in the other order already (tensor/move.hpp).
#pragma once

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <tl/graph/graph.hpp>
#include <tl/ops/activation.hpp>
#include <tl/ops/arithmetic.hpp>
#include <tl/ops/compare.hpp>
#include <tl/ops/shape.hpp>
#include <tl/ops/take.hpp>

namespace tl {

/// Whether a node moves all elements of its input: a transpose, unless between the two layouts of images.
template <class T>
bool is_layout_copy(const GraphNode<T>& node) {
  const auto* transpose = node.operation->template get_if<ops::Transpose>();
  if (transpose == nullptr) return false;
  const std::vector<int>& axes = transpose->axes;
  return axes != std::vector<int>{0, 2, 3, 1} && axes != std::vector<int>{0, 3, 1, 2};
}

namespace layout_impl {

template <class T, class... Op>
bool is_any_of(const Operation<T>& operation) {
  return (... || (operation.template get_if<Op>() != nullptr));
}

/// Operations that treat every element by itself.
template <class T>
bool is_elementwise(const Operation<T>& operation) {
  using namespace ops;
  return is_any_of<T, Add, Sub, Mul, Div, Pow, Maximum, Minimum, Power, Neg, Relu, Clip, LeakyRelu, Sigmoid,
                   Tanh, Silu, HardSwish, HardSigmoid, Gelu, Elu, Selu, Softplus, Mish, Erf, Exp, Log, Sqrt,
                   Abs, Reciprocal>(operation);
}

template <class T>
Index count_transposes(const Graph<T>& graph) {
  return std::count_if(graph.nodes().begin(), graph.nodes().end(), [](const GraphNode<T>& node) {
    return node.operation->template get_if<ops::Transpose>() != nullptr;
  });
}

/// Carries transposes along elementwise operations, until they meet their inverse or somebody needs the
/// result.
template <class T>
class Sinker {
 public:
  /// `copies_weights`: weights may be replaced by transposed copies, which nobody trains.
  Sinker(const Graph<T>& graph, bool copies_weights)
      : graph_(graph), copies_weights_(copies_weights), moved_(graph.values().size()) {}

  Graph<T> run() {
    for (const ValueId id : graph_.inputs())
      moved(id).id = result_.add_input(graph_.value(id).name, graph_.value(id).shape);
    for (const GraphNode<T>& node : graph_.nodes()) {
      if (!take_in(node) && !pass(node)) keep(node);
    }
    std::vector<ValueId> outputs;
    for (const ValueId id : graph_.outputs()) outputs.push_back(as_it_was(id));
    result_.set_outputs(std::move(outputs));
    result_.metadata = graph_.metadata;
    result_.open_batch = graph_.open_batch;
    return std::move(result_);
  }

 private:
  /// A value of the old graph in the new one: `id` transposed by `axes` (none: as it is).
  struct Moved {
    ValueId id = -1, transposed = -1;
    std::vector<int> axes;
  };
  Moved& moved(ValueId id) {
    Moved& m = moved_[static_cast<std::size_t>(id)];
    const GraphValue<T>& value = graph_.value(id);
    if (m.id < 0 && value.var.defined()) m.id = result_.add_var(value.name, value.kind, value.var);
    return m;
  }
  const std::string& name_of(ValueId id) const { return graph_.value(id).name; }

  ValueId as_it_was(ValueId id) {
    Moved& m = moved(id);
    if (m.axes.empty()) return m.id;
    if (m.transposed < 0)
      m.transposed =
          result_.add_node(name_of(id) + "/transposed", ops::Transpose{m.axes}, {m.id}, name_of(id));
    return m.transposed;
  }

  void keep(const GraphNode<T>& node) {
    std::vector<ValueId> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(as_it_was(id));
    moved(node.output).id =
        result_.add_node(node.name, node.operation, std::move(inputs), name_of(node.output));
  }

  /// A transpose is remembered, not written.
  bool take_in(const GraphNode<T>& node) {
    const auto* transpose = node.operation->template get_if<ops::Transpose>();
    if (transpose == nullptr || graph_.value(node.inputs[0]).var.defined()) return false;
    const Moved& from = moved(node.inputs[0]);
    const int rank = static_cast<int>(transpose->axes.size());
    std::vector<int> axes, none(static_cast<std::size_t>(rank));
    std::iota(none.begin(), none.end(), 0);
    for (const int axis : transpose->axes) {
      const auto source = static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
      axes.push_back(from.axes.empty() ? static_cast<int>(source) : from.axes[source]);
    }
    Moved& to = moved_[static_cast<std::size_t>(node.output)];
    to.id = from.id;
    if (axes != none) to.axes = std::move(axes);
    return true;
  }

  /// An elementwise operation is applied before the transposes of its inputs, which must be the same.
  bool pass(const GraphNode<T>& node) {
    if (!is_elementwise(*node.operation)) return false;
    std::vector<int> axes;
    for (const ValueId id : node.inputs) {
      if (axes.empty()) axes = moved(id).axes;
    }
    if (axes.empty()) return false;
    std::vector<ValueId> inputs;
    for (const ValueId id : node.inputs) {
      const Var<T>& var = graph_.value(id).var;
      const bool repeats = var.defined() && (var.value().size() == 1 || copies_weights_) &&
                           var.shape().rank() <= static_cast<int>(axes.size());
      if (!repeats && moved(id).axes != axes) return false;
      inputs.push_back(repeats ? weight_before(id, axes) : moved(id).id);
    }
    moved_[static_cast<std::size_t>(node.output)].axes = axes;
    moved(node.output).id =
        result_.add_node(node.name, node.operation, std::move(inputs), name_of(node.output));
    return true;
  }

  /// A stored value as it must be before a transpose by `axes` to be itself after it.
  ValueId weight_before(ValueId id, const std::vector<int>& axes) {
    const Tensor<T>& weight = graph_.value(id).var.value();
    if (weight.size() == 1) return moved(id).id;
    Shape shape;
    for (int i = weight.rank(); i < static_cast<int>(axes.size()); ++i) shape.push_back(1);
    for (const Index extent : weight.shape()) shape.push_back(extent);
    std::vector<int> back(axes.size());
    for (std::size_t k = 0; k < axes.size(); ++k)
      back[static_cast<std::size_t>(axes[k])] = static_cast<int>(k);
    const Tensor<T> turned = permute<T>(weight.reshape(shape), back);
    return result_.add_var(name_of(id) + "/transposed", ValueKind::constant, Var<T>(turned));
  }

  const Graph<T>& graph_;
  bool copies_weights_;
  Graph<T> result_;
  std::vector<Moved> moved_;
};

/// Joins the three nodes of a channel shuffle.
template <class T>
void join_shuffles(Graph<T>& graph) {
  std::vector<Shape> inputs, shapes;
  for (const ValueId id : graph.inputs()) inputs.push_back(graph.value(id).shape);
  try {
    shapes = graph.infer(inputs);
  } catch (const Error&) {  // an extent is open: shapes are not known
    return;
  }
  std::vector<int> readers(graph.values().size(), 0);
  for (const GraphNode<T>& node : graph.nodes()) {
    for (const ValueId id : node.inputs) ++readers[static_cast<std::size_t>(id)];
  }
  for (const ValueId id : graph.outputs()) ++readers[static_cast<std::size_t>(id)];
  const auto shape_of = [&](ValueId id) { return shapes[static_cast<std::size_t>(id)]; };
  const auto read_once = [&](ValueId id) { return readers[static_cast<std::size_t>(id)] == 1; };

  auto& nodes = graph.nodes();
  for (std::size_t n = 2; n < nodes.size(); ++n) {
    const GraphNode<T>&split = nodes[n - 2], &turn = nodes[n - 1];
    GraphNode<T>& merge = nodes[n];
    const auto* groups = split.operation->template get_if<ops::Reshape>();
    const auto* transpose = turn.operation->template get_if<ops::Transpose>();
    if (groups == nullptr || transpose == nullptr || transpose->axes != std::vector<int>{0, 2, 1, 3, 4} ||
        merge.operation->template get_if<ops::Reshape>() == nullptr)
      continue;
    if (turn.inputs[0] != split.output || merge.inputs[0] != turn.output || !read_once(split.output) ||
        !read_once(turn.output))
      continue;
    const Shape x = shape_of(split.inputs[0]), parts = shape_of(split.output);
    const bool fits = x.rank() == 4 && shape_of(merge.output) == x && parts[0] == x[0] && parts[3] == x[2] &&
                      parts[4] == x[3] && (groups->shape[0] == 0 || groups->shape[0] == -1);
    if (!fits) continue;
    ops::Take take{.axis = 1, .indices = {}};
    for (Index c = 0; c < parts[2]; ++c) {
      for (Index g = 0; g < parts[1]; ++g) take.indices.push_back(g * parts[2] + c);
    }
    merge.operation = make_operation<T>(std::move(take));
    merge.inputs = split.inputs;
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(n) - 2,
                nodes.begin() + static_cast<std::ptrdiff_t>(n));
    n -= 2;
    if (n < 2) n = 1;
  }
}

}  // namespace layout_impl

/// The same network with no more transposes than before. `copies_weights`: for inference, where weights may
/// be replaced by transposed copies as of now.
template <class T>
Graph<T> without_layout_copies(const Graph<T>& graph, bool copies_weights) {
  const Index before = layout_impl::count_transposes(graph);
  Graph<T> result = graph;
  if (before == 0) return result;
  Graph<T> sunk = layout_impl::Sinker<T>(graph, copies_weights).run();
  if (layout_impl::count_transposes(sunk) < before) result = std::move(sunk);
  layout_impl::join_shuffles(result);
  return result;
}

}  // namespace tl
