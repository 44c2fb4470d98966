// Small ONNX models made in memory, for the tests of reader and writer.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/io/onnx/node_writer.hpp>
#include <tl/io/onnx/wire_write.hpp>
#include "support/tensors.hpp"

namespace tl::test {

/// Builds a model node by node; keeps the bytes that its tensors point to.
class OnnxModel {
 public:
  explicit OnnxModel(Index opset = 17) {
    document_.opset = opset;
    document_.model.ir_version = 8;
    document_.model.producer_name = "test";
    document_.model.opset_imports = {{"", opset}};
    document_.model.graph.name = "test";
  }

  /// An extent of 0 is open, and called "batch" on axis 0.
  OnnxModel& input(std::string name, const std::vector<Index>& extents,
                   onnx::DataType type = onnx::DataType::float32) {
    document_.model.graph.inputs.push_back(declared(std::move(name), extents, type));
    return *this;
  }
  OnnxModel& output(std::string name) {
    document_.model.graph.outputs.push_back(declared(std::move(name), {}, onnx::DataType::float32));
    document_.model.graph.outputs.back().type.tensor.has_shape = false;
    return *this;
  }
  OnnxModel& weight(std::string name, std::vector<Index> extents, std::vector<float> values = {}) {
    if (values.empty()) {
      Tensor<float> hashed = hash_tensor<float>(name, Shape(std::span<const Index>(extents)), 0.5, 0.25);
      values.assign(hashed.data(), hashed.data() + hashed.size());
    }
    proto().graph.initializers.push_back(
        document_.tensor(std::move(name), onnx::DataType::float32, std::move(extents), values));
    return *this;
  }
  OnnxModel& integers(std::string name, const std::vector<Index>& values) {
    proto().graph.initializers.push_back(document_.tensor(std::move(name), onnx::DataType::int64,
                                                          {static_cast<Index>(values.size())}, values));
    return *this;
  }
  OnnxModel& integer(std::string name, Index value) {
    proto().graph.initializers.push_back(
        document_.tensor(std::move(name), onnx::DataType::int64, {}, std::vector<Index>{value}));
    return *this;
  }
  /// A node; its name is that of its first output.
  OnnxModel& node(std::string type, std::vector<std::string> inputs, std::vector<std::string> outputs) {
    onnx::NodeProto node;
    node.op_type = std::move(type);
    node.name = "node_" + outputs.at(0);
    node.inputs = std::move(inputs);
    node.outputs = std::move(outputs);
    proto().graph.nodes.push_back(std::move(node));
    return *this;
  }
  /// Attributes of the last node.
  OnnxModel& with(std::string name, Index value) {
    return add(std::move(name), onnx::AttributeType::int_value, [&](auto& a) { a.i = value; });
  }
  OnnxModel& with(std::string name, int value) { return with(std::move(name), Index{value}); }
  OnnxModel& with(std::string name, float value) {
    return add(std::move(name), onnx::AttributeType::float_value, [&](auto& a) { a.f = value; });
  }
  OnnxModel& with(std::string name, const char* value) {
    return add(std::move(name), onnx::AttributeType::string_value, [&](auto& a) { a.s = value; });
  }
  OnnxModel& with(std::string name, std::vector<Index> values) {
    return add(std::move(name), onnx::AttributeType::ints, [&](auto& a) { a.ints = std::move(values); });
  }
  OnnxModel& with(std::string name, onnx::TensorProto tensor) {
    return add(std::move(name), onnx::AttributeType::tensor_value,
               [&](auto& a) { a.tensors.push_back(std::move(tensor)); });
  }

  onnx::Document& document() { return document_; }
  onnx::ModelProto& proto() { return document_.model; }
  std::string bytes() const { return onnx::encode_model(document_.model); }

 private:
  static onnx::ValueInfoProto declared(std::string name, const std::vector<Index>& extents,
                                       onnx::DataType type) {
    onnx::ValueInfoProto info;
    info.name = std::move(name);
    info.type.is_tensor = true;
    info.type.tensor.elem_type = type;
    info.type.tensor.has_shape = true;
    for (std::size_t i = 0; i < extents.size(); ++i) {
      onnx::Dimension extent;
      if (extents[i] > 0) {
        extent.value = extents[i];
      } else {
        extent.param = i == 0 ? "batch" : "open";
      }
      info.type.tensor.shape.dims.push_back(std::move(extent));
    }
    return info;
  }
  template <class Set>
  OnnxModel& add(std::string name, onnx::AttributeType type, const Set& set) {
    onnx::AttributeProto& a = proto().graph.nodes.back().attributes.emplace_back();
    a.name = std::move(name);
    a.type = type;
    set(a);
    return *this;
  }

  onnx::Document document_;
};

}  // namespace tl::test
