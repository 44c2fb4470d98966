// Node<T>: one node of an ONNX file while it is read. Operator functions (reader_*.hpp) ask it for attributes
// and inputs and give it their result.
//
// An input is one of: a floating-point constant, whole numbers known at load time, or a value of the graph
// that is being built. Attributes that nobody asked for are refused afterwards.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <tl/core/numbers.hpp>
#include <tl/graph/graph.hpp>
#include <tl/io/onnx/integers.hpp>
#include <tl/io/onnx/proto.hpp>
#include <tl/io/onnx/tensor_data.hpp>
#include <tl/ops/shape.hpp>

namespace tl::onnx {

/// What a name of the file stands for.
template <class T>
struct Value {
  ValueId id = -1;               ///< in the graph; a constant gets one when a node first needs it there
  Tensor<T> constant;            ///< defined for floating-point constants
  Integers integers;             ///< defined for whole numbers known at load time
  std::string name;              ///< of the initializer that a constant comes from
  bool is_initializer = false;   ///< a constant that may be a weight, not one fixed by the definition
  bool is_transposed = false;    ///< the graph holds this constant transposed, as the weight of Linear
  bool is_whole_number = false;  ///< of an integer type or bool: only Cast, choices and look-ups may read it
  bool is_truth = false;         ///< a computed value that is 0 or 1
  bool failed = false;           ///< the node that makes it could not be read: its readers stay silent

  bool is_constant() const { return constant.defined(); }         ///< a floating-point one
  bool is_integer() const { return integers.defined(); }          ///< known at load time
  bool is_computed() const { return id >= 0 && !is_constant(); }  ///< by nodes of the graph
};

/// What the reader knows about a value of the graph.
struct GraphFacts {
  std::array<Shape, 2> shape;  ///< for the two imagined inputs
  bool after_weight = false;   ///< a weight lies before it
};

/// Everything read so far.
template <class T>
struct Reading {
  const ModelProto& model;          ///< the file
  ExternalFiles files;              ///< where weights lie that are not in it
  Index opset = 0;                  ///< of ONNX's own domain
  bool own_file = false;            ///< written by this library
  Index fixed_batch = -1;           ///< the batch extent that the file declares, -1 where it leaves it open
  Graph<T> graph{};                 ///< as far as it is built
  std::vector<GraphFacts> facts{};  ///< an entry a value of the graph
  std::unordered_map<std::string, Value<T>> values{};  ///< by the names of the file
  std::unordered_map<std::string, int> uses{};         ///< how many nodes and outputs read a name
  Index filled_elements = 0;                           ///< of constants that a file describes by one number
  Index stored_elements = 0;                           ///< in tensors of the file
  Index folded_elements = 0;                           ///< in constants made of them

  /// Of a value of the graph.
  const GraphFacts& facts_of(ValueId id) const { return facts[static_cast<std::size_t>(id)]; }
};

/// Thrown when an input could not be read: nothing new to report.
struct FailedInput {};

/// The shortest decimal that rounds to the same float, as a double: 1e-5f means 1e-5.
inline double widen(float value) { return parse_number<double>(shortest(value)).value_or(value); }

/// One node of an ONNX file while it is read: gives attributes and inputs, takes the result. What it throws
/// becomes a message with the node's name.
template <class T>
class Node {
 public:
  /// `name` is the file's, or one made of the operator's where that has none.
  Node(Reading<T>& reading, const NodeProto& proto, std::string name)
      : reading_(reading), proto_(proto), name_(std::move(name)) {}

  Index opset() const { return reading_.opset; }  ///< of ONNX's own domain, such as 17
  /// True for files of this library: nodes are read as they were written, not taken together.
  bool own_file() const { return reading_.own_file; }
  /// The batch extent that the file declares; -1: open.
  Index fixed_batch() const { return reading_.fixed_batch; }
  Graph<T>& graph() { return reading_.graph; }  ///< as far as it is built

  // ---- Attributes --------------------------------------------------------------------------------------

  /// Whether the node has the attribute.
  bool has(std::string_view attribute) { return find(attribute) != nullptr; }

