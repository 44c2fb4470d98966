// fit: the training loop.
//
//   for each epoch, for each batch:   loss = cross_entropy(model(images), labels)
//                                     loss.backward()   optimiser.step(schedule(step))
//                                     optimiser.zero_grad()
//
// With a group of processes each has its share of every batch, and gradients are summed over all (dist/):
// what one process computes with the same batches, but for the rounding of sums.
//
// Written out for a reader in examples/first_steps/training_loop.cpp; here with reports, validation, mixup, a
// way to stop, and the best epoch kept.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <tl/dist/gradients.hpp>
#include <tl/ops/shared_statistics.hpp>
#include <tl/optim/clip.hpp>
#include <tl/optim/optimiser.hpp>
#include <tl/optim/schedule.hpp>
#include <tl/train/fit_state.hpp>
#include <tl/train/metrics.hpp>
#include <tl/train/mixup.hpp>
#include <tl/train/overflow.hpp>

namespace tl::train {

/// Where a training stands after a step.
struct StepReport {
  Index epoch = 0;               ///< counted from 0
  Index epochs = 0;              ///< of the whole training
  Index batch = 0;               ///< batches of this epoch that are done
  Index batches = 0;             ///< of an epoch
  double loss = 0;               ///< mean of this epoch so far
  double accuracy = 0;           ///< share of this epoch's images so far
  double rate_factor = 1;        ///< the schedule's value
  double images_per_second = 0;  ///< of this epoch so far
};

/// How fit trains.
struct FitOptions {
  Index epochs = 1;                ///< passes over the images, those before first_epoch among them
  Index first_epoch = 0;           ///< epochs before it were done by an earlier call
  optim::Schedule schedule{};      ///< over the steps of all epochs; a total of 0 becomes their number
  Index first_step = 0;            ///< the schedule's step at which first_epoch begins
  std::optional<FitState> from{};  ///< goes on from there, with network and optimiser as they were then
  CrossEntropyOptions loss{};      ///< smoothing and class weights; validation has none
  double mixup = 0;                ///< alpha of train/mixup.hpp; 0: images stay apart
  double clip_norm = 0;            ///< of optim/clip.hpp; 0: gradients are taken as they are
  bool keep_best = false;          ///< in the end, the parameters and running statistics of the best epoch
  Index patience = 0;      ///< epochs without a lower validation loss after which it ends; 0: it does not
  std::uint64_t seed = 0;  ///< of dropout and mixup; the loader has its own
  /// Told the epoch, counted from 0, before its first batch.
  std::function<void(Index epoch)> before_epoch{};
  std::function<void(const StepReport&)> on_step{};    ///< told after every step
  std::function<void(const EpochReport&)> on_epoch{};  ///< told after every epoch, with its validation
  std::function<void(const FitState&)> on_state{};     ///< after every step and epoch: what `from` needs
  /// Asked after every step; the epoch in progress is given up. In a group all must answer alike.
  std::function<bool()> should_stop{};
  /// Processes that make the same call; the loaders' shares are theirs. A batch of which one of them has no
  /// image is left out.
  ProcessGroup* group = nullptr;
  /// Of batch normalisation in training: over the whole batch, or over the part of each process, whose
  /// running statistics are then averaged.
  bool share_statistics = true;
};

/// The higher accuracy, of equal ones the lower loss.
inline bool better(const Evaluation& a, const Evaluation& b) {
  return std::pair(-a.accuracy(), a.loss()) < std::pair(-b.accuracy(), b.loss());
}
/// The position of the epoch of the best validation, of equal ones the earlier. Every epoch must have been
/// validated.
inline std::size_t best_epoch(const std::vector<EpochReport>& history) {
  TL_CHECK(!history.empty(), "[fit] expected at least one epoch, got none");
  const auto less = [](const EpochReport& a, const EpochReport& b) { return better(*a.valid, *b.valid); };
  return static_cast<std::size_t>(std::min_element(history.begin(), history.end(), less) - history.begin());
}

namespace fit_impl {

/// Epochs since the one of the lowest validation loss.
inline Index epochs_in_vain(const std::vector<EpochReport>& history) {
  const auto less = [](const EpochReport& a, const EpochReport& b) {
    return a.valid->loss() < b.valid->loss();
  };
  return history.end() - std::min_element(history.begin(), history.end(), less) - 1;
}

struct Answer {
  Var<float> logits, loss;  ///< (N,classes), ()
};

/// What the processes of a group know of a batch that each has a part of.
struct SharedBatch {
  double weight = 1;         ///< of this part in the mean over the whole batch: a share of 1
  bool is_left_out = false;  ///< a process has no image of it
};
inline SharedBatch share_batch(const data::Batch& batch, const CrossEntropyOptions& loss,
                               ProcessGroup& group) {
  double mine = static_cast<double>(batch.size());
  if (loss.class_weights.defined()) {
    mine = 0;
    for (const std::int64_t label : batch.labels.span()) mine += loss.class_weights.data()[label];
  }
  std::array<double, 2> sums{mine, batch.size() == 0 ? 1.0 : 0.0};
  group.sum(std::span<double>(sums));
  return {mine / sums[0], sums[1] > 0};
}

/// What the network makes of a batch, mixed if so wished.
inline Answer answer(nn::Module<float>& model, const data::Batch& batch, const FitOptions& o,
                     const Rng& rng) {
  if (o.mixup == 0) {
    const Var<float> logits = model.forward(Var<float>(batch.images));
    return {logits, cross_entropy(logits, batch.labels, o.loss)};
  }
  const Mixed mixed = mix(batch, o.mixup, rng);
  const Var<float> logits = model.forward(Var<float>(mixed.images));
  return {logits, cross_entropy(logits, batch.labels, o.loss) * mixed.share +
                      cross_entropy(logits, mixed.partner_labels, o.loss) * (1 - mixed.share)};
}

/// Adds the figures of a step; of a group, those of all its processes.
inline void count_batch(const Tensor<float>& logits, double share_of_loss, const data::Batch& batch,
                        ProcessGroup* group, FitState& state) {
  std::vector<Prediction> judged = judge(logits, batch.labels);
  if (group != nullptr) {
    judged = gather(*group, judged);
    group->sum(std::span<double>(&share_of_loss, 1));
  }
  for (const Prediction& p : judged) state.moving->add(p);
  state.loss_sum += share_of_loss * static_cast<double>(judged.size());
}

/// Why a training ends whose loss is no finite number.
inline std::string bad_loss(nn::Module<float>& model, const data::Batch& batch, const data::Dataset& images,
                            float loss, const FitState& state, Index step) {
  const ops::SharedStatistics own(nullptr);  // others may not have to look for a reason
  std::string text = concat("[fit] the loss is ", loss, " in epoch ", state.epoch + 1, ", step ", step + 1);
  if (const std::string where = first_overflow(model, batch.images); !where.empty()) text += ": " + where;
  text += "; the images of the step:";
  constexpr std::size_t most = 8;
  for (std::size_t i = 0; i < std::min(batch.samples.size(), most); ++i) {
    const data::Sample& sample = images.samples[static_cast<std::size_t>(batch.samples[i])];
    text += concat(i == 0 ? " '" : ", '", sample.path.string(), "'");
  }
  if (batch.samples.size() > most) text += concat(" and ", batch.samples.size() - most, " more");
  return text + "; choose a smaller learning rate, or clip gradients";
}

/// The epoch of `state` from where it stands to its end; nothing when it was stopped.
template <class Loader>
std::optional<EpochReport> train_epoch(nn::Module<float>& model, optim::Optimiser<float>& optimiser,
                                       const Loader& train, const FitOptions& options,
                                       const optim::Schedule& schedule, FitState& state) {
  using Clock = std::chrono::steady_clock;
  model.train();
  EpochReport report{.epoch = state.epoch, .epochs = options.epochs};
  // By the loader's count: a batch left out must not shift the steps of a resumed training.
  const Index first_step = options.first_step + (state.epoch - options.first_epoch) * train.batches();
  const double seconds_before = state.seconds;
  const auto begin = Clock::now();
  if (!state.moving) state.moving.emplace(static_cast<Index>(train.dataset().class_names.size()));
  const auto bring_up_to_date = [&] {
    report.images = state.moving->count();
    report.loss = state.loss_sum / static_cast<double>(report.images);
    report.accuracy = state.moving->accuracy();
    report.seconds = state.seconds =
        seconds_before + std::chrono::duration<double>(Clock::now() - begin).count();
  };
  ProcessGroup* group = options.group;
  std::optional<dist::GradientSum<float>> gradients;
  if (group != nullptr) gradients.emplace(*group, optimiser);
  // Processes drop and mix differently.
  const std::uint64_t seed =
      options.seed + static_cast<std::uint64_t>(Share::of(group).index) * 0x9e3779b97f4a7c15u;
  auto all = train.epoch(static_cast<std::uint64_t>(state.epoch), state.batches);
  for (data::Batch& batch : all) {
    state.batches = all.batches_given();
    if (group == nullptr && batch.size() == 1 && state.moving->count() > state.steps) continue;
    SharedBatch shared;
    if (group != nullptr) shared = share_batch(batch, options.loss, *group);
    if (shared.is_left_out) continue;
    const Index step = first_step + state.steps;
    const RandomScope random(seed, static_cast<std::uint64_t>(step));
    const ops::SharedStatistics statistics(options.share_statistics ? group : nullptr);
    const auto [logits, loss] = answer(model, batch, options, mixup_stream(seed, state.epoch, step));
    if (!std::isfinite(loss.item())) fail(bad_loss(model, batch, train.dataset(), loss.item(), state, step));
    if (group != nullptr) {
      gradients->backward(loss, shared.weight);
      if (!options.share_statistics) dist::average_buffers(*group, model);
    } else {
      loss.backward();
    }
    if (options.clip_norm > 0) optim::clip_gradients(optimiser.groups(), options.clip_norm);
    const double factor = schedule(step);
    optimiser.step(factor);
    optimiser.zero_grad();

    ++state.steps;
    count_batch(logits.value(), loss.item() * shared.weight, batch, group, state);
    bring_up_to_date();
    if (options.on_step) {
      options.on_step({.epoch = state.epoch,
                       .epochs = options.epochs,
                       .batch = state.steps,
                       .batches = train.batches(),
                       .loss = report.loss,
                       .accuracy = report.accuracy,
                       .rate_factor = factor,
                       .images_per_second = static_cast<double>(report.images) / report.seconds});
    }
    const bool stop = options.should_stop && options.should_stop();
    if (options.on_state) options.on_state(state);
    if (stop) return {};
  }
  if (group != nullptr) dist::broadcast_trained(*group, model);
  TL_CHECK(state.moving->count() > 0, "[fit] none of the images could be read");
  bring_up_to_date();
  return report;
}

}  // namespace fit_impl

/// Trains what is not frozen, on what a loader gives (data::Loader, transfer::FeatureLoader). With `valid`,
/// the network is evaluated after every epoch. A batch of one image among larger ones is left out: batch
/// normalisation has no variance of it. Returns a report for each epoch that was finished.
template <class Loader>
std::vector<EpochReport> fit(nn::Module<float>& model, optim::Optimiser<float>& optimiser,
                             const Loader& train, const FitOptions& options, const Loader* valid = nullptr) {
  TL_CHECK(valid != nullptr || (!options.keep_best && options.patience == 0),
           "[fit] expected images to validate with for keep_best and patience, got none");
  optim::Schedule schedule = options.schedule;
  if (schedule.total == 0)
    schedule.total = options.first_step + train.batches() * (options.epochs - options.first_epoch);
  if (options.from) {
    for (const EpochReport& r : options.from->history)
      TL_CHECK(r.valid || valid == nullptr, "[fit] expected epochs to go on from that were validated");
  }
  FitState state = options.from.value_or(FitState{.epoch = options.first_epoch});
  const auto is_over = [&] {
    return state.epoch >= options.epochs || (options.patience > 0 && !state.history.empty() &&
                                             fit_impl::epochs_in_vain(state.history) >= options.patience);
  };
  while (!is_over()) {
    if (options.before_epoch) options.before_epoch(state.epoch);
    std::optional<EpochReport> report =
        fit_impl::train_epoch(model, optimiser, train, options, schedule, state);
    if (!report) break;
    if (valid != nullptr) {
      report->valid = options.group != nullptr ? evaluate_together(model, *valid, *options.group)
                                               : evaluate(model, *valid);
      TL_CHECK(report->valid->count() > 0, "[fit] none of the validation images could be read");
    }
    if (options.on_epoch) options.on_epoch(*report);
    state = {.epoch = state.epoch + 1, .history = std::move(state.history), .best = std::move(state.best)};
    state.history.push_back(std::move(*report));
    if (options.keep_best && best_epoch(state.history) + 1 == state.history.size()) state.best.emplace(model);
    if (options.on_state) options.on_state(state);
  }
  if (state.best) state.best->restore();
  return std::move(state.history);
}

}  // namespace tl::train
