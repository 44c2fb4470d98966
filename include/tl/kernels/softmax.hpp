// Softmax, log-softmax and cross-entropy over the rows of (R,C).
//
//   softmax      y[c] = exp(x[c] - m) / sum_k exp(x[k] - m), m = max_k x[k]
//   log_softmax  y[c] = x[c] - m - log sum_k exp(x[k] - m)
//
// Rows are independent. x, y, dy and dx may be the same array.
#pragma once

#include <cstdint>
#include <type_traits>

#include <tl/core/shape.hpp>

namespace tl::kernels {

template <class T>
void softmax_forward(Index rows, Index columns, const T* x, T* y);

/// dx = y (dy - sum_k y[k] dy[k]).
template <class T>
void softmax_backward(Index rows, Index columns, const T* y, const T* dy, T* dx);

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
