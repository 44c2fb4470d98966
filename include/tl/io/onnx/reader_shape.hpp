// ONNX operators that make and move values: constants, shapes, Reshape, Transpose, Slice, Concat, Pad, Cast.
//
// Definitions: https://onnx.ai/onnx/operators. Most of them also work on whole numbers known at load time:
// that is how the arithmetic on shapes that exporters leave behind goes away (integers.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <tl/io/onnx/node.hpp>
#include <tl/ops/arithmetic.hpp>
#include <tl/ops/compare.hpp>
#include <tl/ops/embedding.hpp>
#include <tl/ops/shape.hpp>
#include <tl/ops/take.hpp>

namespace tl::onnx::operators {

// ---- Constants -----------------------------------------------------------------------------------------

template <class T>
void set_tensor(Node<T>& n, const TensorProto& proto) {
  const ExternalFiles nowhere(".");  // tensors in attributes may not lie in other files
  TL_CHECK(!proto.is_external, "external data in an attribute is not supported");
  if (is_floating(proto.data_type)) {
    Tensor<T> numbers = to_tensor<T>(proto, nowhere);
    n.count_stored(numbers.shape());
    n.set_constant(std::move(numbers));
  } else {
    const IntTensor numbers = to_tensor<std::int64_t>(proto, nowhere);
    n.count_stored(numbers.shape());
    n.set_integers(Integers::same(numbers));
  }
}

template <class T>
void constant(Node<T>& n) {
  if (const auto* a = n.find("value", AttributeType::tensor_value); a != nullptr && a->tensors.size() == 1) {
    set_tensor(n, a->tensors[0]);
  } else if (n.has("value_float")) {
    n.set_constant(Tensor<T>::scalar(static_cast<T>(n.number("value_float", 0))));
  } else if (const auto* list = n.find("value_floats", AttributeType::floats)) {
    const std::vector<T> values(list->floats.begin(), list->floats.end());
    n.set_constant(Tensor<T>::from(std::span<const T>(values), {static_cast<Index>(values.size())}));
  } else if (const auto* one = n.find("value_int", AttributeType::int_value)) {
    n.set_integers(Integers::same(IntTensor::scalar(one->i)));
  } else if (n.has("value_ints")) {
    const std::vector<Index> values = n.positions("value_ints");
    n.set_integers(Integers::vector({values, values}));
  } else {
    fail("expected attribute value, value_float(s) or value_int(s)");
  }
}

template <class T>
void constant_of_shape(Node<T>& n) {
  const AttributeProto* value = n.find("value", AttributeType::tensor_value);
  const std::vector<Index> extents = n.extents(0);
  const Shape shape{std::span<const Index>(extents)};
  if (value == nullptr || value->tensors.empty()) return n.set_filled(shape, T{0});
  const TensorProto& proto = value->tensors[0];
  const ExternalFiles nowhere(".");
  TL_CHECK(!proto.is_external && shape_of(proto).size() == 1,
           "attribute 'value' is expected to have one element");
  if (is_floating(proto.data_type)) {
    n.set_filled(shape, *to_tensor<T>(proto, nowhere).data());
  } else {
    n.count_folded(shape);
    n.set_integers(Integers::same(IntTensor::full(shape, *to_tensor<std::int64_t>(proto, nowhere).data())));
  }
}

template <class T>
void range(Node<T>& n) {
  const Index start = n.integers(0).tensor().item(), step = n.integers(2).tensor().item();
  TL_CHECK(step != 0, "expected a step other than 0");
  constexpr Index most = Index{1} << 20;
  std::array<std::vector<Index>, 2> values;
  for (std::size_t which : {0u, 1u}) {
    const Index limit = n.integers(1).at[which].item();
    for (Index i = start; step > 0 ? i < limit : i > limit; i = checked::add(i, step)) {
      TL_CHECK(static_cast<Index>(values[which].size()) < most, "ranges of more than ", most,
               " numbers are not supported");
      values[which].push_back(i);
    }
  }
  n.set_integers(Integers::vector(values));
}

// ---- Shapes --------------------------------------------------------------------------------------------

template <class T>
std::array<Shape, 2> shapes_of(Node<T>& n, int i) {
  const Value<T>& value = n.input(i);
  if (value.is_integer()) return {value.integers.at[0].shape(), value.integers.at[1].shape()};
  return {n.shape(i, 0), n.shape(i, 1)};
}

template <class T>
void shape(Node<T>& n) {
  const Index start = n.integer("start", 0), end = n.integer("end", largest_extent);
  std::array<std::vector<Index>, 2> extents;
  for (std::size_t which : {0u, 1u}) {
    const Shape x = shapes_of(n, 0)[which];
    const auto position = [&x](Index at) {
      return std::clamp<Index>(at < 0 ? at + x.rank() : at, 0, x.rank());
    };
    for (Index i = position(start); i < position(end); ++i) extents[which].push_back(x[static_cast<int>(i)]);
  }
  n.set_integers(Integers::vector(extents));
}

template <class T>
void size(Node<T>& n) {
  const auto shapes = shapes_of(n, 0);
  n.set_integers({{IntTensor::scalar(shapes[0].size()), IntTensor::scalar(shapes[1].size())}});
}

/// Gives a computed input 0 the shapes `to` (for the two imagined inputs) in a way that holds for any batch.
template <class T>
void reshape_to(Node<T>& n, const std::array<Shape, 2>& to) {
  const ValueId x = n.id(0, ValueKind::constant);
  const auto& from = n.facts(x).shape;
  TL_CHECK(to[0].rank() == to[1].rank(), "the number of axes depends on the batch");
  std::vector<Index> target;
  bool open = false;
  for (int i = 0; i < to[0].rank(); ++i) {
    const bool certain = to[0][i] == to[1][i];
    const bool copied = i < from[0].rank() && from[0][i] == to[0][i] && from[1][i] == to[1][i];
    TL_CHECK(to[0][i] > 0 && to[1][i] > 0 && (certain || copied || !open),
             "a shape with more than one extent that depends on the batch is not supported");
    target.push_back(certain ? to[0][i] : copied ? 0 : -1);
    open = open || (!certain && !copied);
  }
  const ops::Reshape op{.shape = target};
  TL_CHECK(op.infer(from[0]) == to[0] && op.infer(from[1]) == to[1],
           "a shape that depends on the batch is not supported");
  n.emit(op, {x});
}

template <class T>
void reshape(Node<T>& n) {
  const bool allow_zero = n.flag("allowzero", false);
  std::array<std::vector<Index>, 2> target;
  for (std::size_t which : {0u, 1u}) {
    const IntTensor& wanted = n.integers(1).at[which];
    TL_CHECK(wanted.rank() == 1, "expected a list of extents, got shape ", wanted.shape());
    target[which].assign(wanted.data(), wanted.data() + wanted.size());
    TL_CHECK(!allow_zero || std::count(target[which].begin(), target[which].end(), 0) == 0,
             "allowzero=1 with an extent of 0 is not supported");
    for (const Index extent : target[which])
      TL_CHECK(extent <= largest_extent, "expected extents of at most ", largest_extent, ", got ", extent);
  }
  if (!n.input(0).is_computed()) {
    TL_CHECK(target[0] == target[1], "a constant cannot take a shape that depends on the batch");
    return n.move(ops::Reshape{.shape = target[0]});
  }
  // A batch that the exporter has written as a number (usually 1) stands for any batch.
  const bool from_batch = n.shape(0, 0).rank() > 0 && n.shape(0, 0)[0] == imagined_batch[0] &&
                          n.shape(0, 1)[0] == imagined_batch[1];
  for (auto& t : target) {
    if (from_batch && !t.empty() && n.fixed_batch() > 0 && t[0] == n.fixed_batch()) t[0] = 0;
  }
  reshape_to(n, {ops::Reshape{.shape = target[0]}.infer(n.shape(0, 0)),
                 ops::Reshape{.shape = target[1]}.infer(n.shape(0, 1))});
}

/// Reshape of any kind of input to shapes computed from its own.
template <class T, class F>
void reshape_by(Node<T>& n, const F& new_shape) {
  const auto from = shapes_of(n, 0);
  const std::array<Shape, 2> to = {new_shape(from[0]), new_shape(from[1])};
  if (n.input(0).is_computed()) return reshape_to(n, to);
  if (n.input(0).is_integer()) {
    const Integers& x = n.integers(0);
    return n.set_integers({{x.at[0].reshape(to[0]), x.at[1].reshape(to[1])}});
  }
  TL_CHECK(to[0] == to[1], "a constant cannot take a shape that depends on the batch");
  n.move(ops::Reshape{.shape = {to[0].begin(), to[0].end()}});
}

template <class T>
void flatten(Node<T>& n) {
  n.move(ops::Flatten{.axis = n.integer("axis", 1)});
}

template <class T>
void squeeze(Node<T>& n) {
  const bool given = n.has_extents("axes", 1);
  const std::vector<Index> axes = n.extents("axes", 1);
  reshape_by(n, [&](const Shape& x) {
    std::array<bool, Shape::max_rank> gone{};
    for (const Index axis : axes) {
      const int a = x.axis(axis);
      TL_CHECK(x[a] == 1, "expected an extent of 1 on axis ", axis, " of ", x);
      gone[static_cast<std::size_t>(a)] = true;
    }
    Shape y;
    for (int i = 0; i < x.rank(); ++i) {
      if (!(given ? gone[static_cast<std::size_t>(i)] : x[i] == 1)) y.push_back(x[i]);
    }
    return y;
  });
}

template <class T>
void unsqueeze(Node<T>& n) {
  const std::vector<Index> axes = n.extents("axes", 1);
  reshape_by(n, [&](const Shape& x) {
    const Index rank = x.rank() + static_cast<Index>(axes.size());
    std::vector<bool> added(static_cast<std::size_t>(rank), false);
    for (const Index axis : axes) {
      TL_CHECK(axis >= -rank && axis < rank, "expected an axis in [", -rank, ", ", rank, "), got ", axis);
      const auto a = static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
      TL_CHECK(!added[a], "axis ", axis, " is named twice");
      added[a] = true;
    }
    Shape y;
    int next = 0;
    for (const bool one : added) y.push_back(one ? 1 : x[next++]);
    return y;
  });
}

/// Axes of one position are repeated, new ones stand before the others; the batch stays what it is.
template <class T>
void expand_computed(Node<T>& n, const std::array<Shape, 2>& to) {
  const std::array<Shape, 2> from = shapes_of(n, 0);
  constexpr Index most = Index{1} << 20;
  ValueId value = n.operand(0, false);
  const int added = to[0].rank() - from[0].rank();
  if (added > 0) {
    std::vector<Index> aligned(static_cast<std::size_t>(added), 1);
    for (int axis = 0; axis < from[0].rank(); ++axis)
      aligned.push_back(from[0][axis] == from[1][axis] ? from[0][axis] : -1);
    TL_CHECK(std::count(aligned.begin(), aligned.end(), -1) <= 1,
             "expanding a value of several open extents to more axes is not supported");
    value = n.add_node(ops::Reshape{.shape = aligned}, {value}, "aligned");
  }
  const std::array<Shape, 2> now = n.facts(value).shape;
  for (int axis = 0; axis < to[0].rank(); ++axis) {
    if (now[0][axis] == to[0][axis] && now[1][axis] == to[1][axis]) continue;
    TL_CHECK(to[0][axis] == to[1][axis] && to[0][axis] <= most,
             "expected an extent that does not depend on the "
             "batch, of at most ",
             most);
    n.count_folded({to[0][axis]});
    const std::vector<Index> zeros(static_cast<std::size_t>(to[0][axis]), 0);
    value = n.add_node(ops::Take{axis, zeros}, {value}, tl::concat("axis_", axis));
  }
  n.emit(ops::Reshape{.shape = std::vector<Index>(static_cast<std::size_t>(to[0].rank()), 0)}, {value});
}

template <class T>
void expand(Node<T>& n) {
  const auto target = [&](std::size_t which) {
    const IntTensor& extents = n.integers(1).at[which];
    return broadcast_shapes(shapes_of(n, 0)[which], Shape(extents.span()), "expand");
  };
  const std::array<Shape, 2> to = {target(0), target(1)};
  if (to == shapes_of(n, 0)) return n.pass_through();
  if (n.input(0).is_computed()) return expand_computed(n, to);
  TL_CHECK(to[0] == to[1], "a constant cannot be expanded to a shape that depends on the batch");
  n.count_folded(to[0]);
  if (n.input(0).is_integer()) {
    n.set_integers(n.integers(0).map([&to](const IntTensor& x) { return repeat_to(x, to[0]); }));
  } else {
    n.set_constant(repeat_to(n.input(0).constant, to[0]));
  }
}

// ---- Moving elements -----------------------------------------------------------------------------------

template <class T>
void transpose(Node<T>& n) {
  std::vector<Index> axes = n.integers("perm");
  const int rank = shapes_of(n, 0)[0].rank();
  if (!n.has("perm")) {
    for (int axis = rank - 1; axis >= 0; --axis) axes.push_back(axis);
  }
  std::vector<bool> seen(static_cast<std::size_t>(rank), false);
  for (const Index axis : axes) {
    TL_CHECK(axis >= 0 && axis < rank && !seen[static_cast<std::size_t>(axis)], "perm is not an order of ",
             rank, " axes");
    seen[static_cast<std::size_t>(axis)] = true;
  }
  n.move(ops::Transpose{.axes = std::vector<int>(axes.begin(), axes.end())});
}

template <class T>
void slice_ranges(Node<T>& n, const std::vector<Index>& starts, const std::vector<Index>& ends,
                  std::vector<Index> axes, std::vector<Index> steps) {
  if (axes.empty()) {
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<Index>(i));
  }
  steps.resize(steps.empty() ? starts.size() : steps.size(), 1);
  TL_CHECK(starts.size() == ends.size() && axes.size() == starts.size() && steps.size() == starts.size(),
           "starts, ends, axes and steps are expected to have one number an axis");
  ops::Slice op;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const auto clamped = [](Index at) { return std::clamp(at, -2 * largest_extent, 2 * largest_extent); };
    op.ranges.push_back({axes[i], clamped(starts[i]), clamped(ends[i]), clamped(steps[i])});
  }
  n.move(op);
}

