// LinearClassifier: what ridge regression, softmax regression and the support vector machine learn.
//
//   scores = x w^T + b      x:(N,D)  w:(classes,D)  b:(classes)
//
// x are features as the network gives them: w and b can stand in its last layer (transfer/head.hpp).
#pragma once

#include <algorithm>

#include <tl/ops/linear.hpp>
#include <tl/transfer/classifiers/training_set.hpp>

namespace tl::transfer {

/// The class of the highest score of each row of (N,classes), the first of equal ones.
inline Tensor<std::int64_t> best_classes(const Tensor<float>& scores) {
  const Index n = scores.shape(0), classes = scores.shape(1);
  Tensor<std::int64_t> best = Tensor<std::int64_t>::empty({n});
  std::int64_t* out = best.mutable_data();
  for (Index i = 0; i < n; ++i) {
    const float* row = scores.data() + i * classes;
    out[i] = std::max_element(row, row + classes) - row;
  }
  return best;
}

/// A linear function of features (N,D) for each class.
struct LinearClassifier {
  Tensor<float> weight;  ///< (classes,D)
  Tensor<float> bias;    ///< (classes)

  /// (N,classes) of features (N,D).
  Tensor<float> scores(const Tensor<float>& features) const {
    check_features(features, "classifier");
    return ops::Linear{}.forward(features, weight, bias);
  }
  /// The class of the highest score of each row, (N).
  Tensor<std::int64_t> predict(const Tensor<float>& features) const { return best_classes(scores(features)); }
};

/// The classifier of raw features that gives what w:(classes,D) and b:(classes) give of standardised ones.
inline LinearClassifier for_raw_features(const double* w, const double* b, Index classes,
                                         const Scale& scale) {
  const auto width = static_cast<Index>(scale.mean.size());
  LinearClassifier result{Tensor<float>::empty({classes, width}), Tensor<float>::empty({classes})};
  float* weight = result.weight.mutable_data();
  float* bias = result.bias.mutable_data();
  for (Index c = 0; c < classes; ++c) {
    double moved = b[c];
    for (Index j = 0; j < width; ++j) {
      const auto column = static_cast<std::size_t>(j);
      const double raw = w[c * width + j] * scale.factor[column];
      weight[c * width + j] = static_cast<float>(raw);
      moved -= raw * scale.mean[column];
    }
    bias[c] = static_cast<float>(moved);
  }
  return result;
}

}  // namespace tl::transfer
