// The ONNX wire format: what is written is read back; tensor data in every storage; external data.
#include <bit>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>

#include <tl/io/onnx/tensor_data.hpp>
#include <tl/io/onnx/wire_read.hpp>
#include <tl/io/onnx/wire_write.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tl::onnx;
using tl::Shape;
using tl::Tensor;
using tl::test::contains;
using tl::test::TemporaryFolder;

namespace {

template <class Item>
std::string_view bytes_of(const std::vector<Item>& items) {
  return {reinterpret_cast<const char*>(items.data()), items.size() * sizeof(Item)};
}

TensorProto raw_tensor(DataType type, std::vector<std::int64_t> dims, std::string_view raw) {
  TensorProto tensor;
  tensor.name = "w";
  tensor.data_type = type;
  tensor.dims = std::move(dims);
  tensor.raw_data = raw;
  tensor.has_raw_data = true;
  return tensor;
}

TensorProto external_tensor(std::vector<std::int64_t> dims, Properties where) {
  TensorProto tensor;
  tensor.name = "w";
  tensor.data_type = DataType::float32;
  tensor.dims = std::move(dims);
  tensor.is_external = true;
  tensor.external_data = std::move(where);
  return tensor;
}

template <class T>
std::vector<T> values(const TensorProto& tensor, const ExternalFiles& files = ExternalFiles(".")) {
  const Tensor<T> result = to_tensor<T>(tensor, files);
  return {result.data(), result.data() + result.size()};
}

/// One of everything the format holds.
ModelProto sample() {
  static const std::vector<float> weights = {1, 2, 3, 4, 5, 6};
  ModelProto model;
  model.ir_version = 8;
  model.producer_name = "test";
  model.opset_imports = {{"", 17}, {"com.example", 1}};
  model.metadata_props = {{"tl.labels", "cat\ndog"}, {"empty", ""}};
  model.has_graph = true;
  GraphProto& graph = model.graph;
  graph.name = "g";
  graph.initializers = {raw_tensor(DataType::float32, {2, 3}, bytes_of(weights))};
  graph.inputs.push_back({"x", {true, {DataType::float32, true, {}}}});
  graph.inputs[0].type.tensor.shape.dims = {Dimension{-1, "N"}, Dimension{3, ""}, Dimension{-1, ""}};
  graph.outputs.push_back({"y", {true, {DataType::float32, false, {}}}});
  NodeProto node;
  node.name = "first";
  node.op_type = "Gemm";
  node.inputs = {"x", "", "w"};
  node.outputs = {"y"};
  const auto add = [&](std::string name, AttributeType type, auto set) {
    AttributeProto attribute;
    attribute.name = std::move(name);
    attribute.type = type;
    set(attribute);
    node.attributes.push_back(attribute);
  };
  add("f", AttributeType::float_value, [](auto& it) { it.f = -0.5f; });
  add("i", AttributeType::int_value, [](auto& it) { it.i = -7; });
  add("s", AttributeType::string_value, [](auto& it) { it.s = std::string("a\0b", 3); });
  add("t", AttributeType::tensor_value, [&](auto& it) { it.tensors = graph.initializers; });
  add("fs", AttributeType::floats, [](auto& it) {
    it.floats = {1.5f, std::numeric_limits<float>::infinity()};
  });
  add("is", AttributeType::ints, [](auto& it) {
    it.ints = {std::numeric_limits<std::int64_t>::min(), 0, 300};
  });
  add("ss", AttributeType::strings, [](auto& it) { it.strings = {"", "two"}; });
  add("g", AttributeType::graph_value, [](auto& it) { it.graphs.resize(1), it.graphs[0].name = "inner"; });
  graph.nodes.push_back(node);
  return model;
}

}  // namespace

