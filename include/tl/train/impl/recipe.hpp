// The definitions of fine_tune.hpp that make an optimiser and a loss of the options.
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

template <std::same_as<float> T>
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

TL_KERNELS_INLINE CrossEntropyOptions loss_options(const FineTuneOptions& o, const data::Dataset& train) {
  CrossEntropyOptions loss{.smoothing = o.smoothing};
  if (o.class_weights == ClassWeights::none) return loss;
  const std::vector<Index> counts = train.class_counts();
  std::vector<double> weights;
  weights.reserve(counts.size());
  for (const Index count : counts) {
    weights.push_back(static_cast<double>(train.size()) / static_cast<double>(counts.size()) /
                      static_cast<double>(std::max<Index>(1, count)));
  }
  loss.class_weights = Tensor<double>::from(weights, {static_cast<Index>(counts.size())});
  return loss;
}

}  // namespace tl::train
