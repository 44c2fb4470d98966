// Functions of one value, element by element:  y = f(x),  dx = dy * f'(x).
//
// Formulas and derivatives stand in the table of kernels/elementwise.hpp. The derivatives of relu, sigmoid,
// tanh, exp and sqrt are functions of y, so the tape keeps the result instead of the input.
#pragma once

#include <tl/ops/operation.hpp>
#include <tl/tensor/math.hpp>

namespace tl::ops {

/// The common part: which kernel, and its up to two parameters.
template <kernels::Unary kind>
struct UnaryOperation {
  double alpha = 0;  ///< the first parameter of the formula in kernels/elementwise.hpp, where there is one
  double beta = 0;   ///< the second

  Shape infer(const Shape& x) const { return x; }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    return unary(kind, x, static_cast<T>(alpha), static_cast<T>(beta));
  }
  static constexpr Reads reads(int) {
    return {.inputs = kernels::saves_output(kind) ? 0u : 1u, .output = kernels::saves_output(kind)};
  }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Tensor<T>& saved = kernels::saves_output(kind) ? s.output() : s.input(0);
    d.add(0, unary_gradient(kind, saved, dy, static_cast<T>(alpha), static_cast<T>(beta)));
  }
};

/// max(x, 0)
struct Relu : UnaryOperation<kernels::Unary::relu> {
  static constexpr std::string_view name = "relu";
};
/// min(max(x, low), high); relu6 is Clip(0, 6)
struct Clip : UnaryOperation<kernels::Unary::clip> {
  static constexpr std::string_view name = "clip";
  /// Throws where low > high.
  Clip(double low, double high) : UnaryOperation{low, high} {
    TL_CHECK(low <= high, "[clip] expected low <= high, got ", low, " and ", high);
  }
  double low() const { return alpha; }  ///< the least value that comes out
  double high() const { return beta; }  ///< the greatest value that comes out
};
/// x > 0 ? x : slope x
struct LeakyRelu : UnaryOperation<kernels::Unary::leaky_relu> {
  static constexpr std::string_view name = "leaky_relu";
  /// PyTorch's and ONNX's default is 0.01.
  explicit LeakyRelu(double slope) : UnaryOperation{slope, 0} {}
  double slope() const { return alpha; }  ///< factor of negative values
};
/// 1 / (1 + exp(-x))
struct Sigmoid : UnaryOperation<kernels::Unary::sigmoid> {
  static constexpr std::string_view name = "sigmoid";
};
/// (exp(x) - exp(-x)) / (exp(x) + exp(-x))
struct Tanh : UnaryOperation<kernels::Unary::tanh> {
  static constexpr std::string_view name = "tanh";
};
/// x sigmoid(x), also called swish
struct Silu : UnaryOperation<kernels::Unary::silu> {
  static constexpr std::string_view name = "silu";
};
/// x min(max(x + 3, 0), 6) / 6
struct HardSwish : UnaryOperation<kernels::Unary::hard_swish> {
  static constexpr std::string_view name = "hard_swish";
};
/// min(max(slope x + shift, 0), 1)
struct HardSigmoid : UnaryOperation<kernels::Unary::hard_sigmoid> {
  static constexpr std::string_view name = "hard_sigmoid";
  /// ONNX's default slope is 0.2, PyTorch's 1/6.
  explicit HardSigmoid(double slope = 1.0 / 6, double shift = 0.5) : UnaryOperation{slope, shift} {}
  double slope() const { return alpha; }  ///< factor of x
  double shift() const { return beta; }   ///< what is added to slope x
};
/// x Phi(x), Phi the distribution function of the standard normal (Hendrycks, Gimpel 2016)
struct Gelu : UnaryOperation<kernels::Unary::gelu> {
  static constexpr std::string_view name = "gelu";
};
/// x > 0 ? x : alpha (exp(x) - 1)  (Clevert et al. 2015)
struct Elu : UnaryOperation<kernels::Unary::elu> {
  static constexpr std::string_view name = "elu";
  /// The result tends to -alpha far below 0.
  explicit Elu(double alpha_ = 1) : UnaryOperation{alpha_, 1} {}
};
/// gamma (x > 0 ? x : alpha (exp(x) - 1)), by default with mean 0 and variance 1 as its fixed point
/// (Klambauer et al. 2017)
struct Selu : UnaryOperation<kernels::Unary::elu> {
  static constexpr std::string_view name = "selu";
  /// alpha as in Elu, gamma multiplies the whole.
  explicit Selu(double alpha_ = 1.6732632423543772, double gamma = 1.0507009873554805)
      : UnaryOperation{alpha_, gamma} {}
  double gamma() const { return beta; }  ///< factor of the whole
};
/// log(1 + exp(x))
struct Softplus : UnaryOperation<kernels::Unary::softplus> {
  static constexpr std::string_view name = "softplus";
};
/// x tanh(softplus(x))  (Misra 2019)
struct Mish : UnaryOperation<kernels::Unary::mish> {
  static constexpr std::string_view name = "mish";
};
/// The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x
struct Erf : UnaryOperation<kernels::Unary::erf> {
  static constexpr std::string_view name = "erf";
};
/// e^x
struct Exp : UnaryOperation<kernels::Unary::exp> {
  static constexpr std::string_view name = "exp";
};
/// Natural logarithm; -infinity at 0, NaN below
struct Log : UnaryOperation<kernels::Unary::log> {
  static constexpr std::string_view name = "log";
};
/// Square root; NaN below 0
struct Sqrt : UnaryOperation<kernels::Unary::sqrt> {
  static constexpr std::string_view name = "sqrt";
};
/// |x|; the gradient at 0 is 0
struct Abs : UnaryOperation<kernels::Unary::abs> {
  static constexpr std::string_view name = "abs";
};
/// 1 / x
struct Reciprocal : UnaryOperation<kernels::Unary::reciprocal> {
  static constexpr std::string_view name = "reciprocal";
};

/// -x
struct Neg {
  static constexpr std::string_view name = "neg";

  Shape infer(const Shape& x) const { return x; }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    return scale(x, T{-1});
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>&, const Tensor<T>& dy, GradSink<T>& d) const {
    d.add(0, scale(dy, T{-1}));
  }
};

}  // namespace tl::ops
