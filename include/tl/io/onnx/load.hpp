// onnx::load: an .onnx file as a model with named, trainable parameters.
//
//   auto model = tl::onnx::load<float>("resnet18.onnx");
//
// Weights keep the names of the file's initializers and become parameters, running statistics become buffers.
// The arithmetic on shapes that exporters leave behind is evaluated; the extent of the batch stays open, even
// where the exporter has written a number, unless the network can only be read with that number. What is not
// supported is reported all at once.
#pragma once

#include <concepts>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <tl/core/precompiled.hpp>
#include <tl/io/onnx/operators.hpp>
#include <tl/io/onnx/wire_read.hpp>
#include <tl/nn/model.hpp>

namespace tl::onnx {

/// What load does otherwise than by itself.
template <class T>
struct LoadOptions {
  /// Readers of operators that the library does not have, or to be read otherwise: by the operator's name,
  /// with its domain before it ("com.example.Swirl") where that is not ONNX's own.
  std::map<std::string, std::function<void(Node<T>&)>> operators{};
  /// Values of integer inputs on which shapes depend, by name. They are no inputs of the network then, and
  /// what depends on them alone may be an output.
  std::map<std::string, IntTensor> whole_numbers{};
};

namespace load_impl {

/// What cannot be read and why, with the nodes concerned.
class Problems {
 public:
  void add(std::string reason, std::string where) {
    const auto same =
        std::find_if(list_.begin(), list_.end(), [&](const auto& entry) { return entry.first == reason; });
    auto& entry =
        same == list_.end() ? list_.emplace_back(std::move(reason), std::vector<std::string>{}) : *same;
    entry.second.push_back(std::move(where));
  }
  bool empty() const { return list_.empty(); }

  /// One line: reason (node, node); reason (node).
  std::string text() const {
    std::string line;
    for (const auto& [reason, nodes] : list_) {
      line += concat(line.empty() ? "" : "; ", reason, " (");
      for (std::size_t i = 0; i < nodes.size(); ++i) line += concat(i > 0 ? ", " : "", nodes[i]);
      line += ")";
    }
    return line;
  }

 private:
  std::vector<std::pair<std::string, std::vector<std::string>>> list_;
};

template <class T>
class Reader {
 public:
  Reader(const ModelProto& model, const std::filesystem::path& folder, const LoadOptions<T>& options,
         bool open_batch)
      : model_(model), options_(options), reading_{.model = model, .files = ExternalFiles(folder)} {
    reading_.graph.open_batch = open_batch;
  }

  /// The graph, or what of it can be read where there are problems().
  Graph<T> read() {
    read_opset();
    count_uses();
    read_initializers();
    read_inputs();
    for (const NodeProto& node : model_.graph.nodes) read_node(node);
    read_outputs();
    for (const auto& [key, value] : model_.metadata_props) reading_.graph.metadata[key] = value;
    return std::move(reading_.graph);
  }
  const Problems& problems() const { return problems_; }
  /// Whether the file declares the first extent of every input.
  bool declares_batch() const { return declares_batch_; }