TEST_CASE("onnx wire: everything written is read back", "[onnx]") {
  const std::string bytes = encode_model(sample());
  const ModelProto model = decode_model(bytes, "sample");
  CHECK(encode_model(model) == bytes);
  CHECK(model.ir_version == 8);
  REQUIRE(model.opset_imports.size() == 2);
  CHECK(model.opset_imports[1].domain == "com.example");
  CHECK(model.metadata_props == sample().metadata_props);
  REQUIRE(model.graph.nodes.size() == 1);
  const NodeProto& node = model.graph.nodes[0];
  CHECK(node.inputs == std::vector<std::string>{"x", "", "w"});
  REQUIRE(node.attributes.size() == 8);
  CHECK(node.attributes[0].f == -0.5f);
  CHECK(node.attributes[1].i == -7);
  CHECK(node.attributes[2].s.size() == 3);
  CHECK(node.attributes[3].tensors.at(0).raw_data.size() == 24);
  CHECK(node.attributes[4].floats.at(0) == 1.5f);
  CHECK(node.attributes[5].ints ==
        std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min(), 0, 300});
  CHECK(node.attributes[6].strings == std::vector<std::string>{"", "two"});
  CHECK(node.attributes[7].graphs.at(0).name == "inner");
  const auto& dims = model.graph.inputs.at(0).type.tensor.shape.dims;
  REQUIRE(dims.size() == 3);
  CHECK(dims[0].param == "N");
  CHECK(dims[1].value == 3);
  CHECK(!dims[2].is_known());
  CHECK(!model.graph.outputs.at(0).type.tensor.has_shape);
}

TEST_CASE("onnx wire: cut short anywhere it is an error that says what to do", "[onnx]") {
  const std::string bytes = encode_model(sample());
  ModelProto needed = sample();  // what follows it, further operator sets and metadata, nobody can miss
  needed.metadata_props.clear();
  needed.opset_imports.resize(1);
  const std::size_t shortest = encode_model(needed).size();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    try {
      decode_model(bytes.substr(0, length), "cut.onnx");
    } catch (const tl::Error& error) {
      CHECK_THAT(error.what(),
                 contains("'cut.onnx' is damaged, cut short or no ONNX file") && contains("again"));
      continue;
    }
    CHECK(length >= shortest);
  }
  CHECK_THROWS_AS(decode_model("a text file that somebody renamed", "x"), tl::Error);
}

TEST_CASE("onnx wire: nesting is limited", "[onnx]") {
  std::string graph;
  for (int depth = 0; depth < 1000; ++depth) {
    std::string attribute, node, outer;
    FieldWriter(attribute).bytes(6, graph);
    FieldWriter(node).bytes(5, attribute);
    FieldWriter(outer).bytes(1, node);
    graph = outer;
  }
  std::string model;
  FieldWriter(model).bytes(7, graph);
  CHECK_THROWS_WITH(decode_model(model, "deep"), contains("nested"));
}

TEST_CASE("onnx: a file written piece by piece has the bytes of one encoded at once", "[onnx]") {
  const std::vector<float> elements(300, 1.5f);
  ModelProto whole = sample(), without = sample();
  std::vector<LateInitializer> late;
  for (const std::size_t count : {0u, 1u, 300u}) {
    const std::string_view raw(reinterpret_cast<const char*>(elements.data()), count * sizeof(float));
    TensorProto tensor = raw_tensor(DataType::float32, {static_cast<std::int64_t>(count)}, raw);
    whole.graph.initializers.push_back(tensor);
    tensor.has_raw_data = false;
    late.push_back({tensor, raw.size(), [raw](const LateInitializer::Sink& sink) { sink(raw); }});
  }
  std::string pieces;
  write_model(without, late, [&](std::string_view piece) { pieces += piece; });
  CHECK(pieces == encode_model(whole));
}

