// How the fuzzer varies .onnx files. Bytes changed at random hardly ever give a message whose lengths are
// right, so most of the time the file is decoded, something in its network is changed, and it is encoded
// again.
#include <algorithm>
#include <cstring>
#include <deque>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <tl/core/rng.hpp>
#include <tl/io/onnx/tensor_data.hpp>
#include <tl/io/onnx/wire_read.hpp>
#include <tl/io/onnx/wire_write.hpp>

#include "fuzz/target.hpp"

namespace tl::fuzz {
std::vector<std::string> operator_names();  // in fuzz_onnx.cpp: what the table refers to is compiled once
}
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace tl::onnx;
using tl::Index;

std::vector<std::string> split(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}
const std::vector<std::string> attribute_names = split(
    "allowzero alpha approximate auto_pad axes axis beta bias broadcast ceil_mode "
    "coordinate_transformation_mode count_include_pad cubic_coeff_a dilations end ends epsilon "
    "exclude_outside gamma group keepdims kernel_shape max min mode momentum nearest_mode "
    "noop_with_empty_axes num_groups num_outputs "
    "output_padding output_shape pads perm ratio scales size split start starts strides to transA transB "
    "value value_float value_floats value_int value_ints");
const std::vector<std::string> words = split(
    "SAME_UPPER SAME_LOWER VALID constant reflect edge wrap nearest linear cubic half_pixel asymmetric "
    "align_corners pytorch_half_pixel half_pixel_symmetric floor ceil round_prefer_ceil tanh none");

/// Makes changes to a model. Keeps the bytes that its tensors then point to.
class Mutator {
 private:
  template <class List>
  auto& any(List& list) {
    return list[rng_.below(list.size())];
  }
  /// Small most of the time, otherwise at or beyond some limit.
  Index number() {
    if (rng_.chance(0.8)) return static_cast<Index>(rng_.below(12)) - 3;
    const Index power = Index{1} << rng_.below(63), near = static_cast<Index>(rng_.below(3)) - 1;
    return rng_.chance(0.7) ? power + near : -power - near;
  }

 public:
  Mutator(ModelProto& model, std::uint64_t seed) : model_(model), graph_(model.graph), rng_(seed) {}

  void change() {
    switch (rng_.below(8)) {
      case 0:
        return change_list(graph_.nodes);
      case 1:
      case 2:
        return graph_.nodes.empty() ? void() : change_node(any(graph_.nodes));
      case 3:
      case 4:
        return graph_.nodes.empty() ? void() : change_attribute(any(graph_.nodes));
      case 5:
        return graph_.initializers.empty() ? void() : change_tensor(any(graph_.initializers));
      case 6:
        return change_list(graph_.initializers);
      default:
        return change_frame();
    }
  }

 private:
  /// The name of some value, or of none.
  std::string name() {
    std::vector<std::string> names{"", "x", "y"};
    for (const TensorProto& tensor : graph_.initializers) names.push_back(tensor.name);
    for (const NodeProto& node : graph_.nodes)
      names.insert(names.end(), node.outputs.begin(), node.outputs.end());
    return any(names);
  }

  /// One item twice, gone, or in another place.
  template <class Item>
  void change_list(std::vector<Item>& list) {
    if (list.empty()) return;
    const auto at = list.begin() + static_cast<std::ptrdiff_t>(rng_.below(list.size()));
    switch (rng_.below(3)) {
      case 0: {
        Item copy = *at;
        rename(copy);
        list.insert(at, std::move(copy));
        return;
      }
      case 1:
        list.erase(at);
        return;
      default:
        std::swap(*at, any(list));
    }
  }
  void rename(TensorProto& tensor) { tensor.name += '_'; }
  void rename(std::string&) {}
  /// A copy of a node reads what the node makes, or the other way round.
  void rename(NodeProto& node) {
    for (std::string& output : node.outputs) {
      const std::string before = std::exchange(output, output + '_');
      for (NodeProto& other : graph_.nodes)
        if (rng_.chance(0.5)) std::replace(other.inputs.begin(), other.inputs.end(), before, output);
    }
  }

  void change_node(NodeProto& node) {
    switch (rng_.below(5)) {
      case 0:
      case 1:
        node.op_type = any(operators_);
        return;
      case 2:
        node.inputs.push_back(name());
        return;
      case 3:
        return change_list(rng_.chance(0.7) ? node.inputs : node.outputs);
      default:
        if (!node.inputs.empty()) any(node.inputs) = name();
    }
  }

