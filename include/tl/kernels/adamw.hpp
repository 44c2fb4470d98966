// Adam with decoupled weight decay: the update of one parameter array in one pass.
//
//   w -= lr weight_decay w
//   m += (1 - beta1) (dw - m)        v = beta2 v + (1 - beta2) dw^2        at step t, counted from 1
//   w -= lr / (1 - beta1^t)  m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//
// Source: Loshchilov, Hutter 2019, https://arxiv.org/abs/1711.05101; PyTorch's torch.optim.AdamW, whose order
// of operations this follows.
#pragma once

#include <cmath>

#include <tl/core/parallel.hpp>
#include <tl/core/shape.hpp>
#include <tl/kernels/elementwise.hpp>
#include <tl/kernels/isa.hpp>

namespace tl::kernels {

/// The numbers of one update; the formula is in adamw.hpp.
struct AdamWStep {
  double lr = 0;            ///< rate
  double beta1 = 0.9;       ///< what m keeps
  double beta2 = 0.999;     ///< what v keeps
  double eps = 1e-8;        ///< added to the root of v
  double weight_decay = 0;  ///< share of w that goes, times lr
  double t = 1;             ///< the number of this step, from 1

  double rate() const { return lr / (1 - std::pow(beta1, t)); }        ///< what m is multiplied by
  double spread() const { return std::sqrt(1 - std::pow(beta2, t)); }  ///< what sqrt(v) is divided by
};

/// Updates w (n), m (n) and v (n) from dw (n). m and v are zeros before the first step.
template <class T>
void adamw_update(const AdamWStep& step, Index n, const T* dw, T* m, T* v, T* w);

}  // namespace tl::kernels

#if TL_KERNELS_DEFINE
#include <tl/kernels/simd_rows.hpp>

#define TL_KERNELS_IMPL <tl/kernels/impl/adamw.inl>
#include <tl/kernels/for_each_isa.hpp>

namespace tl::kernels {
namespace internal {

template <class T>
void adamw_block(const AdamWStep& step, Index n, const T* dw, T* m, T* v, T* w) {
  TL_KERNELS_DISPATCH(adamw_block<T>, step, n, dw, m, v, w);
}

}  // namespace internal

template <class T>
void adamw_update(const AdamWStep& step, Index n, const T* dw, T* m, T* v, T* w) {
  parallel_for(n, internal::cheap_grain, [&](Index begin, Index end) {
    internal::adamw_block(step, end - begin, dw + begin, m + begin, v + begin, w + begin);
  });
}

TL_KERNELS_INSTANTIATE(adamw_update)

}  // namespace tl::kernels
#endif  // TL_KERNELS_DEFINE
