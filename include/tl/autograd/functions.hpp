// The operations as functions of Var<T>: what models and training loops are written with.
#pragma once

#include <initializer_list>
#include <vector>

#include <tl/autograd/var.hpp>
#include <tl/ops/activation.hpp>
#include <tl/ops/arithmetic.hpp>
#include <tl/ops/compare.hpp>
#include <tl/ops/conv.hpp>
#include <tl/ops/conv_transpose.hpp>
#include <tl/ops/dropout.hpp>
#include <tl/ops/embedding.hpp>
#include <tl/ops/linear.hpp>
#include <tl/ops/loss.hpp>
#include <tl/ops/norm.hpp>
#include <tl/ops/pool.hpp>
#include <tl/ops/reduce.hpp>
#include <tl/ops/shape.hpp>
#include <tl/ops/softmax.hpp>
#include <tl/ops/take.hpp>

namespace tl {

// Arithmetic, broadcasting as NumPy does.
template <class T>
Var<T> operator+(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Add{}, a, b);
}
template <class T>
Var<T> operator-(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Sub{}, a, b);
}
template <class T>
Var<T> operator*(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Mul{}, a, b);
}
template <class T>
Var<T> operator/(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Div{}, a, b);
}
template <class T>
Var<T> operator-(const Var<T>& x) {
  return apply(ops::Neg{}, x);
}
template <class T>
Var<T> operator+(const Var<T>& x, std::type_identity_t<T> value) {
  return x + Var<T>(Tensor<T>::scalar(value));
}
template <class T>
Var<T> operator*(const Var<T>& x, std::type_identity_t<T> value) {
  return x * Var<T>(Tensor<T>::scalar(value));
}
/// x^exponent, element by element.
template <class T>
Var<T> power(const Var<T>& x, double exponent) {
  return apply(ops::Power{exponent}, x);
}
/// a^b, element by element.
template <class T>
Var<T> pow(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Pow{}, a, b);
}

// Comparisons, which give 1 or 0 and no gradient, and choices.
template <class T>
Var<T> greater(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Greater{}, a, b);
}
template <class T>
Var<T> greater_equal(const Var<T>& a, const Var<T>& b) {
  return apply(ops::GreaterEqual{}, a, b);
}
template <class T>
Var<T> equal(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Equal{}, a, b);
}
template <class T>
Var<T> maximum(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Maximum{}, a, b);
}
template <class T>
Var<T> minimum(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Minimum{}, a, b);
}
/// a where the condition is not 0, b elsewhere.
template <class T>
Var<T> where(const Var<T>& condition, const Var<T>& a, const Var<T>& b) {
  return apply(ops::Where{}, condition, a, b);
}

// Matrix products.
template <class T>
Var<T> matmul(const Var<T>& a, const Var<T>& b) {
  return apply(ops::MatMul{}, a, b);
}
/// x w^T + b; x:(N,I), w:(O,I), b:(O).
template <class T>
Var<T> linear(const Var<T>& x, const Var<T>& w, const Var<T>& b) {
  return apply(ops::Linear{}, x, w, b);
}
template <class T>
Var<T> linear(const Var<T>& x, const Var<T>& w) {
  return apply(ops::Linear{}, x, w);
}

