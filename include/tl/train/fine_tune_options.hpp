// What fine_tune is told, and what it tells (train/fine_tune.hpp).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tl/core/process_group.hpp>
#include <tl/data/augment.hpp>
#include <tl/data/folder.hpp>
#include <tl/data/loader.hpp>
#include <tl/io/named_tensors.hpp>
#include <tl/train/fit.hpp>
#include <tl/transfer/classifiers/linear.hpp>
#include <tl/transfer/method.hpp>
#include <tl/transfer/stored_features.hpp>

namespace tl::train {

/// What moves the parameters.
enum class OptimiserKind { sgd, adamw };

/// What a class counts in the loss.
enum class ClassWeights {
  none,      ///< every image counts alike
  balanced,  ///< every class does: a class weighs images / (classes x its images)
};

// [options]
/// A choice of 0 (or none) is made by fine_tune, which tells it to on_note.
struct FineTuneOptions {
  transfer::Method method{};                     ///< which layers are trained
  Index epochs = 5;                              ///< passes over the training images
  Index batch_size = 0;                          ///< images; 0: a twentieth of the data set, from 8 to 32
  OptimiserKind optimiser = OptimiserKind::sgd;  ///< SGD or AdamW
  double lr = 0;                                 ///< of the head; the layers below get shares of it
  double momentum = 0.9;                         ///< of SGD
  std::optional<double> weight_decay{};          ///< none: 1e-4 of SGD, 0.01 of AdamW
  double smoothing = 0.1;                        ///< of the labels, share spread over all classes, in [0, 1]
  ClassWeights class_weights = ClassWeights::none;  ///< of the loss in training; validation has none
  double later_share = 0.1;     ///< of the head's rate, for the later half of the layers below it
  double earlier_share = 0.03;  ///< for the earlier half
  /// Rates of parameters whose names match a glob, in place of the shares; of several the last.
  std::vector<std::pair<std::string, double>> rates{};
  /// The head alone, on features computed once, before the layers below it move: gradients through a random
  /// head would spoil what they know (Kumar et al. 2022, https://arxiv.org/abs/2202.10054). Not for training
  /// from scratch.
  bool head_first = true;
  double clip_norm = 0;  ///< the largest norm of all gradients in a step (optim/clip.hpp); 0: any
  double mixup = 0;      ///< alpha of train/mixup.hpp, such as 0.2; 0: none
  /// In the end the network is that of the epoch with the best validation accuracy (of equal ones, the lowest
  /// loss), and not of the last one; where none was better, that of the head trained first. Chosen by these
  /// images, their figures are a little too good.
  bool keep_best = true;
  Index patience = 0;  ///< epochs without a lower validation loss that end the training; 0: none do
  /// Batch normalisations keep to their running statistics, scale and shift; docs/benchmarks.md tells what
  /// that is worth.
  bool freeze_batch_norm = true;
  std::optional<data::Augment> augment{};        ///< how images are varied; none: chosen by fine_tune
  std::optional<data::Preprocess> preprocess{};  ///< none: the model's own, or ImageNet's
  std::uint64_t seed = 0;                        ///< of everything that is random
  double hold_out = 0.2;  ///< share of the images that validate, where none are set apart
  bool strict = false;    ///< a broken image is an error
  /// Of the features of what is frozen: so many varied views of each image are computed once, and epochs take
  /// turns. 0: images are not varied where the head alone is trained, and are varied anew in every epoch
  /// elsewhere.
  Index views = 0;
  std::filesystem::path feature_cache{};  ///< a folder for features kept between runs; none: no such
  std::size_t feature_bytes = std::size_t{512} << 20;  ///< of features in memory; more go to a temporary file
  std::size_t image_bytes = std::size_t{512} << 20;    ///< of decoded images kept in memory
  /// Of the method features, in place of epochs: the head from the training images' features (N,D).
  std::function<transfer::LinearClassifier(const transfer::Features& train, Index classes)> fit_head{};
  std::function<void(const std::string&)> on_note{};   ///< told each choice, in one sentence
  std::function<void(const StepReport&)> on_step{};    ///< told after each step
  std::function<void(const EpochReport&)> on_epoch{};  ///< told after each epoch, the head's alone too
  std::function<void(Index done, Index total)> on_features{};  ///< told images done, of how many
  /// Told the features, rows (D), that the head is trained on, where they are computed once, before it is.
  std::function<void(const transfer::StoredFeatures& train, const transfer::StoredFeatures& valid)>
      on_cached{};
  std::function<bool()> should_stop{};  ///< asked after every step
  /// Told all that is needed to go on from there, every so many seconds (0: after every step) and when
  /// should_stop ends the training; not before the layers below the head are trained, where the head is
  /// trained first. The tensors are those in training: to be written (io/checkpoint.hpp) before it returns.
  std::function<void(const io::NamedTensors&)> on_checkpoint{};
  double checkpoint_seconds = 60;  ///< between two calls of on_checkpoint
  /// What on_checkpoint was told last by a call with the same network, photos and options: goes on from
  /// there, to the same bits.
  std::optional<io::NamedTensors> resume{};
  /// Processes that make the same call, each with the same network, photos and options, but for what it is
  /// told to tell: a batch, and the computing of features, is shared among them. dist/mpi.hpp has one.
  ProcessGroup* group = nullptr;
  bool share_statistics = true;  ///< of batch normalisations that are not frozen (FitOptions)
};
// [/options]

// [result]
/// What fine_tune did.
struct FineTuneResult {
  std::vector<EpochReport> history;  ///< an entry an epoch; not of the head alone, trained before others
  std::optional<Evaluation> valid;   ///< of the network as it is now
  /// The epoch of the history whose network it is; none: the one before, of the head alone.
  std::optional<std::size_t> kept_epoch{};
  std::vector<data::Skipped> skipped;  ///< images that could not be read
  Index trained_elements = 0;  ///< parameters that were trained, elements counted; of the network kept
  /// SHA-256 of the part below all that was trained in the last stage, the same before and after it; empty
  /// where there is none.
  std::string frozen_hash{};
  Index frozen_tensors = 0;     ///< parameters and buffers in it
  Index features_computed = 0;  ///< rows; those that were kept from earlier runs are not counted
  double features_seconds = 0;  ///< of wall time, until they were there
  data::Dataset train_set;      ///< images that were learned from
  data::Dataset valid_set;      ///< images that validated
  data::Preprocess preprocess;  ///< what is done to every image; it stands in the model too
  data::Augment augment = data::Augment::none();  ///< how images were varied in the last stage
  double lr = 0;                                  ///< of the head in the last stage; 0: not trained by steps
  bool stopped = false;                           ///< by should_stop, before the last epoch
};
// [/result]

}  // namespace tl::train
