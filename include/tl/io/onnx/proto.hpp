// The parts of an ONNX file as plain structs.
//
// They mirror the messages of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3, IR
// versions 3 to 10) that describe inference graphs. Names of members follow the format's, in the plural where
// they repeat.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/io/onnx/model_file.hpp>

namespace tl::onnx {

/// What the files this library writes give as their producer. In them, an initializer that arithmetic reads
/// is a parameter, and what is fixed by the network's definition stands in Constant nodes.
inline constexpr std::string_view producer_name = "tl";

/// The element types of TensorProto.
enum class DataType : std::int32_t {
  undefined = 0,
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  string = 8,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  uint32 = 12,
  uint64 = 13,
  complex64 = 14,
  complex128 = 15,
  bfloat16 = 16,
};

/// Key and value: metadata of the model, or where external data lies.
using Properties = std::vector<std::pair<std::string, std::string>>;

/// A constant tensor. Its elements stand in one of: raw_data (little-endian, row-major), the typed list that
/// belongs to data_type, or another file.
struct TensorProto {
  std::string name, doc_string;
  std::vector<std::int64_t> dims;
  DataType data_type = DataType::undefined;
  std::string_view
      raw_data;  ///< points into ModelProto::bytes when read, into the caller's data when written
  bool has_raw_data = false;
  std::vector<float> float_data;
  std::vector<std::int32_t> int32_data;  ///< also float16, bfloat16 (their bits), int8, uint8, ..., bool
  std::vector<std::int64_t> int64_data;
  std::vector<double> double_data;
  std::vector<std::uint64_t> uint64_data;  ///< also uint32
  bool is_external = false;
  Properties external_data;  ///< location, offset, length
  bool is_segment = false;   ///< part of a larger tensor: refused when its data are asked for
};

enum class AttributeType : std::int32_t {
  undefined = 0,
  float_value = 1,
  int_value = 2,
  string_value = 3,
  tensor_value = 4,
  graph_value = 5,
  floats = 6,
  ints = 7,
  strings = 8,
  tensors = 9,
  graphs = 10,
  sparse_tensor = 11,
  sparse_tensors = 12,
  type_proto = 13,
  type_protos = 14,
};

struct GraphProto;

struct AttributeProto {
  std::string name;
  AttributeType type = AttributeType::undefined;
  float f = 0;
  std::int64_t i = 0;
  std::string s;
  std::vector<float> floats;
  std::vector<std::int64_t> ints;
  std::vector<std::string> strings;
  std::vector<TensorProto> tensors;  ///< one for tensor_value
  std::vector<GraphProto> graphs;    ///< one for graph_value
};

struct NodeProto {
  std::string name, op_type, domain, doc_string;
  std::vector<std::string> inputs, outputs;  ///< an empty name is an input or output left out
  std::vector<AttributeProto> attributes;
};

/// One extent of a declared shape: a number, or a name such as "batch", or neither (unknown).
struct Dimension {
  std::int64_t value = -1;
  std::string param;
  bool is_known() const { return value >= 0; }
};

struct ShapeProto {
  std::vector<Dimension> dims;
};
struct TensorTypeProto {
  DataType elem_type = DataType::undefined;
  bool has_shape = false;
  ShapeProto shape;
};
struct TypeProto {
  bool is_tensor = false;  ///< not a sequence, a map or an optional
  TensorTypeProto tensor;
};

/// A declared input, output or intermediate value.
struct ValueInfoProto {
  std::string name;
  TypeProto type;
};

struct GraphProto {
  std::string name, doc_string;
  std::vector<NodeProto> nodes;
  std::vector<TensorProto> initializers;
  std::vector<ValueInfoProto> inputs, outputs, value_infos;
  int sparse_initializers = 0;  ///< counted, so that they can be refused
};

struct OperatorSetId {
  std::string domain;
  std::int64_t version = 0;
};

struct ModelProto {
  std::int64_t ir_version = 0;
  std::string producer_name, producer_version, domain, doc_string;
  std::int64_t model_version = 0;
  std::vector<OperatorSetId> opset_imports;
  Properties metadata_props;
  GraphProto graph;
  bool has_graph = false;
  int functions = 0;                      ///< counted, so that they can be refused
  std::shared_ptr<const ModelFile> file;  ///< that raw_data points into, where the model was read from one
};

}  // namespace tl::onnx