template <class T>
void slice_1(Node<T>& n) {
  slice_ranges(n, n.positions("starts"), n.positions("ends"), n.integers("axes"), {});
}

template <class T>
void slice_10(Node<T>& n) {
  slice_ranges(n, n.positions(1), n.positions(2), n.has_input(3) ? n.extents(3) : std::vector<Index>{},
               n.has_input(4) ? n.positions(4) : std::vector<Index>{});
}

/// Parts of equal or given extents along an axis.
template <class T>
void split(Node<T>& n) {
  const Shape x = shapes_of(n, 0)[0];
  const int axis = x.axis(n.integer("axis", 0));
  std::vector<Index> lengths = n.extents("split", 1);
  n.integer("num_outputs", 0);
  TL_CHECK(shapes_of(n, 0)[1][axis] == x[axis], "splitting along the batch is not supported");
  const Index parts = n.output_count();
  if (lengths.empty()) {
    const Index each = (x[axis] + parts - 1) / std::max<Index>(1, parts);
    for (Index i = 0; i < parts; ++i)
      lengths.push_back(std::min(each, x[axis] - std::min(x[axis], i * each)));
  }
  TL_CHECK(static_cast<Index>(lengths.size()) == parts, "expected ", parts, " extents, got ", lengths.size());
  Index start = 0;
  for (int i = 0; i < n.output_count(); ++i) {
    const Index length = lengths[static_cast<std::size_t>(i)];
    TL_CHECK(length >= 0 && start + length <= x[axis], "the parts are longer than axis ", axis, " of ", x);
    const ops::Slice op{{{axis, start, start + length, 1}}};
    start += length;
    if (n.input(0).is_integer()) {
      n.set_integers(n.integers(0).map([&op](const IntTensor& t) { return op.forward(t); }), i);
    } else if (n.input(0).is_constant()) {
      n.set_constant(op.forward(n.input(0).constant), i);
    } else {
      Value<T> part;
      part.id = n.add_node(op, {n.id(0, ValueKind::constant)}, i == 0 ? std::string() : std::to_string(i), i);
      n.set(std::move(part), i);
    }
  }
  TL_CHECK(start == x[axis], "the parts are shorter than axis ", axis, " of ", x);
}