TEST_CASE("onnx tensors: every stored type becomes float or an integer", "[onnx]") {
  const auto check = [](DataType type, auto stored, const std::vector<double>& wanted) {
    const TensorProto tensor = raw_tensor(type, {static_cast<std::int64_t>(stored.size())}, bytes_of(stored));
    CHECK(values<double>(tensor) == wanted);
    if (!is_floating(type))
      CHECK(values<std::int64_t>(tensor) == std::vector<std::int64_t>(wanted.begin(), wanted.end()));
  };
  check(DataType::float32, std::vector<float>{1.5f, -2}, {1.5, -2});
  check(DataType::float64, std::vector<double>{0.1, -2}, {0.1, -2});
  check(DataType::int64, std::vector<std::int64_t>{-3, 1 << 30}, {-3, 1 << 30});
  check(DataType::int32, std::vector<std::int32_t>{-3, 5}, {-3, 5});
  check(DataType::uint32, std::vector<std::uint32_t>{4000000000u}, {4e9});
  check(DataType::int16, std::vector<std::int16_t>{-3}, {-3});
  check(DataType::uint16, std::vector<std::uint16_t>{65535}, {65535});
  check(DataType::int8, std::vector<std::int8_t>{-3}, {-3});
  check(DataType::uint8, std::vector<std::uint8_t>{255}, {255});
  check(DataType::boolean, std::vector<std::uint8_t>{0, 1, 2}, {0, 1, 1});
  check(DataType::float16, std::vector<std::uint16_t>{0x3c00, 0xc000, 0x3555, 0x0001, 0x83ff, 0x7bff, 0x8000},
        {1, -2, 0.333251953125, 0x1p-24, -0x1.ff8p-15, 65504, -0.0});
  check(DataType::bfloat16, std::vector<std::uint16_t>{0x3f80, 0xc040}, {1, -3});
  const std::vector<std::uint16_t> special = {0x7c00, 0xfc00, 0x7e00};
  const auto halves = values<float>(raw_tensor(DataType::float16, {3}, bytes_of(special)));
  CHECK(halves[0] == std::numeric_limits<float>::infinity());
  CHECK(halves[1] == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(halves[2]));
}