  /// The attribute, or `missing` where the node has none; throws for another type or beyond 2^31.
  Index integer(std::string_view attribute, Index missing) {
    const AttributeProto* a = find(attribute, AttributeType::int_value);
    return a != nullptr ? bounded(attribute, a->i) : missing;
  }
  /// A whole number as yes (not 0) or no.
  bool flag(std::string_view attribute, bool missing) { return integer(attribute, missing ? 1 : 0) != 0; }
  /// A float, by the shortest decimal that it stands for.
  double number(std::string_view attribute, double missing) {
    const AttributeProto* a = find(attribute, AttributeType::float_value);
    return a != nullptr ? widen(a->f) : missing;
  }
  /// A string, or `missing`.
  std::string text(std::string_view attribute, std::string missing) {
    const AttributeProto* a = find(attribute, AttributeType::string_value);
    return a != nullptr ? a->s : missing;
  }
  /// A list of whole numbers up to 2^31, or `missing`.
  std::vector<Index> integers(std::string_view attribute, std::vector<Index> missing = {}) {
    const AttributeProto* a = find(attribute, AttributeType::ints);
    if (a == nullptr) return missing;
    for (const Index value : a->ints) bounded(attribute, value);
    return a->ints;
  }
  /// Whole numbers of any size, for positions that are clamped later.
  std::vector<Index> positions(std::string_view attribute) {
    const AttributeProto* a = find(attribute, AttributeType::ints);
    return a != nullptr ? a->ints : std::vector<Index>{};
  }
  /// Null where the node has none; throws where it has another type. Whoever asks must heed it.
  const AttributeProto* find(std::string_view attribute, AttributeType type = AttributeType::undefined) {
    asked_.emplace(attribute);
    for (const AttributeProto& a : proto_.attributes) {
      if (a.name != attribute) continue;
      TL_CHECK(type == AttributeType::undefined || a.type == type || a.type == AttributeType::undefined,
               "attribute '", attribute, "' has another type than expected");
      return &a;
    }
    return nullptr;
  }
  /// Throws when the node has an attribute that was never asked for, or an output that was never set.
  void check_all_used() const {
    for (const AttributeProto& a : proto_.attributes)
      TL_CHECK(asked_.count(a.name) > 0, "attribute '", a.name, "' is not supported");
    for (std::size_t i = 0; i < proto_.outputs.size(); ++i) {
      const std::string& output = proto_.outputs[i];
      if (output.empty() || reading_.values.count(output) > 0) continue;
      TL_CHECK(uses(output) == 0, "its output ", i, " is not supported");
    }
  }

  // ---- Inputs ------------------------------------------------------------------------------------------

  /// Those the node lists, left out by an empty name or not.
  int input_count() const { return static_cast<int>(proto_.inputs.size()); }
  int output_count() const { return static_cast<int>(proto_.outputs.size()); }  ///< as inputs are counted
  /// False also for one left out by an empty name.
  bool has_input(int i) const {
    return i < input_count() && !proto_.inputs[static_cast<std::size_t>(i)].empty();
  }

  /// What stands for input i; throws where it is missing.
  Value<T>& input(int i) {
    TL_CHECK(has_input(i), "input ", i, " is missing");
    const std::string& name = proto_.inputs[static_cast<std::size_t>(i)];
    const auto it = reading_.values.find(name);
    TL_CHECK(it != reading_.values.end(), "its input '", name, "' is not computed by any node before it");
    if (it->second.failed) throw FailedInput{};
    return it->second;
  }
  /// The shape of a floating-point input, for one of the two imagined inputs of the network.
  const Shape& shape(int i, std::size_t which = 0) {
    const Value<T>& value = input(i);
    TL_CHECK(!value.is_integer(), "input ", i, " holds whole numbers, which only shape arithmetic may read");
    return value.is_constant() ? value.constant.shape() : reading_.facts_of(value.id).shape[which];
  }
  /// A constant that may be computed with now. In files of this library parameters stay parameters.
  bool is_foldable(int i) {
    const Value<T>& value = input(i);
    return value.is_constant() && !(reading_.own_file && value.is_initializer);
  }
  /// Whole numbers known at load time.
  const Integers& integers(int i) {
    const Value<T>& value = input(i);
    TL_CHECK(value.is_integer(), "input ", i, " is expected to be whole numbers known at load time");
    return value.integers;
  }
  /// The same as a list that does not depend on the batch.
  std::vector<Index> positions(int i) {
    const IntTensor& tensor = integers(i).tensor();
    return {tensor.data(), tensor.data() + tensor.size()};
  }
  /// The same, each at most 2^31.
  std::vector<Index> extents(int i) {
    std::vector<Index> list = positions(i);
    for (const Index value : list) bounded(concat("input ", i), value);
    return list;
  }
  /// A list that older operator sets give as an attribute and newer ones as an input.
  std::vector<Index> extents(std::string_view attribute, int i) {
    return has_input(i) ? extents(i) : integers(attribute);
  }
  /// Whether the list stands in either place.
  bool has_extents(std::string_view attribute, int i) { return has_input(i) || has(attribute); }

