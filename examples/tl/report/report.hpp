// The report of tl finetune: one HTML file that shows what was run, how it went, and what the network has
// learned.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tl/nn/model.hpp>
#include <tl/train/fine_tune.hpp>

#include "../classifiers.hpp"
#include "../plan.hpp"

namespace program::report {

/// What is to be known of a training besides its result.
struct Training {
  std::vector<std::string> command{};  ///< the words of the command line
  std::filesystem::path folder{}, weights{}, out{};
  std::string method{}, optimiser{};
  std::uint64_t seed = 0;
  Index variations = 0;    ///< of each photo, at most
  bool best_epoch = true;  ///< was kept, and not the last one
  std::chrono::system_clock::time_point begin = std::chrono::system_clock::now();
  TrainingPlan plan{};
  std::optional<LinearProbe> probe{};
  std::vector<std::string> notes{};
  std::vector<tl::train::StepReport> steps{};  ///< of the last stage

  /// Remembers a step; the first one of a stage makes those before it forgotten.
  void add(const tl::train::StepReport& step) {
    if (step.epoch == 0 && step.batch == 1) steps.clear();
    steps.push_back(step);
  }
};

/// The page. Runs the network over the photos that validated, and takes gradients of it for a few of them;
/// the network stays as it is.
std::string html(tl::Model<float>& model, const tl::train::FineTuneResult& result, const Training& training);

}  // namespace program::report
