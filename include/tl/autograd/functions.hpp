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
/// a + b; shapes broadcast as NumPy's do, which the other functions of two values do too.
template <class T>
Var<T> operator+(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Add{}, a, b);
}
/// a - b
template <class T>
Var<T> operator-(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Sub{}, a, b);
}
/// a * b, element by element
template <class T>
Var<T> operator*(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Mul{}, a, b);
}
/// a / b, element by element
template <class T>
Var<T> operator/(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Div{}, a, b);
}
/// -x
template <class T>
Var<T> operator-(const Var<T>& x) {
  return apply(ops::Neg{}, x);
}
/// x + value
template <class T>
Var<T> operator+(const Var<T>& x, std::type_identity_t<T> value) {
  return x + Var<T>(Tensor<T>::scalar(value));
}
/// x * value
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
/// 1 where a > b, else 0
template <class T>
Var<T> greater(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Greater{}, a, b);
}
/// 1 where a >= b, else 0
template <class T>
Var<T> greater_equal(const Var<T>& a, const Var<T>& b) {
  return apply(ops::GreaterEqual{}, a, b);
}
/// 1 where a = b, else 0
template <class T>
Var<T> equal(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Equal{}, a, b);
}
/// The larger of a and b; where they are equal, each gets half of the gradient.
template <class T>
Var<T> maximum(const Var<T>& a, const Var<T>& b) {
  return apply(ops::Maximum{}, a, b);
}
/// The smaller of a and b; gradients as of maximum().
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
/// a:(..,M,K) b:(..,K,N) -> (..,M,N); leading axes broadcast.
template <class T>
Var<T> matmul(const Var<T>& a, const Var<T>& b) {
  return apply(ops::MatMul{}, a, b);
}
/// x w^T + b; x:(N,I), w:(O,I), b:(O).
template <class T>
Var<T> linear(const Var<T>& x, const Var<T>& w, const Var<T>& b) {
  return apply(ops::Linear{}, x, w, b);
}
/// The same without b.
template <class T>
Var<T> linear(const Var<T>& x, const Var<T>& w) {
  return apply(ops::Linear{}, x, w);
}

// Images (N,C,H,W).
/// x:(N,C,H,W), w:(O,C/G,KH,KW) -> (N,O,OH,OW); G = options.groups, formula in ops/conv.hpp.
template <class T>
Var<T> conv2d(const Var<T>& x, const Var<T>& w, const ops::Conv2d& options = {}) {
  return apply(options, x, w);
}
/// The same with b:(O).
template <class T>
Var<T> conv2d(const Var<T>& x, const Var<T>& w, const Var<T>& b, const ops::Conv2d& options = {}) {
  return apply(options, x, w, b);
}
/// x:(N,C,H,W), w:(C,O/G,KH,KW) -> (N,O,OH,OW); formula in ops/conv_transpose.hpp.
template <class T>
Var<T> conv_transpose2d(const Var<T>& x, const Var<T>& w, const ops::ConvTranspose2d& options = {}) {
  return apply(options, x, w);
}
/// The same with b:(O).
template <class T>
Var<T> conv_transpose2d(const Var<T>& x, const Var<T>& w, const Var<T>& b,
                        const ops::ConvTranspose2d& options = {}) {
  return apply(options, x, w, b);
}
/// The greatest value of each window: (N,C,H,W) -> (N,C,OH,OW).
template <class T>
Var<T> max_pool2d(const Var<T>& x, const ops::PoolWindow& window) {
  return apply(ops::MaxPool2d{window}, x);
}
/// The mean of each window: (N,C,H,W) -> (N,C,OH,OW); padding counts as zeros only with include_padding.
template <class T>
Var<T> average_pool2d(const Var<T>& x, const ops::PoolWindow& window, bool include_padding = false) {
  return apply(ops::AveragePool2d{window, include_padding}, x);
}
/// The mean of each of output.h x output.w regions: (N,C,H,W) -> (N,C,output.h,output.w).
template <class T>
Var<T> adaptive_average_pool2d(const Var<T>& x, ops::Size2 output) {
  return apply(ops::AdaptiveAveragePool2d{output}, x);
}
/// The greatest value of each of output.h x output.w regions: (N,C,H,W) -> (N,C,output.h,output.w).
template <class T>
Var<T> adaptive_max_pool2d(const Var<T>& x, ops::Size2 output) {
  return apply(ops::AdaptiveMaxPool2d{output}, x);
}
/// (N,C,H,W) -> (N,C,1,1)
template <class T>
Var<T> global_average_pool2d(const Var<T>& x) {
  return adaptive_average_pool2d(x, {1, 1});
}
/// (N,C,H,W) -> (N,C,1,1)
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
/// max(x, 0)
template <class T>
Var<T> relu(const Var<T>& x) {
  return apply(ops::Relu{}, x);
}
/// min(max(x, low), high); throws where low > high.
template <class T>
Var<T> clip(const Var<T>& x, double low, double high) {
  return apply(ops::Clip{low, high}, x);
}
/// min(max(x, 0), 6)
template <class T>
Var<T> relu6(const Var<T>& x) {
  return clip(x, 0, 6);
}
/// x > 0 ? x : slope x
template <class T>
Var<T> leaky_relu(const Var<T>& x, double slope = 0.01) {
  return apply(ops::LeakyRelu{slope}, x);
}
/// 1 / (1 + exp(-x))
template <class T>
Var<T> sigmoid(const Var<T>& x) {
  return apply(ops::Sigmoid{}, x);
}
/// Hyperbolic tangent
template <class T>
Var<T> tanh(const Var<T>& x) {
  return apply(ops::Tanh{}, x);
}
/// x sigmoid(x), also called swish
template <class T>
Var<T> silu(const Var<T>& x) {
  return apply(ops::Silu{}, x);
}
/// x min(max(x + 3, 0), 6) / 6
template <class T>
Var<T> hard_swish(const Var<T>& x) {
  return apply(ops::HardSwish{}, x);
}
/// min(max(x / 6 + 1 / 2, 0), 1)
template <class T>
Var<T> hard_sigmoid(const Var<T>& x) {
  return apply(ops::HardSigmoid{}, x);
}
/// x Phi(x), Phi the distribution function of the standard normal (Hendrycks, Gimpel 2016)
template <class T>
Var<T> gelu(const Var<T>& x) {
  return apply(ops::Gelu{}, x);
}
/// x > 0 ? x : alpha (exp(x) - 1)  (Clevert et al. 2015)
template <class T>
Var<T> elu(const Var<T>& x, double alpha = 1) {
  return apply(ops::Elu{alpha}, x);
}
/// ops::Selu with its default constants (Klambauer et al. 2017)
template <class T>
Var<T> selu(const Var<T>& x) {
  return apply(ops::Selu{}, x);
}
/// log(1 + exp(x))
template <class T>
Var<T> softplus(const Var<T>& x) {
  return apply(ops::Softplus{}, x);
}
/// x tanh(softplus(x))  (Misra 2019)
template <class T>
Var<T> mish(const Var<T>& x) {
  return apply(ops::Mish{}, x);
}
/// The error function
template <class T>
Var<T> erf(const Var<T>& x) {
  return apply(ops::Erf{}, x);
}
/// e^x
template <class T>
Var<T> exp(const Var<T>& x) {
  return apply(ops::Exp{}, x);
}
/// Natural logarithm
template <class T>
Var<T> log(const Var<T>& x) {
  return apply(ops::Log{}, x);
}
/// Square root
template <class T>
Var<T> sqrt(const Var<T>& x) {
  return apply(ops::Sqrt{}, x);
}
/// |x|
template <class T>
Var<T> abs(const Var<T>& x) {
  return apply(ops::Abs{}, x);
}
/// 1 / x
template <class T>
Var<T> reciprocal(const Var<T>& x) {
  return apply(ops::Reciprocal{}, x);
}
/// exp(x) / sum exp(x) along an axis, the last by default.
template <class T>
Var<T> softmax(const Var<T>& x, Index axis = -1) {
  return apply(ops::Softmax{axis}, x);
}
/// log(softmax(x)) along an axis, the last by default; exact where softmax() is 0.
template <class T>
Var<T> log_softmax(const Var<T>& x, Index axis = -1) {
  return apply(ops::LogSoftmax{axis}, x);
}
/// In training, values become 0 with the probability, in [0, 1), and are divided by 1 - probability
/// otherwise.
template <class T>
Var<T> dropout(const Var<T>& x, double probability, Mode mode) {
  return apply_in(mode, ops::Dropout{probability}, x);
}

