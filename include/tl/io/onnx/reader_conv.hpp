// ONNX operators on images: Conv, ConvTranspose and pooling.
//
// Definitions: https://onnx.ai/onnx/operators. Each function is named after its operator and asks the node
// for the operator's attributes. Signals (N,C,L) are treated as images of one row.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <tl/io/onnx/node.hpp>
#include <tl/ops/conv.hpp>
#include <tl/ops/conv_transpose.hpp>
#include <tl/ops/pool.hpp>
#include <tl/ops/shape.hpp>

namespace tl::onnx::operators {

template <class T>
bool is_signal(Node<T>& n) {
  TL_CHECK(n.shape(0).rank() != 5, "volumes (N,C,D,H,W) are not supported, got ", n.shape(0));
  return n.shape(0).rank() == 3;
}
/// A signal, or the weights of one, as an image of one row.
template <class T>
ValueId one_row(Node<T>& n, ValueId x, std::string_view name) {
  return n.add_node(ops::Reshape{.shape = {0, 0, 1, -1}}, {x}, name);
}
/// An operation on images; `weights` of the inputs are images too.
template <class T, class Op>
void emit_image(Node<T>& n, Op op, std::vector<ValueId> inputs, std::size_t weights = 0) {
  if (!is_signal(n)) return n.emit(std::move(op), std::move(inputs));
  for (std::size_t i = 0; i <= weights; ++i) inputs[i] = one_row(n, inputs[i], tl::concat("row_", i));
  n.emit(ops::Reshape{.shape = {0, 0, -1}}, {n.add_node(std::move(op), std::move(inputs), "rows")});
}

/// Numbers for height and width; a signal has one, and `row` stands for its height.
template <class T>
ops::Size2 pair_attribute(Node<T>& n, std::string_view attribute, const std::vector<Index>& missing,
                          Index row = 1) {
  const std::vector<Index> pair = n.integers(attribute, missing);
  if (is_signal(n) && pair.size() == 1) return {row, pair[0]};
  TL_CHECK(pair.size() == 2, "attribute '", attribute, "' is expected to have 2 numbers (images), got ",
           pair.size());
  return {pair[0], pair[1]};
}
/// The pads of an image, or of a signal.
template <class T>
ops::Padding2 pads_attribute(Node<T>& n) {
  const std::vector<Index> pads = n.integers("pads", {0, 0, 0, 0});
  if (is_signal(n) && pads.size() == 2) return {.left = pads[0], .right = pads[1]};
  TL_CHECK(pads.size() == 4, "attribute 'pads' is expected to have 4 numbers (images), got ", pads.size());
  return {.top = pads[0], .left = pads[1], .bottom = pads[2], .right = pads[3]};
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
  const ops::Padding2 given = pads_attribute(n);
  if (auto_pad == "NOTSET" || auto_pad.empty()) return given;
  if (auto_pad == "VALID") return {};
  const bool upper = auto_pad == "SAME_UPPER";
  TL_CHECK(upper || auto_pad == "SAME_LOWER", "auto_pad '", auto_pad, "' is not supported");
  const auto pads_for = [&](const Shape& x) -> ops::Padding2 {
    TL_CHECK(x.rank() == 4 || x.rank() == 3, "expected x(N,C,H,W) or x(N,C,L), got ", x);
    const Index height = x.rank() == 3 ? 1 : x[2];
    const auto [top, bottom] = same_padding(height, kernel.h, stride.h, dilation.h, upper);
    const auto [left, right] = same_padding(x[x.rank() - 1], kernel.w, stride.w, dilation.w, upper);
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
  TL_CHECK(w.rank() == (is_signal(n) ? 3 : 4) && n.shape(0).rank() == w.rank(),
           "expected x(N,C,H,W), w(O,C/G,KH,KW), got ", n.shape(0), ", ", w);
  const ops::Size2 kernel{w.rank() == 3 ? 1 : w[2], w[w.rank() - 1]};
  TL_CHECK(pair_attribute(n, "kernel_shape", {kernel.h, kernel.w}) == kernel,
           "kernel_shape disagrees with the weight ", w);
  ops::Conv2d op{.stride = pair_attribute(n, "strides", {1, 1}),
                 .dilation = pair_attribute(n, "dilations", {1, 1}),
                 .groups = n.integer("group", 1)};
  op.padding = padding(n, kernel, op.stride, op.dilation);
  std::vector<ValueId> inputs{take_padding(n, op.padding), n.weight(1)};
  if (n.has_input(2)) inputs.push_back(n.weight(2));
  emit_image(n, op, std::move(inputs), 1);
}

/// Padding that makes the result as large as output_shape, or stride times the input (auto_pad).
template <class T>
ops::ConvTranspose2d with_output(Node<T>& n, ops::ConvTranspose2d op, const Shape& w) {
  const std::string auto_pad = n.text("auto_pad", "NOTSET");
  const std::vector<Index> wanted = n.integers("output_shape");
  TL_CHECK(wanted.empty() || wanted.size() == 2,
           "attribute 'output_shape' is expected to have 2 numbers (images), got ", wanted.size());
  op.padding = pads_attribute(n);
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  if (wanted.empty() && !same) return op;
  TL_CHECK(n.shape(0, 0)[2] == n.shape(0, 1)[2] && n.shape(0, 0)[3] == n.shape(0, 1)[3],
           "an image size that the file leaves open is not supported here");
  op.padding = {};
  const Shape whole = op.infer(n.shape(0), w);
  const auto split = [&](Index extent, Index target) {
    TL_CHECK(target >= 1 && target <= extent, "expected an output of 1 to ", extent, ", got ", target);
    const Index total = extent - target, half = total / 2;
    return auto_pad == "SAME_UPPER" ? std::pair(half, total - half) : std::pair(total - half, half);
  };
  const Shape& x = n.shape(0);
  const auto [top, bottom] = split(whole[2], wanted.empty() ? x[2] * op.stride.h : wanted[0]);
  const auto [left, right] = split(whole[3], wanted.empty() ? x[3] * op.stride.w : wanted[1]);
  op.padding = {.top = top, .left = left, .bottom = bottom, .right = right};
  return op;
}

template <class T>
void conv_transpose(Node<T>& n) {
  const Shape& w = n.shape(1);
  TL_CHECK(n.shape(0).rank() == 4 && w.rank() == 4, "expected x(N,C,H,W), w(C,O/G,KH,KW), got ", n.shape(0),
           ", ", w);
  TL_CHECK((pair_attribute(n, "kernel_shape", {w[2], w[3]}) == ops::Size2{w[2], w[3]}),
           "kernel_shape disagrees with the weight ", w);
  ops::ConvTranspose2d op{.stride = pair_attribute(n, "strides", {1, 1}),
                          .dilation = pair_attribute(n, "dilations", {1, 1}),
                          .groups = n.integer("group", 1)};
  op.output_padding = pair_attribute(n, "output_padding", {0, 0}, 0);
  op = with_output(n, op, w);
  std::vector<ValueId> inputs{n.operand(0, false), n.weight(1)};
  if (n.has_input(2)) inputs.push_back(n.weight(2));
  n.emit(op, std::move(inputs));
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
  emit_image(n, ops::MaxPool2d{.window = pool_window(n)}, {n.operand(0, false)});
}

template <class T>
void average_pool(Node<T>& n) {
  const ops::PoolWindow window = pool_window(n);
  emit_image(n, ops::AveragePool2d{.window = window, .include_padding = n.flag("count_include_pad", false)},
             {n.operand(0, false)});
}

template <class T>
void global_average_pool(Node<T>& n) {
  emit_image(n, ops::AdaptiveAveragePool2d{}, {n.operand(0, false)});
}

template <class T>
void global_max_pool(Node<T>& n) {
  emit_image(n, ops::GlobalMaxPool2d{}, {n.operand(0, false)});
}

}  // namespace tl::onnx::operators
