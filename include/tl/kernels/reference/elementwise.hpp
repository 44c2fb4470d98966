// Elementwise functions as plain loops: the oracle of the tests of elementwise.hpp, with its signatures.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <type_traits>

#include <tl/core/shape.hpp>
#include <tl/kernels/elementwise.hpp>

namespace tl::kernels::reference {

/// The distribution function of the standard normal.
template <class T>
T normal_distribution(T x) {
  return std::erfc(-x / std::sqrt(T(2))) / 2;
}

/// log(1 + exp(x)) without overflow.
template <class T>
T softplus(T x) {
  return std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x)));
}

/// One value of kernels::unary_forward.
template <class T>
T unary(Unary op, T alpha, T beta, T x) {
  if (std::isnan(x)) return x;
  switch (op) {
    case Unary::relu:
      return std::max(x, T(0));
    case Unary::clip:
      return std::min(std::max(x, alpha), beta);
    case Unary::leaky_relu:
      return x > 0 ? x : alpha * x;
    case Unary::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Unary::tanh:
      return std::tanh(x);
    case Unary::silu:
      return x / (1 + std::exp(-x));
    case Unary::hard_swish:
      return x * std::min(std::max(x + 3, T(0)), T(6)) / 6;
    case Unary::hard_sigmoid:
      return std::min(std::max(alpha * x + beta, T(0)), T(1));
    case Unary::exp:
      return std::exp(x);
    case Unary::log:
      return std::log(x);
    case Unary::sqrt:
      return std::sqrt(x);
    case Unary::abs:
      return std::abs(x);
    case Unary::neg:
      return -x;
    case Unary::reciprocal:
      return 1 / x;
    case Unary::gelu:
      return x * normal_distribution(x);
    case Unary::elu:
      return beta * (x > 0 ? x : alpha * std::expm1(x));
    case Unary::softplus:
      return softplus(x);
    case Unary::mish:
      return x * std::tanh(softplus(x));
    case Unary::erf:
      break;
  }
  return std::erf(x);
}

/// f'(s), s being the input or the output as saves_output says.
template <class T>
T derivative(Unary op, T alpha, T beta, T s) {
  const T sigmoid = 1 / (1 + std::exp(-s));
  switch (op) {
    case Unary::relu:
      return s > 0 ? T(1) : T(0);
    case Unary::clip:
      return s > alpha && s < beta ? T(1) : T(0);
    case Unary::leaky_relu:
      return s > 0 ? T(1) : alpha;
    case Unary::sigmoid:
      return s * (1 - s);
    case Unary::tanh:
      return 1 - s * s;
    case Unary::silu:
      return sigmoid * (1 + s * (1 - sigmoid));
    case Unary::hard_swish:
      return s <= -3 ? T(0) : s >= 3 ? T(1) : s / 3 + T(0.5);
    case Unary::hard_sigmoid:
      return s > 0 && s < 1 ? alpha : T(0);
    case Unary::exp:
      return s;
    case Unary::log:
      return 1 / s;
    case Unary::sqrt:
      return 1 / (2 * s);
    case Unary::abs:
      return s > 0 ? T(1) : s < 0 ? T(-1) : T(0);
    case Unary::neg:
      return T(-1);
    case Unary::reciprocal:
      return -s * s;
    case Unary::gelu:
      return normal_distribution(s) + s * std::exp(-s * s / 2) / std::sqrt(8 * std::atan(T(1)));
    case Unary::elu:
      return beta * (s > 0 ? T(1) : alpha * std::exp(s));
    case Unary::softplus:
      return sigmoid;
    case Unary::mish:
      return std::tanh(softplus(s)) + s * sigmoid / std::pow(std::cosh(softplus(s)), T(2));
    case Unary::erf:
      break;
  }
  return std::exp(-s * s) / std::sqrt(std::atan(T(1)));
}

template <class T>
void unary_forward(Unary op, std::type_identity_t<T> alpha, std::type_identity_t<T> beta, Index n, const T* x,
                   T* y) {
  for (Index i = 0; i < n; ++i) y[i] = unary<T>(op, alpha, beta, x[i]);
}

template <class T>
void unary_backward(Unary op, std::type_identity_t<T> alpha, std::type_identity_t<T> beta, Index n,
                    const T* saved, const T* dy, T* dx) {
  for (Index i = 0; i < n; ++i) dx[i] = dy[i] * derivative<T>(op, alpha, beta, saved[i]);
}

/// One value of kernels::binary_row.
template <class T>
T binary(Binary op, T a, T b) {
  switch (op) {
    case Binary::add:
      return a + b;
    case Binary::sub:
      return a - b;
    case Binary::mul:
      return a * b;
    case Binary::div:
      return a / b;
    case Binary::max:
      return std::isnan(a) || a > b ? a : b;
    case Binary::min:
      return std::isnan(a) || a < b ? a : b;
    case Binary::greater:
      return a > b ? T(1) : T(0);
    case Binary::greater_equal:
      return a >= b ? T(1) : T(0);
    case Binary::equal:
      return a == b ? T(1) : T(0);
    case Binary::keep_where:
      return b != 0 ? a : T(0);
    case Binary::pow:
      break;
  }
  return std::pow(a, b);
}

template <class T>
void binary_broadcast(Binary op, int rank, const Index* extents, const Index* strides_a,
                      const Index* strides_b, const T* a, const T* b, T* y) {
  if (rank == 0) {
    *y = binary(op, *a, *b);
    return;
  }
  Index inner = 1;
  for (int axis = 1; axis < rank; ++axis) inner *= extents[axis];
  for (Index i = 0; i < *extents; ++i) {
    reference::binary_broadcast(op, rank - 1, extents + 1, strides_a + 1, strides_b + 1, a + i * *strides_a,
                                b + i * *strides_b, y + i * inner);
  }
}

}  // namespace tl::kernels::reference
