// Layers of a network, whatever file it came from: what `last:3` counts and what rates are given to.
//
// A layer is a node with a weight (convolution, fully connected), together with the normalisations and biases
// that follow it; layers stand in the order of execution, the head last.
#pragma once

#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tl/nn/model.hpp>
#include <tl/optim/groups.hpp>
#include <tl/transfer/method.hpp>

namespace tl::transfer {

/// A node with a weight, and the normalisations and biases that follow it.
template <class T>
struct Layer {
  std::string name;                      ///< of its first parameter
  std::vector<nn::Named<T>> parameters;  ///< weight first, names as in the network
  ValueId output = -1;                   ///< of the node with the weight
};

/// The layers in the order of execution, the head last.
template <class T>
std::vector<Layer<T>> layers(const Model<T>& model) {
  std::vector<Layer<T>> result;
  std::set<ValueId> seen;
  for (const GraphNode<T>& node : model.graph().nodes()) {
    bool has_weight = false;
    std::vector<nn::Named<T>> own;
    for (const ValueId id : node.inputs) {
      const GraphValue<T>& value = model.graph().value(id);
      if (value.kind != ValueKind::parameter || !seen.insert(id).second) continue;
      own.push_back({value.name, value.var});
      has_weight |= value.var.shape().rank() > 1;
    }
    if (own.empty()) continue;
    if (has_weight || result.empty()) result.push_back({own.front().name, {}, node.output});
    std::vector<nn::Named<T>>& parameters = result.back().parameters;
    parameters.insert(parameters.end(), own.begin(), own.end());
  }
  return result;
}

/// Freezes (false) or unfreezes all parameters of a layer.
template <class T>
void set_trainable(const Layer<T>& layer, bool trainable) {
  for (nn::Named<T> p : layer.parameters) p.var.set_requires_grad(trainable);
}

/// Freezes all layers but the last n. Layers that are frozen already stay so.
template <class T>
void freeze_all_but_last(const Model<T>& model, Index n) {
  const std::vector<Layer<T>> all = layers(model);
  TL_CHECK(n >= 1, "[freeze] expected at least one layer to train, got ", n);
  for (std::size_t i = 0; i + static_cast<std::size_t>(n) < all.size(); ++i) set_trainable(all[i], false);
}

/// Freezes the layers that a method never trains.
template <class T>
void freeze_for(const Model<T>& model, const Method& method) {
  if (method.kind == MethodKind::head || method.kind == MethodKind::features) freeze_all_but_last(model, 1);
  if (method.kind == MethodKind::last) freeze_all_but_last(model, method.layers);
}

/// The stages of a network from the top: how many layers the last one, two, ... of them have together. The
/// last stage is the head; below it, a stage is the layers that work at one size of image. What is pooled to
/// 1x1 in between counts to the stage around it. `example` is the shape of one input image, (1,3,H,W).
template <class T>
std::vector<Index> stage_depths(const Model<T>& model, const Shape& example) {
  const std::vector<Layer<T>> all = layers(model);
  const std::vector<Shape> shapes = model.graph().infer(std::span(&example, 1));
  std::vector<Index> depths{1};
  Index current = 0;  // pixels of the stage
  for (std::size_t i = all.size() - 1; i-- > 0;) {
    const Shape& shape = shapes[static_cast<std::size_t>(all[i].output)];
    const Index pixels = shape.rank() == 4 ? shape[2] * shape[3] : 1;
    const bool joins = current != 0 && (pixels == current || pixels == 1);
    if (joins) {
      ++depths.back();
    } else {
      depths.push_back(depths.back() + 1);
      current = pixels;
    }
  }
  return depths;
}

/// Freezes the scale and shift of every batch normalisation, which then keeps to its running statistics.
/// Returns how many there are.
template <class T>
Index freeze_batch_norm(const Model<T>& model) {
  std::set<ValueId> scales;  // a network with a mirrored branch has each twice
  for (const GraphNode<T>& node : model.graph().nodes()) {
    if (node.operation->template get_if<ops::BatchNorm>() == nullptr) continue;
    scales.insert(node.inputs[1]);
    for (const ValueId id : node.inputs) {
      const GraphValue<T>& value = model.graph().value(id);
      if (value.kind == ValueKind::parameter) Var<T>(value.var).set_requires_grad(false);
    }
  }
  return static_cast<Index>(scales.size());
}

/// Parameters that require a gradient, elements counted.
template <class T>
Index trainable_elements(const Model<T>& model) {
  Index count = 0;
  for (const nn::Named<T>& p : model.parameters()) count += p.var.requires_grad() ? p.var.value().size() : 0;
  return count;
}

/// Rates by depth (Howard, Ruder 2018, https://arxiv.org/abs/1801.06146, section 3.2): the head's, and a
/// share of it for the later and for the earlier half of the layers below.
struct DepthRates {
  double head = 0.01;     ///< rate of the head
  double later = 0.1;     ///< share of it for the later half of the layers below
  double earlier = 0.01;  ///< share of it for the earlier half
};

/// Groups "earlier layers", "later layers" and "head" with their rates; an optimiser passes over frozen
/// parameters.
template <class T>
std::vector<optim::ParameterGroup<T>> groups_by_depth(const Model<T>& model, const DepthRates& rates) {
  const std::vector<Layer<T>> all = layers(model);
  std::vector<nn::Named<T>> parts[3];
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t part = i + 1 == all.size() ? 2 : 2 * i + 1 >= all.size() ? 1 : 0;
    parts[part].insert(parts[part].end(), all[i].parameters.begin(), all[i].parameters.end());
  }
  std::vector<optim::ParameterGroup<T>> groups;
  optim::add_groups(groups, parts[0], rates.head * rates.earlier, "earlier layers");
  optim::add_groups(groups, parts[1], rates.head * rates.later, "later layers");
  optim::add_groups(groups, parts[2], rates.head, "head");
  return groups;
}

}  // namespace tl::transfer
