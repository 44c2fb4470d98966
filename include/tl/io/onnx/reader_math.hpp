// ONNX operators on values: arithmetic, activations, matrix products, softmax, reductions.
//
// Definitions: https://onnx.ai/onnx/operators. A number after a function's name is the first operator set it
// belongs to, where the operator has changed since.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <tl/io/onnx/node.hpp>
#include <tl/ops/activation.hpp>
#include <tl/ops/arithmetic.hpp>
#include <tl/ops/compare.hpp>
#include <tl/ops/dropout.hpp>
#include <tl/ops/linear.hpp>
#include <tl/ops/reduce.hpp>
#include <tl/ops/shape.hpp>
#include <tl/ops/softmax.hpp>

namespace tl::onnx::operators {

// ---- Arithmetic ----------------------------------------------------------------------------------------

/// Before operator set 7 the second operand is repeated only on demand, and its first axis may be named.
template <class T, class Op>
bool arithmetic_6(Node<T>& n, const Op& op) {
  if (n.opset() >= 7) return false;
  const Shape &a = n.shape(0), &b = n.shape(1);
  const bool repeats = n.flag("broadcast", false);
  TL_CHECK(repeats || a == b, "expected operands of one shape without broadcast=1, got ", a, " and ", b);
  const Index axis = n.integer("axis", a.rank() - b.rank());
  const int first = axis < 0 ? static_cast<int>(axis) + a.rank() : static_cast<int>(axis);
  TL_CHECK(first >= 0 && first + b.rank() <= a.rank(), "axis ", axis, " does not fit operands ", a, " and ",
           b);
  const int more = a.rank() - b.rank() - first;
  if (more == 0) return false;
  std::vector<Index> shape(b.begin(), b.end());
  shape.resize(shape.size() + static_cast<std::size_t>(more), 1);
  const bool after = n.after_weight(0) || n.after_weight(1);
  n.emit(op,
         {n.operand(0, after), n.add_node(ops::Reshape{.shape = shape}, {n.operand(1, after)}, "aligned")});
  return true;
}

/// A floating-point operation, or the same on whole numbers known at load time.
template <class T, class Op, class F>
void arithmetic(Node<T>& n, Op op, const F& on_integers,
                bool (*is_affine)(const Integers&, const Integers&)) {
  if (n.input(0).is_integer() && n.input(1).is_integer()) {
    const Integers &a = n.integers(0), &b = n.integers(1);
    const bool certain = a.certain() && b.certain();
    if (!certain && !is_affine(a, b)) a.tensor(), b.tensor();  // throws: one of them is open
    n.set_integers(combine(a, b, on_integers));
  } else if (!arithmetic_6(n, op)) {
    n.compute(std::move(op), {0, 1});
  }
}

/// The graph node of a fully connected layer without bias that only this node reads as input i, or nullptr.
template <class T>
GraphNode<T>* linear_without_bias(Node<T>& n, int i) {
  if (n.own_file() || !n.input(i).is_computed() || n.uses(n.input_name(i)) != 1) return nullptr;
  const int index = n.graph().producer(n.input(i).id);
  if (index < 0) return nullptr;
  GraphNode<T>& node = n.graph().nodes()[static_cast<std::size_t>(index)];
  const bool fits = node.operation->template get_if<ops::Linear>() != nullptr && node.inputs.size() == 2;
  return fits ? &node : nullptr;
}

/// Input i as the bias (O) of a fully connected layer, or -1 when it is something else.
template <class T>
ValueId linear_bias(Node<T>& n, int i, Index outputs) {
  Value<T>& value = n.input(i);
  if (!value.is_constant()) return -1;
  if (value.id < 0 && value.constant.shape() == Shape{1, outputs} && n.uses(n.input_name(i)) == 1)
    value.constant = value.constant.reshape({outputs});
  return value.constant.shape() == Shape{outputs} ? n.weight(i) : -1;
}

template <class T>
void add(Node<T>& n) {
  for (const int i : {0, 1}) {  // MatMul and Add of a bias are one fully connected layer
    GraphNode<T>* layer = linear_without_bias(n, i);
    if (layer == nullptr) continue;
    const ValueId bias = linear_bias(n, 1 - i, n.shape(i)[1]);
    if (bias < 0) continue;
    layer->inputs.push_back(bias);
    n.graph().value(layer->output).name = n.output_name();
    n.set(n.input(i));
    return;
  }
  arithmetic(n, ops::Add{}, checked::add, affine::always);
}
template <class T>
void sub(Node<T>& n) {
  arithmetic(n, ops::Sub{}, checked::sub, affine::always);
}
template <class T>
void div(Node<T>& n) {
  arithmetic(n, ops::Div{}, checked::div, affine::quotient);
}

/// x sigmoid(x) arrives as two nodes.
template <class T>
bool is_silu(Node<T>& n, int gate) {
  const Value<T>& x = n.input(1 - gate);
  if (!x.is_computed() || !n.input(gate).is_computed() || n.uses(n.input_name(gate)) != 1) return false;
  const auto& nodes = n.graph().nodes();
  if (nodes.empty() || nodes.back().output != n.input(gate).id) return false;
  const GraphNode<T>& node = nodes.back();
  if (n.own_file() && node.name != n.name() + "/Sigmoid") return false;
  return node.operation->template get_if<ops::Sigmoid>() != nullptr && node.inputs[0] == x.id;
}

template <class T>
void mul(Node<T>& n) {
  for (const int gate : {0, 1}) {
    if (!is_silu(n, gate)) continue;
    GraphNode<T>& node = n.graph().nodes().back();
    node.operation = make_operation<T>(ops::Silu{});
    node.name = n.name();
    n.graph().value(node.output).name = n.output_name();
    n.set(n.input(gate));
    return;
  }
  arithmetic(n, ops::Mul{}, checked::mul, affine::product);
}

/// An operation of two values, applied to any number of inputs from the first to the last.
template <class T, class Op>
void chain(Node<T>& n) {
  TL_CHECK(n.input_count() >= 1, "expected at least one input");
  if (n.input_count() == 1) return n.pass_through();
  if (n.input_count() == 2) return n.compute(Op{}, {0, 1});
  bool after = false;
  for (int i = 0; i < n.input_count(); ++i) after = after || n.after_weight(i);
  ValueId total = n.operand(0, after);
  for (int i = 1; i + 1 < n.input_count(); ++i)
    total = n.add_node(Op{}, {total, n.operand(i, after)}, std::to_string(i));
  n.emit(Op{}, {total, n.operand(n.input_count() - 1, after)});
}

template <class T>
void mod(Node<T>& n) {
  TL_CHECK(!n.flag("fmod", false), "fmod=1 is not supported");
  n.set_integers(Integers::same(combine(n.integers(0).tensor(), n.integers(1).tensor(), checked::mod)));
}

template <class T>
void pow(Node<T>& n) {
  if (!n.is_scalar(1)) return arithmetic_6(n, ops::Pow{}) ? void() : n.compute(ops::Pow{}, {0, 1});
  n.flag("broadcast", false);  // before operator set 7; one number is repeated in any case
  n.integer("axis", 0);
  n.compute(ops::Power{.exponent = n.scalar(1)}, {0});
}

/// Minimum or maximum of any number of values, of a value and a constant bound, or of two whole numbers.
template <class T, bool is_min>
void bound(Node<T>& n) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (n.input_count() == 2) {
    if (n.input(0).is_integer() && n.input(1).is_integer()) {
      return n.set_integers(
          Integers::same(combine(n.integers(0).tensor(), n.integers(1).tensor(),
                                 [](Index a, Index b) { return is_min ? std::min(a, b) : std::max(a, b); })));
    }
    const int x = n.input(0).is_computed() ? 0 : 1;
    if (n.input(x).is_computed() && n.is_scalar(1 - x) && !n.own_file()) {
      const double limit = n.scalar(1 - x);
      return n.compute(is_min ? ops::Clip(-infinity, limit) : ops::Clip(limit, infinity), {x});
    }
  }
  chain<T, std::conditional_t<is_min, ops::Minimum, ops::Maximum>>(n);
}
template <class T>
void min(Node<T>& n) {
  bound<T, true>(n);
}
template <class T>
void max(Node<T>& n) {
  bound<T, false>(n);
}