// Shapes.
/// The same values, row by row, in another shape; an extent of 0 copies x's, one of -1 is what remains.
template <class T>
Var<T> reshape(const Var<T>& x, std::vector<Index> shape) {
  return apply(ops::Reshape{std::move(shape)}, x);
}
/// (N,..) -> (N, everything else)
template <class T>
Var<T> flatten(const Var<T>& x, Index axis = 1) {
  return apply(ops::Flatten{axis}, x);
}
/// Axis k of the result is axis axes[k] of x.
template <class T>
Var<T> transpose(const Var<T>& x, std::vector<int> axes) {
  return apply(ops::Transpose{std::move(axes)}, x);
}
/// The named ranges of axes; the others whole.
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
/// The parts one behind the other along an axis; their other extents agree.
template <class T>
Var<T> concat(const std::vector<Var<T>>& parts, Index axis) {
  return apply<T>(make_operation<T>(ops::Concat{axis}), std::span<const Var<T>>(parts), Mode{});
}
/// Positions of an axis, in the order of the indices.
template <class T>
Var<T> take(const Var<T>& x, Index axis, std::vector<Index> indices) {
  return apply(ops::Take{axis, std::move(indices)}, x);
}
/// A constant around x: before[a] and after[a] positions on axis a; negative ones crop.
template <class T>
Var<T> pad(const Var<T>& x, std::vector<Index> before, std::vector<Index> after, double value = 0) {
  return apply(ops::Pad{std::move(before), std::move(after), value}, x);
}
/// The sum over axes; none: over all. With keep_axes they stay, with extent 1.
template <class T>
Var<T> sum(const Var<T>& x, std::vector<Index> axes = {}, bool keep_axes = false) {
  return apply(ops::Sum{std::move(axes), keep_axes}, x);
}
/// The mean over axes; none: over all.
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
/// The same from integers.
template <class T>
Var<T> embedding(const Var<T>& table, const Tensor<std::int64_t>& indices) {
  return embedding(table, Var<T>(indices.template cast<T>()));
}

// Losses.

/// What a cross-entropy may weigh differently.
struct CrossEntropyOptions {
  double smoothing = 0;            ///< share of the target spread over all classes, in [0, 1]
  Tensor<double> class_weights{};  ///< (C); undefined: all 1
};
/// logits:(N,C), labels:(N) in [0,C) -> scalar
template <class T>
Var<T> cross_entropy(const Var<T>& logits, Tensor<std::int64_t> labels,
                     const CrossEntropyOptions& options = {}) {
  return apply(ops::CrossEntropy{std::move(labels), options.smoothing, options.class_weights}, logits);
}
/// mean((x - target)^2), a scalar; the shapes are equal.
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
