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
  /// The operation with its attributes, such as `Op{.axis = 1}`.
  explicit Function(Op op = {}) : operation_(make_operation<T>(std::move(op))) {}
  Var<T> forward(const Var<T>& x) override {
    return apply<T>(operation_, std::span<const Var<T>>(&x, 1), this->mode());
  }

 private:
  OperationPtr<T> operation_;
};

/// max(x, 0)
template <class T = float>
using Relu = Function<T, ops::Relu>;
/// x > 0 ? x : slope x; built with the slope
template <class T = float>
using LeakyRelu = Function<T, ops::LeakyRelu>;
/// min(max(x, low), high); built with low and high
template <class T = float>
using Clip = Function<T, ops::Clip>;
/// 1 / (1 + exp(-x))
template <class T = float>
using Sigmoid = Function<T, ops::Sigmoid>;
/// Hyperbolic tangent
template <class T = float>
using Tanh = Function<T, ops::Tanh>;
/// x sigmoid(x), also called swish
template <class T = float>
using Silu = Function<T, ops::Silu>;
/// x min(max(x + 3, 0), 6) / 6
template <class T = float>
using HardSwish = Function<T, ops::HardSwish>;
/// (N,C,H,W) -> (N,C,OH,OW); built with an ops::MaxPool2d, which has the window
template <class T = float>
using MaxPool2d = Function<T, ops::MaxPool2d>;
/// (N,C,H,W) -> (N,C,OH,OW); built with an ops::AveragePool2d, which has the window
template <class T = float>
using AveragePool2d = Function<T, ops::AveragePool2d>;
/// Built without arguments it is global average pooling.
template <class T = float>
using AdaptiveAveragePool2d = Function<T, ops::AdaptiveAveragePool2d>;
/// (N,..) -> (N, everything else)
template <class T = float>
using Flatten = Function<T, ops::Flatten>;
/// Drops values in training only.
template <class T = float>
using Dropout = Function<T, ops::Dropout>;

/// What a fully connected layer is built of.
struct DenseOptions {
  Index in = 0;      ///< width of the input, at least 1
  Index out = 0;     ///< width of the output, at least 1
  bool bias = true;  ///< whether something is added to the products
};

/// Fully connected layer.  (N,in) -> (N,out).  weight (out,in), Kaiming uniform; bias (out), zero.
template <std::floating_point T = float>
class Dense final : public Module<T> {
 public:
  /// Throws without inputs or outputs.
  explicit Dense(const DenseOptions& options) {
    TL_CHECK(options.in >= 1 && options.out >= 1, "[dense] expected at least 1 input and output, got ",
             options.in, " and ", options.out);
    weight_ = this->add_parameter("weight",
                                  kaiming_uniform<T>({options.out, options.in}, RandomScope::next_stream()));
    if (options.bias) bias_ = this->add_parameter("bias", Tensor<T>::zeros({options.out}));
  }
  /// (N,in) -> (N,out)
  Var<T> forward(const Var<T>& x) override {
    return bias_.defined() ? linear(x, weight_, bias_) : linear(x, weight_);
  }

 private:
  Var<T> weight_, bias_;
};

/// What a convolution is built of; windows are square.
struct Conv2dOptions {
  Index in = 0;        ///< channels of the input, at least 1
  Index out = 0;       ///< channels of the output, at least 1
  Index kernel = 1;    ///< height and width of the window, in pixels
  Index stride = 1;    ///< pixels from one window to the next
  Index padding = 0;   ///< on each side
  Index dilation = 1;  ///< pixels from one pixel of a window to the next; 1: none is left out
  Index groups = 1;    ///< divides in and out; in of them is depthwise
  bool bias = false;   ///< whether something is added to the sums
};

/// Convolution.  (N,in,H,W) -> (N,out,OH,OW).  weight (out,in/groups,kernel,kernel), Kaiming normal; bias
/// (out), zero.
template <std::floating_point T = float>
class Conv2d final : public Module<T> {
 public:
  /// Throws where groups do not divide the channels, or an extent is below 1.
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
  /// (N,in,H,W) -> (N,out,OH,OW)
  Var<T> forward(const Var<T>& x) override {
    return bias_.defined() ? conv2d(x, weight_, bias_, operation_) : conv2d(x, weight_, operation_);
  }

 private:
  ops::Conv2d operation_;
  Var<T> weight_, bias_;
};