template <class T>
void concat(Node<T>& n) {
  TL_CHECK(n.has("axis"), "attribute 'axis' is missing");
  const ops::Concat op{.axis = n.integer("axis", 0)};
  bool integers = true, constants = true;
  for (int i = 0; i < n.input_count(); ++i) {
    integers = integers && n.input(i).is_integer();
    constants = constants && n.is_foldable(i);
  }
  if (integers) {
    Integers result;
    for (std::size_t which : {0u, 1u}) {
      std::vector<IntTensor> parts;
      std::vector<Shape> shapes;
      for (int i = 0; i < n.input_count(); ++i)
        parts.push_back(n.integers(i).at[which]), shapes.push_back(parts.back().shape());
      n.count_folded(op.infer(shapes));
      result.at[which] = op.forward(std::span<const IntTensor>(parts));
    }
    n.set_integers(std::move(result));
  } else if (constants) {
    std::vector<Tensor<T>> parts;
    std::vector<Shape> shapes;
    for (int i = 0; i < n.input_count(); ++i)
      parts.push_back(n.input(i).constant), shapes.push_back(parts.back().shape());
    n.count_folded(op.infer(shapes));
    n.set_constant(op.forward(std::span<const Tensor<T>>(parts)));
  } else {
    std::vector<ValueId> parts;
    for (int i = 0; i < n.input_count(); ++i) parts.push_back(n.operand(i, false));
    n.emit(op, std::move(parts));
  }
}

