// Elementwise kernels: functions of one and of two arrays, their gradients, and plain vector arithmetic.
//
//   unary            y[i] = f(x[i])                       backward  dx[i] = dy[i] * f'(saved[i])
//   binary           y[i] = f(a[i], b[i])                 broadcast by strides of 0
//
// Arrays are dense unless strides are given; x, y, dy and dx may be the same array. Any n >= 0.
#pragma once

#include <type_traits>

#include <tl/core/shape.hpp>

namespace tl::kernels {

/// A function of one value. `s` is what unary_backward reads: the input x or the output y of the forward
/// pass.
///
///   name           f(x)                                   s   f'
///   relu           max(x, 0)                              y   y > 0
///   clip           min(max(x, alpha), beta)               x   alpha < x < beta (y serves as well)
///   leaky_relu     x > 0 ? x : alpha x                    x   x > 0 ? 1 : alpha
///   sigmoid        1 / (1 + exp(-x))                      y   y (1 - y)
///   tanh           tanh(x)                                y   1 - y^2
///   silu           x sigmoid(x)                           x   s (1 + x (1 - s)), s = sigmoid(x)
///   hard_swish     x min(max(x + 3, 0), 6) / 6            x   0 up to -3, x / 3 + 1/2 between, 1 from 3
///   hard_sigmoid   min(max(alpha x + beta, 0), 1)         y   0 < y < 1 ? alpha : 0
///   exp            exp(x)                                 y   y
///   log            log(x)                                 x   1 / x
///   sqrt           sqrt(x)                                y   1 / (2 y)
///   abs            |x|                                    x   sign(x), 0 at 0
///   neg            -x                                     -   -1 (s is not read)
///   reciprocal     1 / x                                  y   -y^2
///   gelu           x Phi(x), Phi the normal distribution  x   Phi(x) + x phi(x)
///
/// NaN gives NaN. At the corners the gradients are those of PyTorch (clip: those of its relu6 and hardtanh).
enum class Unary {
  relu,
  clip,
  leaky_relu,
  sigmoid,
  tanh,
  silu,
  hard_swish,
  hard_sigmoid,
  exp,
  log,
  sqrt,
  abs,
  neg,
  reciprocal,
  gelu
};

/// Whether unary_backward reads the output y of the forward pass (otherwise its input x).
constexpr bool saves_output(Unary op) {
  return op == Unary::relu || op == Unary::sigmoid || op == Unary::tanh || op == Unary::hard_sigmoid ||
         op == Unary::exp || op == Unary::sqrt || op == Unary::reciprocal;
}

/// y = f(x). alpha and beta are read by the functions whose formula names them.
template <class T>
void unary_forward(Unary op, std::type_identity_t<T> alpha, std::type_identity_t<T> beta, Index n, const T* x,
                   T* y);

/// dx = dy * f'(saved), saved being x or y as saves_output says.
template <class T>
void unary_backward(Unary op, std::type_identity_t<T> alpha, std::type_identity_t<T> beta, Index n,
                    const T* saved, const T* dy, T* dx);

/// A function of two values. max and min give NaN when either value is NaN.
enum class Binary { add, sub, mul, div, max, min, pow };

/// y[i] = f(a[i * stride_a], b[i * stride_b]); strides are 0 (one value for all) or 1. One thread.
template <class T>
void binary_row(Binary op, Index n, const T* a, Index stride_a, const T* b, Index stride_b, T* y);

/// y = f(a, b) over rank <= 8 extents, outermost first; y is dense in that order. Strides are in elements, 0
/// where the array is broadcast. y may be a or b where that one is dense too. Parallel.
template <class T>
void binary_broadcast(Binary op, int rank, const Index* extents, const Index* strides_a,
                      const Index* strides_b, const T* a, const T* b, T* y);

/// y = value.
template <class T>
void fill(Index n, std::type_identity_t<T> value, T* y);

/// y = alpha * x.
template <class T>
void scale(Index n, std::type_identity_t<T> alpha, const T* x, T* y);

/// y += x.
template <class T>
void add_in_place(Index n, const T* x, T* y);

/// y += alpha * x.
template <class T>
void axpy(Index n, std::type_identity_t<T> alpha, const T* x, T* y);

/// y = alpha * a + beta * b.
template <class T>
void weighted_sum(Index n, std::type_identity_t<T> alpha, const T* a, std::type_identity_t<T> beta,
                  const T* b, T* y);

}  // namespace tl::kernels
