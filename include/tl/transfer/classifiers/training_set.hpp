// Labelled features as the classifiers need them: checked, and brought to one scale.
//
//   z = (x - mean) / deviation      features x:(N,D), column by column
//
// A column that does not vary by more than the rounding of floats becomes 0.
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include <tl/core/parallel.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::transfer {

/// Throws unless features are (N,D), N and D at least 1, plain numbers all of them.
inline void check_features(const Tensor<float>& features, std::string_view who) {
  TL_CHECK(features.defined() && features.rank() == 2 && features.size() > 0, "[", who,
           "] expected features (N,D), got ", features.shape());
  TL_CHECK(
      std::all_of(features.span().begin(), features.span().end(), [](float x) { return std::isfinite(x); }),
      "[", who, "] expected finite features, got NaN or infinity: damaged weights?");
}

/// Throws unless there are features for every class, and a label in [0,classes) for every row.
inline void check_training_set(const Tensor<float>& features, const Tensor<std::int64_t>& labels,
                               Index classes, std::string_view who) {
  check_features(features, who);
  TL_CHECK(labels.shape() == Shape{features.shape(0)}, "[", who, "] expected labels (", features.shape(0),
           "), got ", labels.shape());
  TL_CHECK(classes >= 2, "[", who, "] expected at least two classes, got ", classes);
  std::vector<bool> present(static_cast<std::size_t>(classes), false);
  for (const std::int64_t label : labels.span()) {
    TL_CHECK(label >= 0 && label < classes, "[", who, "] expected labels below ", classes, ", got ", label);
    present[static_cast<std::size_t>(label)] = true;
  }
  const auto missing = std::find(present.begin(), present.end(), false);
  TL_CHECK(missing == present.end(), "[", who, "] expected samples of every class, got none of class ",
           missing - present.begin());
}

/// What standardising does to each of D columns.
struct Scale {
  std::vector<double> mean;    ///< (D)
  std::vector<double> factor;  ///< 1 / deviation; 0 of a constant column
};

/// Of the columns of features (N,D), in double.
inline Scale scale_of(const Tensor<float>& features) {
  const Index n = features.shape(0), width = features.shape(1);
  Scale scale{std::vector<double>(static_cast<std::size_t>(width), 0.0),
              std::vector<double>(static_cast<std::size_t>(width), 0.0)};
  const float* x = features.data();
  parallel_for(width, 64, [&](Index begin, Index end) {
    double* mean = scale.mean.data();
    double* factor = scale.factor.data();
    for (Index i = 0; i < n; ++i) {
      for (Index j = begin; j < end; ++j) mean[j] += static_cast<double>(x[i * width + j]);
    }
    for (Index j = begin; j < end; ++j) mean[j] /= static_cast<double>(n);
    for (Index i = 0; i < n; ++i) {
      for (Index j = begin; j < end; ++j) {
        const double difference = static_cast<double>(x[i * width + j]) - mean[j];
        factor[j] += difference * difference;
      }
    }
    constexpr double rounding = 1e-6;
    for (Index j = begin; j < end; ++j) {
      const double deviation = std::sqrt(factor[j] / static_cast<double>(n));
      factor[j] = deviation <= rounding * std::abs(mean[j]) ? 0 : 1 / deviation;
    }
  });
  return scale;
}

/// The features in that scale, (N,D).
template <class T>
Tensor<T> standardised(const Tensor<float>& features, const Scale& scale) {
  const Index n = features.shape(0), width = features.shape(1);
  TL_CHECK(width == static_cast<Index>(scale.mean.size()), "[scale] expected features (N,", scale.mean.size(),
           "), got ", features.shape());
  Tensor<T> result = Tensor<T>::empty(features.shape());
  const float* x = features.data();
  T* z = result.mutable_data();
  parallel_for(n, 16, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      for (Index j = 0; j < width; ++j) {
        const auto column = static_cast<std::size_t>(j);
        const double value = static_cast<double>(x[i * width + j]) - scale.mean[column];
        z[i * width + j] = static_cast<T>(value * scale.factor[column]);
      }
    }
  });
  return result;
}

}  // namespace tl::transfer
