// gradcheck: analytic gradients against central differences.
//
//   dL/dx_i  ~  (L(x + h e_i) - L(x - h e_i)) / 2h,    L = sum_j r_j y_j with fixed pseudo-random r
//
// The error is relative to the largest gradient of the input: max_i |analytic - numeric| / max_i |numeric|.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include <tl/autograd/functions.hpp>

namespace tl {

/// How the check is made.
struct GradcheckOptions {
  double step = 1e-5;         ///< h, times max(1, |x_i|)
  double tolerance = 1e-6;    ///< of the relative error
  double floor = 1e-2;        ///< gradients whose largest is below are compared as if it were this large
  Index most_elements = 200;  ///< elements tried in each leaf; of larger ones a pseudo-random choice
};

/// What the check found.
struct GradcheckResult {
  double error = 0;                                  ///< the largest over all leaves
  int worst_leaf = -1;                               ///< the one that has it
  bool passed = false;                               ///< every leaf's error is within the tolerance
  explicit operator bool() const { return passed; }  ///< whether it passed
};

/// Checks the gradients of f() in double with respect to leaves that f uses: its inputs, the parameters of a
/// layer. f must give the same result every time. The leaves' gradients are overwritten, their values kept.
inline GradcheckResult gradcheck(const std::function<Var<double>()>& f, std::vector<Var<double>> leaves,
                                 const GradcheckOptions& options = {}) {
  const auto loss = [&f] {
    const Var<double> y = f();
    Tensor<double> r = Tensor<double>::empty(y.shape());
    Rng stream(20, 26);
    double* weights = r.mutable_data();
    for (Index i = 0; i < r.size(); ++i) weights[i] = stream.uniform(-1, 1);
    return sum(y * Var<double>(r));
  };
  for (Var<double>& leaf : leaves) {
    leaf.set_requires_grad(true);
    leaf.zero_grad();
  }
  loss().backward();

  const NoGrad no_grad;
  GradcheckResult result;
  for (std::size_t k = 0; k < leaves.size(); ++k) {
    Tensor<double>& value = leaves[k].mutable_value();
    const auto loss_at = [&](Index i, double x) {
      value.mutable_data()[i] = x;
      return loss().item();
    };
    const Tensor<double> analytic = leaves[k].grad();
    Rng choice(20, 26, k);
    const Index tried = std::min(value.size(), options.most_elements);
    double worst = 0, largest = options.floor;
    for (Index n = 0; n < tried; ++n) {
      const Index i = tried == value.size()
                          ? n
                          : static_cast<Index>(choice.below(static_cast<std::uint64_t>(value.size())));
      const double x = value.data()[i], h = options.step * std::max(1.0, std::abs(x));
      const double numeric = (loss_at(i, x + h) - loss_at(i, x - h)) / (2 * h);
      value.mutable_data()[i] = x;
      const double difference = std::abs((analytic.defined() ? analytic.data()[i] : 0.0) - numeric);
      // NaN is an error beyond any other
      worst = std::max(worst, std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference);
      if (!std::isnan(numeric)) largest = std::max(largest, std::abs(numeric));
    }
    if (result.worst_leaf < 0 || worst / largest > result.error) {
      result.error = worst / largest;
      result.worst_leaf = static_cast<int>(k);
    }
  }
  result.passed = result.error <= options.tolerance;
  return result;
}

/// The same for a function of inputs, whose gradients with respect to all of them are checked.
inline GradcheckResult gradcheck(const std::function<Var<double>(const std::vector<Var<double>>&)>& f,
                                 const std::vector<Tensor<double>>& inputs,
                                 const GradcheckOptions& options = {}) {
  std::vector<Var<double>> leaves;
  leaves.reserve(inputs.size());
  for (const Tensor<double>& input : inputs) leaves.emplace_back(input.clone(), true);
  return gradcheck([&] { return f(leaves); }, leaves, options);
}

}  // namespace tl
