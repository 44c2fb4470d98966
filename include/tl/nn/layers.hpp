// Layers: an options struct, named parameters and one call each.
//
// Shapes: images (N,C,H,W), rows (N,C). Initial weights come from RandomScope's streams, so that
// `RandomScope scope(seed, 0);` before building a model fixes all of them.
#pragma once

#include <tl/nn/init.hpp>
#include <tl/nn/module.hpp>

namespace tl::nn {

/// An operation without parameters as a layer: Relu, pools, Flatten.
template <class T, class Op>
class Function final : public Module<T> {
 public:
  explicit Function(Op op = {}) : operation_(make_operation<T>(std::move(op))) {}
  Var<T> forward(const Var<T>& x) override {
    return apply<T>(operation_, std::span<const Var<T>>(&x, 1), this->mode());
  }

 private:
  OperationPtr<T> operation_;
};

template <class T = float>
using Relu = Function<T, ops::Relu>;
template <class T = float>
using LeakyRelu = Function<T, ops::LeakyRelu>;
template <class T = float>
using Clip = Function<T, ops::Clip>;
template <class T = float>
using Sigmoid = Function<T, ops::Sigmoid>;
template <class T = float>
using Tanh = Function<T, ops::Tanh>;
template <class T = float>
using Silu = Function<T, ops::Silu>;
template <class T = float>
using HardSwish = Function<T, ops::HardSwish>;
template <class T = float>
using MaxPool2d = Function<T, ops::MaxPool2d>;
template <class T = float>
using AveragePool2d = Function<T, ops::AveragePool2d>;
/// Built without arguments it is global average pooling.
template <class T = float>
using AdaptiveAveragePool2d = Function<T, ops::AdaptiveAveragePool2d>;
template <class T = float>
using Flatten = Function<T, ops::Flatten>;
/// Drops values in training only.
template <class T = float>
using Dropout = Function<T, ops::Dropout>;

struct DenseOptions {
  Index in = 0, out = 0;
  bool bias = true;
};

/// Fully connected layer.  (N,in) -> (N,out).  weight (out,in), Kaiming uniform; bias (out), zero.
template <std::floating_point T = float>
class Dense final : public Module<T> {
 public:
  explicit Dense(const DenseOptions& options) {
    TL_CHECK(options.in >= 1 && options.out >= 1, "[dense] expected at least 1 input and output, got ",
             options.in, " and ", options.out);
    weight_ = this->add_parameter("weight",
                                  kaiming_uniform<T>({options.out, options.in}, RandomScope::next_stream()));
    if (options.bias) bias_ = this->add_parameter("bias", Tensor<T>::zeros({options.out}));
  }
  Var<T> forward(const Var<T>& x) override {
    return bias_.defined() ? linear(x, weight_, bias_) : linear(x, weight_);
  }

 private:
  Var<T> weight_, bias_;
};

struct Conv2dOptions {
  Index in = 0, out = 0;
  Index kernel = 1;
  Index stride = 1;
  Index padding = 0;  ///< on each side
  Index dilation = 1;
  Index groups = 1;
  bool bias = false;
};

/// Convolution.  (N,in,H,W) -> (N,out,OH,OW).  weight (out,in/groups,kernel,kernel), Kaiming normal; bias
/// (out), zero.
template <std::floating_point T = float>
class Conv2d final : public Module<T> {
 public:
  explicit Conv2d(const Conv2dOptions& o)
      : operation_{.stride = {o.stride, o.stride},
                   .padding = {o.padding, o.padding, o.padding, o.padding},
                   .dilation = {o.dilation, o.dilation},
                   .groups = o.groups} {
    TL_CHECK(o.in >= 1 && o.out >= 1 && o.kernel >= 1 && o.groups >= 1 && o.in % o.groups == 0 &&
                 o.out % o.groups == 0,
             "[conv2d] expected in, out, kernel and groups of at least 1, groups dividing in and out, got ",
             o.in, ", ", o.out, ", ", o.kernel, ", ", o.groups);
    weight_ = this->add_parameter("weight", kaiming_normal<T>({o.out, o.in / o.groups, o.kernel, o.kernel},
                                                              RandomScope::next_stream()));
    if (o.bias) bias_ = this->add_parameter("bias", Tensor<T>::zeros({o.out}));
  }
  Var<T> forward(const Var<T>& x) override {
    return bias_.defined() ? conv2d(x, weight_, bias_, operation_) : conv2d(x, weight_, operation_);
  }

