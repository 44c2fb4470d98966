// Stochastic gradient descent: the update of one parameter array in one pass.
//
//   g = dw + weight_decay w
//   v = g at the first step, momentum v + (1 - dampening) g afterwards     (only when momentum is not 0)
//   w -= lr (g without momentum; v; or g + momentum v for Nesterov's)
//
// Source: PyTorch's torch.optim.SGD, whose order of operations this follows.
#pragma once

#include <cassert>

#include <tl/core/parallel.hpp>
#include <tl/core/shape.hpp>
#include <tl/kernels/elementwise.hpp>
#include <tl/kernels/isa.hpp>

namespace tl::kernels {

/// The numbers of one update; the formula is in sgd.hpp.
struct SgdStep {
  double lr = 0;            ///< rate
  double momentum = 0;      ///< what v keeps
  double dampening = 0;     ///< share of the gradient that v does not take
  double weight_decay = 0;  ///< times w, added to the gradient
  bool nesterov = false;    ///< whether w also moves by the gradient itself
  bool first = false;       ///< the first step of this array: v is written, not read
};

/// Updates w (n) and v (n) from dw (n). v is neither read nor written when the momentum is 0, and may be
/// null.
template <class T>
void sgd_update(const SgdStep& step, Index n, const T* dw, T* v, T* w);

}  // namespace tl::kernels

#if TL_KERNELS_DEFINE
#include <tl/kernels/simd_rows.hpp>

#define TL_KERNELS_IMPL <tl/kernels/impl/sgd.inl>
#include <tl/kernels/for_each_isa.hpp>

namespace tl::kernels {
namespace internal {

template <class T>
void sgd_block(const SgdStep& step, Index n, const T* dw, T* v, T* w) {
  TL_KERNELS_DISPATCH(sgd_block<T>, step, n, dw, v, w);
}

}  // namespace internal

template <class T>
void sgd_update(const SgdStep& step, Index n, const T* dw, T* v, T* w) {
  assert(v != nullptr || step.momentum == 0 || n == 0);
  parallel_for(n, internal::cheap_grain, [&](Index begin, Index end) {
    internal::sgd_block(step, end - begin, dw + begin, v == nullptr ? v : v + begin, w + begin);
  });
}

TL_KERNELS_INSTANTIATE(sgd_update)

}  // namespace tl::kernels
#endif  // TL_KERNELS_DEFINE
