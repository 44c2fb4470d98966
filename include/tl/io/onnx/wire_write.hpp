// The structs of proto.hpp into the bytes of an ONNX file: the mirror of wire_read.hpp.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/core/file.hpp>
#include <tl/io/onnx/proto.hpp>
#include <tl/io/onnx/protobuf.hpp>

namespace tl::onnx {

inline constexpr std::uint32_t graph_field = 7, initializer_field = 5, raw_data_field = 9;

/// Adds `value` as a message in field `field`.
template <class Struct>
void add(FieldWriter& out, std::uint32_t field, const Struct& value) {
  out.message(field, [&value](FieldWriter& inner) { write(inner, value); });
}
template <class Struct>
void add_all(FieldWriter& out, std::uint32_t field, const std::vector<Struct>& values) {
  for (const Struct& value : values) add(out, field, value);
}

inline void write(FieldWriter& out, const std::pair<std::string, std::string>& property) {
  out.bytes(1, property.first);
  out.bytes(2, property.second);
}

inline void write(FieldWriter& out, const TensorProto& tensor) {
  out.packed(1, tensor.dims);
  out.integer(2, static_cast<std::int64_t>(tensor.data_type));
  out.packed(4, tensor.float_data);
  out.packed(5, tensor.int32_data);
  out.packed(7, tensor.int64_data);
  out.text(8, tensor.name);
  out.packed(10, tensor.double_data);
  out.packed(11, tensor.uint64_data);
  out.text(12, tensor.doc_string);
  add_all(out, 13, tensor.external_data);
  if (tensor.is_external) out.integer(14, 1);
  if (tensor.has_raw_data) out.bytes(raw_data_field, tensor.raw_data);
}

inline void write(FieldWriter& out, const GraphProto& graph);

inline void write(FieldWriter& out, const AttributeProto& a) {
  out.text(1, a.name);
  switch (a.type) {
    case AttributeType::float_value:
      out.float32(2, a.f);
      break;
    case AttributeType::int_value:
      out.integer(3, a.i);
      break;
    case AttributeType::string_value:
      out.bytes(4, a.s);
      break;
    case AttributeType::tensor_value:
      add_all(out, 5, a.tensors);
      break;
    case AttributeType::graph_value:
      add_all(out, 6, a.graphs);
      break;
    case AttributeType::floats:
      out.packed(7, a.floats);
      break;
    case AttributeType::ints:
      out.packed(8, a.ints);
      break;
    case AttributeType::strings:
      for (const std::string& text : a.strings) out.bytes(9, text);
      break;
    case AttributeType::tensors:
      add_all(out, 10, a.tensors);
      break;
    case AttributeType::graphs:
      add_all(out, 11, a.graphs);
      break;
    default:
      fail("[onnx] attribute '", a.name, "' has a type that cannot be written");
  }
  out.integer(20, static_cast<std::int64_t>(a.type));
}

inline void write(FieldWriter& out, const NodeProto& node) {
  for (const std::string& name : node.inputs) out.bytes(1, name);
  for (const std::string& name : node.outputs) out.bytes(2, name);
  out.text(3, node.name);
  out.text(4, node.op_type);
  add_all(out, 5, node.attributes);
  out.text(6, node.doc_string);
  out.text(7, node.domain);
}

inline void write(FieldWriter& out, const Dimension& dimension) {
  if (dimension.is_known()) out.integer(1, dimension.value);
  out.text(2, dimension.param);
}

inline void write(FieldWriter& out, const ShapeProto& shape) { add_all(out, 1, shape.dims); }

inline void write(FieldWriter& out, const TensorTypeProto& type) {
  out.integer(1, static_cast<std::int64_t>(type.elem_type));
  if (type.has_shape) add(out, 2, type.shape);
}

inline void write(FieldWriter& out, const TypeProto& type) {
  if (type.is_tensor) add(out, 1, type.tensor);
}

inline void write(FieldWriter& out, const ValueInfoProto& value) {
  out.text(1, value.name);
  add(out, 2, value.type);
}

/// Initializers come last: write_model adds them one by one.
inline void write(FieldWriter& out, const GraphProto& graph) {
  add_all(out, 1, graph.nodes);
  out.text(2, graph.name);
  out.text(10, graph.doc_string);
  add_all(out, 11, graph.inputs);
  add_all(out, 12, graph.outputs);
  add_all(out, 13, graph.value_infos);
  add_all(out, initializer_field, graph.initializers);
}

inline void write(FieldWriter& out, const OperatorSetId& opset) {
  out.bytes(1, opset.domain);
  out.integer(2, opset.version);
}

inline void write_all_but_graph(FieldWriter& out, const ModelProto& model) {
  out.integer(1, model.ir_version);
  out.text(2, model.producer_name);
  out.text(3, model.producer_version);
  out.text(4, model.domain);
  if (model.model_version != 0) out.integer(5, model.model_version);
  out.text(6, model.doc_string);
  add_all(out, 8, model.opset_imports);
  add_all(out, 14, model.metadata_props);
}
inline void write(FieldWriter& out, const ModelProto& model) {
  write_all_but_graph(out, model);
  add(out, graph_field, model.graph);
}

inline void check_payload(std::size_t bytes) {
  TL_CHECK(bytes < FieldWriter::largest - (64u << 20),
           "[onnx] expected weights of less than 2 GB in one file, got ", bytes, " bytes");
}

/// The bytes of an .onnx file.
inline std::string encode_model(const ModelProto& model) {
  std::size_t payload = 0;
  for (const TensorProto& tensor : model.graph.initializers) payload += tensor.raw_data.size();
  check_payload(payload);
  std::string bytes;
  bytes.reserve(payload + payload / 64 + (std::size_t{1} << 16));
  FieldWriter out(bytes);
  write(out, model);
  return bytes;
}

/// A further initializer, whose elements come when they are written: `give` passes them to a sink.
struct LateInitializer {
  using Sink = std::function<void(std::string_view)>;
  TensorProto head;  ///< all but the raw data
  std::size_t size = 0;
  std::function<void(const Sink&)> give;
};

/// The bytes of an .onnx file, piece by piece: the same as those of encode_model with the late initializers
/// after the model's own, but never in memory as a whole.
inline void write_model(const ModelProto& model, const std::vector<LateInitializer>& late,
                        const LateInitializer::Sink& sink) {
  std::string start, graph;
  FieldWriter start_out(start), graph_out(graph);
  write_all_but_graph(start_out, model);
  write(graph_out, model.graph);
  std::vector<std::string> heads;
  std::size_t payload = 0, graph_size = graph.size();
  for (const LateInitializer& tensor : late) {
    std::string head;
    FieldWriter out(head);
    write(out, tensor.head);
    head += FieldWriter::header(raw_data_field, tensor.size);
    heads.push_back(FieldWriter::header(initializer_field, head.size() + tensor.size) + head);
    payload += tensor.size;
    graph_size += heads.back().size() + tensor.size;
  }
  check_payload(payload);
  sink(start);
  sink(FieldWriter::header(graph_field, graph_size));
  sink(graph);
  for (std::size_t i = 0; i < late.size(); ++i) {
    sink(heads[i]);
    late[i].give(sink);
  }
}

/// Writes an .onnx file, whole or not at all.
inline void write_model(const ModelProto& model, const std::filesystem::path& path) {
  write_file_atomically(path, encode_model(model));
}

}  // namespace tl::onnx
