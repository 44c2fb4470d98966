// Damaged, hostile and unsupported .onnx files: each is a tl::Error that says what is wrong, never a crash.
#include <filesystem>
#include <string>
#include <vector>

#include <tl/core/rng.hpp>
#include <tl/io/onnx/load.hpp>

#include "io/onnx_models.hpp"
#include "support/files.hpp"

using namespace tl;
using namespace tl::test;

namespace {

/// A network with most kinds of parts: weights, statistics, attributes, arithmetic on shapes.
OnnxModel small_network() {
  OnnxModel m(13);
  m.input("x", {0, 3, 8, 8}).output("y");
  m.weight("conv.weight", {4, 3, 3, 3}).weight("conv.bias", {4});
  m.weight("bn.weight", {4})
      .weight("bn.bias", {4})
      .weight("bn.mean", {4})
      .weight("bn.var", {4}, {1, 1, 2, 2});
  m.weight("fc.weight", {5, 16}).weight("fc.bias", {5});
  m.integers("pads", {0, 0, 1, 1, 0, 0, 1, 1})
      .integer("zero", 0)
      .integers("axes", {0})
      .integers("rest", {-1});
  m.node("Pad", {"x", "pads"}, {"padded"});
  m.node("Conv", {"padded", "conv.weight", "conv.bias"}, {"c"}).with("strides", std::vector<Index>{2, 2});
  m.node("BatchNormalization", {"c", "bn.weight", "bn.bias", "bn.mean", "bn.var"}, {"b"})
      .with("epsilon", 1e-5f);
  m.node("Relu", {"b"}, {"r"});
  m.node("MaxPool", {"r"}, {"p"})
      .with("kernel_shape", std::vector<Index>{2, 2})
      .with("strides", std::vector<Index>{2, 2});
  m.node("Shape", {"p"}, {"s"});
  m.node("Gather", {"s", "zero"}, {"n"}).with("axis", 0);
  m.node("Unsqueeze", {"n", "axes"}, {"n1"});
  m.node("Concat", {"n1", "rest"}, {"target"}).with("axis", 0);
  m.node("Reshape", {"p", "target"}, {"flat"});
  m.node("Gemm", {"flat", "fc.weight", "fc.bias"}, {"y"}).with("transB", 1);
  return m;
}

Graph<float> read(OnnxModel& m) { return onnx::to_graph<float>(m.proto(), "."); }

}  // namespace

TEST_CASE("bad onnx: the small network itself loads", "[onnx]") {
  OnnxModel m = small_network();
  const Model<float> model(read(m));
  CHECK(model.parameters().size() == 6);
  CHECK(model.buffers().size() == 2);
  CHECK(model.predict(hash_tensor<float>("x", {3, 3, 8, 8})).shape() == Shape{3, 5});
}

TEST_CASE("bad onnx: missing files, folders, text", "[onnx]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(onnx::load<float>(folder / "none.onnx"), contains("none.onnx': No such file"));
  CHECK_THROWS_WITH(onnx::load<float>(folder.path()), contains("got a directory"));
  write_file_atomically(folder / "text.onnx", "hello, I am a text file\n");
  CHECK_THROWS_WITH(onnx::load<float>(folder / "text.onnx"),
                    contains("text.onnx' is damaged, cut short or no ONNX file"));
  write_file_atomically(folder / "empty.onnx", "");
  CHECK_THROWS_WITH(onnx::load<float>(folder / "empty.onnx"), contains("empty.onnx"));
}

TEST_CASE("bad onnx: cut short at any length", "[onnx]") {
  const std::string bytes = small_network().bytes();
  for (std::size_t length = 0; length + 1 < bytes.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_AS(onnx::to_graph<float>(onnx::decode_model(bytes.substr(0, length), "cut"), "."), Error);
  }
}

