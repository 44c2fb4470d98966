// fit: the training loop.
//
//   for each epoch, for each batch:   loss = cross_entropy(model(images), labels)
//                                     loss.backward()   optimiser.step(schedule(step)) optimiser.zero_grad()
//
// Written out for a reader in examples/first_steps/training_loop.cpp; here with reports, validation and a way
// to stop.
#pragma once

#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <vector>

#include <tl/optim/optimiser.hpp>
#include <tl/optim/schedule.hpp>
#include <tl/train/metrics.hpp>

namespace tl::train {

/// Where a training stands after a step.
struct StepReport {
  Index epoch = 0, epochs = 0;  ///< epochs are counted from 0
  Index batch = 0, batches = 0;
  double loss = 0, accuracy = 0;  ///< means of this epoch so far
  double rate_factor = 1;         ///< the schedule's value
  double images_per_second = 0;   ///< of this epoch so far
};

/// What an epoch brought. Training figures are those of the moving network on augmented images.
struct EpochReport {
  Index epoch = 0, epochs = 0;
  Index images = 0;  ///< trained on
  double loss = 0, accuracy = 0;
  double seconds = 0;  ///< of training, without validation
  std::optional<Evaluation> valid{};
};

struct FitOptions {
  Index epochs = 1;
  Index first_epoch = 0;       ///< epochs before it were done by an earlier call
  optim::Schedule schedule{};  ///< over the steps of all epochs; a total of 0 becomes their number
  Index first_step = 0;        ///< the schedule's step at which first_epoch begins
  CrossEntropyOptions loss{};
  std::uint64_t seed = 0;  ///< of dropout; the loader has its own
  std::function<void(const StepReport&)> on_step{};
  std::function<void(const EpochReport&)> on_epoch{};
  std::function<bool()> should_stop{};  ///< asked after every step; the epoch in progress is given up
};

/// Trains what is not frozen, on what a loader gives (data::Loader, transfer::FeatureLoader). With `valid`,
/// the network is evaluated after every epoch. A batch of one image among larger ones is left out: batch
/// normalisation has no variance of it. Returns a report for each epoch that was finished.
template <class Loader>
std::vector<EpochReport> fit(nn::Module<float>& model, optim::Optimiser<float>& optimiser,
                             const Loader& train, const FitOptions& options, const Loader* valid = nullptr) {
  using Clock = std::chrono::steady_clock;
  optim::Schedule schedule = options.schedule;
  if (schedule.total == 0)
    schedule.total = options.first_step + train.batches() * (options.epochs - options.first_epoch);
  std::vector<EpochReport> history;
  for (Index epoch = options.first_epoch; epoch < options.epochs; ++epoch) {
    model.train();
    EpochReport report{.epoch = epoch, .epochs = options.epochs};
    const auto begin = Clock::now();
    // By the loader's count: a batch left out must not shift the steps of a resumed training.
    Index step = options.first_step + (epoch - options.first_epoch) * train.batches();
    Evaluation moving(static_cast<Index>(train.dataset().class_names.size()));
    double loss_sum = 0;
    Index batches = 0;
    auto all = train.epoch(static_cast<std::uint64_t>(epoch));
    for (data::Batch& batch : all) {
      if (batch.size() == 1 && report.images > batches) continue;
      const RandomScope random(options.seed, static_cast<std::uint64_t>(step));
      const Var<float> logits = model.forward(Var<float>(batch.images));
      const Var<float> loss = cross_entropy(logits, batch.labels, options.loss);
      TL_CHECK(std::isfinite(loss.item()), "[fit] the loss is ", loss.item(), " in epoch ", epoch + 1,
               ", step ", step + 1, " (first image '",
               train.dataset().samples[static_cast<std::size_t>(batch.samples[0])].path.string(),
               "'): choose a smaller learning rate");
      loss.backward();
      ++batches;
      const double factor = schedule(step++);
      optimiser.step(factor);
      optimiser.zero_grad();

      moving.add(logits.value(), batch.labels);
      loss_sum += static_cast<double>(loss.item()) * static_cast<double>(batch.size());
      report.images = moving.count();
      report.loss = loss_sum / static_cast<double>(report.images);
      report.accuracy = moving.accuracy();
      report.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      if (options.on_step) {
        options.on_step({.epoch = epoch,
                         .epochs = options.epochs,
                         .batch = batches,
                         .batches = train.batches(),
                         .loss = report.loss,
                         .accuracy = report.accuracy,
                         .rate_factor = factor,
                         .images_per_second = static_cast<double>(report.images) / report.seconds});
      }
      if (options.should_stop && options.should_stop()) return history;
    }
    TL_CHECK(report.images > 0, "[fit] none of the images could be read");
    if (valid != nullptr) {
      report.valid = evaluate(model, *valid);
      TL_CHECK(report.valid->count() > 0, "[fit] none of the validation images could be read");
    }
    if (options.on_epoch) options.on_epoch(report);
    history.push_back(std::move(report));
  }
  return history;
}

}  // namespace tl::train