  void change_attribute(NodeProto& node) {
    if (node.attributes.empty() || rng_.chance(0.3)) {
      AttributeProto& added = node.attributes.emplace_back();
      added.name = any(attribute_names);
      added.type = AttributeType::int_value;
    }
    AttributeProto& attribute = any(node.attributes);
    if (rng_.chance(0.1)) {
      attribute = std::move(node.attributes.back());
      node.attributes.pop_back();
      return;
    }
    if (rng_.chance(0.2)) attribute.type = AttributeType{static_cast<std::int32_t>(1 + rng_.below(8))};
    attribute.i = number();
    attribute.f = static_cast<float>(number()) * (rng_.chance(0.5) ? 0.25f : 1.0f);
    attribute.s = any(words);
    if (rng_.chance(0.3)) attribute.ints.push_back(number());
    if (!attribute.ints.empty()) any(attribute.ints) = number();
    if (attribute.type == AttributeType::tensor_value && attribute.tensors.empty())
      attribute.tensors.emplace_back();
    if (!attribute.tensors.empty()) change_tensor(attribute.tensors[0]);
  }

  /// Another shape or type, most often with as many bytes as it takes, or other elements.
  void change_tensor(TensorProto& tensor) {
    const std::uint64_t what = rng_.below(4);
    if (what == 0) return change_elements(tensor);
    if (what == 1) tensor.data_type = DataType{static_cast<std::int32_t>(rng_.below(17))};
    if (what == 2 && !tensor.dims.empty()) any(tensor.dims) = number();
    if (what == 3) rng_.chance(0.5) ? tensor.dims.push_back(number()) : tensor.dims.clear();
    if (rng_.chance(0.1)) return;
    std::size_t bytes = bytes_per_element(tensor.data_type);
    for (const Index extent : tensor.dims) {
      if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes) || bytes > 4096) return;
    }
    std::string& data = bytes_.emplace_back(tensor.raw_data);
    data.resize(bytes, '\1');
    tensor.raw_data = data;
    tensor.has_raw_data = true;
  }
  void change_elements(TensorProto& tensor) {
    std::string& data = bytes_.emplace_back(tensor.raw_data);
    if (data.size() >= sizeof(Index)) {
      const Index value = number();
      std::memcpy(data.data() + rng_.below(data.size() / sizeof(Index)) * sizeof(Index), &value,
                  sizeof(Index));
    }
    tensor.raw_data = data;
  }

  /// What stands around the nodes: the operator set, the input's shape, the outputs, the producer.
  void change_frame() {
    switch (rng_.below(4)) {
      case 0:
        if (!model_.opset_imports.empty())
          model_.opset_imports[0].version = static_cast<Index>(5 + rng_.below(20));
        return;
      case 1:
        if (!graph_.outputs.empty()) any(graph_.outputs).name = name();
        return;
      case 2:
        model_.producer_name = rng_.chance(0.5) ? std::string(producer_name) : "seed";
        return;
      default:
        if (graph_.inputs.empty()) return;
        std::vector<Dimension>& dims = any(graph_.inputs).type.tensor.shape.dims;
        if (dims.empty() || rng_.chance(0.2)) dims.emplace_back();
        any(dims) = {.value = number(), .param = {}};
    }
  }

  ModelProto& model_;
  GraphProto& graph_;
  tl::Rng rng_;
  std::vector<std::string> operators_ = tl::fuzz::operator_names();
  std::deque<std::string> bytes_;
};

/// The bytes of the model after one to three changes; empty where it cannot be decoded or encoded.
std::string changed(std::string_view bytes, std::uint64_t seed) {
  std::string result;
  tl::fuzz::accepts([&] {
    ModelProto model = decode_model(bytes, "input");
    Mutator mutator(model, seed);
    for (std::uint64_t i = 0; i <= seed % 3; ++i) mutator.change();
    result = encode_model(model);
  });
  return result;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
  const std::string result = seed % 8 == 0 ? std::string() : changed(tl::fuzz::text(data, size), seed);
  if (result.empty() || result.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::copy(result.begin(), result.end(), data);
  return result.size();
}
