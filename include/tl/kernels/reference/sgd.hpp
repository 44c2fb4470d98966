// The SGD update as a plain loop: the oracle of the tests of sgd.hpp.
#pragma once

#include <tl/core/shape.hpp>
#include <tl/kernels/sgd.hpp>

namespace tl::kernels::reference {

template <class T>
void sgd_update(const SgdStep& step, Index n, const T* dw, T* v, T* w) {
  const T lr = static_cast<T>(step.lr), momentum = static_cast<T>(step.momentum);
  const T dampening = static_cast<T>(step.dampening), weight_decay = static_cast<T>(step.weight_decay);
  for (Index i = 0; i < n; ++i) {
    T g = dw[i] + weight_decay * w[i];
    if (momentum != 0) {
      v[i] = step.first ? g : momentum * v[i] + (1 - dampening) * g;
      g = step.nesterov ? g + momentum * v[i] : v[i];
    }
    w[i] -= lr * g;
  }
}

}  // namespace tl::kernels::reference