/// The positions of a computed input that a list names; negative ones count from the end.
template <class T>
ops::Take take_along(Node<T>& n, Index axis, std::span<const Index> indices) {
  const Shape& x = n.shape(0);
  const int a = x.axis(axis);
  TL_CHECK(n.shape(0, 1)[a] == x[a], "positions along the batch are not supported");
  ops::Take take{.axis = a, .indices = {}};
  for (const Index index : indices) take.indices.push_back(index < 0 ? index + x[a] : index);
  return take;
}

/// Whether input 1 names every position of a list, input 0, in order, for any batch.
template <class T>
bool names_all_in_order(Node<T>& n) {
  for (std::size_t which : {0u, 1u}) {
    const IntTensor& indices = n.integers(1).at[which];
    if (n.shape(0, which) != Shape{indices.size()}) return false;
    Index expected = 0;
    for (const Index index : indices.span()) {
      if (index != expected++) return false;
    }
  }
  return true;
}

template <class T>
void gather(Node<T>& n) {
  const Index axis = n.integer("axis", 0);
  if (n.input(1).is_computed()) {  // rows of a table, chosen when the network runs
    TL_CHECK(axis == 0 && n.input(0).is_constant(),
             "indices that are not known at load time can choose rows of a weight only");
    return n.emit(ops::Embedding{}, {n.weight(0), n.whole_numbers(1)});
  }
  if (n.input(0).is_computed() && !n.integers(1).certain() && axis == 0 && names_all_in_order(n))
    return reshape_to(n, shapes_of(n, 1));
  const IntTensor& indices = n.integers(1).tensor();
  if (n.input(0).is_integer()) {
    n.set_integers(n.integers(0).map([&](const IntTensor& x) { return onnx::gather(x, indices, axis); }));
    return;
  }
  if (n.input(0).is_constant()) return n.set_constant(onnx::gather(n.input(0).constant, indices, axis));
  const auto from = shapes_of(n, 0);
  if (indices.rank() == 1 && indices.size() > 1)
    return n.emit(take_along(n, axis, indices.span()), {n.id(0, ValueKind::constant)});
  // One element of a computed value: a slice, whose axis goes away where the index is a scalar.
  TL_CHECK(indices.size() == 1, "computed values can be gathered by constant lists of indices only");
  const Index at = *indices.data();
  const ops::Slice op{{{axis, at, at == -1 ? largest_extent : at + 1, 1}}};
  const int a = from[0].axis(axis);
  for (const Shape& x : from)
    TL_CHECK(at >= -x[a] && at < x[a], "index ", at, " is outside of axis ", axis, " of ", x);
  if (indices.rank() == 1) return n.emit(op, {n.id(0, ValueKind::constant)});
  std::vector<Index> back;
  for (int i = 0; i < from[0].rank(); ++i) {
    if (i != a) back.push_back(from[0][i] == from[1][i] ? from[0][i] : i < a ? 0 : -1);
  }
  TL_CHECK(indices.rank() == 0 && std::count(back.begin(), back.end(), -1) <= 1,
           "these indices are not supported");
  n.emit(ops::Reshape{.shape = back}, {n.add_node(op, {n.id(0, ValueKind::constant)}, "slice")});
}

