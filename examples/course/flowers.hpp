// Drawn flowers as a network reads them, images (N,3,side,side) and labels (N), and a small network for them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <tl/data/preprocess.hpp>
#include <tl/nn/layers.hpp>

#include "drawn.hpp"

namespace course {

struct Set {
  tl::Tensor<float> images;         ///< (N,3,side,side), channels-last
  tl::Tensor<std::int64_t> labels;  ///< (N)
  tl::Index size() const { return labels.size(); }
};

/// `count` flowers of each kind, in turn, so that any first few hold as many of each; a label is a position
/// in `which`. `first` tells sets apart.
inline Set flowers(const std::vector<std::size_t>& which, tl::Index count, std::uint64_t first,
                   tl::Index side,
                   const tl::data::Preprocess& preprocess = tl::data::Preprocess::parse("mean=127,std=64")) {
  const auto classes = static_cast<tl::Index>(which.size()), n = classes * count;
  Set set{tl::Tensor<float>::empty({n, 3, side, side}, tl::Layout::channels_last),
          tl::Tensor<std::int64_t>::empty({n})};
  float* pixels = set.images.mutable_data();
  std::int64_t* labels = set.labels.mutable_data();
  for (tl::Index i = 0; i < n; ++i) {
    labels[i] = i % classes;
    preprocess.apply(draw(which[static_cast<std::size_t>(i % classes)],
                          first + static_cast<std::uint64_t>(i / classes), side),
                     {side, side}, pixels + i * 3 * side * side);
  }
  return set;
}

/// The samples of these numbers.
inline Set take(const Set& set, std::span<const tl::Index> samples) {
  tl::Shape shape = set.images.shape();
  const tl::Index each = set.images.size() / shape[0];
  shape[0] = static_cast<tl::Index>(samples.size());
  Set part{tl::Tensor<float>::empty(shape, set.images.layout()), tl::Tensor<std::int64_t>::empty({shape[0]})};
  float* to = part.images.mutable_data();
  std::int64_t* labels = part.labels.mutable_data();
  for (const tl::Index i : samples) {
    to = std::copy_n(set.images.data() + i * each, each, to);
    *labels++ = set.labels.data()[i];
  }
  return part;
}

/// All numbers below n in the random order of an epoch.
inline std::vector<tl::Index> shuffled(tl::Index n, std::uint64_t epoch) {
  std::vector<tl::Index> order(static_cast<std::size_t>(n));
  for (tl::Index i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = i;
  tl::Rng random(epoch, 0x73687566);  // "shuf"
  random.shuffle(order);
  return order;
}

/// Share of the images whose largest logit is that of their label.
inline double accuracy(tl::nn::Module<float>& network, const Set& set) {
  const tl::NoGrad no_grad;
  const bool was_training = network.is_training();
  network.eval();
  const tl::Tensor<float> logits = network.forward(set.images).value();
  network.train(was_training);
  const tl::Index classes = logits.shape(1);
  tl::Index right = 0;
  for (tl::Index i = 0; i < set.size(); ++i) {
    const float* row = logits.data() + i * classes;
    right += std::max_element(row, row + classes) - row == set.labels.data()[i];
  }
  return static_cast<double>(right) / static_cast<double>(set.size());
}

using Network = std::shared_ptr<tl::nn::Sequential<float>>;

// [network]
/// Three convolutions, each with batch normalisation and ReLU, the mean over the image, and the head, layer
/// 11: 64 features to the classes. (N,3,H,W) -> (N,classes)
inline Network small_network(tl::Index classes, std::uint64_t seed) {
  using tl::nn::BatchNorm2d, tl::nn::BatchNormOptions, tl::nn::Conv2d, tl::nn::Conv2dOptions;
  const tl::RandomScope random(seed, 0);  // what the weights begin with
  auto network = std::make_shared<tl::nn::Sequential<float>>();
  tl::Index in = 3;
  for (const tl::Index out : {16, 32, 64}) {
    const tl::Index kernel = in == 3 ? 5 : 3;
    network->push_back(std::make_shared<Conv2d<>>(
        Conv2dOptions{.in = in, .out = out, .kernel = kernel, .stride = 2, .padding = kernel / 2}));
    network->push_back(std::make_shared<BatchNorm2d<>>(BatchNormOptions{.channels = out}));
    network->push_back(std::make_shared<tl::nn::Relu<>>());
    in = out;
  }
  network->push_back(std::make_shared<tl::nn::AdaptiveAveragePool2d<>>());
  network->push_back(std::make_shared<tl::nn::Flatten<>>());
  network->push_back(std::make_shared<tl::nn::Dense<>>(tl::nn::DenseOptions{.in = in, .out = classes}));
  return network;
}
// [/network]

}  // namespace course
