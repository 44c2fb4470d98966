// How each operation is written as ONNX operators: one function an operation struct.
//
// Definitions: https://onnx.ai/onnx/operators, operator set 17; 20 where an operation needs it
// (required_opset).
#pragma once

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include <tl/io/onnx/node_writer.hpp>
#include <tl/ops/activation.hpp>
#include <tl/ops/arithmetic.hpp>
#include <tl/ops/compare.hpp>
#include <tl/ops/conv.hpp>
#include <tl/ops/conv_transpose.hpp>
#include <tl/ops/dropout.hpp>
#include <tl/ops/embedding.hpp>
#include <tl/ops/linear.hpp>
#include <tl/ops/norm.hpp>
#include <tl/ops/pool.hpp>
#include <tl/ops/reduce.hpp>
#include <tl/ops/shape.hpp>
#include <tl/ops/softmax.hpp>
#include <tl/ops/take.hpp>

namespace tl::onnx::writers {

// ---- Images --------------------------------------------------------------------------------------------

inline void write(NodeWriter& n, const ops::Conv2d& op) {
  n.op("Conv")
      .attribute("strides", {op.stride.h, op.stride.w})
      .attribute("pads", {op.padding.top, op.padding.left, op.padding.bottom, op.padding.right})
      .attribute("dilations", {op.dilation.h, op.dilation.w})
      .attribute("group", op.groups);
}

inline void write(NodeWriter& n, const ops::ConvTranspose2d& op) {
  n.op("ConvTranspose")
      .attribute("strides", {op.stride.h, op.stride.w})
      .attribute("pads", {op.padding.top, op.padding.left, op.padding.bottom, op.padding.right})
      .attribute("dilations", {op.dilation.h, op.dilation.w})
      .attribute("output_padding", {op.output_padding.h, op.output_padding.w})
      .attribute("group", op.groups);
}

inline void write_window(NodeWriter& n, const ops::PoolWindow& window) {
  n.attribute("kernel_shape", {window.kernel.h, window.kernel.w})
      .attribute("strides", {window.stride.h, window.stride.w})
      .attribute("pads",
                 {window.padding.top, window.padding.left, window.padding.bottom, window.padding.right})
      .attribute("ceil_mode", Index{window.ceil});
  if (window.dilation != ops::Size2{}) n.attribute("dilations", {window.dilation.h, window.dilation.w});
}
inline void write(NodeWriter& n, const ops::MaxPool2d& op) { write_window(n.op("MaxPool"), op.window); }
inline void write(NodeWriter& n, const ops::AveragePool2d& op) {
  write_window(n.op("AveragePool").attribute("count_include_pad", Index{op.include_padding}), op.window);
}
inline void write(NodeWriter& n, const ops::GlobalMaxPool2d&) { n.op("GlobalMaxPool"); }

/// ONNX has no adaptive pooling: the whole image, or equal windows where the image divides into them.
inline void write(NodeWriter& n, const ops::AdaptiveAveragePool2d& op) {
  if (op.output == ops::Size2{1, 1}) {
    n.op("GlobalAveragePool");
    return;
  }
  const auto& [x, other] = n.input_shapes(0);
  TL_CHECK(x[2] == other[2] && x[3] == other[3] && x[2] % op.output.h == 0 && x[3] % op.output.w == 0,
           "ONNX has no adaptive pooling of an image of ", x[2], " x ", x[3], " to ", op.output.h, " x ",
           op.output.w);
  const ops::Size2 window{x[2] / op.output.h, x[3] / op.output.w};
  write_window(n.op("AveragePool"), {.kernel = window, .stride = window});
}

inline void write(NodeWriter& n, const ops::BatchNorm& op) {
  n.op("BatchNormalization").attribute("epsilon", op.epsilon).attribute("momentum", 1 - op.momentum);
}

// ---- Arithmetic and activations ------------------------------------------------------------------------

inline void write(NodeWriter& n, const ops::Add&) { n.op("Add"); }
inline void write(NodeWriter& n, const ops::Sub&) { n.op("Sub"); }
inline void write(NodeWriter& n, const ops::Mul&) { n.op("Mul"); }
inline void write(NodeWriter& n, const ops::Div&) { n.op("Div"); }
inline void write(NodeWriter& n, const ops::Pow&) { n.op("Pow"); }
inline void write(NodeWriter& n, const ops::Power& op) { n.op("Pow").input("exponent", op.exponent); }
inline void write(NodeWriter& n, const ops::Maximum&) { n.op("Max"); }
inline void write(NodeWriter& n, const ops::Minimum&) { n.op("Min"); }

/// Comparisons give bool in ONNX.
inline void write_comparison(NodeWriter& n, std::string_view type) {
  const std::string truth = n.before(type);
  n.op("Cast").attribute("to", static_cast<Index>(n.number())).inputs({truth});
}
inline void write(NodeWriter& n, const ops::Greater&) { write_comparison(n, "Greater"); }
inline void write(NodeWriter& n, const ops::GreaterEqual&) { write_comparison(n, "GreaterOrEqual"); }
inline void write(NodeWriter& n, const ops::Equal&) { write_comparison(n, "Equal"); }
inline void write(NodeWriter& n, const ops::Where&) {
  const std::string condition = n.cast_before(0, DataType::boolean);
  n.op("Where").inputs({condition, n.input_name(1), n.input_name(2)});
}

inline void write(NodeWriter& n, const ops::Reciprocal&) { n.op("Reciprocal"); }
inline void write(NodeWriter& n, const ops::Neg&) { n.op("Neg"); }
inline void write(NodeWriter& n, const ops::Relu&) { n.op("Relu"); }
inline void write(NodeWriter& n, const ops::Sigmoid&) { n.op("Sigmoid"); }
inline void write(NodeWriter& n, const ops::Tanh&) { n.op("Tanh"); }
inline void write(NodeWriter& n, const ops::HardSwish&) { n.op("HardSwish"); }
inline void write(NodeWriter& n, const ops::Gelu&) { n.op("Gelu"); }
inline void write(NodeWriter& n, const ops::Exp&) { n.op("Exp"); }
inline void write(NodeWriter& n, const ops::Log&) { n.op("Log"); }
inline void write(NodeWriter& n, const ops::Sqrt&) { n.op("Sqrt"); }
inline void write(NodeWriter& n, const ops::Abs&) { n.op("Abs"); }
inline void write(NodeWriter& n, const ops::Softplus&) { n.op("Softplus"); }
inline void write(NodeWriter& n, const ops::Mish&) { n.op("Mish"); }
inline void write(NodeWriter& n, const ops::Erf&) { n.op("Erf"); }
inline void write(NodeWriter& n, const ops::Elu& op) { n.op("Elu").attribute("alpha", op.alpha); }
inline void write(NodeWriter& n, const ops::Selu& op) {
  n.op("Selu").attribute("alpha", op.alpha).attribute("gamma", op.gamma());
}
// [leaky_relu]
inline void write(NodeWriter& n, const ops::LeakyRelu& op) {
  n.op("LeakyRelu").attribute("alpha", op.slope());
}
// [/leaky_relu]
inline void write(NodeWriter& n, const ops::HardSigmoid& op) {
  n.op("HardSigmoid").attribute("alpha", op.slope()).attribute("beta", op.shift());
}
inline void write(NodeWriter& n, const ops::Clip& op) {
  n.op("Clip");
  const bool has_low = std::isfinite(op.low()), has_high = std::isfinite(op.high());
  if (has_low) n.input("min", op.low());
  if (!has_low && has_high) n.no_input();
  if (has_high) n.input("max", op.high());
}
/// x sigmoid(x); the reader takes the two together again.
inline void write(NodeWriter& n, const ops::Silu&) {
  const std::string gate = n.before("Sigmoid");
  n.op("Mul").inputs({n.input_name(0), gate});
}
inline void write(NodeWriter& n, const ops::Dropout& op) { n.op("Dropout").input("ratio", op.probability); }

// ---- Matrix products, softmax, reductions --------------------------------------------------------------

inline void write(NodeWriter& n, const ops::Linear&) { n.op("Gemm").attribute("transB", Index{1}); }
inline void write(NodeWriter& n, const ops::MatMul&) { n.op("MatMul"); }
inline void write(NodeWriter& n, const ops::Softmax& op) { n.op("Softmax").attribute("axis", op.axis); }
inline void write(NodeWriter& n, const ops::LogSoftmax& op) { n.op("LogSoftmax").attribute("axis", op.axis); }

inline void write(NodeWriter& n, const ops::Sum& op) {
  n.op("ReduceSum").attribute("keepdims", Index{op.keep_axes});
  if (!op.axes.empty()) n.input("axes", op.axes);
}
/// Reductions whose axes are an attribute up to operator set 17.
template <class Op>
void write_reduction(NodeWriter& n, std::string_view type, const Op& op) {
  n.op(type).attribute("keepdims", Index{op.keep_axes});
  if (op.axes.empty()) return;
  if (n.opset() < 18) {
    n.attribute("axes", op.axes);
  } else {
    n.input("axes", op.axes);
  }
}
inline void write(NodeWriter& n, const ops::Mean& op) { write_reduction(n, "ReduceMean", op); }
inline void write(NodeWriter& n, const ops::Max& op) { write_reduction(n, "ReduceMax", op); }
inline void write(NodeWriter& n, const ops::LogSumExp& op) { write_reduction(n, "ReduceLogSumExp", op); }
inline void write(NodeWriter& n, const ops::EuclideanNorm& op) { write_reduction(n, "ReduceL2", op); }

// ---- Moving elements -----------------------------------------------------------------------------------

inline void write(NodeWriter& n, const ops::Reshape& op) { n.op("Reshape").input("shape", op.shape); }
inline void write(NodeWriter& n, const ops::Flatten& op) { n.op("Flatten").attribute("axis", op.axis); }
inline void write(NodeWriter& n, const ops::Transpose& op) {
  std::vector<Index> axes;
  for (const int axis : op.axes) axes.push_back(n.input_shapes(0)[0].axis(axis));
  n.op("Transpose").attribute("perm", axes);
}
inline void write(NodeWriter& n, const ops::Concat& op) { n.op("Concat").attribute("axis", op.axis); }
inline void write(NodeWriter& n, const ops::Slice& op) {
  std::vector<Index> starts, ends, axes, steps;
  for (const ops::Slice::Range& range : op.ranges) {
    starts.push_back(range.start);
    ends.push_back(range.end);
    axes.push_back(range.axis);
    steps.push_back(range.step);
  }
  n.op("Slice").input("starts", starts).input("ends", ends).input("axes", axes).input("steps", steps);
}
inline void write(NodeWriter& n, const ops::Take& op) {
  n.op("Gather").attribute("axis", op.axis).input("indices", op.indices);
}
inline void write(NodeWriter& n, const ops::Embedding&) {
  const std::string indices = n.cast_before(1, DataType::int64);
  n.op("Gather").attribute("axis", Index{0}).inputs({n.input_name(0), indices});
}
inline void write(NodeWriter& n, const ops::Pad& op) {
  std::vector<Index> pads = op.before;
  pads.insert(pads.end(), op.after.begin(), op.after.end());
  n.op("Pad").input("pads", pads);
  if (op.value != 0) n.input("value", op.value);
}

}  // namespace tl::onnx::writers