/// The positions of an axis and of what continues it on both sides: mirrored, repeated, or from the other
/// end.
inline std::vector<Index> padded_positions(const std::string& mode, Index extent, Index before, Index after) {
  const bool mirrored = mode == "reflect", repeated = mode == "edge";
  TL_CHECK(mirrored || repeated || mode == "wrap", "mode '", mode, "' is not supported");
  TL_CHECK(extent >= 1 && (!mirrored || extent > 1 || (before <= 0 && after <= 0)), "an axis of ", extent,
           " cannot be continued");
  constexpr Index most = Index{1} << 20;
  TL_CHECK(extent <= most && before <= most && after <= most, "axes and paddings of more than ", most,
           " are not supported in mode '", mode, "'");
  std::vector<Index> positions;
  for (Index i = -before; i < extent + after; ++i) {
    const Index period = mirrored ? 2 * (extent - 1) : extent;
    const Index at = period == 0 ? 0 : ((i % period) + period) % period;
    positions.push_back(repeated ? std::clamp<Index>(i, 0, extent - 1) : at < extent ? at : period - at);
  }
  return positions;
}

template <class T>
void pad_with(Node<T>& n, const std::vector<Index>& pads, std::vector<Index> axes, double value) {
  const std::string mode = n.text("mode", "constant");
  const int rank = n.shape(0).rank();
  if (axes.empty()) {
    for (int axis = 0; axis < rank; ++axis) axes.push_back(axis);
  }
  TL_CHECK(pads.size() == 2 * axes.size(), "expected ", 2 * axes.size(), " amounts, got ", pads.size());
  ops::Pad op{
      .before = std::vector<Index>(static_cast<std::size_t>(rank), 0), .after = op.before, .value = value};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(n.shape(0).axis(axes[i]));
    op.before[axis] = pads[i];
    op.after[axis] = pads[i + axes.size()];
  }
  const bool nothing = std::all_of(pads.begin(), pads.end(), [](Index amount) { return amount == 0; });
  if (nothing) return n.pass_through();
  if (mode == "constant") return n.compute(std::move(op), {0});
  ValueId padded = n.operand(0, false);
  for (int axis = 0; axis < rank; ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    if (op.before[a] == 0 && op.after[a] == 0) continue;
    TL_CHECK(n.shape(0, 1)[axis] == n.shape(0)[axis], "padding along the batch is not supported");
    n.count_folded({n.shape(0)[axis] + std::max<Index>(0, op.before[a]) + std::max<Index>(0, op.after[a])});
    padded = n.add_node(ops::Take{axis, padded_positions(mode, n.shape(0)[axis], op.before[a], op.after[a])},
                        {padded}, tl::concat("axis_", axis));
  }
  n.emit(ops::Reshape{.shape = std::vector<Index>(static_cast<std::size_t>(rank), 0)}, {padded});
}

