// The frozen prefix of a network, and its output computed once.
//
//   image -> frozen prefix -> features -> what is trained -> logits
//
// While nothing below a value is trained and images do not change from epoch to epoch, that value is the same
// in every epoch: epochs then cost what the rest of the network costs.
#pragma once

#include <algorithm>
#include <concepts>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include <tl/core/rng.hpp>
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
  std::unique_ptr<Model<T>> prefix, rest;
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

/// Batches of features: what data::Loader is for images.
class FeatureLoader {
 public:
  struct Options {
    Index batch_size = 32;
    bool shuffle = false;
    std::uint64_t seed = 0;
  };

  FeatureLoader(Features features, data::Dataset dataset, const Options& options)
      : features_(std::move(features)), dataset_(std::move(dataset)), options_(options) {
    TL_CHECK(options.batch_size >= 1, "[features] expected a batch size of at least 1, got ",
             options.batch_size);
  }

  /// The batches of an epoch; its number decides their order.
  std::vector<data::Batch> epoch(std::uint64_t number) const {
    std::vector<Index> order(features_.samples.size());
    std::iota(order.begin(), order.end(), Index{0});
    if (options_.shuffle) Rng(options_.seed, number).shuffle(order);
    std::vector<data::Batch> result;
    const auto step = static_cast<std::size_t>(options_.batch_size);
    for (std::size_t begin = 0; begin < order.size(); begin += step)
      result.push_back(gather({order.data() + begin, std::min(step, order.size() - begin)}));
    return result;
  }

  const data::Dataset& dataset() const { return dataset_; }
  Index batches() const {
    return (static_cast<Index>(features_.samples.size()) + options_.batch_size - 1) / options_.batch_size;
  }

 private:
  data::Batch gather(std::span<const Index> rows) const {
    const Tensor<float>& all = features_.values;
    const Index n = static_cast<Index>(rows.size()), width = all.size() / all.shape(0);
    Shape shape = all.shape();
    shape[0] = n;
    data::Batch batch{Tensor<float>::empty(shape, all.layout()), Tensor<std::int64_t>::empty({n}), {}};
    float* to = batch.images.mutable_data();
    std::int64_t* labels = batch.labels.mutable_data();
    for (const Index row : rows) {
      to = std::copy_n(all.data() + row * width, width, to);
      *labels++ = features_.labels.data()[row];
      batch.samples.push_back(features_.samples[static_cast<std::size_t>(row)]);
    }
    return batch;
  }

  Features features_;
  data::Dataset dataset_;
  Options options_;
};

}  // namespace tl::transfer
