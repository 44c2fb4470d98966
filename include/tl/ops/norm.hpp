// Batch normalisation (Ioffe, Szegedy 2015) of images x:(N,C,H,W) or rows x:(N,C), one mean and variance a
// channel.
//
//   y = gamma (x - mean) / sqrt(var + epsilon) + beta       gamma, beta, running mean, running var: (C)
//
// In training, mean and (biased) variance are the batch's, and the running statistics move towards them:
//   running = (1 - momentum) running + momentum batch       (the variance there is the unbiased one, as in
//   PyTorch)
// In inference, and in training where the layer is frozen, the running statistics are used and do not change.
// Processes that train together may share mean and variance (ops/shared_statistics.hpp).
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include <tl/kernels/batchnorm.hpp>
#include <tl/ops/operation.hpp>
#include <tl/ops/shared_statistics.hpp>

namespace tl::ops {

/// Batch normalisation of images (N,C,H,W) or rows (N,C); the formula is in ops/norm.hpp. Inputs: x, gamma,
/// beta, running mean and variance, (C) each; in training the last two are written to.
struct BatchNorm {
  static constexpr std::string_view name = "batch_norm";
  double epsilon = 1e-5;  ///< added to the variance
  double momentum = 0.1;  ///< share of a batch in the running statistics, in [0, 1]

  Shape infer(const Shape& x, const Shape& gamma, const Shape& beta, const Shape& mean,
              const Shape& var) const {
    TL_CHECK((x.rank() == 2 || x.rank() == 4) && x[1] >= 1 && gamma == Shape{x[1]} && beta == gamma &&
                 mean == gamma && var == gamma,
             "[batch_norm] expected x(N,C,H,W) or x(N,C), gamma(C), beta(C), mean(C), var(C), got ", x, ", ",
             gamma, ", ", beta, ", ", mean, ", ", var);
    return x;
  }

  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x, const Tensor<T>& gamma, const Tensor<T>& beta,
                    const Tensor<T>& running_mean, const Tensor<T>& running_var) const {
    return compute<T>(context, x, gamma, beta, running_mean, running_var, nullptr, kernels::Activation::none);
  }
  /// activation(forward(...) + residual) in one pass; the residual, channels-last, may be null.
  template <class T>
  Tensor<T> compute(Context<T>& context, const Tensor<T>& x, const Tensor<T>& gamma, const Tensor<T>& beta,
                    const Tensor<T>& running_mean, const Tensor<T>& running_var, const T* residual,
                    kernels::Activation activation) const {
    infer(x.shape(), gamma.shape(), beta.shape(), running_mean.shape(), running_var.shape());
    const Index channels = x.shape(1), rows = x.size() / channels;
    Tensor<T> mean = running_mean, var = running_var;
    if (context.training()) {
      mean = Tensor<T>::empty(gamma.shape());
      var = Tensor<T>::empty(gamma.shape());
    }
    const Tensor<T> rows_of_channels = x.to(Layout::channels_last);
    if (context.training()) {
      kernels::batchnorm_statistics(rows, channels, rows_of_channels.data(), mean.mutable_data(),
                                    var.mutable_data());
      Index all_rows = rows;
      if (ProcessGroup* group = SharedStatistics::current())
        all_rows = share_statistics(*group, rows, elements_of(mean), elements_of(var));
      TL_CHECK(all_rows > 1, "[batch_norm] expected more than one value a channel in training, got ",
               x.shape());
      follow(running_mean, mean, T{1});
      follow(running_var, var, static_cast<T>(all_rows) / static_cast<T>(all_rows - 1));
    }
    Tensor<T> inv_std = Tensor<T>::empty(gamma.shape());
    Tensor<T> scale = Tensor<T>::empty(gamma.shape()), shift = Tensor<T>::empty(gamma.shape());
    kernels::batchnorm_scale_shift(channels, mean.data(), var.data(), static_cast<T>(epsilon), gamma.data(),
                                   beta.data(), inv_std.mutable_data(), scale.mutable_data(),
                                   shift.mutable_data());
    Tensor<T> y = Tensor<T>::empty(x.shape(), rows_of_channels.layout());
    kernels::batchnorm_apply(rows, channels, rows_of_channels.data(), scale.data(), shift.data(), residual,
                             activation, y.mutable_data());
    if (context.training() && context.recording()) {
      context.keep(mean);
      context.keep(inv_std);
    }
    return y;
  }