// ---- Activations ---------------------------------------------------------------------------------------

/// Operators of one input without attributes.
template <class T, class Op>
void unary(Node<T>& n) {
  n.compute(Op{}, {0});
}

template <class T>
void neg(Node<T>& n) {
  if (!n.input(0).is_integer()) return n.compute(ops::Neg{}, {0});
  const IntTensor zero = IntTensor::scalar(0);
  n.set_integers(Integers::same(combine(zero, n.integers(0).tensor(), checked::sub)));
}

// [leaky_relu]
template <class T>
void leaky_relu(Node<T>& n) {
  n.compute(ops::LeakyRelu(n.number("alpha", 0.01)), {0});
}
// [/leaky_relu]

template <class T>
void elu(Node<T>& n) {
  n.compute(ops::Elu(n.number("alpha", 1)), {0});
}

template <class T>
void selu(Node<T>& n) {
  const ops::Selu usual;
  n.compute(ops::Selu(n.number("alpha", usual.alpha), n.number("gamma", usual.gamma())), {0});
}

/// x > 0 ? x : slope x, a slope for each channel or for all: relu(x) - slope relu(-x).
template <class T>
void p_relu(Node<T>& n) {
  const ValueId x = n.operand(0, false);
  const ValueId positive = n.add_node(ops::Relu{}, {x}, "positive");
  const ValueId turned = n.add_node(ops::Neg{}, {x}, "turned");
  const ValueId negative = n.add_node(ops::Relu{}, {turned}, "negative");
  ValueId slope = n.weight(1);
  if (n.opset() < 7 && n.shape(1).rank() == 1) {  // it was one number a channel; since then it is broadcast
    TL_CHECK(n.shape(0).rank() >= 2, "expected x(N,C,...), got ", n.shape(0));
    std::vector<Index> shape(static_cast<std::size_t>(n.shape(0).rank() - 1), 1);
    shape[0] = n.shape(1)[0];
    slope = n.add_node(ops::Reshape{.shape = shape}, {slope}, "slope");
  }
  n.emit(ops::Sub{}, {positive, n.add_node(ops::Mul{}, {slope, negative}, "sloped")});
}

