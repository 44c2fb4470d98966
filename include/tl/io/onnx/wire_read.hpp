// Bytes of an ONNX file into the structs of proto.hpp.
//
// One function a message; the numbers are the field numbers of onnx.proto3. Fields that inference does not
// need (documentation of nodes, training information) are skipped. Anything malformed is a tl::Error.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <tl/core/file.hpp>
#include <tl/core/memory.hpp>
#include <tl/io/onnx/proto.hpp>
#include <tl/io/onnx/protobuf.hpp>

namespace tl::onnx {

inline void read(Fields in, std::pair<std::string, std::string>& property) {
  while (in.next()) in.take(1, property.first) || in.take(2, property.second) || in.skip();
}

inline void read(Fields in, TensorProto& t) {
  std::int64_t location = 0;
  while (in.next()) {
    t.is_segment |= in.field() == 3;
    t.has_raw_data |= in.field() == 9;
    in.take(1, t.dims) || in.take(2, t.data_type) || in.take(4, t.float_data) || in.take(5, t.int32_data) ||
        in.take(7, t.int64_data) || in.take(8, t.name) || in.take(9, t.raw_data) ||
        in.take(10, t.double_data) || in.take(11, t.uint64_data) || in.take(12, t.doc_string) ||
        in.take(13, t.external_data) || in.take(14, location) || in.skip();
  }
  t.is_external = location == 1;
}

inline void read(Fields in, GraphProto& graph);

inline void read(Fields in, AttributeProto& a) {
  while (in.next()) {
    in.take(1, a.name) || in.take(2, a.f) || in.take(3, a.i) || in.take(4, a.s) || in.take(5, a.tensors) ||
        in.take(6, a.graphs) || in.take(7, a.floats) || in.take(8, a.ints) || in.take(9, a.strings) ||
        in.take(10, a.tensors) || in.take(11, a.graphs) || in.take(20, a.type) || in.skip();
  }
}

inline void read(Fields in, NodeProto& node) {
  while (in.next()) {
    in.take(1, node.inputs) || in.take(2, node.outputs) || in.take(3, node.name) ||
        in.take(4, node.op_type) || in.take(5, node.attributes) || in.take(6, node.doc_string) ||
        in.take(7, node.domain) || in.skip();
  }
}

inline void read(Fields in, Dimension& dimension) {
  while (in.next()) in.take(1, dimension.value) || in.take(2, dimension.param) || in.skip();
}

inline void read(Fields in, ShapeProto& shape) {
  while (in.next()) in.take(1, shape.dims) || in.skip();
}

inline void read(Fields in, TensorTypeProto& type) {
  while (in.next()) {
    type.has_shape |= in.field() == 2;
    in.take(1, type.elem_type) || in.take(2, type.shape) || in.skip();
  }
}

inline void read(Fields in, TypeProto& type) {
  while (in.next()) {
    type.is_tensor |= in.field() == 1;
    in.take(1, type.tensor) || in.skip();
  }
}

inline void read(Fields in, ValueInfoProto& value) {
  while (in.next()) in.take(1, value.name) || in.take(2, value.type) || in.skip();
}

inline void read(Fields in, GraphProto& graph) {
  while (in.next()) {
    graph.sparse_initializers += in.field() == 15;
    in.take(1, graph.nodes) || in.take(2, graph.name) || in.take(5, graph.initializers) ||
        in.take(10, graph.doc_string) || in.take(11, graph.inputs) || in.take(12, graph.outputs) ||
        in.take(13, graph.value_infos) || in.skip();
  }
}

inline void read(Fields in, OperatorSetId& opset) {
  while (in.next()) in.take(1, opset.domain) || in.take(2, opset.version) || in.skip();
}

inline void read(Fields in, ModelProto& model) {
  while (in.next()) {
    model.has_graph |= in.field() == 7;
    model.functions += in.field() == 25;
    in.take(1, model.ir_version) || in.take(2, model.producer_name) || in.take(3, model.producer_version) ||
        in.take(4, model.domain) || in.take(5, model.model_version) || in.take(6, model.doc_string) ||
        in.take(7, model.graph) || in.take(8, model.opset_imports) || in.take(14, model.metadata_props) ||
        in.skip();
  }
}

/// Decodes the bytes of an .onnx file, which the result points into. `name` stands in messages.
/// Throws tl::Error when they are damaged, cut short, or something else than ONNX.
inline ModelProto decode_model(std::string_view bytes, std::string_view name) {
  ModelProto model;
  try {
    read(Fields(bytes), model);
    TL_CHECK(model.has_graph && !model.opset_imports.empty(), "no graph or no operator set in it");
  } catch (const std::exception& error) {
    if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) throw;
    fail("[onnx] '", name, "' is damaged, cut short or no ONNX file (", error.what(),
         "): export or copy it again");
  }
  return model;
}

/// Reads an .onnx file. External data and large weights stay where they are until a tensor is asked for.
inline ModelProto read_model(const std::filesystem::path& path) {
  const auto file =
      std::make_shared<const ModelFile>(std::make_shared<const OpenFile>(path, FieldWriter::largest));
  ModelProto model = decode_model(file->bytes(), path.string());
  model.file = file;
  return model;
}

}  // namespace tl::onnx
