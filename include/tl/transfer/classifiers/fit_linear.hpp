// The training that softmax regression and the support vector machine share.
//
//   minimise over w, b:   mean over samples of loss(z w^T + b, label)  +  penalty / 2 |w|^2
//
// z are the standardised features; the bias is not penalised. With N samples, scikit-learn's C is
// 1 / (N penalty). Minimised by L-BFGS from 0, in double: there is nothing random.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include <tl/kernels/gemm.hpp>
#include <tl/transfer/classifiers/lbfgs.hpp>
#include <tl/transfer/classifiers/linear.hpp>

namespace tl::transfer {

/// How it is minimised.
struct LinearOptions {
  double penalty = 0;       ///< 0: the classifier's own choice
  double tolerance = 1e-4;  ///< of the gradient's largest element, where training ends
  Index iterations = 1000;  ///< at most
};

/// What came of it.
struct LinearFit {
  LinearClassifier classifier;  ///< of features as they are, not standardised
  double objective = 0;         ///< what was minimised
  double gradient = 0;   ///< its largest element; above the tolerance when the iterations did not suffice
  Index iterations = 0;  ///< that were needed
};

namespace fit_linear_impl {

/// `row_loss(scores, classes, label)` returns a sample's loss and replaces its scores by their gradient.
template <class RowLoss>
class Problem {
 public:
  Problem(Tensor<double> z, const Tensor<std::int64_t>& labels, Index classes, double penalty,
          RowLoss row_loss)
      : z_(std::move(z)), labels_(labels), classes_(classes), penalty_(penalty), row_loss_(row_loss) {
    scores_ = Tensor<double>::empty({z_.shape(0), classes});
    losses_.resize(static_cast<std::size_t>(z_.shape(0)));
  }

  /// The variables are w:(classes,D), then b:(classes).
  std::size_t variables() const { return static_cast<std::size_t>(classes_ * (z_.shape(1) + 1)); }

  double operator()(const std::vector<double>& x, std::vector<double>& gradient) {
    const Index n = z_.shape(0), width = z_.shape(1), weights = classes_ * width;
    double* scores = scores_.mutable_data();
    kernels::gemm(Trans::no, Trans::yes, n, classes_, width, z_.data(), width, x.data(), width, scores,
                  classes_, false);
    parallel_for(n, 64, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        double* row = scores + i * classes_;
        for (Index c = 0; c < classes_; ++c) row[c] += x[static_cast<std::size_t>(weights + c)];
        losses_[static_cast<std::size_t>(i)] = row_loss_(row, classes_, labels_.data()[i]);
        for (Index c = 0; c < classes_; ++c) row[c] /= static_cast<double>(n);
      }
    });
    kernels::gemm(Trans::yes, Trans::no, classes_, width, n, scores, classes_, z_.data(), width,
                  gradient.data(), width, false);
    std::fill(gradient.begin() + weights, gradient.end(), 0.0);
    double loss = 0, squares = 0;
    for (Index i = 0; i < n; ++i) {
      loss += losses_[static_cast<std::size_t>(i)];
      for (Index c = 0; c < classes_; ++c)
        gradient[static_cast<std::size_t>(weights + c)] += scores[i * classes_ + c];
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(weights); ++i) {
      gradient[i] += penalty_ * x[i];
      squares += x[i] * x[i];
    }
    return loss / static_cast<double>(n) + penalty_ / 2 * squares;
  }

 private:
  Tensor<double> z_, scores_;
  Tensor<std::int64_t> labels_;
  Index classes_;
  double penalty_;
  RowLoss row_loss_;
  std::vector<double> losses_;
};

}  // namespace fit_linear_impl

/// `own_penalty` is the penalty where the options give none; `who` begins error messages.
template <class RowLoss>
LinearFit fit_linear(const Tensor<float>& features, const Tensor<std::int64_t>& labels, Index classes,
                     const LinearOptions& options, double own_penalty, std::string_view who,
                     RowLoss row_loss) {
  check_training_set(features, labels, classes, who);
  TL_CHECK(options.penalty >= 0, "[", who, "] expected a penalty above 0, or 0 for its own choice, got ",
           options.penalty);
  const Scale scale = scale_of(features);
  const double penalty = options.penalty > 0 ? options.penalty : own_penalty;
  fit_linear_impl::Problem<RowLoss> problem(standardised<double>(features, scale), labels, classes, penalty,
                                            row_loss);
  const LbfgsResult found = lbfgs(std::ref(problem), std::vector<double>(problem.variables(), 0.0),
                                  {.tolerance = options.tolerance, .iterations = options.iterations});
  const double* w = found.x.data();
  const double* b = w + classes * features.shape(1);
  return {for_raw_features(w, b, classes, scale), found.value, found.gradient, found.iterations};
}

}  // namespace tl::transfer