// Images (N,C,H,W).
template <class T>
Var<T> conv2d(const Var<T>& x, const Var<T>& w, const ops::Conv2d& options = {}) {
  return apply(options, x, w);
}
template <class T>
Var<T> conv2d(const Var<T>& x, const Var<T>& w, const Var<T>& b, const ops::Conv2d& options = {}) {
  return apply(options, x, w, b);
}
template <class T>
Var<T> conv_transpose2d(const Var<T>& x, const Var<T>& w, const ops::ConvTranspose2d& options = {}) {
  return apply(options, x, w);
}
template <class T>
Var<T> conv_transpose2d(const Var<T>& x, const Var<T>& w, const Var<T>& b,
                        const ops::ConvTranspose2d& options = {}) {
  return apply(options, x, w, b);
}
template <class T>
Var<T> max_pool2d(const Var<T>& x, const ops::PoolWindow& window) {
  return apply(ops::MaxPool2d{window}, x);
}
template <class T>
Var<T> average_pool2d(const Var<T>& x, const ops::PoolWindow& window, bool include_padding = false) {
  return apply(ops::AveragePool2d{window, include_padding}, x);
}
template <class T>
Var<T> adaptive_average_pool2d(const Var<T>& x, ops::Size2 output) {
  return apply(ops::AdaptiveAveragePool2d{output}, x);
}
template <class T>
Var<T> adaptive_max_pool2d(const Var<T>& x, ops::Size2 output) {
  return apply(ops::AdaptiveMaxPool2d{output}, x);
}
/// (N,C,H,W) -> (N,C,1,1)
template <class T>
Var<T> global_average_pool2d(const Var<T>& x) {
  return adaptive_average_pool2d(x, {1, 1});
}
template <class T>
Var<T> global_max_pool2d(const Var<T>& x) {
  return apply(ops::GlobalMaxPool2d{}, x);
}
/// The running statistics are read, and in training moved; they get no gradient.
template <class T>
Var<T> batch_norm(const Var<T>& x, const Var<T>& gamma, const Var<T>& beta, const Var<T>& running_mean,
                  const Var<T>& running_var, Mode mode, const ops::BatchNorm& options = {}) {
  return apply_in(mode, options, x, gamma, beta, running_mean, running_var);
}

// Functions of one value.
template <class T>
Var<T> relu(const Var<T>& x) {
  return apply(ops::Relu{}, x);
}
template <class T>
Var<T> clip(const Var<T>& x, double low, double high) {
  return apply(ops::Clip{low, high}, x);
}
template <class T>
Var<T> relu6(const Var<T>& x) {
  return clip(x, 0, 6);
}
template <class T>
Var<T> leaky_relu(const Var<T>& x, double slope = 0.01) {
  return apply(ops::LeakyRelu{slope}, x);
}
template <class T>
Var<T> sigmoid(const Var<T>& x) {
  return apply(ops::Sigmoid{}, x);
}
template <class T>
Var<T> tanh(const Var<T>& x) {
  return apply(ops::Tanh{}, x);
}
template <class T>
Var<T> silu(const Var<T>& x) {
  return apply(ops::Silu{}, x);
}
template <class T>
Var<T> hard_swish(const Var<T>& x) {
  return apply(ops::HardSwish{}, x);
}
template <class T>
Var<T> hard_sigmoid(const Var<T>& x) {
  return apply(ops::HardSigmoid{}, x);
}
template <class T>
Var<T> gelu(const Var<T>& x) {
  return apply(ops::Gelu{}, x);
}
template <class T>
Var<T> elu(const Var<T>& x, double alpha = 1) {
  return apply(ops::Elu{alpha}, x);
}
template <class T>
Var<T> selu(const Var<T>& x) {
  return apply(ops::Selu{}, x);
}
template <class T>
Var<T> softplus(const Var<T>& x) {
  return apply(ops::Softplus{}, x);
}
template <class T>
Var<T> mish(const Var<T>& x) {
  return apply(ops::Mish{}, x);
}
template <class T>
Var<T> erf(const Var<T>& x) {
  return apply(ops::Erf{}, x);
}
template <class T>
Var<T> exp(const Var<T>& x) {
  return apply(ops::Exp{}, x);
}
template <class T>
Var<T> log(const Var<T>& x) {
  return apply(ops::Log{}, x);
}
template <class T>
Var<T> sqrt(const Var<T>& x) {
  return apply(ops::Sqrt{}, x);
}
template <class T>
Var<T> abs(const Var<T>& x) {
  return apply(ops::Abs{}, x);
}
/// 1 / x
template <class T>
Var<T> reciprocal(const Var<T>& x) {
  return apply(ops::Reciprocal{}, x);
}
template <class T>
Var<T> softmax(const Var<T>& x, Index axis = -1) {
  return apply(ops::Softmax{axis}, x);
}
template <class T>
Var<T> log_softmax(const Var<T>& x, Index axis = -1) {
  return apply(ops::LogSoftmax{axis}, x);
}
template <class T>
Var<T> dropout(const Var<T>& x, double probability, Mode mode) {
  return apply_in(mode, ops::Dropout{probability}, x);
}