/// alpha elu(x / alpha)
template <class T>
void celu(Node<T>& n) {
  const double alpha = n.number("alpha", 1);
  TL_CHECK(alpha != 0, "expected an alpha other than 0");
  const ValueId narrow =
      n.add_node(ops::Mul{}, {n.operand(0, false), n.number_constant(1 / alpha, "narrow")}, "scaled");
  n.emit(ops::Mul{}, {n.add_node(ops::Elu{}, {narrow}, "elu"), n.number_constant(alpha, "wide")});
}

/// x / (1 + |x|)
template <class T>
void softsign(Node<T>& n) {
  const ValueId x = n.operand(0, false);
  const ValueId size = n.add_node(ops::Abs{}, {x}, "abs");
  n.emit(ops::Div{}, {x, n.add_node(ops::Add{}, {size, n.number_constant(1, "one")}, "size")});
}

/// x > alpha ? x : 0
template <class T>
void thresholded_relu(Node<T>& n) {
  const ValueId x = n.operand(0, false);
  const ValueId above =
      n.add_node(ops::Greater{}, {x, n.number_constant(n.number("alpha", 1), "alpha")}, "above");
  n.emit(ops::Where{}, {above, x, n.number_constant(0, "zero")});
}

/// x < -lambd ? x + bias : x > lambd ? x - bias : 0
template <class T>
void shrink(Node<T>& n) {
  const double bias = n.number("bias", 0), lambd = n.number("lambd", 0.5);
  const ValueId x = n.operand(0, false), zero = n.number_constant(0, "zero");
  const auto part = [&](bool positive) {
    const std::string side = positive ? "positive" : "negative";
    const ValueId limit = n.number_constant(positive ? lambd : -lambd, side + "_limit");
    const ValueId outside =
        n.add_node(ops::Greater{}, {positive ? x : limit, positive ? limit : x}, side + "_outside");
    const ValueId moved = n.add_node(
        ops::Add{}, {x, n.number_constant(positive ? -bias : bias, side + "_bias")}, side + "_moved");
    return n.add_node(ops::Where{}, {outside, moved, zero}, side);
  };
  const ValueId negative = part(false);
  n.emit(ops::Add{}, {negative, part(true)});
}

/// 1 for positive numbers, -1 for negative ones
template <class T>
void sign(Node<T>& n) {
  const ValueId x = n.operand(0, false), zero = n.number_constant(0, "zero");
  const ValueId negative = n.add_node(ops::Greater{}, {zero, x}, "negative");
  n.emit(ops::Sub{}, {n.add_node(ops::Greater{}, {x, zero}, "positive"), negative});
}

template <class T>
void hard_sigmoid(Node<T>& n) {
  n.compute(ops::HardSigmoid(n.number("alpha", 0.2), n.number("beta", 0.5)), {0});
}

