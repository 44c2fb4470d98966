// Linear support vector machine on features: one class against the rest, squared hinge loss.
//
//   loss = sum over classes of max(0, 1 - t score)^2      t = 1 for the label, -1 for the others
//
// Source: Fan, Chang, Hsieh, Wang, Lin 2008, "LIBLINEAR: a library for large linear classification", JMLR 9,
// problem (2). The loss has a continuous gradient, and the classes' problems are solved as one.
#pragma once

#include <tl/transfer/classifiers/fit_linear.hpp>

namespace tl::transfer {

/// The middle of a broad optimum: on the features of EfficientNet-Lite0, for monkeys and flowers, ten times
/// less costs at most 0.9 points of accuracy.
inline constexpr double svm_penalty = 1;

/// Learns `classes` classes of features (N,D) and labels (N); every class must have a sample.
inline LinearFit fit_svm(const Tensor<float>& features, const Tensor<std::int64_t>& labels, Index classes,
                         const LinearOptions& options = {}) {
  const auto squared_hinge = [](double* row, Index count, Index label) {
    double loss = 0;
    for (Index c = 0; c < count; ++c) {
      const double target = c == label ? 1 : -1;
      const double missing = std::max(0.0, 1 - target * row[c]);
      loss += missing * missing;
      row[c] = -2 * target * missing;
    }
    return loss;
  };
  return fit_linear(features, labels, classes, options, svm_penalty, "svm", squared_hinge);
}

}  // namespace tl::transfer
