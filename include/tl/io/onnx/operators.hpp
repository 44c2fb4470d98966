// The table of ONNX operators that the importer reads: name, first and last operator set, function.
//
// To support another operator, write its function in the reader_*.hpp file of its topic and add a line here.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include <tl/io/onnx/reader_conv.hpp>
#include <tl/io/onnx/reader_math.hpp>
#include <tl/io/onnx/reader_norm.hpp>
#include <tl/io/onnx/reader_resize.hpp>
#include <tl/io/onnx/reader_shape.hpp>

namespace tl::onnx {

/// Operator sets that the functions below were written for.
inline constexpr Index first_opset = 6, last_opset = 23;

template <class T>
struct Operator {
  std::string_view name;
  Index first, last;
  void (*read)(Node<T>&);
};

template <class T>
std::span<const Operator<T>> operator_table() {
  using namespace operators;
  constexpr Index lowest = first_opset, newest = last_opset;
  static constexpr Operator<T> table[] = {
      {"Abs", lowest, newest, unary<T, ops::Abs>},
      {"Add", lowest, newest, add<T>},
      {"And", 7, newest, logical<T, std::logical_and<Index>, ops::Mul>},
      {"AveragePool", lowest, newest, average_pool<T>},
      {"BatchNormalization", lowest, newest, batch_normalization<T>},
      {"Cast", lowest, newest, cast<T>},
      {"Celu", 12, newest, celu<T>},
      {"Clip", lowest, 10, clip_6<T>},
      {"Clip", 11, newest, clip_11<T>},
      {"Concat", lowest, newest, concat<T>},
      {"Constant", lowest, newest, constant<T>},
      {"ConstantOfShape", 9, newest, constant_of_shape<T>},
      {"Conv", lowest, newest, conv<T>},
      {"ConvTranspose", lowest, newest, conv_transpose<T>},
      {"DequantizeLinear", 10, newest, dequantize_linear<T>},
      {"Div", lowest, newest, div<T>},
      {"Dropout", lowest, newest, dropout<T>},
      {"Elu", lowest, newest, elu<T>},
      {"Equal", lowest, newest, compare<T, std::equal_to<Index>, ops::Equal>},
      {"Erf", 9, newest, unary<T, ops::Erf>},
      {"Exp", lowest, newest, unary<T, ops::Exp>},
      {"Expand", 8, newest, expand<T>},
      {"Flatten", lowest, newest, flatten<T>},
      {"Gather", lowest, newest, gather<T>},
      {"Gelu", 20, newest, gelu<T>},
      {"Gemm", lowest, newest, gemm<T>},
      {"GlobalAveragePool", lowest, newest, global_average_pool<T>},
      {"GlobalMaxPool", lowest, newest, global_max_pool<T>},
      {"Greater", lowest, newest, compare<T, std::greater<Index>, ops::Greater>},
      {"GreaterOrEqual", 12, newest, compare<T, std::greater_equal<Index>, ops::GreaterEqual>},
      {"GroupNormalization", 18, newest, group_normalization<T>},
      {"HardSigmoid", lowest, newest, hard_sigmoid<T>},
      {"HardSwish", 14, newest, unary<T, ops::HardSwish>},
      {"Identity", lowest, newest, identity<T>},
      {"InstanceNormalization", lowest, newest, instance_normalization<T>},
      {"LRN", lowest, newest, lrn<T>},
      {"LayerNormalization", 17, newest, layer_normalization<T>},
      {"LeakyRelu", lowest, newest, leaky_relu<T>},
      {"Less", lowest, newest, compare<T, std::less<Index>, ops::Greater, true>},
      {"LessOrEqual", 12, newest, compare<T, std::less_equal<Index>, ops::GreaterEqual, true>},
      {"Log", lowest, newest, unary<T, ops::Log>},
      {"LogSoftmax", lowest, 12, softmax_1<T, ops::LogSoftmax>},
      {"LogSoftmax", 13, newest, softmax_13<T, ops::LogSoftmax>},
      {"MatMul", lowest, newest, mat_mul<T>},
      {"Max", lowest, newest, max<T>},
      {"MaxPool", lowest, newest, max_pool<T>},
      {"Min", lowest, newest, min<T>},
      {"Mish", 18, newest, unary<T, ops::Mish>},
      {"Mod", 10, newest, mod<T>},
      {"Mul", lowest, newest, mul<T>},
      {"Neg", lowest, newest, neg<T>},
      {"Not", lowest, newest, logical_not<T>},
      {"Or", 7, newest, logical<T, std::logical_or<Index>, ops::Maximum>},
      {"PRelu", lowest, newest, p_relu<T>},
      {"Pad", lowest, 10, pad_2<T>},
      {"Pad", 11, newest, pad_11<T>},
      {"Pow", lowest, newest, pow<T>},
      {"Range", 11, newest, range<T>},
      {"Reciprocal", lowest, newest, unary<T, ops::Reciprocal>},
      {"ReduceL1", lowest, newest, reduce_l1<T>},
      {"ReduceL2", lowest, newest, reduce<T, ops::EuclideanNorm>},
      {"ReduceLogSum", lowest, newest, reduce_log_sum<T>},
      {"ReduceLogSumExp", lowest, newest, reduce<T, ops::LogSumExp>},
      {"ReduceMax", lowest, newest, reduce<T, ops::Max>},
      {"ReduceMean", lowest, newest, reduce<T, ops::Mean>},
      {"ReduceMin", lowest, newest, reduce_min<T>},
      {"ReduceProd", lowest, newest, reduce_prod<T>},
      {"ReduceSum", lowest, newest, reduce<T, ops::Sum>},
      {"ReduceSumSquare", lowest, newest, reduce_sum_square<T>},
      {"Relu", lowest, newest, unary<T, ops::Relu>},
      {"Resize", 10, 10, resize_10<T>},
      {"Resize", 11, newest, resize_11<T>},
      {"Reshape", lowest, newest, reshape<T>},
      {"Selu", lowest, newest, selu<T>},
      {"Shape", lowest, newest, shape<T>},
      {"Shrink", 9, newest, shrink<T>},
      {"Sigmoid", lowest, newest, unary<T, ops::Sigmoid>},
      {"Sign", 9, newest, sign<T>},
      {"Size", lowest, newest, size<T>},
      {"Slice", lowest, 9, slice_1<T>},
      {"Slice", 10, newest, slice_10<T>},
      {"Softmax", lowest, 12, softmax_1<T, ops::Softmax>},
      {"Softmax", 13, newest, softmax_13<T, ops::Softmax>},
      {"Softplus", lowest, newest, unary<T, ops::Softplus>},
      {"Softsign", lowest, newest, softsign<T>},
      {"Split", lowest, newest, split<T>},
      {"Sqrt", lowest, newest, unary<T, ops::Sqrt>},
      {"Squeeze", lowest, newest, squeeze<T>},
      {"Sub", lowest, newest, sub<T>},
      {"Sum", lowest, newest, chain<T, ops::Add>},
      {"Tanh", lowest, newest, unary<T, ops::Tanh>},
      {"ThresholdedRelu", 10, newest, thresholded_relu<T>},
      {"Tile", lowest, newest, tile<T>},
      {"Transpose", lowest, newest, transpose<T>},
      {"Unsqueeze", lowest, newest, unsqueeze<T>},
      {"Upsample", 9, 9, resize_10<T>},
      {"Where", 9, newest, where<T>},
  };
  return table;
}

}  // namespace tl::onnx
