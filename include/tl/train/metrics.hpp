// Metrics: how good the predictions of a network are, counted over any number of batches.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include <tl/core/process_group.hpp>
#include <tl/data/loader.hpp>
#include <tl/nn/module.hpp>
#include <tl/train/prediction.hpp>

namespace tl::train {

/// Right and wrong predictions of one class. Ratios without a denominator are 0.
struct ClassFigures {
  Index images = 0;     ///< that have this label
  Index predicted = 0;  ///< that were given this label
  Index correct = 0;    ///< that have this label and were given it

  /// Share of those that have the label; 0 without any.
  double recall() const { return ratio(correct, images); }
  /// Share of those that were given the label; 0 without any.
  double precision() const { return ratio(correct, predicted); }
  /// Harmonic mean of recall and precision.
  double f1() const { return ratio(2 * correct, images + predicted); }

 private:
  static double ratio(Index a, Index b) {
    return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
  }
};

/// Figures of a classifier over labelled images.
class Evaluation {
 public:
  /// Of `classes` classes, at least one, and no images yet.
  explicit Evaluation(Index classes) : classes_(classes) {
    TL_CHECK(classes >= 1, "[evaluation] expected at least one class, got ", classes);
    confusion_.resize(static_cast<std::size_t>(classes * classes));
  }

  /// Counts a batch: logits:(N,classes), labels:(N) in [0,classes).
  void add(const Tensor<float>& logits, const Tensor<std::int64_t>& labels) {
    TL_CHECK(logits.rank() == 2 && logits.shape(1) == classes_ && labels.shape() == Shape{logits.shape(0)},
             "[evaluation] expected logits(N,", classes_, "), labels(N), got ", logits.shape(), ", ",
             labels.shape());
    for (const Prediction& p : judge(logits, labels)) add(p);
  }
  /// Counts an image; throws for a label or prediction outside the classes.
  void add(const Prediction& p) {
    confusion(p.label, p.predicted);  // throws for classes that it does not have
    ++confusion_[static_cast<std::size_t>(p.label * classes_ + p.predicted)];
    top5_ += p.rank < 5;
    correct_ += p.correct();
    loss_ += p.loss;
    ++count_;
  }

  Index classes() const { return classes_; }           ///< how many
  Index count() const { return count_; }               ///< images
  Index correct() const { return correct_; }           ///< images that were given their label
  double accuracy() const { return share(correct_); }  ///< share of the images
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

  /// Of the images of one class.
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

  friend struct EvaluationText;
};

/// Images of class `label` that were taken for `predicted`.
struct Confusion {
  Index label = 0;      ///< what they are
  Index predicted = 0;  ///< what they were taken for
  Index count = 0;      ///< how many
};

/// All mistakes, the most frequent first.
inline std::vector<Confusion> confusions(const Evaluation& e) {
  std::vector<Confusion> list;
  for (Index label = 0; label < e.classes(); ++label) {
    for (Index predicted = 0; predicted < e.classes(); ++predicted) {
      const Index count = e.confusion(label, predicted);
      if (label != predicted && count > 0) list.push_back({label, predicted, count});
    }
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const Confusion& a, const Confusion& b) { return a.count > b.count; });
  return list;
}

namespace metrics_impl {

/// Runs a network in inference mode over everything a loader gives; `use` is given batches and logits.
template <class Loader, class Use>
void infer_all(nn::Module<float>& model, const Loader& loader, const Use& use) {
  const NoGrad no_grad;
  const bool was_training = model.is_training();
  model.eval();
  auto epoch = loader.epoch(0);
  for (data::Batch& batch : epoch) {
    if (batch.size() > 0) use(batch, model.forward(Var<float>(batch.images)).value());
  }
  model.train(was_training);
}

}  // namespace metrics_impl

/// Runs a network in inference mode over everything a loader gives (data::Loader, transfer::FeatureLoader).
/// `after_batch` is told the figures so far.
template <class Loader>
Evaluation evaluate(nn::Module<float>& model, const Loader& loader,
                    const std::function<void(const Evaluation&)>& after_batch = {}) {
  Evaluation figures(static_cast<Index>(loader.dataset().class_names.size()));
  metrics_impl::infer_all(model, loader, [&](const data::Batch& batch, const Tensor<float>& logits) {
    figures.add(logits, batch.labels);
    if (after_batch) after_batch(figures);
  });
  return figures;
}

/// The same image by image; those that cannot be read have none.
template <class Loader>
std::vector<Prediction> predictions(nn::Module<float>& model, const Loader& loader) {
  std::vector<Prediction> all;
  metrics_impl::infer_all(model, loader, [&](const data::Batch& batch, const Tensor<float>& logits) {
    std::size_t i = 0;
    for (Prediction p : judge(logits, batch.labels)) {
      p.sample = batch.samples[i++];
      all.push_back(p);
    }
  });
  return all;
}

/// The figures over the loaders of all processes, each of which has its share of the images; alike in all.
template <class Loader>
Evaluation evaluate_together(nn::Module<float>& model, const Loader& loader, ProcessGroup& group) {
  std::vector<Prediction> all = gather(group, predictions(model, loader));
  std::sort(all.begin(), all.end(),
            [](const Prediction& a, const Prediction& b) { return a.sample < b.sample; });
  Evaluation figures(static_cast<Index>(loader.dataset().class_names.size()));
  for (const Prediction& p : all) figures.add(p);
  return figures;
}

}  // namespace tl::train