  /// A constant of one element.
  double scalar(int i) {
    const Value<T>& value = input(i);
    if (value.is_integer()) return static_cast<double>(value.integers.tensor().item());
    TL_CHECK(value.is_constant() && value.constant.size() == 1, "input ", i,
             " is expected to be a constant scalar");
    if constexpr (std::is_same_v<T, float>) return widen(value.constant.item());
    return static_cast<double>(value.constant.item());
  }

  /// The input in the graph as what it is: a constant becomes a value of the given kind at its first use.
  ValueId id(int i, ValueKind kind) {
    Value<T>& value = input(i);
    TL_CHECK(!value.is_integer(), "input ", i, " holds whole numbers, which only shape arithmetic may read");
    TL_CHECK(!value.is_whole_number, "input ", i,
             " holds whole numbers: only Cast to a floating-point type may read it");
    if (value.id < 0) value.id = add_var(value.name, kind, value.constant);
    return value.is_transposed ? add_node(ops::Transpose{.axes = {1, 0}}, {value.id}, concat("turned_", i))
                               : value.id;
  }
  /// Input i as a parameter.
  ValueId weight(int i) { return id(i, ValueKind::parameter); }
  /// A matrix (I,O) or, stored transposed, (O,I) as the weight (O,I) of Linear, under the file's name.
  ValueId linear_weight(int i, bool stored_transposed) {
    Value<T>& value = input(i);
    const ops::Transpose turn{.axes = {1, 0}};
    if (value.is_constant() && value.id < 0 && !stored_transposed) {
      value.id = add_var(value.name, ValueKind::parameter, turn.forward(value.constant));
      value.is_transposed = true;
    }
    if (value.is_transposed && !stored_transposed) return value.id;
    const ValueId matrix = weight(i);
    return stored_transposed ? matrix : add_node(turn, {matrix}, concat("weight_", i));
  }
  /// Input i as a buffer, such as running statistics.
  ValueId buffer(int i) { return id(i, ValueKind::buffer); }
  /// An operand of arithmetic. An initializer of several elements behind a weight is a parameter, such as a
  /// bias; others, such as the mean that preprocessing subtracts, are fixed.
  ValueId operand(int i, bool after_weight) {
    const Value<T>& value = input(i);
    const bool weight_like = reading_.own_file || (after_weight && value.constant.size() > 1);
    const bool trained = value.is_initializer && weight_like;
    return id(i, trained ? ValueKind::parameter : ValueKind::constant);
  }
  /// Whether a weight lies before input i.
  bool after_weight(int i) {
    const Value<T>& value = input(i);
    return value.is_computed() && reading_.facts_of(value.id).after_weight;
  }
  const GraphFacts& facts(ValueId id) const { return reading_.facts_of(id); }  ///< of a value of the graph
  /// How many nodes and outputs read a value of the file.
  int uses(const std::string& name) const {
    const auto it = reading_.uses.find(name);
    return it == reading_.uses.end() ? 0 : it->second;
  }
  /// The name that the file gives input i.
  const std::string& input_name(int i) const { return proto_.inputs[static_cast<std::size_t>(i)]; }
  /// The name that the file gives an output.
  const std::string& output_name(int i = 0) const { return proto_.outputs[static_cast<std::size_t>(i)]; }
  const std::string& name() const { return name_; }  ///< of the node, in the graph

