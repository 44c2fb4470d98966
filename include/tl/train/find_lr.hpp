// find_lr: a learning rate for a network and its photos, by a short training in which the rate rises.
//
//   rate(i) = lowest (highest / lowest)^(i / (steps - 1))
//   smoothed(i) = mean of the losses so far, each step back counting 0.9 of the one after it
//
// The loss first stays, then falls, and rises steeply where the rate is too large: the sweep ends at four
// times the lowest smoothed loss. Afterwards network and optimiser are what they were, bit for bit.
//
// Sources: Smith 2017, https://arxiv.org/abs/1506.01186; the two suggestions are fastai's.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include <tl/optim/optimiser.hpp>
#include <tl/train/fit.hpp>
#include <tl/train/snapshot.hpp>

namespace tl::train {

/// How the sweep is made.
struct FindLrOptions {
  double lowest = 1e-6;                       ///< the first factor of all rates of the optimiser's groups
  double highest = 10;                        ///< the last one
  Index steps = 100;                          ///< batches, at least 2
  CrossEntropyOptions loss{};                 ///< that is minimised
  double mixup = 0;                           ///< alpha of train/mixup.hpp; 0: images stay apart
  std::uint64_t seed = 0;                     ///< of dropout and mixup
  std::function<void(Index done)> on_step{};  ///< told how many steps are done
  std::function<bool()> should_stop{};        ///< asked after every step
};

/// One step of the sweep.
struct LrPoint {
  double rate = 0;      ///< factor of the groups' rates
  double loss = 0;      ///< of the batch
  double smoothed = 0;  ///< mean of the losses so far, recent ones counting more
};

/// Losses by rate, and two suggestions.
struct LrCurve {
  std::vector<LrPoint> points;  ///< of finite losses; the last one may be beyond four times the lowest
  double steepest = 0;          ///< the rate at which the smoothed loss falls fastest
  double tenth = 0;             ///< a tenth of the rate of the lowest smoothed loss
};

/// A sweep in progress: puts everything back when it ends. Gradients are dropped.
class LrSweep {
 public:
  /// Notes what the network and the optimiser are; throws for options outside their ranges.
  LrSweep(nn::Module<float>& model, optim::Optimiser<float>& optimiser, FindLrOptions options)
      : model_(model),
        optimiser_(optimiser),
        o_(std::move(options)),
        before_(model),
        was_training_(model.is_training()) {
    TL_CHECK(o_.lowest > 0 && o_.lowest < o_.highest && std::isfinite(o_.highest) && o_.steps >= 2,
             "[find_lr] expected rates 0 < lowest < highest and at least 2 steps, got ", o_.lowest, " to ",
             o_.highest, " in ", o_.steps);
    for (const optim::Slot<float>& slot : optimiser.slots())
      slots_.emplace_back(slot.tensor, slot.tensor->defined() ? slot.tensor->clone() : Tensor<float>{});
    optimiser.zero_grad();
    model.train();
  }
  LrSweep(const LrSweep&) = delete;
  LrSweep& operator=(const LrSweep&) = delete;
  ~LrSweep() {
    optimiser_.zero_grad();
    before_.restore();
    for (const auto& [tensor, value] : slots_) *tensor = value;
    model_.train(was_training_);
  }

  Index step() const { return static_cast<Index>(curve_.points.size()); }  ///< steps that were taken

  /// Takes a step down a loss; false when the sweep is over.
  bool take(const Var<float>& loss) {
    const double share = static_cast<double>(step()) / static_cast<double>(o_.steps - 1);
    const double rate = o_.lowest * std::pow(o_.highest / o_.lowest, share);
    const auto value = static_cast<double>(loss.item());
    if (!std::isfinite(value)) return false;
    sum_ = 0.9 * sum_ + value;
    weights_ = 0.9 * weights_ + 1;
    curve_.points.push_back({rate, value, sum_ / weights_});
    lowest_ = std::min(lowest_, sum_ / weights_);
    if (o_.on_step) o_.on_step(step());
    if (step() == o_.steps || sum_ / weights_ > 4 * lowest_ || (o_.should_stop && o_.should_stop()))
      return false;
    loss.backward();
    optimiser_.step(rate);
    optimiser_.zero_grad();
    return true;
  }

  /// What was found so far. The first tenth of the steps suggests nothing: its means are of few losses.
  LrCurve curve() const {
    TL_CHECK(!curve_.points.empty(), "[find_lr] the loss is not finite before the first step");
    LrCurve result = curve_;
    const auto less = [](const LrPoint& a, const LrPoint& b) { return a.smoothed < b.smoothed; };
    const auto first = result.points.begin() + std::min(o_.steps / 10, step() - 1);
    const auto best = std::min_element(first, result.points.end(), less);
    result.tenth = best->rate / 10;
    result.steepest = best->rate;
    double fall = 0;
    // Rates are spaced evenly by their logarithm: the difference of neighbours is the slope.
    for (auto at = first; at != best; ++at) {
      if (at->smoothed - (at + 1)->smoothed <= fall) continue;
      fall = at->smoothed - (at + 1)->smoothed;
      result.steepest = at->rate;
    }
    return result;
  }

 private:
  nn::Module<float>& model_;
  optim::Optimiser<float>& optimiser_;
  FindLrOptions o_;
  Snapshot<float> before_;
  std::vector<std::pair<Tensor<float>*, Tensor<float>>> slots_;
  bool was_training_;
  LrCurve curve_{};
  double sum_ = 0, weights_ = 0, lowest_ = std::numeric_limits<double>::infinity();
};

/// Sweeps over what a loader gives (data::Loader, transfer::FeatureLoader), from its first epoch on. Rates
/// are factors of those of the optimiser's groups: give the head's group a rate of 1 to find the head's.
template <class Loader>
LrCurve find_lr(nn::Module<float>& model, optim::Optimiser<float>& optimiser, const Loader& train,
                const FindLrOptions& options = {}) {
  LrSweep sweep(model, optimiser, options);
  const FitOptions fit_options{.loss = options.loss, .mixup = options.mixup};
  const bool single = train.batches() == train.dataset().size();  // batches of one image by choice
  for (Index epoch = 0;; ++epoch) {
    const Index before = sweep.step();
    auto batches = train.epoch(static_cast<std::uint64_t>(epoch));
    for (const data::Batch& batch : batches) {
      if (batch.size() == 1 && !single) continue;
      const RandomScope random(options.seed, static_cast<std::uint64_t>(sweep.step()));
      const Rng mixing = mixup_stream(options.seed, epoch, sweep.step());
      if (!sweep.take(fit_impl::answer(model, batch, fit_options, mixing).loss)) return sweep.curve();
    }
    TL_CHECK(sweep.step() > before, "[find_lr] none of the images could be read");
  }
}

}  // namespace tl::train
