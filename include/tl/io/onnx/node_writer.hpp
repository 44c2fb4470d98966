// NodeWriter: one operation of a graph on its way into an ONNX file. Writer functions (operators_write.hpp)
// tell it the operator, its attributes, and constants that ONNX takes as further inputs.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/io/onnx/integers.hpp>
#include <tl/io/onnx/proto.hpp>

namespace tl::onnx {

/// The file being written, and the bytes its tensors point to.
struct Document {
  ModelProto model;
  Index opset = 17;
  DataType number = DataType::float32;  ///< element type of all values
  std::deque<std::string> bytes;

  /// A tensor that keeps a copy of its elements here.
  template <class Item>
  TensorProto tensor(std::string name, DataType type, std::vector<Index> dims,
                     const std::vector<Item>& items) {
    bytes.emplace_back(reinterpret_cast<const char*>(items.data()), items.size() * sizeof(Item));
    return tensor_over(std::move(name), type, std::move(dims), bytes.back());
  }
  /// A tensor over bytes that somebody else keeps.
  static TensorProto tensor_over(std::string name, DataType type, std::vector<Index> dims,
                                 std::string_view raw) {
    TensorProto tensor;
    tensor.name = std::move(name);
    tensor.data_type = type;
    tensor.dims = std::move(dims);
    tensor.raw_data = raw;
    tensor.has_raw_data = true;
    return tensor;
  }
  TensorProto scalar(std::string name, double value) {
    if (number == DataType::float64) return tensor(std::move(name), number, {}, std::vector<double>{value});
    return tensor(std::move(name), number, {}, std::vector<float>{static_cast<float>(value)});
  }
  /// A Constant node with this tensor.
  void add_constant(TensorProto tensor) {
    NodeProto node;
    node.op_type = "Constant";
    node.name = tensor.name;
    node.outputs = {tensor.name};
    tensor.name.clear();
    AttributeProto value;
    value.name = "value";
    value.type = AttributeType::tensor_value;
    value.tensors.push_back(std::move(tensor));
    node.attributes.push_back(std::move(value));
    model.graph.nodes.push_back(std::move(node));
  }
};

class NodeWriter {
 public:
  using Shapes = std::array<Shape, 2>;  ///< for the two imagined inputs

  NodeWriter(Document& document, std::string name, std::vector<std::string> inputs,
             std::vector<Shapes> shapes, std::string output)
      : document_(document), shapes_(std::move(shapes)) {
    node_.name = std::move(name);
    node_.inputs = std::move(inputs);
    node_.outputs = {std::move(output)};
  }

  const Shapes& input_shapes(std::size_t i) const { return shapes_[i]; }
  Index opset() const { return document_.opset; }

  NodeWriter& op(std::string_view type) {
    node_.op_type = type;
    return *this;
  }
  NodeWriter& attribute(std::string_view name, Index value) {
    return add(name, AttributeType::int_value, [value](AttributeProto& a) { a.i = value; });
  }
  NodeWriter& attribute(std::string_view name, double value) {
    return add(name, AttributeType::float_value,
               [value](AttributeProto& a) { a.f = static_cast<float>(value); });
  }
  NodeWriter& attribute(std::string_view name, std::vector<Index> values) {
    return add(name, AttributeType::ints, [&values](AttributeProto& a) { a.ints = std::move(values); });
  }
  /// A constant list of whole numbers as the next input.
  NodeWriter& input(std::string_view name, const std::vector<Index>& values) {
    return input(document_.tensor(inner(name), DataType::int64, {static_cast<Index>(values.size())}, values));
  }
  /// A constant number as the next input.
  NodeWriter& input(std::string_view name, double value) {
    return input(document_.scalar(inner(name), value));
  }
  /// An optional input left out.
  NodeWriter& no_input() {
    node_.inputs.emplace_back();
    return *this;
  }
  /// A node before this one, on this one's inputs; its result is returned.
  std::string before(std::string_view type) {
    NodeProto node = node_;
    node.op_type = type;
    return before(std::move(node));
  }
  /// A conversion of an input before this node; its result is returned.
  std::string cast_before(std::size_t i, DataType type) {
    NodeProto node;
    node.op_type = "Cast";
    node.inputs = {node_.inputs[i]};
    node.attributes.emplace_back();
    node.attributes[0].name = "to";
    node.attributes[0].type = AttributeType::int_value;
    node.attributes[0].i = static_cast<Index>(type);
    return before(std::move(node));
  }
  /// The element type of values.
  DataType number() const { return document_.number; }
  void inputs(std::vector<std::string> names) { node_.inputs = std::move(names); }
  const std::string& input_name(std::size_t i) const { return node_.inputs[i]; }

  void finish() { document_.model.graph.nodes.push_back(std::move(node_)); }

 private:
  std::string inner(std::string_view name) const { return node_.name + "/" + std::string(name); }

  std::string before(NodeProto node) {
    node.name = inner(node.op_type);
    node.outputs = {node_.outputs[0] + "/" + node.op_type};
    document_.model.graph.nodes.push_back(node);
    return node.outputs[0];
  }

  NodeWriter& input(TensorProto tensor) {
    node_.inputs.push_back(tensor.name);
    document_.add_constant(std::move(tensor));
    return *this;
  }
  template <class Set>
  NodeWriter& add(std::string_view name, AttributeType type, const Set& set) {
    AttributeProto& a = node_.attributes.emplace_back();
    a.name = name;
    a.type = type;
    set(a);
    return *this;
  }

  Document& document_;
  NodeProto node_;
  std::vector<Shapes> shapes_;
};

}  // namespace tl::onnx
