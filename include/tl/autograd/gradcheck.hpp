// gradcheck: analytic gradients against central differences.
//
//   dL/dx_i  ~  (L(x + h e_i) - L(x - h e_i)) / 2h,    L = sum_j r_j y_j with fixed pseudo-random r
//
// The error is relative to the largest gradient of the input: max_i |analytic - numeric| / max(1, max_i
// |numeric|).
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include <tl/autograd/functions.hpp>

namespace tl {

struct GradcheckOptions {
  double step = 1e-5;
  double tolerance = 1e-6;
  Index most_elements = 200;  ///< elements tried in each input; larger inputs are sampled evenly
};

struct GradcheckResult {
  double error = 0;  ///< the largest over all inputs
  int worst_input = -1;
  bool passed = false;
  explicit operator bool() const { return passed; }
};

/// Checks f(inputs) in double with respect to every input. f must give the same result for the same inputs.
inline GradcheckResult gradcheck(const std::function<Var<double>(const std::vector<Var<double>>&)>& f,
                                 const std::vector<Tensor<double>>& inputs,
                                 const GradcheckOptions& options = {}) {
  const auto project = [&](const std::vector<Var<double>>& values) {
    const Var<double> y = f(values);
    Tensor<double> r = Tensor<double>::empty(y.shape());
    Rng stream(20, 26);
    double* weights = r.mutable_data();
    for (Index i = 0; i < r.size(); ++i) weights[i] = stream.uniform(-1, 1);
    return sum(y * Var<double>(r));
  };

  std::vector<Var<double>> leaves;
  for (const Tensor<double>& input : inputs) leaves.emplace_back(input.clone(), true);
  project(leaves).backward();

  GradcheckResult result;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    Tensor<double> varied = inputs[k].clone();
    std::vector<Var<double>> values;
    for (std::size_t j = 0; j < inputs.size(); ++j) values.emplace_back(j == k ? varied : inputs[j]);
    const auto loss_at = [&](Index i, double value) {
      const double original = varied.data()[i];
      varied.mutable_data()[i] = value;
      const double loss = project(values).item();
      varied.mutable_data()[i] = original;
      return loss;
    };
    const Tensor<double> analytic = leaves[k].grad().defined()
                                        ? leaves[k].grad()
                                        : Tensor<double>::zeros(varied.shape(), varied.layout());
    const Index stride = std::max<Index>(1, varied.size() / options.most_elements);
    double worst = 0, largest = 1;
    for (Index i = 0; i < varied.size(); i += stride) {
      const double x = varied.data()[i], h = options.step * std::max(1.0, std::abs(x));
      const double numeric = (loss_at(i, x + h) - loss_at(i, x - h)) / (2 * h);
      worst = std::max(worst, std::abs(analytic.data()[i] - numeric));
      largest = std::max(largest, std::abs(numeric));
      if (std::isnan(numeric) || std::isnan(analytic.data()[i])) worst = INFINITY;
    }
    if (worst / largest >= result.error) {
      result.error = worst / largest;
      result.worst_input = static_cast<int>(k);
    }
  }
  result.passed = result.error <= options.tolerance;
  return result;
}

}  // namespace tl
