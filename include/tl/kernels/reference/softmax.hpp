// Softmax and cross-entropy as plain loops: the oracle of the tests of softmax.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include <tl/core/shape.hpp>

namespace tl::kernels::reference {

template <class T>
void log_softmax_forward(Index rows, Index columns, const T* x, T* y) {
  for (Index r = 0; r < rows; ++r, x += columns, y += columns) {
    const T largest = *std::max_element(x, x + columns);
    T sum = 0;
    for (Index c = 0; c < columns; ++c) sum += std::exp(x[c] - largest);
    for (Index c = 0; c < columns; ++c) y[c] = x[c] - largest - std::log(sum);
  }
}

template <class T>
void softmax_forward(Index rows, Index columns, const T* x, T* y) {
  reference::log_softmax_forward(rows, columns, x, y);
  for (Index i = 0; i < rows * columns; ++i) y[i] = std::exp(y[i]);
}

template <class T>
void softmax_backward(Index rows, Index columns, const T* y, const T* dy, T* dx) {
  for (Index r = 0; r < rows; ++r, y += columns, dy += columns, dx += columns) {
    T inner = 0;
    for (Index c = 0; c < columns; ++c) inner += y[c] * dy[c];
    for (Index c = 0; c < columns; ++c) dx[c] = y[c] * (dy[c] - inner);
  }
}

template <class T>
void log_softmax_backward(Index rows, Index columns, const T* y, const T* dy, T* dx) {
  for (Index r = 0; r < rows; ++r, y += columns, dy += columns, dx += columns) {
    T sum = 0;
    for (Index c = 0; c < columns; ++c) sum += dy[c];
    for (Index c = 0; c < columns; ++c) dx[c] = dy[c] - std::exp(y[c]) * sum;
  }
}

/// losses (R) and dx (R,C) are written; dx is not x.
template <class T>
T cross_entropy(Index rows, Index columns, const T* x, const std::int64_t* labels,
                std::type_identity_t<T> smoothing, const T* weights, T* losses, T* dx) {
  const auto weight = [&](Index c) { return weights == nullptr ? T(1) : weights[c]; };
  T total = 0, label_weights = 0;
  for (Index r = 0; r < rows; ++r) label_weights += weight(labels[r]);
  for (Index r = 0; r < rows; ++r) {
    const Index label = labels[r];
    T* log_p = dx + r * columns;
    reference::log_softmax_forward(1, columns, x + r * columns, log_p);
    // The target is a distribution q that is not normalised: loss = -sum_c q[c] log p[c].
    T loss = 0, target_sum = 0;
    const auto target = [&](Index c) {
      return weight(c) * (smoothing / static_cast<T>(columns) + (c == label ? 1 - smoothing : T(0)));
    };
    for (Index c = 0; c < columns; ++c) {
      loss -= target(c) * log_p[c];
      target_sum += target(c);
    }
    for (Index c = 0; c < columns; ++c) {
      log_p[c] = (std::exp(log_p[c]) * target_sum - target(c)) / label_weights;
    }
    losses[r] = loss;
    total += loss;
  }
  return total / label_weights;
}

}  // namespace tl::kernels::reference