  /// Whether input i is a constant of one element.
  bool is_scalar(int i) {
    const Value<T>& value = input(i);
    if (value.is_integer()) return value.integers.certain() && value.integers.at[0].size() == 1;
    return value.is_constant() && value.constant.size() == 1;
  }
  /// The input as 0 and 1: the result of a comparison, or whole numbers known at load time.
  ValueId truth(int i) {
    const Value<T>& value = input(i);
    if (value.is_integer())
      return add_constant(value.integers.tensor().template cast<T>(), tl::concat("condition_", i));
    TL_CHECK(value.is_truth, "input ", i, " is expected to be the result of a comparison");
    return value.id;
  }
  /// Indices, or other whole numbers given when the network runs.
  ValueId whole_numbers(int i) {
    const Value<T>& value = input(i);
    TL_CHECK(value.is_computed() && value.is_whole_number, "input ", i,
             " is expected to be of an integer type");
    return value.id;
  }

  // ---- Results -----------------------------------------------------------------------------------------

  /// Makes `value` what the output stands for; throws where that has no name.
  void set(Value<T> value, int output = 0) {
    TL_CHECK(output < output_count() && !output_name(output).empty(), "its output ", output, " has no name");
    reading_.values[output_name(output)] = std::move(value);
  }
  /// Makes the output whole numbers known at load time.
  void set_integers(Integers integers, int output = 0) {
    for (const IntTensor& tensor : integers.at) count_folded(tensor.shape());
    Value<T> value;
    value.integers = std::move(integers);
    set(std::move(value), output);
  }
  /// Makes the output a constant.
  void set_constant(Tensor<T> tensor, int output = 0) {
    count_folded(tensor.shape());
    Value<T> value;
    value.constant = std::move(tensor);
    value.name = output_name(output);
    set(std::move(value), output);
  }
  /// Marks the result as truth values, of type bool.
  void mark_truth() {
    Value<T>& value = reading_.values.at(output_name());
    value.is_truth = value.is_whole_number = value.is_computed();
  }
  /// A constant of equal elements. They take memory when they are first read: networks are shipped with
  /// weights that a file of a few bytes stands for.
  void set_filled(const Shape& shape, T number) {
    constexpr Index most = Index{1} << 27, most_together = 2 * most;
    check_extents(shape);
    reading_.filled_elements += std::min(shape.size(), most + 1);
    TL_CHECK(shape.size() <= most && reading_.filled_elements <= most_together, "constants of more than ",
             most, " equal elements, or ", most_together, " together, are not supported, got ", shape);
    Value<T> value;
    const auto count = static_cast<std::size_t>(shape.size());
    value.constant = Tensor<T>::deferred(shape, [count, number](T* to) { std::fill_n(to, count, number); });
    value.name = output_name();
    set(std::move(value));
  }
  /// The result is the first input itself.
  void pass_through() {
    const Value<T>& value = input(0);
    set(value.is_constant() ? moved_constant(value, value.constant) : value);
  }

  /// A graph node for this one; `suffix` names one of several. Its result's shape is checked.
  template <class Op>
  requires requires { Op::name; }
  ValueId add_node(Op op, std::vector<ValueId> inputs, std::string_view suffix = {}, int output = 0) {
    return add_node(make_operation<T>(std::move(op)), std::move(inputs), suffix, output);
  }
  /// The same for an operation behind its interface.
  ValueId add_node(OperationPtr<T> operation, std::vector<ValueId> inputs, std::string_view suffix = {},
                   int output = 0) {
    GraphFacts result;
    for (std::size_t which : {0u, 1u}) {
      std::vector<Shape> shapes;
      for (const ValueId id : inputs) shapes.push_back(reading_.facts_of(id).shape[which]);
      result.shape[which] = operation->infer(shapes);
      check_extents(result.shape[which]);
    }
    for (const ValueId id : inputs) {
      result.after_weight |=
          reading_.facts_of(id).after_weight || reading_.graph.value(id).kind == ValueKind::parameter;
    }
    const bool last = suffix.empty();
    const ValueId id = reading_.graph.add_node(
        last ? name_ : concat(name_, '/', suffix), std::move(operation), std::move(inputs),
        last ? output_name(output) : concat(output_name(output), '/', suffix));
    reading_.facts.push_back(std::move(result));
    return id;
  }
  /// The same as this node's result.
  template <class Op>
  requires requires { Op::name; }
  void emit(Op op, std::vector<ValueId> inputs, int output = 0) {
    emit(make_operation<T>(std::move(op)), std::move(inputs), output);
  }
  /// The same for an operation behind its interface.
  void emit(OperationPtr<T> operation, std::vector<ValueId> inputs, int output = 0) {
    Value<T> value;
    value.id = add_node(std::move(operation), std::move(inputs), {}, output);
    set(std::move(value), output);
  }
  /// A fixed tensor beside this node; `suffix` ends its name.
  ValueId add_constant(Tensor<T> tensor, std::string_view suffix) {
    return add_var(concat(name_, '/', suffix), ValueKind::constant, std::move(tensor));
  }