/// What a batch normalisation is built of.
struct BatchNormOptions {
  Index channels = 0;     ///< C, at least 1
  double epsilon = 1e-5;  ///< added to the variance
  double momentum = 0.1;  ///< share of a batch in the running statistics, in [0, 1]
};

/// Batch normalisation.  (N,C,H,W) or (N,C), same out.  weight (C), one; bias (C), zero; running_mean,
/// running_var (C). While both parameters are frozen it uses its running statistics and does not change them.
template <std::floating_point T = float>
class BatchNorm2d final : public Module<T> {
 public:
  /// Throws without channels.
  explicit BatchNorm2d(const BatchNormOptions& options)
      : operation_{.epsilon = options.epsilon, .momentum = options.momentum} {
    TL_CHECK(options.channels >= 1, "[batch_norm] expected at least 1 channel, got ", options.channels);
    const Shape shape{options.channels};
    weight_ = this->add_parameter("weight", Tensor<T>::ones(shape));
    bias_ = this->add_parameter("bias", Tensor<T>::zeros(shape));
    running_mean_ = this->add_buffer("running_mean", Tensor<T>::zeros(shape));
    running_var_ = this->add_buffer("running_var", Tensor<T>::ones(shape));
  }
  /// (N,C,H,W) or (N,C), same out; in training the running statistics move.
  Var<T> forward(const Var<T>& x) override {
    return batch_norm(x, weight_, bias_, running_mean_, running_var_, this->mode(), operation_);
  }

 private:
  ops::BatchNorm operation_;
  Var<T> weight_, bias_, running_mean_, running_var_;
};

/// The extents of a table.
struct EmbeddingOptions {
  Index rows = 0;   ///< how many things have a vector
  Index width = 0;  ///< how long a vector is
};

/// A table (rows,width), normal; look_up takes indices of any shape S to (S,width).
template <std::floating_point T = float>
class Embedding final : public Module<T> {
 public:
  /// Throws without rows or columns.
  explicit Embedding(const EmbeddingOptions& options) {
    TL_CHECK(options.rows >= 1 && options.width >= 1, "[embedding] expected at least 1 row and column, got ",
             options.rows, " and ", options.width);
    table_ = this->add_parameter(
        "weight", random_normal<T>({options.rows, options.width}, 1, RandomScope::next_stream()));
  }
  /// Rows of the table: indices in [0,rows) of shape S -> (S,width); throws for others.
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
  /// The layers are named by their places, "0", "1", ...
  explicit Sequential(std::vector<ModulePtr<T>> layers) {
    for (ModulePtr<T>& layer : layers) push_back(std::move(layer));
  }
  /// Appends a layer, named by its place.
  void push_back(ModulePtr<T> layer) {
    layers_.push_back(this->add_module(std::to_string(layers_.size()), std::move(layer)));
  }
  /// What the last layer makes of it; x itself without layers.
  Var<T> forward(const Var<T>& x) override {
    Var<T> y = x;
    for (const ModulePtr<T>& layer : layers_) y = layer->forward(y);
    return y;
  }
  std::size_t size() const { return layers_.size(); }  ///< how many layers
  /// Throws std::out_of_range beyond the last.
  Module<T>& operator[](std::size_t i) { return *layers_.at(i); }

 private:
  std::vector<ModulePtr<T>> layers_;
};

/// y = relu(body(x) + shortcut(x)); without a shortcut, + x (He et al. 2015,
/// https://arxiv.org/abs/1512.03385).
template <class T = float>
class Residual final : public Module<T> {
 public:
  /// Without a shortcut x is added as it is, so that the body must keep its shape.
  explicit Residual(ModulePtr<T> body, ModulePtr<T> shortcut = nullptr)
      : body_(this->add_module("body", std::move(body))) {
    if (shortcut) shortcut_ = this->add_module("shortcut", std::move(shortcut));
  }
  /// relu(body(x) + shortcut(x)), of the body's shape.
  Var<T> forward(const Var<T>& x) override {
    return relu(body_->forward(x) + (shortcut_ ? shortcut_->forward(x) : x));
  }

 private:
  ModulePtr<T> body_, shortcut_;
};

/// A Sequential of layers made with std::make_shared: sequential<float>({conv, norm, relu}). In braces layers
/// are made from left to right, so that every compiler gives them the same initial weights.
template <class T>
std::shared_ptr<Sequential<T>> sequential(std::vector<ModulePtr<T>> layers) {
  return std::make_shared<Sequential<T>>(std::move(layers));
}

}  // namespace tl::nn
