// Batch normalisation with what follows it in one pass, for training and inference: graph/fuse.hpp makes it
// of batch normalisation, addition and activation.
//
//   y = activation(batch_norm(x) + r)      x, r:(N,C,H,W)  gamma, beta, mean, var:(C); r may be left out
#pragma once

#include <tl/ops/norm.hpp>

namespace tl::ops {

/// y = activation(batch_norm(x) + r), for training and inference; r of x's shape may be left out.
struct FusedBatchNorm {
  static constexpr std::string_view name = "fused_batch_norm";
  BatchNorm norm{};                                            ///< epsilon and momentum
  kernels::Activation activation = kernels::Activation::none;  ///< what is applied last

  Shape infer(const Shape& x, const Shape& gamma, const Shape& beta, const Shape& mean,
              const Shape& var) const {
    return norm.infer(x, gamma, beta, mean, var);
  }
  Shape infer(const Shape& x, const Shape& gamma, const Shape& beta, const Shape& mean, const Shape& var,
              const Shape& r) const {
    TL_CHECK(r == x, "[fused_batch_norm] expected a residual like x", x, ", got ", r);
    return norm.infer(x, gamma, beta, mean, var);
  }

  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x, const Tensor<T>& gamma, const Tensor<T>& beta,
                    const Tensor<T>& mean, const Tensor<T>& var) const {
    return norm.compute<T>(context, x, gamma, beta, mean, var, nullptr, activation);
  }
  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x, const Tensor<T>& gamma, const Tensor<T>& beta,
                    const Tensor<T>& mean, const Tensor<T>& var, const Tensor<T>& r) const {
    infer(x.shape(), gamma.shape(), beta.shape(), mean.shape(), var.shape(), r.shape());
    const Tensor<T> residual = r.to(Layout::channels_last);
    return norm.compute<T>(context, x, gamma, beta, mean, var, residual.data(), activation);
  }

  Reads reads(int input, Mode mode) const {
    Reads r = BatchNorm::reads(input == residual_input ? 0 : input, mode);
    r.output = activation != kernels::Activation::none;
    return r;
  }

  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Tensor<T> gradient = dy.to(Layout::channels_last);
    const bool activated = activation != kernels::Activation::none;
    const bool wants_residual = s.input_count() > residual_input && d.wants(residual_input);
    Tensor<T> y, residual_gradient;
    if (activated) y = s.output().to(Layout::channels_last);
    if (wants_residual && activated) residual_gradient = Tensor<T>::empty(dy.shape(), gradient.layout());
    norm.gradients<T>(s, gradient, y.data(), activation, residual_gradient.mutable_data(), d);
    if (wants_residual) d.add(residual_input, activated ? residual_gradient : gradient);
  }

 private:
  static constexpr int residual_input = 5;
};

}  // namespace tl::ops
