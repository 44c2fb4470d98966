// Ridge regression to one target a class: a linear classifier in closed form.
//
//   minimise over w, b:   mean over samples of (z w^T + b - t)^2  +  penalty |w|^2      t = 1 or -1
//
// z:(N,D) are the standardised features, so that b is the mean of t. With the eigenvalues s of z z^T and
// p = z v, v the eigenvectors of z^T z, for every penalty
//
//   fit = b + p d p^T (t - b),   d = 1 / (s + N penalty)        leave-one-out error = (t - fit) / (1 - h),
//   w   = v d p^T (t - b)                                        h = 1/N + diag(p d p^T)
//
// One decomposition of the smaller of z^T z and z z^T serves all penalties: O(min(N,D)^3). With N samples,
// scikit-learn's alpha is N penalty.
//
// Sources: Hoerl, Kennard 1970, "Ridge regression", Technometrics 12; Allen 1974, "The relationship between
// variable selection and data augmentation and a method for prediction", Technometrics 16 (the error).
#pragma once

#include <cmath>
#include <vector>

#include <tl/tensor/eigen.hpp>
#include <tl/tensor/matmul.hpp>
#include <tl/transfer/classifiers/linear.hpp>

namespace tl::transfer {

/// Which penalties are tried.
struct RidgeOptions {
  /// Tried in this order; of equally good ones the first is taken.
  std::vector<double> penalties{1e2, 3e1, 1e1, 3, 1, 0.3, 0.1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4};
};

/// What came of it.
struct RidgeFit {
  LinearClassifier classifier;        ///< of features as they are, not standardised
  double penalty = 0;                 ///< the one with the least error
  std::vector<double> leave_one_out;  ///< for each penalty, the mean squared error of a sample left out
};

namespace ridge_impl {

/// (N,classes): 1 for the label, -1 for the others, each column less its mean, which is its bias.
inline Tensor<double> centred_targets(const Tensor<std::int64_t>& labels, Index classes,
                                      std::vector<double>& bias) {
  const Index n = labels.size();
  bias.assign(static_cast<std::size_t>(classes), 0.0);
  for (const std::int64_t label : labels.span()) ++bias[static_cast<std::size_t>(label)];
  for (double& count : bias) count = 2 * count / static_cast<double>(n) - 1;
  Tensor<double> targets = Tensor<double>::empty({n, classes});
  double* t = targets.mutable_data();
  for (Index i = 0; i < n; ++i) {
    for (Index c = 0; c < classes; ++c)
      *t++ = (labels.data()[i] == c ? 1.0 : -1.0) - bias[static_cast<std::size_t>(c)];
  }
  return targets;
}

/// Multiplies row k by factors[k].
inline Tensor<double> rows_times(const Tensor<double>& x, const std::vector<double>& factors) {
  Tensor<double> result = x.clone();
  double* row = result.mutable_data();
  for (const double factor : factors) {
    for (Index c = 0; c < x.shape(1); ++c) *row++ *= factor;
  }
  return result;
}

/// What does not depend on the penalty.
class Decomposition {
 public:
  Decomposition(const Tensor<double>& z, const Tensor<double>& targets) : z_(z), targets_(targets) {
    in_samples_ = z.shape(0) < z.shape(1);
    EigenPairs<double> pairs = eigen_pairs(in_samples_ ? matmul_nt(z, z) : matmul_tn(z, z));
    vectors_ = std::move(pairs.vectors);
    values_.assign(pairs.values.span().begin(), pairs.values.span().end());
    for (double& value : values_) value = std::max(value, 0.0);  // rounding
    projections_ = in_samples_ ? vectors_ : matmul_nn(z, vectors_);
    projected_targets_ = matmul_tn(projections_, targets);
  }

  /// The mean over samples and classes of the squared leave-one-out error.
  double leave_one_out(double penalty) const {
    const std::vector<double> d = shrinkage(penalty, in_samples_);
    const Tensor<double>& p = projections_;
    const Tensor<double> fit = matmul_nn(p, rows_times(projected_targets_, d));
    const Index n = p.shape(0), rank = p.shape(1), classes = fit.shape(1);
    std::vector<double> errors(static_cast<std::size_t>(n), 0.0);
    parallel_for(n, 64, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        double h = 1 / static_cast<double>(n);
        for (Index k = 0; k < rank; ++k) {
          const double value = p.data()[i * rank + k];
          h += value * value * d[static_cast<std::size_t>(k)];
        }
        for (Index c = 0; c < classes; ++c) {
          const double error = (targets_.data()[i * classes + c] - fit.data()[i * classes + c]) / (1 - h);
          errors[static_cast<std::size_t>(i)] += error * error;
        }
      }
    });
    double sum = 0;
    for (const double error : errors) sum += error;
    return sum / static_cast<double>(n * classes);
  }

  /// (D,classes)
  Tensor<double> weights(double penalty) const {
    const Tensor<double> shrunk =
        matmul_nn(vectors_, rows_times(projected_targets_, shrinkage(penalty, false)));
    return in_samples_ ? matmul_tn(z_, shrunk) : shrunk;
  }

 private:
  /// 1 / (s + N penalty), or s times that.
  std::vector<double> shrinkage(double penalty, bool times_value) const {
    const double added = static_cast<double>(z_.shape(0)) * penalty;
    std::vector<double> d;
    for (const double value : values_) d.push_back((times_value ? value : 1) / (value + added));
    return d;
  }

  Tensor<double> z_, targets_;
  bool in_samples_ = false;  ///< the vectors are u of z z^T, and take the place of p = u sqrt(s)
  Tensor<double> vectors_, projections_, projected_targets_;
  std::vector<double> values_;
};

}  // namespace ridge_impl

/// Learns `classes` classes of features (N,D) and labels (N); every class must have a sample.
inline RidgeFit fit_ridge(const Tensor<float>& features, const Tensor<std::int64_t>& labels, Index classes,
                          const RidgeOptions& options = {}) {
  check_training_set(features, labels, classes, "ridge");
  TL_CHECK(!options.penalties.empty(), "[ridge] expected at least one penalty, got none");
  for (const double penalty : options.penalties)
    TL_CHECK(penalty > 0 && std::isfinite(penalty), "[ridge] expected penalties above 0, got ", penalty);
  const Scale scale = scale_of(features);
  std::vector<double> bias;
  const Tensor<double> targets = ridge_impl::centred_targets(labels, classes, bias);
  const ridge_impl::Decomposition decomposition(standardised<double>(features, scale), targets);
  RidgeFit result;
  for (const double penalty : options.penalties)
    result.leave_one_out.push_back(decomposition.leave_one_out(penalty));
  const auto best = std::min_element(result.leave_one_out.begin(), result.leave_one_out.end());
  result.penalty = options.penalties[static_cast<std::size_t>(best - result.leave_one_out.begin())];
  const Tensor<double> columns = decomposition.weights(result.penalty);
  const Tensor<double> weights = from_eigen(as_matrix(columns).transpose());
  result.classifier = for_raw_features(weights.data(), bias.data(), classes, scale);
  return result;
}

}  // namespace tl::transfer