  /// A fixed number, shape ().
  ValueId number_constant(double number, std::string_view suffix) {
    return add_constant(Tensor<T>::scalar(static_cast<T>(number)), suffix);
  }

  /// An operation on floating-point inputs: computed now when all are constant, a graph node otherwise.
  template <class Op>
  requires requires { Op::name; }
  void compute(Op op, std::initializer_list<int> which) { compute(make_operation<T>(std::move(op)), which); }
  /// The same for an operation behind its interface.
  void compute(OperationPtr<T> operation, std::initializer_list<int> which) {
    bool constant = true, after = false;
    for (const int i : which) {
      constant = constant && is_foldable(i);
      after = after || after_weight(i);
    }
    if (constant) {
      std::vector<Tensor<T>> tensors;
      std::vector<Shape> shapes;
      for (const int i : which)
        tensors.push_back(input(i).constant), shapes.push_back(tensors.back().shape());
      count_folded(operation->infer(shapes));
      Context<T> context(Mode{}, false);
      set_constant(operation->forward(context, tensors).plain());
      return;
    }
    std::vector<ValueId> ids;
    for (const int i : which) ids.push_back(operand(i, after));
    emit(std::move(operation), std::move(ids));
  }

  /// An operation that only moves elements of input 0: whole numbers are moved now, and a constant keeps its
  /// name.
  template <class Op>
  void move(const Op& op) {
    const Value<T>& value = input(0);
    if (value.is_integer()) {
      for (const IntTensor& tensor : value.integers.at) count_folded(op.infer(tensor.shape()));
      set_integers(value.integers.map([&op](const IntTensor& x) { return op.forward(x).plain(); }));
    } else if (is_foldable(0)) {
      count_folded(op.infer(value.constant.shape()));
      set(moved_constant(value, op.forward(value.constant).plain()));
    } else {
      emit(op, {operand(0, false)});
    }
  }

  /// Refuses constants that a small file makes out of nothing. Weights may be moved several times.
  void count_folded(const Shape& shape) {
    const Index most = largest_made + 32 * reading_.stored_elements;
    check_extents(shape);
    reading_.folded_elements += std::min(shape.size(), most + 1);
    TL_CHECK(reading_.folded_elements <= most, "constants of more than ", most, " elements made of ",
             reading_.stored_elements, " are not supported, got ", shape);
  }
  /// Notes a tensor of the file: constants may be as much larger.
  void count_stored(const Shape& shape) { reading_.stored_elements += shape.size(); }

 private:
  static Index bounded(std::string_view what, Index value) {
    TL_CHECK(value >= -largest_extent && value <= largest_extent, what, " is expected to be at most ",
             largest_extent, ", got ", value);
    return value;
  }
  static void check_extents(const Shape& shape) {
    for (const Index extent : shape)
      TL_CHECK(extent <= largest_extent, "its result would have shape ", shape);
    shape.size();
  }

  /// A constant that becomes of another one. It keeps the name while nobody else reads the original. Where an
  /// exporter has merged equal weights and given them names by Identity, each is a weight of its own again.
  Value<T> moved_constant(const Value<T>& original, Tensor<T> tensor) {
    Value<T> moved = original;
    moved.id = -1;
    moved.constant = std::move(tensor);
    if (uses(input_name(0)) > 1) {
      moved.name = output_name();
      if (moved.constant.shares_buffer(original.constant)) moved.constant = moved.constant.clone();
    }
    return moved;
  }

  ValueId add_var(const std::string& name, ValueKind kind, const Tensor<T>& tensor) {
    const ValueId id = reading_.graph.add_var(name, kind, Var<T>(tensor, kind == ValueKind::parameter));
    reading_.facts.push_back({{tensor.shape(), tensor.shape()}, false});
    return id;
  }

  Reading<T>& reading_;
  const NodeProto& proto_;
  std::string name_;
  std::set<std::string, std::less<>> asked_;
};

}  // namespace tl::onnx
