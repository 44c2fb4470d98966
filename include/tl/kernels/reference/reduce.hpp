// Reductions as plain loops: the oracle of the tests of reduce.hpp.
#pragma once

#include <cmath>
#include <limits>

#include <tl/core/shape.hpp>
#include <tl/kernels/reduce.hpp>

namespace tl::kernels::reference {

template <class T>
void reduce(Reduce op, int rank, const Index* extents, const Index* strides, const bool* reduced, const T* x,
            T* y) {
  Index outputs = 1, total = 1;
  for (int axis = 0; axis < rank; ++axis) {
    total *= extents[axis];
    if (!reduced[axis]) outputs *= extents[axis];
  }
  const T start = op == Reduce::max ? -std::numeric_limits<T>::infinity() : T(0);
  for (Index i = 0; i < outputs; ++i) y[i] = start;
  for (Index i = 0; i < total; ++i) {
    Index rest = i, from = 0, to = 0, stride = 1;
    for (int axis = rank - 1; axis >= 0; --axis) {
      const Index at = rest % extents[axis];
      rest /= extents[axis];
      from += at * strides[axis];
      if (!reduced[axis]) to += at * stride, stride *= extents[axis];
    }
    const T v = x[from];
    switch (op) {
      case Reduce::sum:
      case Reduce::mean:
        y[to] += v;
        break;
      case Reduce::sum_squares:
        y[to] += v * v;
        break;
      case Reduce::max:
        y[to] = std::isnan(y[to]) || y[to] > v ? y[to] : v;
        break;
    }
  }
  if (op == Reduce::mean) {
    for (Index i = 0; i < outputs; ++i) y[i] /= static_cast<T>(total) / static_cast<T>(outputs);
    if (total == 0) {
      for (Index i = 0; i < outputs; ++i) y[i] = std::numeric_limits<T>::quiet_NaN();
    }
  }
}

/// sum_i a[i] b[i].
template <class T>
T dot(Index n, const T* a, const T* b) {
  T sum = 0;
  for (Index i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace tl::kernels::reference
