// Stochastic gradient descent: the update of one parameter array in one pass.
//
//   g = dw + weight_decay w
//   v = g at the first step, momentum v + (1 - dampening) g afterwards     (only when momentum is not 0)
//   w -= lr (g without momentum; v; or g + momentum v for Nesterov's)
//
// Source: PyTorch's torch.optim.SGD, whose order of operations this follows.
#pragma once

#include <tl/core/shape.hpp>

namespace tl::kernels {

struct SgdStep {
  double lr = 0;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool first = false;  ///< the first step of this array: v is written, not read
};

/// Updates w (n) and v (n) from dw (n). v is neither read nor written when the momentum is 0, and may be
/// null.
template <class T>
void sgd_update(const SgdStep& step, Index n, const T* dw, T* v, T* w);

}  // namespace tl::kernels