// Shapes.
template <class T>
Var<T> reshape(const Var<T>& x, std::vector<Index> shape) {
  return apply(ops::Reshape{std::move(shape)}, x);
}
/// (N,..) -> (N, everything else)
template <class T>
Var<T> flatten(const Var<T>& x, Index axis = 1) {
  return apply(ops::Flatten{axis}, x);
}
template <class T>
Var<T> transpose(const Var<T>& x, std::vector<int> axes) {
  return apply(ops::Transpose{std::move(axes)}, x);
}
template <class T>
Var<T> slice(const Var<T>& x, std::vector<ops::Slice::Range> ranges) {
  return apply(ops::Slice{std::move(ranges)}, x);
}
/// concat({a, b}, 1)
template <class T>
Var<T> concat(std::initializer_list<Var<T>> parts, Index axis) {
  return apply<T>(make_operation<T>(ops::Concat{axis}), std::span<const Var<T>>(parts.begin(), parts.size()),
                  Mode{});
}
template <class T>
Var<T> concat(const std::vector<Var<T>>& parts, Index axis) {
  return apply<T>(make_operation<T>(ops::Concat{axis}), std::span<const Var<T>>(parts), Mode{});
}
/// Positions of an axis, in the order of the indices.
template <class T>
Var<T> take(const Var<T>& x, Index axis, std::vector<Index> indices) {
  return apply(ops::Take{axis, std::move(indices)}, x);
}
template <class T>
Var<T> pad(const Var<T>& x, std::vector<Index> before, std::vector<Index> after, double value = 0) {
  return apply(ops::Pad{std::move(before), std::move(after), value}, x);
}
template <class T>
Var<T> sum(const Var<T>& x, std::vector<Index> axes = {}, bool keep_axes = false) {
  return apply(ops::Sum{std::move(axes), keep_axes}, x);
}
template <class T>
Var<T> mean(const Var<T>& x, std::vector<Index> axes = {}, bool keep_axes = false) {
  return apply(ops::Mean{std::move(axes), keep_axes}, x);
}
/// The largest value over axes.
template <class T>
Var<T> max(const Var<T>& x, std::vector<Index> axes = {}, bool keep_axes = false) {
  return apply(ops::Max{std::move(axes), keep_axes}, x);
}
/// log(sum exp(x)) over axes
template <class T>
Var<T> log_sum_exp(const Var<T>& x, std::vector<Index> axes = {}, bool keep_axes = false) {
  return apply(ops::LogSumExp{std::move(axes), keep_axes}, x);
}
/// sqrt(sum x^2) over axes
template <class T>
Var<T> euclidean_norm(const Var<T>& x, std::vector<Index> axes = {}, bool keep_axes = false) {
  return apply(ops::EuclideanNorm{std::move(axes), keep_axes}, x);
}

/// Rows of table:(V,D) chosen by indices in [0,V), given as whole numbers of type T or as integers.
template <class T>
Var<T> embedding(const Var<T>& table, const Var<T>& indices) {
  return apply(ops::Embedding{}, table, indices);
}
template <class T>
Var<T> embedding(const Var<T>& table, const Tensor<std::int64_t>& indices) {
  return embedding(table, Var<T>(indices.template cast<T>()));
}

// Losses.
struct CrossEntropyOptions {
  double smoothing = 0;
  Tensor<double> class_weights{};
};
/// logits:(N,C), labels:(N) in [0,C) -> scalar
template <class T>
Var<T> cross_entropy(const Var<T>& logits, Tensor<std::int64_t> labels,
                     const CrossEntropyOptions& options = {}) {
  return apply(ops::CrossEntropy{std::move(labels), options.smoothing, options.class_weights}, logits);
}
template <class T>
Var<T> mean_squared_error(const Var<T>& x, const Var<T>& target) {
  return apply(ops::MeanSquaredError{}, x, target);
}
/// Logits and targets in [0,1] of one shape -> scalar
template <class T>
Var<T> binary_cross_entropy(const Var<T>& logits, const Var<T>& target) {
  return apply(ops::BinaryCrossEntropy{}, logits, target);
}

}  // namespace tl