template <class T>
void pad_2(Node<T>& n) {
  pad_with(n, n.integers("pads"), {}, n.number("value", 0));
}

template <class T>
void pad_11(Node<T>& n) {
  pad_with(n, n.extents(1), n.has_input(3) ? n.extents(3) : std::vector<Index>{},
           n.has_input(2) ? n.scalar(2) : 0.0);
}

// ---- Types and choices ---------------------------------------------------------------------------------

template <class T>
void identity(Node<T>& n) {
  n.pass_through();
}

/// Among floating-point types nothing happens: everything is computed in T.
template <class T>
void cast(Node<T>& n) {
  const auto to = DataType{static_cast<std::int32_t>(n.integer("to", 0))};
  n.integer("saturate", 1);
  TL_CHECK(bytes_per_element(to) > 0, "a conversion to ", type_name(to), " is not supported");
  const Value<T>& x = n.input(0);
  if (x.is_computed()) {
    // This library's own files convert only what is a whole number, or a condition, already.
    const bool remains = x.is_truth || (x.is_whole_number && to == DataType::int64) || n.own_file();
    TL_CHECK(is_floating(to) || remains, "a conversion of computed values to ", type_name(to),
             " is not supported");
    Value<T> number = x;
    number.is_whole_number = !is_floating(to);
    number.is_truth = x.is_truth || to == DataType::boolean;
    n.set(std::move(number));
  } else if (x.is_integer() && is_floating(to)) {
    n.set_constant(x.integers.tensor().template cast<T>());
  } else if (x.is_integer()) {
    if (to != DataType::boolean) return n.pass_through();
    n.set_integers(x.integers.map([](const IntTensor& t) {
      return combine(t, IntTensor::scalar(0), [](Index a, Index) -> Index { return a != 0; });
    }));
  } else if (is_floating(to)) {
    n.pass_through();
  } else {
    IntTensor whole = IntTensor::empty(x.constant.shape());
    std::transform(
        x.constant.data(), x.constant.data() + x.constant.size(), whole.mutable_data(), [&to](T value) {
          TL_CHECK(std::abs(value) < T(9e18), "expected numbers that fit a whole number, got ", value);
          return to == DataType::boolean ? Index{value != 0} : static_cast<Index>(value);
        });
    n.set_integers(Integers::same(whole));
  }
}

