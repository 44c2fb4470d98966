// Metrics: how good the predictions of a network are, counted over any number of batches.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include <tl/data/loader.hpp>
#include <tl/kernels/softmax.hpp>
#include <tl/nn/module.hpp>

namespace tl::train {

/// Right and wrong predictions of one class. Ratios without a denominator are 0.
struct ClassFigures {
  Index images = 0;     ///< that have this label
  Index predicted = 0;  ///< that were given this label
  Index correct = 0;

  double recall() const { return ratio(correct, images); }
  double precision() const { return ratio(correct, predicted); }
  double f1() const { return ratio(2 * correct, images + predicted); }

 private:
  static double ratio(Index a, Index b) {
    return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
  }
};

/// Figures of a classifier over labelled images.
class Evaluation {
 public:
  explicit Evaluation(Index classes) : classes_(classes) {
    TL_CHECK(classes >= 1, "[evaluation] expected at least one class, got ", classes);
    confusion_.resize(static_cast<std::size_t>(classes * classes));
  }

  /// Counts a batch: logits:(N,classes), labels:(N) in [0,classes).
  void add(const Tensor<float>& logits, const Tensor<std::int64_t>& labels) {
    TL_CHECK(logits.rank() == 2 && logits.shape(1) == classes_ && labels.shape() == Shape{logits.shape(0)},
             "[evaluation] expected logits(N,", classes_, "), labels(N), got ", logits.shape(), ", ",
             labels.shape());
    const Index n = logits.shape(0);
    Tensor<float> log_probabilities = Tensor<float>::empty(logits.shape());
    kernels::log_softmax_forward(n, classes_, logits.plain().data(), log_probabilities.mutable_data());
    for (Index i = 0; i < n; ++i) {
      const float* row = log_probabilities.data() + i * classes_;
      const Index label = labels.data()[i];
      TL_CHECK(label >= 0 && label < classes_, "[evaluation] expected labels below ", classes_, ", got ",
               label);
      TL_CHECK(!std::isnan(row[label]),
               "[evaluation] the network gives NaN: damaged weights, or too large a learning rate");
      const Index predicted = std::max_element(row, row + classes_) - row;
      ++confusion_[static_cast<std::size_t>(label * classes_ + predicted)];
      const Index better = std::count_if(row, row + classes_, [&](float p) { return p > row[label]; });
      const Index equal_before = std::count(row, row + label, row[label]);
      top5_ += better + equal_before < 5;
      correct_ += predicted == label;
      loss_ -= static_cast<double>(row[label]);
      ++count_;
    }
  }

  Index classes() const { return classes_; }
  Index count() const { return count_; }
  Index correct() const { return correct_; }
  double accuracy() const { return share(correct_); }
  /// Share of the images whose label is among the five most probable classes.
  double top5_accuracy() const { return share(top5_); }
  /// Mean cross-entropy, natural logarithm.
  double loss() const { return count_ == 0 ? 0 : loss_ / static_cast<double>(count_); }
  /// Images of class `label` that were taken for `predicted`.
  Index confusion(Index label, Index predicted) const {
    TL_CHECK(label >= 0 && label < classes_ && predicted >= 0 && predicted < classes_,
             "[evaluation] expected classes below ", classes_, ", got ", label, " and ", predicted);
    return confusion_[static_cast<std::size_t>(label * classes_ + predicted)];
  }

  ClassFigures figures(Index label) const {
    ClassFigures result{.correct = confusion(label, label)};
    for (Index other = 0; other < classes_; ++other) {
      result.images += confusion(label, other);
      result.predicted += confusion(other, label);
    }
    return result;
  }
  /// Mean recall of the classes that have images: accuracy where every class counts alike.
  double balanced_accuracy() const {
    double sum = 0;
    Index present = 0;
    for (Index label = 0; label < classes_; ++label) {
      const ClassFigures one = figures(label);
      if (one.images == 0) continue;
      sum += one.recall();
      ++present;
    }
    return present == 0 ? 0 : sum / static_cast<double>(present);
  }

 private:
  double share(Index n) const {
    return count_ == 0 ? 0 : static_cast<double>(n) / static_cast<double>(count_);
  }

  Index classes_, count_ = 0, correct_ = 0, top5_ = 0;
  double loss_ = 0;
  std::vector<Index> confusion_;  ///< (label, predicted)
};

/// Runs a network in inference mode over everything a loader gives (data::Loader, transfer::FeatureLoader).
/// `after_batch` is told the figures so far.
template <class Loader>
Evaluation evaluate(nn::Module<float>& model, const Loader& loader,
                    const std::function<void(const Evaluation&)>& after_batch = {}) {
  const NoGrad no_grad;
  const bool was_training = model.is_training();
  model.eval();
  Evaluation figures(static_cast<Index>(loader.dataset().class_names.size()));
  auto epoch = loader.epoch(0);
  for (data::Batch& batch : epoch) {
    figures.add(model.forward(Var<float>(batch.images)).value(), batch.labels);
    if (after_batch) after_batch(figures);
  }
  model.train(was_training);
  return figures;
}

}  // namespace tl::train
