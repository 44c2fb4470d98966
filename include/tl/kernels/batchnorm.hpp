// Batch normalisation over rows of channels: x (M,C), M = N*H*W of channels-last images, or plain (N,C).
//
//   mean[c] = 1/M sum_m x[m,c]      var[c] = 1/M sum_m (x[m,c] - mean[c])^2
//   y = x * scale + shift           scale = gamma / sqrt(var + eps),  shift = beta - mean * scale
//
// The sum with a residual and an activation may follow in the same pass, forward and backward. Source: Ioffe
// and Szegedy 2015, https://arxiv.org/abs/1502.03167.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <type_traits>

#include <tl/core/memory.hpp>
#include <tl/core/parallel.hpp>
#include <tl/core/shape.hpp>
#include <tl/kernels/conv_shape.hpp>
#include <tl/kernels/isa.hpp>
#include <tl/kernels/reduce.hpp>

namespace tl::kernels {

/// Mean and biased variance of each channel; accurate when |mean| is far greater than the deviation. M >= 1.
template <class T>
void batchnorm_statistics(Index rows, Index channels, const T* x, T* mean, T* var);

/// inv_std = 1 / sqrt(var + eps), scale and shift as above. gamma and beta may be null (1 and 0). All are
/// (C).
template <class T>
void batchnorm_scale_shift(Index channels, const T* mean, const T* var, std::type_identity_t<T> eps,
                           const T* gamma, const T* beta, T* inv_std, T* scale, T* shift);

/// y = activation(x * scale + shift + residual); residual (M,C) may be null; y may be x or the residual.
template <class T>
void batchnorm_apply(Index rows, Index channels, const T* x, const T* scale, const T* shift,
                     const std::type_identity_t<T>* residual, Activation activation, T* y);

/// What both backward kernels read. dy is the gradient of the activated output.
template <class T>
struct BatchnormGradient {
  const T* x = nullptr;        ///< (M,C), the input
  const T* mean = nullptr;     ///< (C), of the batch or the running one, as the forward pass used
  const T* inv_std = nullptr;  ///< (C)
  const T* gamma = nullptr;    ///< (C), null for 1
  const T* dy = nullptr;       ///< (M,C)
  const T* y = nullptr;        ///< (M,C), the output; read only when there is an activation
  Activation activation = Activation::none;  ///< what the forward pass applied last
  T* residual_gradient =
      nullptr;  ///< (M,C), where dy masked by the activation goes too; may be dy; may be null
};

/// Training mode, where mean and variance depend on x. With g = dy masked by the activation and
/// u = (x - mean) inv_std:
///   dgamma = sum_m g u     dbeta = sum_m g     dx = gamma inv_std (g - dbeta/M - u dgamma/M)
/// dx may be null (not wanted), or dy itself; dgamma and dbeta (C) are always written.
template <class T>
void batchnorm_backward(Index rows, Index channels, const BatchnormGradient<T>& in, T* dgamma, T* dbeta,
                        T* dx);

/// Its two halves, for batches whose sums are made elsewhere: dgamma and dbeta of these rows, and then dx by
/// the sums over all `all_rows` rows, of which these are a part.
template <class T>
void batchnorm_backward_parameters(Index rows, Index channels, const BatchnormGradient<T>& in, T* dgamma,
                                   T* dbeta);
/// `all_rows`: M of the statistics, more than `rows` where several processes share them. dx (M,C) may be
/// dy.
template <class T>
void batchnorm_backward_input(Index rows, Index channels, const BatchnormGradient<T>& in, Index all_rows,
                              const T* dgamma, const T* dbeta, T* dx);

/// Inference mode (running or frozen statistics are constants): dgamma and dbeta as above, dx = gamma inv_std
/// g. dgamma and dbeta may both be null (frozen parameters: then x and mean are not read), dx may be null, or
/// dy.
template <class T>
void batchnorm_backward_inference(Index rows, Index channels, const BatchnormGradient<T>& in, T* dgamma,
                                  T* dbeta, T* dx);

}  // namespace tl::kernels

#include <tl/kernels/impl/batchnorm.hpp>