  /// With constant statistics the gradient of x does not read x: a frozen layer keeps no activations.
  static constexpr Reads reads(int input, Mode mode) {
    if (mode.training) return {.inputs = 0b00011u, .context = true};
    return {.inputs = input == 0 ? 0b10010u : 0b11011u};
  }

  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    gradients<T>(s, dy.to(Layout::channels_last), nullptr, kernels::Activation::none, nullptr, d);
  }
  /// The gradient of compute(): dy and y, its result, are channels-last; y is read where there is an
  /// activation. The residual's gradient goes to `residual_gradient`, unless null.
  template <class T>
  void gradients(const Saved<T>& s, const Tensor<T>& dy, const T* y, kernels::Activation activation,
                 T* residual_gradient, GradSink<T>& d) const {
    const Shape channel_shape{dy.shape(1)};
    const Index channels = dy.shape(1), rows = dy.size() / channels;
    Tensor<T> dx, dgamma, dbeta, x;
    const bool training = s.context().training(), wants_parameters = d.wants(1) || d.wants(2);
    if (d.wants(0)) dx = Tensor<T>::empty(dy.shape(), dy.layout());
    if (training || wants_parameters) {
      x = s.input(0).to(Layout::channels_last);
      dgamma = Tensor<T>::empty(channel_shape);
      dbeta = Tensor<T>::empty(channel_shape);
    }
    kernels::BatchnormGradient<T> in{.x = x.data(), .gamma = s.input(1).data(), .dy = dy.data()};
    in.y = y;
    in.activation = activation;
    in.residual_gradient = residual_gradient;
    if (training) {
      in.mean = s.kept(0).data();
      in.inv_std = s.kept(1).data();
      if (ProcessGroup* group = SharedStatistics::current()) {
        kernels::batchnorm_backward_parameters(rows, channels, in, dgamma.mutable_data(),
                                               dbeta.mutable_data());
        if (d.wants(0)) input_gradient(*group, rows, channels, in, dgamma, dbeta, dx);
      } else {
        kernels::batchnorm_backward(rows, channels, in, dgamma.mutable_data(), dbeta.mutable_data(),
                                    dx.mutable_data());
      }
    } else {
      Tensor<T> inv_std = Tensor<T>::empty(channel_shape), unused = Tensor<T>::empty(channel_shape);
      const Tensor<T>& var = s.input(4);
      kernels::batchnorm_scale_shift<T>(channels, var.data(), var.data(), static_cast<T>(epsilon), nullptr,
                                        nullptr, inv_std.mutable_data(), unused.mutable_data(),
                                        unused.mutable_data());
      if (wants_parameters) in.mean = s.input(3).data();
      in.inv_std = inv_std.data();
      kernels::batchnorm_backward_inference(rows, channels, in, dgamma.mutable_data(), dbeta.mutable_data(),
                                            dx.mutable_data());
    }
    if (d.wants(0)) d.add(0, dx);
    if (d.wants(1)) d.add(1, dgamma);
    if (d.wants(2)) d.add(2, dbeta);
  }

 private:
  template <class T>
  static std::span<T> elements_of(Tensor<T>& tensor) {
    return {tensor.mutable_data(), static_cast<std::size_t>(tensor.size())};
  }

  /// dx by the sums of dgamma and dbeta over all processes, which keep their own.
  template <class T>
  static void input_gradient(ProcessGroup& group, Index rows, Index channels,
                             const kernels::BatchnormGradient<T>& in, const Tensor<T>& dgamma,
                             const Tensor<T>& dbeta, Tensor<T>& dx) {
    std::vector<double> sums(dgamma.span().begin(), dgamma.span().end());
    sums.insert(sums.end(), dbeta.span().begin(), dbeta.span().end());
    sums.push_back(static_cast<double>(rows));
    group.sum(std::span<double>(sums));
    std::vector<T> all(sums.size());
    std::transform(sums.begin(), sums.end(), all.begin(), [](double sum) { return static_cast<T>(sum); });
    kernels::batchnorm_backward_input(rows, channels, in, static_cast<Index>(sums.back()), all.data(),
                                      all.data() + channels, dx.mutable_data());
  }

  /// running = (1 - momentum) running + momentum factor batch
  template <class T>
  void follow(Tensor<T> running, const Tensor<T>& batch, T factor) const {
    kernels::weighted_sum(running.size(), static_cast<T>(1 - momentum), running.data(),
                          static_cast<T>(momentum) * factor, batch.data(), running.mutable_data());
  }
};

}  // namespace tl::ops