 private:
  static bool is_standard(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

  void read_opset() {
    for (const OperatorSetId& opset : model_.opset_imports) {
      if (is_standard(opset.domain)) reading_.opset = opset.version;
    }
    TL_CHECK(reading_.opset >= first_opset && reading_.opset <= last_opset, "expected operator set ",
             first_opset, " to ", last_opset, ", got ", reading_.opset, ": export with one of these");
    if (model_.graph.sparse_initializers > 0) problems_.add("sparse weights", "graph");
    reading_.own_file = model_.producer_name == producer_name;
  }

  void count_uses() {
    for (const NodeProto& node : model_.graph.nodes) {
      for (const std::string& name : node.inputs) ++reading_.uses[name];
    }
    for (const ValueInfoProto& output : model_.graph.outputs) ++reading_.uses[output.name];
  }

  /// Damaged or missing data end the reading at once; there is no use in a list of them.
  void read_initializers() {
    for (const TensorProto& tensor : model_.graph.initializers) {
      TL_CHECK(!tensor.name.empty() && reading_.values.count(tensor.name) == 0, "two tensors are called '",
               tensor.name, "'");
      Value<T> value;
      value.name = tensor.name;
      value.is_initializer = true;
      if (is_floating(tensor.data_type)) {
        value.constant = is_deferrable(tensor) ? deferred(tensor) : in_memory<T>(tensor);
      } else {
        value.integers = Integers::same(in_memory<std::int64_t>(tensor));
      }
      reading_.stored_elements += shape_of(tensor).size();
      reading_.values[tensor.name] = std::move(value);
    }
  }

  /// Whether a tensor is large, and stands in the file as it stands in memory.
  bool is_deferrable(const TensorProto& tensor) const {
    if constexpr (!std::same_as<T, float>) return false;
    return model_.file && model_.file->holds(tensor.raw_data) && tensor.data_type == DataType::float32 &&
           tensor.has_raw_data && !tensor.is_external && !tensor.is_segment &&
           tensor.raw_data.size() >= least_left_out &&
           tensor.raw_data.size() / sizeof(float) == static_cast<std::size_t>(shape_of(tensor).size()) &&
           tensor.raw_data.size() % sizeof(float) == 0;
  }
  /// Its elements are read again from the file when they are needed: for inference packed copies are enough.
  Tensor<T> deferred(const TensorProto& tensor) const {
    return Tensor<T>::deferred(
        shape_of(tensor), [source = model_.file->source(), offset = model_.file->offset_of(tensor.raw_data),
                           bytes = tensor.raw_data.size()](T* to) {
          source->read(offset, reinterpret_cast<char*>(to), bytes);
        });
  }
  template <class Element>
  Tensor<Element> in_memory(const TensorProto& tensor) const {
    if (model_.file && model_.file->holds(tensor.raw_data)) model_.file->complete(tensor.raw_data);
    return to_tensor<Element>(tensor, reading_.files);
  }

  /// Inputs of the network; the first axis of each is the batch.
  void read_inputs() {
    for (const ValueInfoProto& input : model_.graph.inputs) {
      if (reading_.values.count(input.name) > 0) continue;  // old files list the weights too
      Value<T> value;
      if (const auto known = options_.whole_numbers.find(input.name); known != options_.whole_numbers.end()) {
        value.integers = Integers::same(known->second);
        reading_.values[input.name] = std::move(value);
        continue;
      }
      try {
        read_input(input, value);
      } catch (const Error& error) {
        value.failed = true;
        problems_.add(error.what(), concat("input '", input.name, "'"));
      }
      reading_.values[input.name] = std::move(value);
    }
  }

  void read_input(const ValueInfoProto& input, Value<T>& value) {
    const TensorTypeProto& type = input.type.tensor;
    TL_CHECK(input.type.is_tensor && bytes_per_element(type.elem_type) > 0,
             "a tensor of numbers is expected");
    TL_CHECK(type.has_shape, "its number of axes is expected to be known");
    GraphFacts facts;
    Shape example;
    for (std::size_t i = 0; i < type.shape.dims.size(); ++i) {
      const Dimension& extent = type.shape.dims[i];
      TL_CHECK(extent.value <= largest_extent, "expected extents of at most ", largest_extent, ", got ",
               extent.value);
      const bool is_batch = i == 0 && reading_.graph.open_batch;
      if (is_batch && extent.value > 0) reading_.fixed_batch = extent.value;
      if (i == 0 && extent.value <= 0) declares_batch_ = false;
      const bool open = is_batch || extent.value <= 0;
      for (std::size_t which : {0u, 1u})
        facts.shape[which].push_back(!open      ? extent.value
                                     : is_batch ? imagined_batch[which]
                                                : imagined_size[which]);
      example.push_back(is_batch ? 1 : open ? 0 : extent.value);
    }
    for (const Shape& shape : facts.shape) shape.size();
    value.id = reading_.graph.add_input(input.name, example);
    value.is_whole_number = !is_floating(type.elem_type);
    reading_.facts.push_back(std::move(facts));
  }

  std::string name_of(const NodeProto& node) {
    std::string name = node.name;
    if (name.empty()) name = concat(node.op_type, "_", node.outputs.empty() ? "" : node.outputs[0]);
    const int count = ++names_[name];
    return count == 1 ? name : concat(name, "_", count);
  }

  void read_node(const NodeProto& proto) {
    Node<T> node(reading_, proto, name_of(proto));
    try {
      TL_CHECK(!proto.outputs.empty() && !proto.outputs[0].empty(), "its output has no name");
      for (const std::string& output : proto.outputs)
        TL_CHECK(reading_.values.count(output) == 0, "two values are called '", output, "'");
      function_for(proto)(node);
      node.check_all_used();
      return;
    } catch (const FailedInput&) {
    } catch (const Error& error) {
      problems_.add(concat(proto.op_type, ": ", error.what()), concat("node '", node.name(), "'"));
    } catch (const MemoryLimitError&) {
      throw;
    } catch (const std::bad_alloc&) {
      problems_.add(concat(proto.op_type, ": more memory is needed than there is"),
                    concat("node '", node.name(), "'"));
    }
    for (const std::string& output : proto.outputs) {
      if (!output.empty()) reading_.values[output].failed = true;
    }
  }

  std::function<void(Node<T>&)> function_for(const NodeProto& proto) const {
    const auto own = options_.operators.find(
        is_standard(proto.domain) ? proto.op_type : concat(proto.domain, '.', proto.op_type));
    if (own != options_.operators.end()) return own->second;
    TL_CHECK(is_standard(proto.domain), "operators of domain '", proto.domain, "' are not supported");
    bool known = false;
    for (const Operator<T>& op : operator_table<T>()) {
      if (op.name != proto.op_type) continue;
      known = true;
      if (reading_.opset >= op.first && reading_.opset <= op.last) return op.read;
    }
    fail(known ? concat("operator not supported in operator set ", reading_.opset) : "unknown operator");
  }

  void read_outputs() {
    std::vector<ValueId> outputs;
    for (const ValueInfoProto& output : model_.graph.outputs) {
      const auto it = reading_.values.find(output.name);
      const std::string where = concat("output '", output.name, "'");
      if (it == reading_.values.end()) {
        problems_.add("no node computes it", where);
      } else if (!it->second.failed && !it->second.is_computed()) {
        if (options_.whole_numbers.empty()) {
          problems_.add("it does not depend on an input", where);
        } else {
          outputs.push_back(constant_output(it->second, output.name));
        }
      } else if (!it->second.failed) {
        outputs.push_back(output_of(it->second.id, output.name, outputs));
      }
    }
    if (model_.graph.outputs.empty()) problems_.add("no output", "graph");
    reading_.graph.set_outputs(std::move(outputs));
  }

  /// The value under the output's name. One that has a name to keep is passed through a node.
  ValueId output_of(ValueId id, const std::string& name, const std::vector<ValueId>& others) {
    GraphValue<T>& value = reading_.graph.value(id);
    const bool taken = std::find(others.begin(), others.end(), id) != others.end();
    if (value.kind == ValueKind::result && !taken) {
      value.name = name;
      return id;
    }
    const auto rank = static_cast<std::size_t>(reading_.facts_of(id).shape[0].rank());
    return reading_.graph.add_node(name, ops::Reshape{.shape = std::vector<Index>(rank, 0)}, {id});
  }
  ValueId constant_output(const Value<T>& value, const std::string& name) {
    const Tensor<T> tensor =
        value.is_constant() ? value.constant : value.integers.tensor().template cast<T>();
    return reading_.graph.add_var(name, ValueKind::constant, Var<T>(tensor));
  }

  const ModelProto& model_;
  const LoadOptions<T>& options_;
  bool declares_batch_ = true;
  Reading<T> reading_;
  Problems problems_;
  std::map<std::string, int> names_;
};

}  // namespace load_impl

/// The graph of a decoded model; external data are looked for in `folder`. Throws tl::Error with everything
/// that is not supported.
template <std::floating_point T>
Graph<T> to_graph(const ModelProto& model, const std::filesystem::path& folder,
                  const LoadOptions<std::type_identity_t<T>>& options = {}) {
  load_impl::Reader<T> reader(model, folder, options, true);
  Graph<T> graph = reader.read();
  if (reader.problems().empty()) return graph;
  if (reader.declares_batch()) {  // its first axis may not be a batch
    load_impl::Reader<T> as_declared(model, folder, options, false);
    graph = as_declared.read();
    if (as_declared.problems().empty()) return graph;
  }
  fail("not supported: ", reader.problems().text());
}

/// The graph of an .onnx file. Throws tl::Error, naming the file.
template <std::floating_point T>
Graph<T> load_graph(const std::filesystem::path& path,
                    const LoadOptions<std::type_identity_t<T>>& options = {}) {
  const ModelProto model = read_model(path);
  try {
    return to_graph<T>(model, path.parent_path(), options);
  } catch (const Error& error) {
    fail("[onnx] cannot load '", path.string(), "': ", error.what());
  }
}

/// The model of an .onnx file with one input and one output; see load_graph for others.
template <std::floating_point T>
Model<T> load(const std::filesystem::path& path, const LoadOptions<std::type_identity_t<T>>& options = {}) {
  return Model<T>(load_graph<T>(path, options));
}

TL_PRECOMPILED(Graph<float> to_graph<float>(const ModelProto&, const std::filesystem::path&,
                                            const LoadOptions<float>&))
TL_PRECOMPILED(Graph<float> load_graph<float>(const std::filesystem::path&, const LoadOptions<float>&))
TL_PRECOMPILED(Model<float> load<float>(const std::filesystem::path&, const LoadOptions<float>&))

}  // namespace tl::onnx
