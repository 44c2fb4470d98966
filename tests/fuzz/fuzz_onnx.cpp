// Fuzz target: .onnx files, from the bytes to a graph and, where the network is small, to a prediction.
#include <cstring>
#include <string>
#include <string_view>

#include <tl/io/metadata.hpp>
#include <tl/io/onnx/load.hpp>

#include "fuzz/target.hpp"

namespace {

using tl::Index;
using tl::Shape;

/// Two examples of the network's input; extents that the file leaves open are 8.
Shape input_shape(const tl::Graph<float>& graph) {
  Shape shape = graph.value(graph.inputs()[0]).shape;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (axis == 0 || shape[axis] == 0) shape[axis] = axis == 0 ? 2 : 8;
  }
  return shape;
}

/// Whether all values of a run, the weights among them, are few enough for a fuzzer.
bool is_small(const tl::Graph<float>& graph, const Shape& input) {
  constexpr Index most = 1 << 16;
  Index elements = 0;
  for (const Shape& shape : graph.infer(std::span<const Shape>(&input, 1))) {
    if (shape.size() > most || (elements += shape.size()) > most) return false;
  }
  return true;
}

void predict(tl::Graph<float> graph) {
  if (graph.inputs().size() != 1 || graph.outputs().size() != 1) return;
  const Shape input = input_shape(graph);
  if (!is_small(graph, input)) return;
  const tl::Model<float> model(std::move(graph));
  model.predict(tl::Tensor<float>::full(input, 0.5f));
}

/// Leaving out large weights must not change what else a file is found to hold.
void compare_with_sparse(std::string_view file) {
  std::string bytes(file.size(), '\0');
  const auto read = [&](std::size_t offset, char* to, std::size_t count) {
    std::memcpy(to, file.substr(offset, count).data(), count);
  };
  tl::onnx::SparseReader(read, bytes.data(), bytes.size(), 64).run();
  const auto names = [](std::string_view text) {
    std::string all;
    tl::fuzz::accepts([&] {
      for (const auto& tensor : tl::onnx::decode_model(text, "input").graph.initializers)
        all += tl::concat(tensor.name, ' ', tensor.raw_data.size(), '\n');
    });
    return all;
  };
  tl::fuzz::require(names(file) == names(bytes), "leaving out weights changes nothing else");
}

}  // namespace

namespace tl::fuzz {

/// For mutate_onnx.cpp.
std::vector<std::string> operator_names() {
  std::vector<std::string> names;
  for (const onnx::Operator<float>& op : onnx::operator_table<float>()) names.emplace_back(op.name);
  return names;
}

}  // namespace tl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  compare_with_sparse(tl::fuzz::text(data, size));
  tl::fuzz::accepts([&] {
    // External data may lie in this folder: the seed for them names one of its files.
    tl::Graph<float> graph = tl::onnx::to_graph<float>(
        tl::onnx::decode_model(tl::fuzz::text(data, size), "input"), TL_FUZZ_FOLDER);
    tl::io::labels(graph.metadata);
    predict(std::move(graph));
  });
  return 0;
}
