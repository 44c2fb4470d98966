// ONNX operators that enlarge, shrink and repeat: Resize, Upsample, Tile, and Expand of computed values.
//
// Definitions: https://onnx.ai/onnx/operators. An axis is resized by taking neighbouring positions
// (ops::Take) and adding them with weights that the file fixes, so that gradients flow through the same few
// operations.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <tl/io/onnx/reader_shape.hpp>
#include <tl/ops/arithmetic.hpp>
#include <tl/ops/take.hpp>

namespace tl::onnx::operators {

/// How the positions of a resized axis are made of those before.
struct ResizeRule {
  std::string mode = "nearest", coordinates = "half_pixel", nearest = "round_prefer_floor";
  double cubic = -0.75;
  bool exclude_outside = false;

  /// Where position i lies on the axis before.
  double source(Index i, Index in, Index out, double scale) const {
    const double at = static_cast<double>(i), half = (at + 0.5) / scale - 0.5;
    if (coordinates == "half_pixel" || (coordinates == "pytorch_half_pixel" && out > 1)) return half;
    if (coordinates == "pytorch_half_pixel") return 0;
    if (coordinates == "asymmetric") return at / scale;
    if (coordinates == "half_pixel_symmetric") {
      const double kept = static_cast<double>(out) / (scale * static_cast<double>(in));
      return static_cast<double>(in) / 2 * (1 - kept) + half;
    }
    TL_CHECK(coordinates == "align_corners", "coordinate_transformation_mode '", coordinates,
             "' is not supported");
    return out == 1 ? 0 : at * static_cast<double>(in - 1) / static_cast<double>(out - 1);
  }
  double rounded(double at) const {
    if (nearest == "round_prefer_floor") return std::ceil(at - 0.5);
    if (nearest == "round_prefer_ceil") return std::floor(at + 0.5);
    if (nearest == "floor") return std::floor(at);
    TL_CHECK(nearest == "ceil", "nearest_mode '", nearest, "' is not supported");
    return std::ceil(at);
  }
  /// Weights of the positions around one that lies `fraction` behind the middle one, from the first of them
  /// on (Keys 1981, "Cubic convolution interpolation for digital image processing").
  std::vector<double> weights(double fraction) const {
    if (mode == "linear") return {1 - fraction, fraction};
    const double a = cubic, f = fraction, g = 1 - fraction;
    return {((a * (f + 1) - 5 * a) * (f + 1) + 8 * a) * (f + 1) - 4 * a, ((a + 2) * f - (a + 3)) * f * f + 1,
            ((a + 2) * g - (a + 3)) * g * g + 1, ((a * (g + 1) - 5 * a) * (g + 1) + 8 * a) * (g + 1) - 4 * a};
  }
};

/// One axis of x resized.
template <class T>
ValueId resized_axis(Node<T>& n, ValueId x, int axis, Index in, Index out, double scale,
                     const ResizeRule& rule) {
  const auto clamped = [in](double at) {
    return std::clamp<Index>(static_cast<Index>(std::clamp(at, -1e9, 1e9)), 0, in - 1);
  };
  n.count_folded({out});
  const std::string suffix = tl::concat("axis_", axis);
  ops::Take take{.axis = axis, .indices = {}};
  if (rule.mode == "nearest") {
    for (Index i = 0; i < out; ++i)
      take.indices.push_back(clamped(rule.rounded(rule.source(i, in, out, scale))));
    return n.add_node(take, {x}, suffix);
  }
  TL_CHECK(rule.mode == "linear" || rule.mode == "cubic", "mode '", rule.mode, "' is not supported");
  const std::size_t taps = rule.mode == "linear" ? 2 : 4;
  std::vector<ops::Take> takes(taps, take);
  std::vector<std::vector<T>> weights(taps);
  for (Index i = 0; i < out; ++i) {
    const double at = rule.source(i, in, out, scale), middle = std::floor(at);
    std::vector<double> list = rule.weights(at - middle);
    double sum = 0;
    for (std::size_t t = 0; t < taps; ++t) {
      const double position = middle + static_cast<double>(t) - (taps == 4 ? 1 : 0);
      if (rule.exclude_outside && (position < 0 || position > static_cast<double>(in - 1))) list[t] = 0;
      takes[t].indices.push_back(clamped(position));
      sum += list[t];
    }
    for (std::size_t t = 0; t < taps; ++t)
      weights[t].push_back(static_cast<T>(rule.exclude_outside ? list[t] / sum : list[t]));
  }
  Shape along;
  for (int a = axis; a < n.facts(x).shape[0].rank(); ++a) along.push_back(a == axis ? out : 1);
  ValueId total = -1;
  for (std::size_t t = 0; t < taps; ++t) {
    const std::string tap = tl::concat(suffix, '_', t);
    const ValueId weight =
        n.add_constant(Tensor<T>::from(std::span<const T>(weights[t]), along), tap + "_weight");
    const ValueId part = n.add_node(ops::Mul{}, {n.add_node(takes[t], {x}, tap), weight}, tap + "_part");
    total = total < 0 ? part : n.add_node(ops::Add{}, {total, part}, tap + "_sum");
  }
  return total;
}

/// Scales as a constant input, or extents as whole numbers (-1: no such input), for the axes named.
template <class T>
void resize_axes(Node<T>& n, int scales_input, int sizes_input, std::vector<Index> axes,
                 const ResizeRule& rule) {
  const std::array<Shape, 2> x{n.shape(0, 0), n.shape(0, 1)};
  const int rank = x[0].rank();
  if (axes.empty()) {
    for (int axis = 0; axis < rank; ++axis) axes.push_back(axis);
  }
  const bool by_size = sizes_input >= 0 && n.has_input(sizes_input);
  TL_CHECK(by_size || n.has_input(scales_input), "expected scales or sizes");
  const auto count = static_cast<Index>(axes.size());
  ValueId value = n.operand(0, false);
  for (Index i = 0; i < count; ++i) {
    const int axis = x[0].axis(axes[static_cast<std::size_t>(i)]);
    std::array<Index, 2> out{};
    double scale = 1;
    for (std::size_t which : {0u, 1u}) {
      const Index in = x[which][axis];
      if (by_size) {
        const IntTensor& sizes = n.integers(sizes_input).at[which];
        TL_CHECK(sizes.size() == count, "expected ", count, " sizes, got ", sizes.size());
        out[which] = sizes.data()[i];
        scale = static_cast<double>(out[which]) / static_cast<double>(in);
      } else {
        const Tensor<T>& scales = n.input(scales_input).constant;
        TL_CHECK(scales.defined() && scales.size() == count, "expected ", count,
                 " scales known at load time");
        scale = static_cast<double>(scales.data()[i]);
        TL_CHECK(scale > 0 && scale * static_cast<double>(in) < 1e6,
                 "expected scales above 0 and axes below 1e6");
        out[which] = static_cast<Index>(std::floor(static_cast<double>(in) * scale));
      }
      TL_CHECK(out[which] >= 1 && out[which] <= 1'000'000 && in >= 1, "expected axes of 1 to 1,000,000, got ",
               in, " and ", out[which]);
    }
    const bool same = out[0] == x[0][axis] && out[1] == x[1][axis];
    const bool batch = axis == 0 && by_size && out[0] == n.fixed_batch() && x[0][0] != x[1][0];
    if (same || batch) continue;
    TL_CHECK(x[0][axis] == x[1][axis] && out[0] == out[1], "resizing along the batch is not supported");
    value = resized_axis(n, value, axis, x[0][axis], out[0], scale, rule);
  }
  n.emit(ops::Reshape{.shape = std::vector<Index>(static_cast<std::size_t>(rank), 0)}, {value});
}

/// Operator set 10, and Upsample: positions are divided by the scale, and rounded down.
template <class T>
void resize_10(Node<T>& n) {
  resize_axes(n, 1, -1, {},
              {.mode = n.text("mode", "nearest"), .coordinates = "asymmetric", .nearest = "floor"});
}

template <class T>
void resize_11(Node<T>& n) {
  n.number("extrapolation_value", 0);  // for a mode of coordinates that is not supported
  TL_CHECK(!n.flag("antialias", false), "antialias=1 is not supported");
  TL_CHECK(n.text("keep_aspect_ratio_policy", "stretch") == "stretch",
           "keep_aspect_ratio_policy is not supported");
  resize_axes(n, 2, 3, n.integers("axes"),
              {.mode = n.text("mode", "nearest"),
               .coordinates = n.text("coordinate_transformation_mode", "half_pixel"),
               .nearest = n.text("nearest_mode", "round_prefer_floor"),
               .cubic = n.number("cubic_coeff_a", -0.75),
               .exclude_outside = n.flag("exclude_outside", false)});
}

/// Every axis repeated as a whole.
template <class T>
void tile(Node<T>& n) {
  const std::vector<Index> repeats = n.extents(1);
  const int rank = shapes_of(n, 0)[0].rank();
  TL_CHECK(static_cast<int>(repeats.size()) == rank, "expected ", rank, " repeats, got ", repeats.size());
  TL_CHECK(n.input(0).is_computed(), "tiling of constants is not supported");
  ValueId value = n.operand(0, false);
  for (int axis = 0; axis < rank; ++axis) {
    const Index times = repeats[static_cast<std::size_t>(axis)], extent = n.shape(0)[axis];
    if (times == 1) continue;
    TL_CHECK(times >= 1 && extent * times <= (Index{1} << 20),
             "expected at least one repeat and axes of at most ", Index{1} << 20, ", got ", times);
    n.count_folded({extent * times});
    std::vector<Index> positions;
    for (Index i = 0; i < extent * times; ++i) positions.push_back(i % extent);
    value = n.add_node(take_along(n, axis, positions), {value}, tl::concat("axis_", axis));
  }
  n.emit(ops::Reshape{.shape = std::vector<Index>(static_cast<std::size_t>(rank), 0)}, {value});
}

}  // namespace tl::onnx::operators
