// Gradient clipping: no step is larger than so much, whatever a batch says.
//
//   g = sqrt(sum over all parameters of |gradient|^2)    gradient *= min(1, max_norm / g)
//
// Source: Pascanu, Mikolov and Bengio 2013, https://arxiv.org/abs/1211.5063, algorithm 1.
#pragma once

#include <cmath>
#include <vector>

#include <tl/kernels/reduce.hpp>
#include <tl/optim/optimiser.hpp>
#include <tl/tensor/math.hpp>

namespace tl::optim {

/// Scales the gradients of what is trained so that their common norm is at most `max_norm`; returns the norm
/// that they had. Throws when one is no finite number.
template <class T>
double clip_gradients(std::vector<ParameterGroup<T>>& groups, double max_norm) {
  TL_CHECK(max_norm > 0, "[clip] expected a norm above 0, got ", max_norm);
  std::vector<Var<T>> trained;
  double squares = 0;
  for (const ParameterGroup<T>& group : groups) {
    for (const nn::Named<T>& param : group.params) {
      if (!param.var.requires_grad() || !param.var.grad().defined()) continue;
      const Tensor<T>& gradient = param.var.grad();
      const double part = kernels::reduce_all(kernels::Reduce::sum_squares, gradient.size(), gradient.data());
      TL_CHECK(std::isfinite(part), "[clip] the gradient of '", param.name,
               "' is no finite number: choose a smaller learning rate");
      squares += part;
      trained.push_back(param.var);
    }
  }
  const double norm = std::sqrt(squares);
  if (norm <= max_norm) return norm;
  for (Var<T>& var : trained) var.set_grad(scale(var.grad(), static_cast<T>(max_norm / norm)));
  return norm;
}

}  // namespace tl::optim
