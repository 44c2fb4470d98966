// Batch normalisation as plain loops: the oracle of the tests of batchnorm.hpp.
#pragma once

#include <algorithm>

#include <tl/core/shape.hpp>
#include <tl/kernels/batchnorm.hpp>

namespace tl::kernels::reference {

template <class T>
void batchnorm_statistics(Index rows, Index channels, const T* x, T* mean, T* var) {
  for (Index c = 0; c < channels; ++c) {
    mean[c] = var[c] = 0;
    for (Index r = 0; r < rows; ++r) mean[c] += x[r * channels + c] / static_cast<T>(rows);
    for (Index r = 0; r < rows; ++r) {
      const T deviation = x[r * channels + c] - mean[c];
      var[c] += deviation * deviation / static_cast<T>(rows);
    }
  }
}

/// activation(v)
template <class T>
T activated(Activation activation, T v) {
  if (activation == Activation::none) return v;
  v = std::max(v, T(0));
  return activation == Activation::relu6 ? std::min(v, T(6)) : v;
}

/// Dy where y was not clipped, else 0.
template <class T>
T activation_gradient(Activation activation, T y, T dy) {
  if (activation == Activation::none) return dy;
  return y > 0 && (activation == Activation::relu || y < 6) ? dy : T(0);
}

template <class T>
void batchnorm_apply(Index rows, Index channels, const T* x, const T* scale, const T* shift,
                     const std::type_identity_t<T>* residual, Activation activation, T* y) {
  for (Index i = 0; i < rows * channels; ++i) {
    const T added = residual == nullptr ? T(0) : residual[i];
    y[i] = activated(activation, x[i] * scale[i % channels] + shift[i % channels] + added);
  }
}

/// All outputs are written; `training` chooses between the two modes.
template <class T>
void batchnorm_backward(Index rows, Index channels, const BatchnormGradient<T>& in, bool training, T* dgamma,
                        T* dbeta, T* dx) {
  for (Index c = 0; c < channels; ++c) {
    const T factor = (in.gamma == nullptr ? T(1) : in.gamma[c]) * in.inv_std[c];
    const auto gradient = [&](Index i) {
      return in.activation == Activation::none ? in.dy[i]
                                               : activation_gradient(in.activation, in.y[i], in.dy[i]);
    };
    dgamma[c] = dbeta[c] = 0;
    for (Index i = c; i < rows * channels; i += channels) {
      dbeta[c] += gradient(i);
      dgamma[c] += gradient(i) * (in.x[i] - in.mean[c]) * in.inv_std[c];
    }
    for (Index i = c; i < rows * channels; i += channels) {
      const T u = (in.x[i] - in.mean[c]) * in.inv_std[c];
      const T through_statistics = training ? (dbeta[c] + u * dgamma[c]) / static_cast<T>(rows) : T(0);
      dx[i] = factor * (gradient(i) - through_statistics);
    }
  }
}

}  // namespace tl::kernels::reference
