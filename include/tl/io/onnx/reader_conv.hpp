// ONNX operators on images: Conv, pooling, BatchNormalization.
//
// Definitions: https://onnx.ai/onnx/operators. Each function is named after its operator and asks the node
// for the operator's attributes.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <tl/io/onnx/node.hpp>
#include <tl/ops/conv.hpp>
#include <tl/ops/norm.hpp>
#include <tl/ops/pool.hpp>
#include <tl/ops/shape.hpp>

namespace tl::onnx::operators {

template <class T>
ops::Size2 pair_attribute(Node<T>& n, std::string_view attribute, const std::vector<Index>& missing) {
  const std::vector<Index> pair = n.integers(attribute, missing);
  TL_CHECK(pair.size() == 2, "attribute '", attribute, "' is expected to have 2 numbers (images), got ",
           pair.size());
  return {pair[0], pair[1]};
}

/// Padding before and after that gives ceil(in / stride) windows (auto_pad).
inline std::pair<Index, Index> same_padding(Index in, Index kernel, Index stride, Index dilation,
                                            bool upper) {
  TL_CHECK(kernel >= 1 && stride >= 1 && dilation >= 1,
           "kernel, stride and dilation are expected to be at least 1");
  const Index windows = (in + stride - 1) / stride;
  const Index total = std::max<Index>(0, (windows - 1) * stride + (kernel - 1) * dilation + 1 - in);
  return upper ? std::pair(total / 2, total - total / 2) : std::pair(total - total / 2, total / 2);
}

/// The pads of a sliding window over input 0, explicit or by auto_pad.
template <class T>
ops::Padding2 padding(Node<T>& n, ops::Size2 kernel, ops::Size2 stride, ops::Size2 dilation) {
  const std::string auto_pad = n.text("auto_pad", "NOTSET");
  const std::vector<Index> pads = n.integers("pads", {0, 0, 0, 0});
  if (auto_pad == "NOTSET" || auto_pad.empty()) {
    TL_CHECK(pads.size() == 4, "attribute 'pads' is expected to have 4 numbers (images), got ", pads.size());
    return {.top = pads[0], .left = pads[1], .bottom = pads[2], .right = pads[3]};
  }
  if (auto_pad == "VALID") return {};
  const bool upper = auto_pad == "SAME_UPPER";
  TL_CHECK(upper || auto_pad == "SAME_LOWER", "auto_pad '", auto_pad, "' is not supported");
  const auto pads_for = [&](const Shape& x) -> ops::Padding2 {
    TL_CHECK(x.rank() == 4, "expected x(N,C,H,W), got ", x);
    const auto [top, bottom] = same_padding(x[2], kernel.h, stride.h, dilation.h, upper);
    const auto [left, right] = same_padding(x[3], kernel.w, stride.w, dilation.w, upper);
    return {.top = top, .left = left, .bottom = bottom, .right = right};
  };
  const ops::Padding2 result = pads_for(n.shape(0, 0));
  TL_CHECK(result == pads_for(n.shape(0, 1)), "auto_pad ", auto_pad,
           " depends on an image size that the file leaves open: export with a fixed size");
  return result;
}

/// A Pad with zeros that only this convolution reads becomes part of the convolution's own padding.
template <class T>
ValueId take_padding(Node<T>& n, ops::Padding2& padding) {
  const ValueId x = n.operand(0, false);
  auto& nodes = n.graph().nodes();
  if (n.own_file() || nodes.empty() || nodes.back().output != x || n.uses(n.input_name(0)) != 1) return x;
  const auto* pad = nodes.back().operation->template get_if<ops::Pad>();
  if (pad == nullptr || pad->value != 0 || pad->before.size() != 4) return x;
  const std::vector<Index>&before = pad->before, &after = pad->after;
  if (before[0] != 0 || after[0] != 0 || before[1] != 0 || after[1] != 0) return x;
  if (std::min({before[2], before[3], after[2], after[3]}) < 0) return x;
  padding = {.top = padding.top + before[2],
             .left = padding.left + before[3],
             .bottom = padding.bottom + after[2],
             .right = padding.right + after[3]};
  const ValueId source = nodes.back().inputs[0];
  nodes.pop_back();
  return source;
}

template <class T>
void conv(Node<T>& n) {
  const Shape& w = n.shape(1);
  TL_CHECK(w.rank() == 4, "expected x(N,C,H,W), w(O,C/G,KH,KW), got ", n.shape(0), ", ", w);
  const ops::Size2 kernel{w[2], w[3]};
  TL_CHECK(pair_attribute(n, "kernel_shape", {w[2], w[3]}) == kernel,
           "kernel_shape disagrees with the weight ", w);
  ops::Conv2d op{.stride = pair_attribute(n, "strides", {1, 1}),
                 .dilation = pair_attribute(n, "dilations", {1, 1}),
                 .groups = n.integer("group", 1)};
  op.padding = padding(n, kernel, op.stride, op.dilation);
  const ValueId x = take_padding(n, op.padding);
  if (n.has_input(2)) {
    n.emit(op, {x, n.weight(1), n.weight(2)});
  } else {
    n.emit(op, {x, n.weight(1)});
  }
}

template <class T>
ops::PoolWindow pool_window(Node<T>& n) {
  TL_CHECK(n.has("kernel_shape"), "attribute 'kernel_shape' is missing");
  ops::PoolWindow window{.kernel = pair_attribute(n, "kernel_shape", {}),
                         .stride = pair_attribute(n, "strides", {1, 1}),
                         .dilation = pair_attribute(n, "dilations", {1, 1}),
                         .ceil = n.flag("ceil_mode", false)};
  window.padding = padding(n, window.kernel, window.stride, window.dilation);
  return window;
}

template <class T>
void max_pool(Node<T>& n) {
  n.integer("storage_order", 0);  // orders the second output, which is not supported
  n.compute(ops::MaxPool2d{.window = pool_window(n)}, {0});
}

template <class T>
void average_pool(Node<T>& n) {
  n.compute(
      ops::AveragePool2d{.window = pool_window(n), .include_padding = n.flag("count_include_pad", false)},
      {0});
}

template <class T>
void global_average_pool(Node<T>& n) {
  n.compute(ops::AdaptiveAveragePool2d{}, {0});
}

template <class T>
void global_max_pool(Node<T>& n) {
  n.compute(ops::GlobalMaxPool2d{}, {0});
}

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
  n.emit(op, {n.operand(0, false), n.weight(1), n.weight(2), n.buffer(3), n.buffer(4)});
}

}  // namespace tl::onnx::operators