template <class T>
void gelu(Node<T>& n) {
  const std::string approximate = n.text("approximate", "none");
  if (approximate == "none") return n.compute(ops::Gelu{}, {0});
  // x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 = x sigmoid(x (a + b x^2))
  TL_CHECK(approximate == "tanh", "approximate '", approximate, "' is not supported");
  const double a = 1.5957691216057308;
  const ValueId x = n.operand(0, false);
  const ValueId square = n.add_node(ops::Mul{}, {x, x}, "square");
  const ValueId cubic = n.add_node(ops::Mul{}, {square, n.number_constant(a * 0.044715, "b")}, "cubic");
  const ValueId factor = n.add_node(ops::Add{}, {cubic, n.number_constant(a, "a")}, "factor");
  const ValueId inside = n.add_node(ops::Mul{}, {x, factor}, "inside");
  n.emit(ops::Mul{}, {x, n.add_node(ops::Sigmoid{}, {inside}, "gate")});
}

/// Bounds as attributes.
template <class T>
void clip_6(Node<T>& n) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto bound = [&](std::string_view attribute, double missing) {
    const double value = n.number(attribute, missing);
    return std::abs(value) >= std::numeric_limits<float>::max() ? missing : value;
  };
  const double low = bound("min", -infinity), high = bound("max", infinity);
  n.compute(ops::Clip(low, high), {0});
}

/// Bounds as inputs.
template <class T>
void clip_11(Node<T>& n) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double low = n.has_input(1) ? n.scalar(1) : -infinity;
  const double high = n.has_input(2) ? n.scalar(2) : infinity;
  n.compute(ops::Clip(low, high), {0});
}

/// The ratio as an attribute, from operator set 12 on as an input.
template <class T>
void dropout(Node<T>& n) {
  n.integer("seed", 0);  // streams of random numbers are keyed otherwise here
  const double ratio = n.has_input(1) ? n.scalar(1) : n.number("ratio", 0.5);
  n.flag("is_test", true);         // before operator set 7
  if (n.has_input(2)) n.input(2);  // training_mode: a property of the call, not of the file
  if (n.input(0).is_integer()) return n.pass_through();
  n.compute(ops::Dropout{.probability = ratio}, {0});
}

// ---- Matrix products -----------------------------------------------------------------------------------

template <class T>
void mat_mul(Node<T>& n) {
  const Shape a = n.shape(0), b = n.shape(1);
  if (n.is_foldable(0) && n.is_foldable(1)) {
    n.compute(ops::MatMul{}, {0, 1});
  } else if (a.rank() == 2 && b.rank() == 2 && n.input(1).is_constant() && !n.own_file()) {
    n.emit(ops::Linear{}, {n.operand(0, false), n.linear_weight(1, false)});
  } else {
    n.emit(ops::MatMul{}, {n.weight(0), n.weight(1)});
  }
}

/// Y = alpha A' B' + beta C
template <class T>
void gemm(Node<T>& n) {
  const double alpha = n.number("alpha", 1), beta = n.number("beta", 1);
  const bool turn_a = n.flag("transA", false), turn_b = n.flag("transB", false);
  n.flag("broadcast", false);  // before operator set 7; C is always repeated where it must be
  TL_CHECK(n.shape(0).rank() == 2 && n.shape(1).rank() == 2, "expected matrices, got ", n.shape(0), ", ",
           n.shape(1));
  ValueId a = n.operand(0, false);
  if (turn_a) a = n.add_node(ops::Transpose{.axes = {1, 0}}, {a}, "transposed");
  std::vector<ValueId> inputs = {a, n.linear_weight(1, turn_b)};
  const Index outputs = n.facts(inputs[1]).shape[0][0];
  const bool has_c = n.has_input(2);
  const ValueId bias = has_c && alpha == 1 && beta == 1 ? linear_bias(n, 2, outputs) : -1;
  if (bias >= 0) inputs.push_back(bias);
  const bool scaled = alpha != 1, added = has_c && bias < 0;
  if (!scaled && !added) return n.emit(ops::Linear{}, std::move(inputs));

  ValueId y = n.add_node(ops::Linear{}, std::move(inputs), "product");
  if (scaled && !added) return n.emit(ops::Mul{}, {y, n.number_constant(alpha, "alpha")});
  if (scaled) y = n.add_node(ops::Mul{}, {y, n.number_constant(alpha, "alpha")}, "scaled");
  ValueId c = n.operand(2, true);
  if (beta != 1) c = n.add_node(ops::Mul{}, {c, n.number_constant(beta, "beta")}, "scaled_bias");
  n.emit(ops::Add{}, {y, c});
}

