// Softmax, log-softmax and cross-entropy over the rows of (R,C).
//
//   softmax      y[c] = exp(x[c] - m) / sum_k exp(x[k] - m), m = max_k x[k]
//   log_softmax  y[c] = x[c] - m - log sum_k exp(x[k] - m)
//
// Rows are independent. x, y, dy and dx may be the same array.
#pragma once

#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <tl/core/memory.hpp>
#include <tl/core/parallel.hpp>
#include <tl/core/shape.hpp>
#include <tl/kernels/isa.hpp>
#include <tl/kernels/reduce.hpp>

namespace tl::kernels {

/// Each row of x (R,C) becomes positive numbers of sum 1.
template <class T>
void softmax_forward(Index rows, Index columns, const T* x, T* y);

/// dx = y (dy - sum_k y[k] dy[k]).
template <class T>
void softmax_backward(Index rows, Index columns, const T* y, const T* dy, T* dx);

/// The logarithm of softmax, exact where that is 0.
template <class T>
void log_softmax_forward(Index rows, Index columns, const T* x, T* y);

/// dx = dy - exp(y) sum_k dy[k].
template <class T>
void log_softmax_backward(Index rows, Index columns, const T* y, const T* dy, T* dx);

/// Cross-entropy of logits x (R,C) with labels in [0,C), as PyTorch defines it with label smoothing e and
/// class weights w (C) (null: all 1), p = softmax(x):
///
///   loss[r] = -(1 - e) w[label] log p[label] - e/C sum_c w[c] log p[c]
///   result  = sum_r loss[r] / sum_r w[label[r]]                            (NaN for no rows or no weight)
///   dx[r]   = gradient of the result with respect to x
///
/// losses (R) and dx (R,C) may be null; dx may be x.
template <class T>
T cross_entropy(Index rows, Index columns, const T* x, const std::int64_t* labels,
                std::type_identity_t<T> smoothing, const T* weights, T* losses, T* dx);

}  // namespace tl::kernels

#if TL_KERNELS_DEFINE
#include <tl/kernels/simd_math.hpp>
#include <tl/kernels/simd_rows.hpp>

#define TL_KERNELS_IMPL <tl/kernels/impl/softmax.inl>
#include <tl/kernels/for_each_isa.hpp>

namespace tl::kernels {
namespace internal {

inline constexpr int loss_slot = 41;  // of scratch memory

template <class T>
void softmax_row(Index n, const T* x, T* y) {
  TL_KERNELS_DISPATCH(softmax_row<T>, n, x, y);
}
template <class T>
void softmax_backward_row(Index n, const T* y, const T* dy, T* dx) {
  TL_KERNELS_DISPATCH(softmax_backward_row<T>, n, y, dy, dx);
}
template <class T>
void log_softmax_row(Index n, const T* x, T* y) {
  TL_KERNELS_DISPATCH(log_softmax_row<T>, n, x, y);
}
template <class T>
void log_softmax_backward_row(Index n, const T* y, const T* dy, T* dx) {
  TL_KERNELS_DISPATCH(log_softmax_backward_row<T>, n, y, dy, dx);
}
template <class T>
T cross_entropy_row(Index n, const T* x, Index label, T smoothing, const T* weights, T weight_sum, T scale,
                    T* dx) {
  TL_KERNELS_DISPATCH(cross_entropy_row<T>, n, x, label, smoothing, weights, weight_sum, scale, dx);
}

/// body(offset of the row) for every row, in parallel where there is enough to do.
template <class Body>
void each_row(Index rows, Index columns, const Body& body) {
  if (columns == 0) return;
  parallel_for(rows, std::max<Index>(1, costly_grain / columns), [&](Index begin, Index end) {
    for (Index r = begin; r < end; ++r) body(r * columns);
  });
}

}  // namespace internal

template <class T>
void softmax_forward(Index rows, Index columns, const T* x, T* y) {
  internal::each_row(rows, columns, [&](Index at) { internal::softmax_row(columns, x + at, y + at); });
}

template <class T>
void softmax_backward(Index rows, Index columns, const T* y, const T* dy, T* dx) {
  internal::each_row(rows, columns,
                     [&](Index at) { internal::softmax_backward_row(columns, y + at, dy + at, dx + at); });
}

template <class T>
void log_softmax_forward(Index rows, Index columns, const T* x, T* y) {
  internal::each_row(rows, columns, [&](Index at) { internal::log_softmax_row(columns, x + at, y + at); });
}

template <class T>
void log_softmax_backward(Index rows, Index columns, const T* y, const T* dy, T* dx) {
  internal::each_row(rows, columns, [&](Index at) {
    internal::log_softmax_backward_row(columns, y + at, dy + at, dx + at);
  });
}

template <class T>
T cross_entropy(Index rows, Index columns, const T* x, const std::int64_t* labels,
                std::type_identity_t<T> smoothing, const T* weights, T* losses, T* dx) {
  T label_weights = static_cast<T>(rows), class_weights = static_cast<T>(columns);
  if (weights != nullptr) {
    double total = 0;
    for (Index r = 0; r < rows; ++r) total += static_cast<double>(weights[labels[r]]);
    label_weights = static_cast<T>(total);
    class_weights = reduce_all(Reduce::sum, columns, weights);
  }
  if (losses == nullptr) losses = scratch<T, internal::loss_slot>(static_cast<std::size_t>(rows));
  internal::each_row(rows, columns, [&](Index at) {
    const Index r = at / columns, label = labels[r];
    assert(label >= 0 && label < columns);
    losses[r] = internal::cross_entropy_row<T>(columns, x + at, label, smoothing, weights, class_weights,
                                               1 / label_weights, dx == nullptr ? nullptr : dx + at);
  });
  return reduce_all(Reduce::sum, rows, losses) / label_weights;
}

TL_KERNELS_INSTANTIATE(softmax_forward)
TL_KERNELS_INSTANTIATE(softmax_backward)
TL_KERNELS_INSTANTIATE(log_softmax_forward)
TL_KERNELS_INSTANTIATE(log_softmax_backward)
TL_KERNELS_INSTANTIATE(cross_entropy)

}  // namespace tl::kernels
#endif  // TL_KERNELS_DEFINE
