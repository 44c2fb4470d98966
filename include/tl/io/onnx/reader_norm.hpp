// ONNX operators that normalise: BatchNormalization, InstanceNormalization, LayerNormalization,
// GroupNormalization, LRN.
//
// Definitions: https://onnx.ai/onnx/operators. All but BatchNormalization become the arithmetic they stand
// for, and train like it.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <tl/io/onnx/reader_conv.hpp>
#include <tl/ops/activation.hpp>
#include <tl/ops/arithmetic.hpp>
#include <tl/ops/conv.hpp>
#include <tl/ops/norm.hpp>
#include <tl/ops/reduce.hpp>
#include <tl/ops/shape.hpp>

namespace tl::onnx::operators {

/// Y, and in files exported for training also running statistics, which this library keeps as buffers.
/// training_mode is a property of the call here, not of the file: the model starts in the mode it is asked
/// for.
template <class T>
void batch_normalization(Node<T>& n) {
  n.flag("training_mode", false);
  n.flag("is_test", true);
  TL_CHECK(n.flag("spatial", true), "spatial=0 is not supported");
  // ONNX: running = momentum running + (1 - momentum) batch.
  const double kept = n.number("momentum", 0.9);
  const ops::BatchNorm op{.epsilon = n.number("epsilon", 1e-5),
                          .momentum = widen(static_cast<float>(1 - kept))};
  emit_image(n, op, {n.operand(0, false), n.weight(1), n.weight(2), n.buffer(3), n.buffer(4)});
}

/// (x - mean) / sqrt(variance + epsilon) over some axes; a last node, the division, is still to come.
template <class T>
struct Standardized {
  ValueId centred, deviation;
};
template <class T>
Standardized<T> standardized(Node<T>& n, ValueId x, const std::vector<Index>& axes, double epsilon) {
  const ops::Mean mean{.axes = axes, .keep_axes = true};
  const ValueId centred = n.add_node(ops::Sub{}, {x, n.add_node(mean, {x}, "mean")}, "centred");
  const ValueId square = n.add_node(ops::Mul{}, {centred, centred}, "square");
  const ValueId variance = n.add_node(mean, {square}, "variance");
  const ValueId least = n.add_constant(Tensor<T>::scalar(static_cast<T>(epsilon)), "epsilon");
  return {centred, n.add_node(ops::Sqrt{}, {n.add_node(ops::Add{}, {variance, least}, "safe")}, "deviation")};
}

/// Input i, one number a channel, so that it meets the channels of an image.
template <class T>
ValueId for_channels(Node<T>& n, int i, int image_rank, std::string_view name) {
  const Shape& w = n.shape(i);
  TL_CHECK(w.rank() == 1, "expected input ", i, " to have one number a channel, got shape ", w);
  std::vector<Index> shape(static_cast<std::size_t>(image_rank - 1), 1);
  shape[0] = w[0];
  return n.add_node(ops::Reshape{.shape = shape}, {n.weight(i)}, name);
}

template <class T>
void instance_normalization(Node<T>& n) {
  const int rank = n.shape(0).rank();
  TL_CHECK(rank >= 3, "expected x(N,C,...), got ", n.shape(0));
  std::vector<Index> axes;
  for (int axis = 2; axis < rank; ++axis) axes.push_back(axis);
  const auto [centred, deviation] = standardized(n, n.operand(0, false), axes, n.number("epsilon", 1e-5));
  const ValueId y = n.add_node(ops::Div{}, {centred, deviation}, "standardized");
  const ValueId scaled = n.add_node(ops::Mul{}, {y, for_channels(n, 1, rank, "scale")}, "scaled");
  n.emit(ops::Add{}, {scaled, for_channels(n, 2, rank, "shift")});
}

template <class T>
void layer_normalization(Node<T>& n) {
  n.integer("stash_type", 1);
  const int rank = n.shape(0).rank(), first = n.shape(0).axis(n.integer("axis", -1));
  std::vector<Index> axes;
  for (int axis = first; axis < rank; ++axis) axes.push_back(axis);
  const auto [centred, deviation] = standardized(n, n.operand(0, false), axes, n.number("epsilon", 1e-5));
  const ValueId y = n.add_node(ops::Div{}, {centred, deviation}, "standardized");
  if (!n.has_input(2)) return n.emit(ops::Mul{}, {y, n.weight(1)});
  n.emit(ops::Add{}, {n.add_node(ops::Mul{}, {y, n.weight(1)}, "scaled"), n.weight(2)});
}

/// Groups of channels. Scale and bias have one number a group before operator set 21, one a channel since.
template <class T>
void group_normalization(Node<T>& n) {
  n.integer("stash_type", 1);
  const Shape x = n.shape(0);
  const Index groups = n.integer("num_groups", 0);
  TL_CHECK(x.rank() >= 3 && groups >= 1 && x[1] % groups == 0, "expected x(N,C,...) with C a multiple of ",
           groups, " groups, got ", x);
  std::vector<Index> back{0, x[1]};
  for (int i = 2; i < x.rank(); ++i) {
    TL_CHECK(n.shape(0, 1)[i] == x[i], "an image size that the file leaves open is not supported here");
    back.push_back(x[i]);
  }
  const ValueId apart = n.add_node(ops::Reshape{.shape = {0, groups, -1}}, {n.operand(0, false)}, "groups");
  const auto [centred, deviation] = standardized(n, apart, {2}, n.number("epsilon", 1e-5));
  ValueId y = n.add_node(ops::Div{}, {centred, deviation}, "standardized");
  const bool by_group = n.opset() < 21;
  if (!by_group) y = n.add_node(ops::Reshape{.shape = back}, {y}, "channels");
  const int rank = by_group ? 3 : x.rank();
  const ValueId scaled = n.add_node(ops::Mul{}, {y, for_channels(n, 1, rank, "scale")}, "scaled");
  const ValueId shift = for_channels(n, 2, rank, "shift");
  if (!by_group) return n.emit(ops::Add{}, {scaled, shift});
  n.emit(ops::Reshape{.shape = back}, {n.add_node(ops::Add{}, {scaled, shift}, "shifted")});
}

/// y = x / (bias + alpha / size sum of x^2 over `size` channels around)^beta (AlexNet, GoogLeNet). The sum is
/// a pointwise convolution with ones beside the diagonal.
template <class T>
void lrn(Node<T>& n) {
  const Shape& x = n.shape(0);
  const Index size = n.integer("size", 0);
  TL_CHECK(x.rank() == 4 && size >= 1, "expected x(N,C,H,W) and a size of at least 1, got ", x, " and ",
           size);
  const Index channels = x[1], before = (size - 1) / 2, after = size - 1 - before;
  const Shape band_shape{channels, channels, 1, 1};
  n.count_folded(band_shape);
  Tensor<T> band = Tensor<T>::zeros(band_shape);
  const T share = static_cast<T>(n.number("alpha", 1e-4) / static_cast<double>(size));
  for (Index c = 0; c < channels; ++c) {
    const Index end = std::min(channels, c + after + 1);
    for (Index i = std::max<Index>(0, c - before); i < end; ++i)
      band.mutable_data()[c * channels + i] = share;
  }
  const ValueId value = n.operand(0, false);
  const ValueId square = n.add_node(ops::Mul{}, {value, value}, "square");
  const ValueId sum = n.add_node(ops::Conv2d{}, {square, n.add_constant(std::move(band), "around")}, "sum");
  const ValueId bias = n.add_constant(Tensor<T>::scalar(static_cast<T>(n.number("bias", 1))), "bias");
  const ValueId shifted = n.add_node(ops::Add{}, {sum, bias}, "shifted");
  const double beta = n.number("beta", 0.75);
  n.emit(ops::Mul{}, {value, n.add_node(ops::Power{.exponent = -beta}, {shifted}, "factor")});
}

}  // namespace tl::onnx::operators