// ---- Softmax and reductions ----------------------------------------------------------------------------

template <class T, class Op>
void softmax_13(Node<T>& n) {
  n.compute(Op{.axis = n.integer("axis", -1)}, {0});
}

/// Before operator set 13 the axes from `axis` on are taken together.
template <class T, class Op>
void softmax_1(Node<T>& n) {
  const Shape x = n.shape(0);
  const int axis = x.axis(n.integer("axis", 1));
  Index rest = 1;
  for (int i = axis + 1; i < x.rank(); ++i) rest *= x[i];
  if (rest == 1) return n.compute(Op{.axis = axis}, {0});
  TL_CHECK(axis == 1, "axis ", axis, " of an input ", x, " before operator set 13 is not supported");
  std::vector<Index> back = {0};
  for (int i = 1; i < x.rank(); ++i) {
    TL_CHECK(n.shape(0, 1)[i] == x[i], "an image size that the file leaves open is not supported here");
    back.push_back(x[i]);
  }
  const ValueId rows = n.add_node(ops::Flatten{}, {n.operand(0, false)}, "flat");
  n.emit(ops::Reshape{.shape = back}, {n.add_node(Op{.axis = -1}, {rows}, "rows")});
}

/// Axes as an attribute, or, from some operator set on, as an input.
template <class T, class Op>
void reduce(Node<T>& n) {
  Op op{.axes = n.extents("axes", 1), .keep_axes = n.flag("keepdims", true)};
  if (n.flag("noop_with_empty_axes", false) && op.axes.empty()) {
    constexpr bool of_one_is_itself = !std::is_same_v<Op, ops::EuclideanNorm>;
    TL_CHECK(of_one_is_itself, "noop_with_empty_axes without axes is not supported");
    return n.pass_through();
  }
  n.compute(std::move(op), {0});
}

/// Reductions written with others: the axes go to `Op`, which is applied to f(x).
template <class T, class Op, class F>
ValueId reduce_mapped(Node<T>& n, const F& f, std::string_view suffix) {
  Op op{.axes = n.extents("axes", 1), .keep_axes = n.flag("keepdims", true)};
  TL_CHECK(!n.flag("noop_with_empty_axes", false) || !op.axes.empty(),
           "noop_with_empty_axes without axes is not supported");
  const ValueId x = f(n.operand(0, false));
  if (!suffix.empty()) return n.add_node(std::move(op), {x}, suffix);
  n.emit(std::move(op), {x});
  return -1;
}
template <class T>
void reduce_min(Node<T>& n) {
  const auto turned = [&](ValueId x) { return n.add_node(ops::Neg{}, {x}, "turned"); };
  n.emit(ops::Neg{}, {reduce_mapped<T, ops::Max>(n, turned, "largest")});
}
template <class T>
void reduce_l1(Node<T>& n) {
  reduce_mapped<T, ops::Sum>(
      n, [&](ValueId x) { return n.add_node(ops::Abs{}, {x}, "abs"); }, "");
}
template <class T>
void reduce_sum_square(Node<T>& n) {
  reduce_mapped<T, ops::Sum>(
      n,
      [&](ValueId x) {
        return n.add_node(ops::Mul{}, {x, x}, "square");
      },
      "");
}
template <class T>
void reduce_log_sum(Node<T>& n) {
  n.emit(ops::Log{}, {reduce_mapped<T, ops::Sum>(
                         n, [](ValueId x) { return x; }, "sum")});
}

/// Products of whole numbers.
template <class T>
void reduce_prod(Node<T>& n) {
  const IntTensor& x = n.integers(0).tensor();
  const std::vector<Index> axes = n.extents("axes", 1);
  const bool all = axes.empty() || (axes.size() == 1 && x.rank() == 1);
  TL_CHECK(all && x.rank() <= 1, "expected a list of whole numbers, got shape ", x.shape());
  Index product = 1;
  for (const Index factor : x.span()) product = checked::mul(product, factor);
  n.set_integers(Integers::same(
      IntTensor::full(n.flag("keepdims", true) && x.rank() == 1 ? Shape{1} : Shape{}, product)));
}

}  // namespace tl::onnx::operators
