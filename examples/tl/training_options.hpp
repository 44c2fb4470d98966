// What `tl finetune` and `tl find-lr` are told: photos, a network, and how it is trained.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <tl/data/folder.hpp>
#include <tl/nn/model.hpp>
#include <tl/train/fine_tune.hpp>

#include "common.hpp"

namespace program {

struct TrainingOptions {
  std::filesystem::path folder, valid, weights;  ///< no weights: the network that comes with the program
  std::string method, optimiser = "sgd", head, augment, preprocess;
  std::vector<std::string> freeze, train, rates;
  Index batch = 0, size = 0;
  double smoothing = 0.1, mixup = 0;
  std::optional<double> later_share, earlier_share;
  std::uint64_t seed = 0;
  int threads = 0;
  bool strict = false, balance = false;
};

void add_training_options(CLI::App& command, TrainingOptions& o);

/// The photos, with those of --valid set apart; notes what was left out.
tl::data::ImageFolder read_photos(const TrainingOptions& o);

/// What the options say; the choice of preprocessing is noted.
tl::train::FineTuneOptions training_options(const TrainingOptions& o, const tl::Model<float>& model);

/// Gives the network the head that is to learn these classes.
void replace_head(const TrainingOptions& o, const tl::train::FineTuneOptions& training,
                  const std::vector<std::string>& classes, tl::Model<float>& model);

/// The shape of an image as the network will get it, (1,3,H,W).
tl::Shape example_image(const tl::train::FineTuneOptions& training);

/// --freeze and --train, which come on top of the method, of a network that has its new head. Throws when a
/// glob, of --lr-for too, matches no parameter or nothing is left to train.
void apply_globs(const TrainingOptions& o, tl::Model<float>& model);

}  // namespace program
