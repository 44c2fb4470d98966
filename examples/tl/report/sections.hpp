// The sections of a report, in the order in which they stand.
#pragma once

#include <string>
#include <vector>

#include <tl/train/calibration.hpp>
#include <tl/train/metrics.hpp>

#include "html.hpp"
#include "report.hpp"

namespace program::report {

/// What every section may look into.
struct Findings {
  tl::Model<float>& model;
  const tl::train::FineTuneResult& result;
  const Training& training;
  std::vector<tl::train::Prediction> predictions;  ///< of the photos that validated
  tl::train::Evaluation figures;
  tl::train::Calibration calibration;

  const std::string& class_name(Index label) const {
    return result.train_set.class_names[static_cast<std::size_t>(label)];
  }
  const std::filesystem::path& path(const tl::train::Prediction& p) const {
    return result.valid_set.samples[static_cast<std::size_t>(p.sample)].path;
  }
};

/// The figures that matter most, below the heading.
std::string summary(const Findings& f);

// run_sections.cpp
Section run_section(const Findings& f);
Section course_section(const Findings& f);
Section frozen_section(const Findings& f);
Section probe_section(const Findings& f);

// figure_sections.cpp
Section classes_section(const Findings& f);
Section confusion_section(const Findings& f);
Section calibration_section(const Findings& f);

// photo_sections.cpp
Section losses_section(const Findings& f);
Section attention_section(const Findings& f);
Section augmented_section(const Findings& f);

}  // namespace program::report
