// Calibration: whether a network is right as often as it says. Of images that it names a class of with 80 %,
// 80 % should be right.
//
//   bin m holds the images of confidence in ((m - 1) / M, m / M]
//   ECE = sum over the bins of  images(m) / images |accuracy(m) - confidence(m)|
//
// Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599, equations 2 and 3.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include <tl/train/prediction.hpp>

namespace tl::train {

/// Images of like confidence. Means of a bin without images are 0.
struct CalibrationBin {
  Index images = 0;           ///< how many
  Index correct = 0;          ///< of them
  double confidence_sum = 0;  ///< of all of them

  /// Share of the images that were right.
  double accuracy() const {
    return images == 0 ? 0 : static_cast<double>(correct) / static_cast<double>(images);
  }
  /// Their mean confidence.
  double confidence() const { return images == 0 ? 0 : confidence_sum / static_cast<double>(images); }
};

/// Counts images by their confidence.
class Calibration {
 public:
  /// `bins` of equal width over [0, 1], at least one.
  explicit Calibration(Index bins = 10) {
    TL_CHECK(bins >= 1, "[calibration] expected at least one bin, got ", bins);
    bins_.resize(static_cast<std::size_t>(bins));
  }
  /// The same, with these predictions counted.
  explicit Calibration(const std::vector<Prediction>& predictions, Index bins = 10) : Calibration(bins) {
    for (const Prediction& p : predictions) add(p.confidence, p.correct());
  }

  /// Counts an image: the probability of the class that was predicted, and whether it was right.
  void add(double confidence, bool correct) {
    TL_CHECK(confidence >= 0 && confidence <= 1, "[calibration] expected a probability, got ", confidence);
    const auto count = static_cast<Index>(bins_.size());
    const auto above = static_cast<Index>(std::ceil(confidence * static_cast<double>(count)));
    CalibrationBin& bin = bins_[static_cast<std::size_t>(std::max<Index>(above, 1) - 1)];
    ++bin.images;
    bin.correct += correct;
    bin.confidence_sum += confidence;
    ++images_;
  }

  /// Bins of equal width, from the lowest confidence on: the reliability table.
  const std::vector<CalibrationBin>& bins() const { return bins_; }
  Index images() const { return images_; }  ///< that were counted

  /// Expected calibration error; 0 without images.
  double error() const {
    double sum = 0;
    for (const CalibrationBin& bin : bins_)
      sum += std::abs(static_cast<double>(bin.correct) - bin.confidence_sum);
    return images_ == 0 ? 0 : sum / static_cast<double>(images_);
  }

 private:
  std::vector<CalibrationBin> bins_;
  Index images_ = 0;
};

}  // namespace tl::train
