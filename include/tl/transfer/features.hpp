// The frozen prefix of a network, and what it makes of images.
//
//   image -> frozen prefix -> features -> what is trained -> logits
//
// stored_features.hpp keeps features from epoch to epoch and from run to run.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/core/sha256.hpp>
#include <tl/data/loader.hpp>
#include <tl/graph/fuse.hpp>
#include <tl/graph/subgraph.hpp>
#include <tl/nn/model.hpp>

namespace tl::transfer {

/// The last value that everything trained reads and below which nothing is trained, nor drops values in
/// training: the network's input when the first layer is trained, its output when nothing is.
template <class T>
ValueId frozen_cut(const Graph<T>& graph) {
  TL_CHECK(graph.inputs().size() == 1 && graph.outputs().size() == 1,
           "[frozen_cut] expected a network with one input and one output, got ", graph.inputs().size(),
           " and ", graph.outputs().size());
  return last_cut(graph, frozen_nodes(graph));
}

/// The networks before and after a value, which share their parameters with the whole.
template <class T>
struct SplitModel {
  std::unique_ptr<Model<T>> prefix;  ///< from the image to the value
  std::unique_ptr<Model<T>> rest;    ///< from the value to the logits
};

/// Splits where the frozen part ends; `example` is the shape of one input image, (1,3,H,W).
template <class T>
SplitModel<T> split_at(const Graph<T>& graph, ValueId cut, const Shape& example) {
  const ValueId input = graph.inputs()[0];
  const Shape features = graph.infer(std::span<const Shape>(&example, 1))[static_cast<std::size_t>(cut)];
  return {std::make_unique<Model<T>>(subgraph<T>(graph, std::span(&input, 1), std::span(&example, 1),
                                                 std::span<const ValueId>(&cut, 1))),
          std::make_unique<Model<T>>(subgraph<T>(graph, std::span<const ValueId>(&cut, 1),
                                                 std::span(&features, 1), graph.outputs()))};
}

/// SHA-256 of a network's parameters and buffers: names, shapes and bits, in the order of the graph.
template <class T>
std::string weights_hash(const Graph<T>& graph) {
  Sha256 hash;
  for (const GraphValue<T>& value : graph.values()) {
    if (value.kind != ValueKind::parameter && value.kind != ValueKind::buffer) continue;
    const Tensor<T>& tensor = value.var.value();
    const Tensor<T> plain = tensor.is_deferred() ? tensor.clone() : tensor.plain();
    hash.add(concat(value.name, ' ', tensor.shape(), '\n'));
    hash.add(std::string_view(reinterpret_cast<const char*>(plain.data()), plain.span().size_bytes()));
  }
  return hex(hash.finish());
}

/// What the frozen prefix makes of a data set's images, in the order in which the loader gave them.
struct Features {
  Tensor<float> values;         ///< (N, ...)
  Tensor<std::int64_t> labels;  ///< (N)
  std::vector<Index> samples;   ///< indices into the data set
};

/// Runs every image of a loader's first epoch through a network; `after_batch` is told how many are done.
template <std::same_as<float> T>
Features compute_features(const Model<T>& network, const data::Loader& loader,
                          const std::function<void(Index)>& after_batch = {}) {
  std::vector<Tensor<float>> parts;
  Features result;
  std::vector<std::int64_t> labels;
  for (data::Batch& batch : loader.epoch(0)) {
    parts.push_back(network.predict(batch.images));
    result.samples.insert(result.samples.end(), batch.samples.begin(), batch.samples.end());
    labels.insert(labels.end(), batch.labels.span().begin(), batch.labels.span().end());
    if (after_batch) after_batch(static_cast<Index>(labels.size()));
  }
  TL_CHECK(!parts.empty(), "[features] none of the images could be read");
  Shape shape = parts[0].shape();
  shape[0] = static_cast<Index>(labels.size());
  result.values = concat<float>(parts, 0, shape);
  result.labels = Tensor<std::int64_t>::from(labels, {shape[0]});
  return result;
}

}  // namespace tl::transfer