TEST_CASE("onnx tensors: the typed lists", "[onnx]") {
  TensorProto tensor;
  tensor.dims = {2, 1};
  tensor.data_type = DataType::float32;
  tensor.float_data = {1, 2};
  CHECK(values<float>(tensor) == std::vector<float>{1, 2});
  tensor.data_type = DataType::float64;
  tensor.double_data = {0.1, 2};
  CHECK(values<double>(tensor) == std::vector<double>{0.1, 2});
  tensor.data_type = DataType::int64;
  tensor.int64_data = {-1, 3};
  CHECK(values<std::int64_t>(tensor) == std::vector<std::int64_t>{-1, 3});
  tensor.data_type = DataType::float16;
  tensor.int32_data = {0x3c00, 0xc000};
  CHECK(values<float>(tensor) == std::vector<float>{1, -2});
  tensor.data_type = DataType::int8;
  tensor.int32_data = {-1, 1};
  CHECK(values<std::int64_t>(tensor) == std::vector<std::int64_t>{-1, 1});
  tensor.data_type = DataType::uint64;
  tensor.uint64_data = {1, 2};
  CHECK(values<std::int64_t>(tensor) == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("onnx tensors: counts that disagree with the bytes are refused before memory is taken", "[onnx]") {
  const std::vector<float> two = {1, 2};
  const auto refused = [&](std::vector<std::int64_t> dims, DataType type = DataType::float32) {
    CHECK_THROWS_WITH(to_tensor<float>(raw_tensor(type, std::move(dims), bytes_of(two)), ExternalFiles(".")),
                      contains("tensor 'w'"));
  };
  refused({3});
  refused({1});
  refused({});
  refused({-2});
  refused({std::int64_t{1} << 62, 4});
  refused({std::int64_t{1} << 61});
  refused({std::int64_t{1} << 40});
  refused({1, 1, 1, 1, 1, 1, 1, 1, 2});
  refused({2}, DataType::string);
  refused({2}, DataType::undefined);
  refused({2}, DataType{99});
  TensorProto list;
  list.name = "w";
  list.dims = {std::int64_t{1} << 30};
  list.data_type = DataType::float32;
  list.float_data = {1};
  CHECK_THROWS_WITH(to_tensor<float>(list, ExternalFiles(".")), contains("not complete"));
  list.dims = {std::int64_t{1} << 50};
  CHECK_THROWS_WITH(to_tensor<float>(list, ExternalFiles(".")), contains("expected extents of at most"));
  CHECK_THROWS_WITH(
      to_tensor<std::int64_t>(raw_tensor(DataType::float32, {2}, bytes_of(two)), ExternalFiles(".")),
      contains("expected whole numbers, got float32"));
  CHECK(to_tensor<float>(raw_tensor(DataType::float32, {0, 5}, ""), ExternalFiles(".")).shape() ==
        Shape{0, 5});
}

TEST_CASE("onnx tensors: external data", "[onnx]") {
  const TemporaryFolder outer;
  const auto home = outer / "model";
  std::filesystem::create_directories(home / "data");
  const std::vector<float> stored = {1, 2, 3, 4};
  tl::write_file_atomically(home / "w.data", bytes_of(stored));
  tl::write_file_atomically(home / "data" / "w.bin", bytes_of(stored));
  tl::write_file_atomically(outer / "secret", bytes_of(stored));
  const ExternalFiles files(home);
  const auto read = [&](std::vector<std::int64_t> dims, Properties where) {
    return values<float>(external_tensor(std::move(dims), std::move(where)), files);
  };

  CHECK(read({4}, {{"location", "w.data"}}) == stored);
  CHECK(read({2}, {{"location", "w.data"}, {"offset", "4"}, {"length", "8"}}) == std::vector<float>{2, 3});
  CHECK(read({4}, {{"location", "data/w.bin"}}) == stored);
  CHECK(values<double>(external_tensor({1}, {{"location", "w.data"}, {"offset", "12"}}), files) ==
        std::vector<double>{4});

  SECTION("places outside the folder") {
    for (const std::string location :
         {"../secret", "data/../../secret", "/etc/hostname", "", "..", "link", "folder/secret"}) {
      CAPTURE(location);
      std::filesystem::remove(home / "link");
      std::filesystem::create_symlink("../secret", home / "link");
      std::filesystem::remove(home / "folder");
      std::filesystem::create_directory_symlink(outer.path(), home / "folder");
      CHECK_THROWS_WITH(read({4}, {{"location", location}}), contains("not inside the model's folder") &&
                                                                 contains("put the file beside the model"));
    }
    CHECK_THROWS_WITH(read({4}, {}), contains("not inside the model's folder"));
  }
  SECTION("places outside the file") {
    CHECK_THROWS_WITH(read({5}, {{"location", "w.data"}}), contains("copy the complete file"));
    CHECK_THROWS_AS(read({4}, {{"location", "w.data"}, {"offset", "4"}}), tl::Error);
    CHECK_THROWS_AS(read({4}, {{"location", "w.data"}, {"offset", "18446744073709551615"}}), tl::Error);
    CHECK_THROWS_AS(read({4}, {{"location", "w.data"}, {"offset", "-4"}}), tl::Error);
    CHECK_THROWS_AS(read({4}, {{"location", "w.data"}, {"length", "99999999999999999999999"}}), tl::Error);
    CHECK_THROWS_WITH(read({4}, {{"location", "w.data"}, {"length", "12"}}), contains("got a length of 12"));
    CHECK_THROWS_AS(read({std::int64_t{1} << 61}, {{"location", "w.data"}}), tl::Error);
  }
  SECTION("a missing file") {
    CHECK_THROWS_WITH(read({4}, {{"location", "gone.data"}}),
                      contains("gone.data") && contains("copy it beside the model"));
    CHECK_THROWS_WITH(read({4}, {{"location", "data"}}), contains("got a directory"));
  }
}
