// What fine_tune's options say of a network and its images: an optimiser with its rates, and a loss.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <tl/optim/adamw.hpp>
#include <tl/optim/groups.hpp>
#include <tl/optim/sgd.hpp>
#include <tl/train/fine_tune.hpp>
#include <tl/transfer/layers.hpp>

namespace tl::train {

/// The optimiser of a network's parameters, the head's at this rate.
template <class T>
std::unique_ptr<optim::Optimiser<T>> make_optimiser(const Model<T>& model, const FineTuneOptions& o,
                                                    double lr) {
  auto groups =
      transfer::groups_by_depth(model, {.head = lr, .later = o.later_share, .earlier = o.earlier_share});
  for (const auto& [glob, rate] : o.rates)
    TL_CHECK(optim::set_rate(groups, glob, rate) > 0, "no parameter matches '", glob, "' to give it a rate");
  if (o.optimiser == OptimiserKind::adamw) {
    return std::make_unique<optim::AdamW<T>>(
        std::move(groups), optim::AdamWOptions{.weight_decay = o.weight_decay.value_or(0.01)});
  }
  return std::make_unique<optim::Sgd<T>>(
      std::move(groups),
      optim::SgdOptions{
          .momentum = o.momentum, .weight_decay = o.weight_decay.value_or(1e-4), .nesterov = o.momentum > 0});
}

/// Weights (classes) by which every class has the same part in the loss; their mean over the images is 1.
inline Tensor<double> balanced_weights(const data::Dataset& set) {
  const std::vector<Index> counts = set.class_counts();
  std::vector<double> weights;
  for (const Index count : counts) {
    weights.push_back(static_cast<double>(set.size()) / static_cast<double>(counts.size()) /
                      static_cast<double>(std::max<Index>(1, count)));
  }
  return Tensor<double>::from(weights, {static_cast<Index>(counts.size())});
}

/// The loss to train with on these images.
inline CrossEntropyOptions loss_options(const FineTuneOptions& o, const data::Dataset& train) {
  CrossEntropyOptions loss{.smoothing = o.smoothing};
  if (o.class_weights == ClassWeights::balanced) loss.class_weights = balanced_weights(train);
  return loss;
}

}  // namespace tl::train