/// Comparisons, as 0 and 1. `turned`: the operation takes the second input first.
template <class T, class OnIntegers, class Op, bool turned = false>
void compare(Node<T>& n) {
  if (n.input(0).is_integer() && n.input(1).is_integer()) {
    n.set_integers(Integers::same(combine(n.integers(0).tensor(), n.integers(1).tensor(),
                                          [](Index a, Index b) -> Index { return OnIntegers{}(a, b); })));
  } else {
    n.compute(Op{}, {turned ? 1 : 0, turned ? 0 : 1});
    n.mark_truth();
  }
}

/// And as a product, Or as a maximum of truth values.
template <class T, class OnIntegers, class Op>
void logical(Node<T>& n) {
  if (n.input(0).is_integer() && n.input(1).is_integer()) return compare<T, OnIntegers, ops::Equal>(n);
  n.emit(Op{}, {n.truth(0), n.truth(1)});
  n.mark_truth();
}

template <class T>
void logical_not(Node<T>& n) {
  if (n.input(0).is_computed()) {
    n.emit(ops::Equal{}, {n.truth(0), n.number_constant(0, "false")});
    return n.mark_truth();
  }
  n.set_integers(Integers::same(
      combine(n.integers(0).tensor(), IntTensor::scalar(0), [](Index a, Index) -> Index { return a == 0; })));
}

/// a where the condition holds, b elsewhere.
template <class T>
void where(Node<T>& n) {
  if (!n.input(0).is_integer() || !n.input(1).is_integer() || !n.input(2).is_integer()) {
    const bool after = n.after_weight(1) || n.after_weight(2);
    return n.emit(ops::Where{}, {n.truth(0), n.operand(1, after), n.operand(2, after)});
  }
  const IntTensor& condition = n.integers(0).tensor();
  Integers result;
  for (std::size_t which : {0u, 1u}) {
    const IntTensor &a = n.integers(1).at[which], &b = n.integers(2).at[which];
    const Shape shape =
        broadcast_shapes(broadcast_shapes(a.shape(), b.shape(), "where"), condition.shape(), "where");
    n.count_folded(shape);
    const IntTensor c = repeat_to(condition, shape), left = repeat_to(a, shape), right = repeat_to(b, shape);
    IntTensor y = IntTensor::empty(shape);
    Index* out = y.mutable_data();
    for (Index i = 0; i < y.size(); ++i) out[i] = c.data()[i] != 0 ? left.data()[i] : right.data()[i];
    result.at[which] = y;
  }
  n.set_integers(std::move(result));
}

/// y = (x - zero point) scale, for whole numbers known at load time: a weight becomes one of floating point.
template <class T>
void dequantize_linear(Node<T>& n) {
  TL_CHECK(n.input(0).is_integer(), "only weights can be dequantised: export without quantised activations");
  const IntTensor& x = n.integers(0).tensor();
  const Index signed_axis = n.integer("axis", 1);
  TL_CHECK(n.integer("block_size", 0) == 0, "blocks of scales are not supported");
  n.integer("output_dtype", 0);  // everything is computed in T
  Value<T>& scale = n.input(1);
  TL_CHECK(scale.is_constant(), "its scale is expected to be constant");
  const auto along = [&](const auto& list) {  // a number for all, or one for each position of the axis
    if (list.size() == 1) return list.reshape({});
    const int axis = x.shape().axis(signed_axis);
    TL_CHECK(list.shape() == Shape{x.shape(axis)}, "expected a scale for all, or ", x.shape(axis), ", got ",
             list.shape());
    Shape shape;
    for (int i = 0; i < x.rank(); ++i) shape.push_back(i == axis ? x.shape(i) : 1);
    return list.reshape(shape);
  };
  const IntTensor zero = n.has_input(2) ? along(n.integers(2).tensor()) : IntTensor::scalar(0);
  n.count_folded(x.shape());
  Value<T> weight;
  weight.constant = mul(combine(x, zero, checked::sub).template cast<T>(), along(scale.constant)).plain();
  weight.name = n.input(0).is_initializer ? n.input(0).name : n.output_name();
  weight.is_initializer = n.input(0).is_initializer;
  n.set(std::move(weight));
}

}  // namespace tl::onnx::operators