 private:
  ops::Conv2d operation_;
  Var<T> weight_, bias_;
};

struct BatchNormOptions {
  Index channels = 0;
  double epsilon = 1e-5;
  double momentum = 0.1;
};

/// Batch normalisation.  (N,C,H,W) or (N,C), same out.  weight (C), one; bias (C), zero; running_mean,
/// running_var (C). While both parameters are frozen it uses its running statistics and does not change them.
template <std::floating_point T = float>
class BatchNorm2d final : public Module<T> {
 public:
  explicit BatchNorm2d(const BatchNormOptions& options)
      : operation_{.epsilon = options.epsilon, .momentum = options.momentum} {
    TL_CHECK(options.channels >= 1, "[batch_norm] expected at least 1 channel, got ", options.channels);
    const Shape shape{options.channels};
    weight_ = this->add_parameter("weight", Tensor<T>::ones(shape));
    bias_ = this->add_parameter("bias", Tensor<T>::zeros(shape));
    running_mean_ = this->add_buffer("running_mean", Tensor<T>::zeros(shape));
    running_var_ = this->add_buffer("running_var", Tensor<T>::ones(shape));
  }
  Var<T> forward(const Var<T>& x) override {
    return batch_norm(x, weight_, bias_, running_mean_, running_var_, this->mode(), operation_);
  }

 private:
  ops::BatchNorm operation_;
  Var<T> weight_, bias_, running_mean_, running_var_;
};

struct EmbeddingOptions {
  Index rows = 0, width = 0;
};

/// A table (rows,width), normal; look_up takes indices of any shape S to (S,width).
template <std::floating_point T = float>
class Embedding final : public Module<T> {
 public:
  explicit Embedding(const EmbeddingOptions& options) {
    TL_CHECK(options.rows >= 1 && options.width >= 1, "[embedding] expected at least 1 row and column, got ",
             options.rows, " and ", options.width);
    table_ = this->add_parameter(
        "weight", random_normal<T>({options.rows, options.width}, 1, RandomScope::next_stream()));
  }
  Var<T> look_up(const Tensor<std::int64_t>& indices) const { return embedding(table_, indices); }
  /// Indices given as whole numbers of type T.
  Var<T> forward(const Var<T>& x) override { return embedding(table_, x); }

 private:
  Var<T> table_;
};

/// Layers one after the other, named "0", "1", ...
template <class T = float>
class Sequential final : public Module<T> {
 public:
  Sequential() = default;
  explicit Sequential(std::vector<ModulePtr<T>> layers) {
    for (ModulePtr<T>& layer : layers) push_back(std::move(layer));
  }
  void push_back(ModulePtr<T> layer) {
    layers_.push_back(this->add_module(std::to_string(layers_.size()), std::move(layer)));
  }
  Var<T> forward(const Var<T>& x) override {
    Var<T> y = x;
    for (const ModulePtr<T>& layer : layers_) y = layer->forward(y);
    return y;
  }
  std::size_t size() const { return layers_.size(); }
  Module<T>& operator[](std::size_t i) { return *layers_.at(i); }

 private:
  std::vector<ModulePtr<T>> layers_;
};

/// y = relu(body(x) + shortcut(x)); without a shortcut, + x (He et al. 2015,
/// https://arxiv.org/abs/1512.03385).
template <class T = float>
class Residual final : public Module<T> {
 public:
  explicit Residual(ModulePtr<T> body, ModulePtr<T> shortcut = nullptr)
      : body_(this->add_module("body", std::move(body))) {
    if (shortcut) shortcut_ = this->add_module("shortcut", std::move(shortcut));
  }
  Var<T> forward(const Var<T>& x) override {
    return relu(body_->forward(x) + (shortcut_ ? shortcut_->forward(x) : x));
  }

 private:
  ModulePtr<T> body_, shortcut_;
};

/// A Sequential of layers made with std::make_shared: sequential<float>(conv, norm, relu).
template <class T, class... Layers>
std::shared_ptr<Sequential<T>> sequential(std::shared_ptr<Layers>... layers) {
  return std::make_shared<Sequential<T>>(std::vector<ModulePtr<T>>{std::move(layers)...});
}

}  // namespace tl::nn
