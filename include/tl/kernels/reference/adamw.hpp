// The AdamW update as a plain loop: the oracle of the tests of adamw.hpp.
#pragma once

#include <cmath>

#include <tl/core/shape.hpp>
#include <tl/kernels/adamw.hpp>

namespace tl::kernels::reference {

template <class T>
void adamw_update(const AdamWStep& step, Index n, const T* dw, T* m, T* v, T* w) {
  const T lr = static_cast<T>(step.lr), beta1 = static_cast<T>(step.beta1),
          beta2 = static_cast<T>(step.beta2);
  const T eps = static_cast<T>(step.eps), weight_decay = static_cast<T>(step.weight_decay);
  const T t = static_cast<T>(step.t);
  for (Index i = 0; i < n; ++i) {
    m[i] = beta1 * m[i] + (1 - beta1) * dw[i];
    v[i] = beta2 * v[i] + (1 - beta2) * dw[i] * dw[i];
    const T mean = m[i] / (1 - std::pow(beta1, t)), square = v[i] / (1 - std::pow(beta2, t));
    w[i] -= lr * (weight_decay * w[i] + mean / (std::sqrt(square) + eps));
  }
}

}  // namespace tl::kernels::reference