TEST_CASE("bad onnx: flipped, inserted and removed bytes throw tl::Error or load", "[onnx]") {
  const std::string good = small_network().bytes();
  int loaded = 0, refused = 0;
  for (std::uint64_t round = 0; round < 4000; ++round) {
    Rng rng(1, round);
    std::string bytes = good;
    for (std::uint64_t change = 0, changes = 1 + rng.below(4); change < changes; ++change) {
      const std::size_t at = rng.below(bytes.size());
      const auto kind = rng.below(4);
      if (kind < 2) {
        bytes[at] = static_cast<char>(
            kind == 0 ? rng.bits() : static_cast<std::uint64_t>(bytes[at]) ^ (1u << rng.below(8)));
      } else if (kind == 2) {
        bytes.insert(at, 1, static_cast<char>(rng.bits()));
      } else {
        bytes.erase(at, 1 + rng.below(8));
      }
    }
    CAPTURE(round);
    try {
      onnx::to_graph<float>(onnx::decode_model(bytes, "fuzzed"), ".");
      ++loaded;
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(loaded + refused == 4000);
  CHECK(loaded > 100);  // most of the bytes are weights
  CHECK(refused > 1000);
}

TEST_CASE("bad onnx: everything unsupported is reported at once, with the nodes", "[onnx]") {
  OnnxModel m;
  m.input("x", {0, 3, 8, 8}).output("y").weight("w", {4, 3, 3, 3});
  m.node("NonMaxSuppression", {"x"}, {"a"});
  m.node("Conv", {"x", "w"}, {"b"}).with("flavour", 3);
  m.node("Relu", {"a"}, {"silent"});  // says nothing new
  m.node("NonMaxSuppression", {"x"}, {"c"});
  m.node("Gelu", {"x"}, {"d"});
  m.node("Fancy", {"x"}, {"y"});
  m.proto().graph.nodes.back().domain = "com.example";
  std::string message;
  try {
    read(m);
  } catch (const Error& error) {
    message = error.what();
  }
  CAPTURE(message);
  CHECK(message.find("NonMaxSuppression: unknown operator (node 'node_a', node 'node_c')") !=
        std::string::npos);
  CHECK(message.find("Conv: attribute 'flavour' is not supported (node 'node_b')") != std::string::npos);
  CHECK(message.find("Gelu: operator not supported in operator set 17 (node 'node_d')") != std::string::npos);
  CHECK(message.find("domain 'com.example'") != std::string::npos);
  CHECK(message.find("silent") == std::string::npos);
  CHECK(message.find('\n') == std::string::npos);
}

TEST_CASE("bad onnx: a failed load names the file", "[onnx]") {
  const TemporaryFolder folder;
  OnnxModel m;
  m.input("x", {0, 3}).output("y").node("Unheard", {"x"}, {"y"});
  onnx::write_model(m.proto(), folder / "m.onnx");
  CHECK_THROWS_WITH(onnx::load<float>(folder / "m.onnx"),
                    contains("m.onnx': not supported: Unheard: unknown operator (node 'node_y')"));
}

TEST_CASE("bad onnx: operator sets and other parts that are not supported", "[onnx]") {
  for (const Index opset : {0, 5, 24, -1}) {
    OnnxModel m(opset);
    m.input("x", {0, 3}).output("y").node("Relu", {"x"}, {"y"});
    CHECK_THROWS_WITH(read(m), contains("expected operator set 6 to 23, got " + std::to_string(opset)));
  }
  OnnxModel m;
  m.input("x", {0, 3}).output("y").node("Relu", {"x"}, {"y"});
  m.proto().graph.sparse_initializers = 1;
  CHECK_THROWS_WITH(read(m), contains("sparse weights"));
}

TEST_CASE("bad onnx: values that are missing, doubled, or constant", "[onnx]") {
  const auto message = [](OnnxModel& m) -> std::string {
    try {
      read(m);
    } catch (const Error& error) {
      return error.what();
    }
    return "loaded";
  };
  OnnxModel unknown;
  unknown.input("x", {0, 3}).output("y").node("Add", {"x", "nowhere"}, {"y"});
  CHECK_THAT(message(unknown), contains("its input 'nowhere' is not computed"));
  OnnxModel cycle;
  cycle.input("x", {0, 3}).output("y").node("Add", {"x", "y"}, {"z"}).node("Relu", {"z"}, {"y"});
  CHECK_THAT(message(cycle), contains("'y' is not computed by any node before it"));
  OnnxModel twice;
  twice.input("x", {0, 3}).output("y").node("Relu", {"x"}, {"y"}).node("Tanh", {"x"}, {"y"});
  CHECK_THAT(message(twice), contains("two values are called 'y'"));
  OnnxModel absent;
  absent.input("x", {0, 3}).output("z").node("Relu", {"x"}, {"y"});
  CHECK_THAT(message(absent), contains("no node computes it (output 'z')"));
  OnnxModel constant;
  constant.input("x", {0, 3}).output("y").weight("w", {3}).node("Relu", {"w"}, {"y"});
  CHECK_THAT(message(constant), contains("does not depend on an input (output 'y')"));
  for (const std::vector<Index>& extents : {std::vector<Index>{}, {0}}) {
    OnnxModel slopes(6);
    slopes.input("x", extents).output("y").weight("slope", {3}).node("PRelu", {"x", "slope"}, {"y"});
    CHECK_THAT(message(slopes),
               contains("expected x(N,C,...), got (" + std::string(extents.empty() ? "" : "2")));
  }
  OnnxModel kernel;  // no elements, but a kernel of 2^62 columns
  kernel.input("x", {0, 3, 8, 8}).output("y").weight("w", {0, 3, 1, Index{1} << 62}, {1});
  kernel.proto().graph.initializers[0].raw_data = {};
  kernel.node("Conv", {"x", "w"}, {"y"}).with("dilations", std::vector<Index>{1, 1 << 30});
  CHECK_THAT(message(kernel), contains("expected extents of at most"));
  OnnxModel outputs;
  outputs.input("x", {0, 3, 8, 8})
      .output("y")
      .output("i")
      .node("MaxPool", {"x"}, {"y", "i"})
      .with("kernel_shape", std::vector<Index>{2, 2});
  CHECK_THAT(message(outputs), contains("its output 1 is not supported"));
  OnnxModel shapes;
  shapes.input("x", {0, 3, 8, 8}).output("y").weight("w", {4, 2, 3, 3}).node("Conv", {"x", "w"}, {"y"});
  CHECK_THAT(message(shapes), contains("[conv2d] expected x(N,C,H,W)") && contains("node 'node_y'"));
}

TEST_CASE("bad onnx: sizes that a small file makes out of nothing", "[onnx]") {
  const auto refused = [](const std::vector<Index>& extents) {
    OnnxModel m;
    m.input("x", {0, 3}).output("y").integers("s", extents);
    m.node("ConstantOfShape", {"s"}, {"zeros"}).node("Add", {"x", "zeros"}, {"y"});
    CHECK_THROWS_AS(read(m), Error);
  };
  refused({Index{1} << 28});
  refused({Index{1} << 40});
  refused({Index{1} << 30, 3});
  refused({Index{1} << 62, 1 << 30});
  refused({-1});
  refused({1, 1, 1, 1, 1, 1, 1, 1, 1});
  OnnxModel grown;  // each node makes two of one
  grown.input("x", {0, 3}).output("y").integers("a", {1}).weight("w", {1, 3});
  for (int i = 0; i < 40; ++i) {
    const std::string before = i == 0 ? "w" : "c" + std::to_string(i - 1);
    grown.node("Concat", {before, before}, {"c" + std::to_string(i)}).with("axis", 0);
  }
  grown.node("Add", {"x", "c39"}, {"y"});
  CHECK_THROWS_WITH(read(grown), contains("elements made of 4 are not supported"));
  OnnxModel table;  // a column and a row make a table
  table.input("x", {0, 3}).output("y").integer("zero", 0).integer("one", 1).integer("many", 1 << 16);
  table.integers("first", {0}).node("Range", {"zero", "many", "one"}, {"row"});
  table.node("Unsqueeze", {"row", "first"}, {"across"}).node("Unsqueeze", {"row", "ones"}, {"down"});
  table.integers("ones", {1}).node("Add", {"across", "down"}, {"sums"}).node("Reshape", {"x", "sums"}, {"y"});
  CHECK_THROWS_WITH(read(table), contains("arithmetic that makes more than"));
  OnnxModel tiles;  // lists of a million positions
  tiles.input("x", {0, 1}).output("y").integers("repeats", {1, 1 << 20});
  for (int i = 0; i < 17; ++i)
    tiles.node("Tile", {"x", "repeats"}, {i == 0 ? std::string("y") : "y" + std::to_string(i)});
  CHECK_THROWS_WITH(read(tiles), contains("elements made of 2 are not supported"));
  OnnxModel pads;
  pads.input("x", {0, 3}).output("y").integers("p", {0, Index{1} << 62, 0, Index{1} << 62});
  pads.node("Pad", {"x", "p"}, {"y"});
  CHECK_THROWS_WITH(read(pads), contains("at most"));
  OnnxModel input;
  input.input("x", {0, Index{1} << 62}).output("y").node("Relu", {"x"}, {"y"});
  CHECK_THROWS_AS(read(input), Error);
}

TEST_CASE("bad onnx: external data that leave the model's folder", "[onnx]") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "model");
  write_file_atomically(folder / "secret", std::string(12, 'x'));
  for (const std::string location : {"../secret", "/etc/passwd"}) {
    OnnxModel m;
    m.input("x", {0, 3}).output("y").weight("w", {3}).node("Add", {"x", "w"}, {"y"});
    onnx::TensorProto& w = m.proto().graph.initializers[0];
    w.has_raw_data = false;
    w.is_external = true;
    w.external_data = {{"location", location}};
    onnx::write_model(m.proto(), folder / "model" / "m.onnx");
    CHECK_THROWS_WITH(onnx::load<float>((folder / "model") / "m.onnx"),
                      contains("tensor 'w'") && contains("put the file beside the model"));
  }
}
