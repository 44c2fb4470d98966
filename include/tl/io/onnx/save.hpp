// onnx::save: a model as an .onnx file that other runtimes read.
//
//   tl::onnx::save(model, "animals.onnx");
//
// The extent of the batch is called N. Parameters and running statistics become initializers under their own
// names; the model's metadata become metadata_props. What load() gives back has the same bits.
#pragma once

#include <concepts>
#include <deque>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/core/file.hpp>
#include <tl/core/precompiled.hpp>
#include <tl/graph/fold.hpp>
#include <tl/io/onnx/operators_write.hpp>
#include <tl/io/onnx/wire_write.hpp>
#include <tl/nn/model.hpp>

namespace tl::onnx {

namespace save_impl {

/// Writes the operation as whichever of the Ops it is; false when it is none of them.
template <class T, class... Ops>
bool write_as(NodeWriter& n, const Operation<T>& operation) {
  const auto try_one = [&](const auto* op) {
    if (op == nullptr) return false;
    writers::write(n, *op);
    return true;
  };
  return (try_one(operation.template get_if<Ops>()) || ...);
}

template <class T>
bool write_operation(NodeWriter& n, const Operation<T>& operation) {
  using namespace ops;
  return write_as<T, Conv2d, ConvTranspose2d, MaxPool2d, AveragePool2d, AdaptiveAveragePool2d,
                  GlobalMaxPool2d, BatchNorm>(n, operation) ||
         write_as<T, Add, Sub, Mul, Div, Pow, Power, Neg, Relu, Clip, LeakyRelu, Sigmoid, Tanh, Silu,
                  HardSwish, HardSigmoid, Gelu, Elu, Selu, Softplus, Mish, Erf, Exp, Log, Sqrt, Abs,
                  Reciprocal, Dropout>(n, operation) ||
         write_as<T, Greater, GreaterEqual, ops::Equal, Maximum, Minimum, Where>(n, operation) ||
         write_as<T, Linear, MatMul, Softmax, LogSoftmax, ops::Sum, ops::Mean, ops::Max, LogSumExp,
                  EuclideanNorm>(n, operation) ||
         write_as<T, Reshape, Flatten, Transpose, Concat, Slice, Pad, Take, Embedding>(n, operation);
}

/// The operator set a graph needs: 17, or a later one for what is not in it.
template <class T>
Index required_opset(const Graph<T>& graph) {
  Index opset = 17;
  for (const GraphNode<T>& node : graph.nodes()) {
    if (node.operation->template get_if<ops::Mish>() != nullptr) opset = std::max<Index>(opset, 18);
    const auto* pool = node.operation->template get_if<ops::AveragePool2d>();
    const bool dilated = pool != nullptr && pool->window.dilation != ops::Size2{};
    if (dilated || node.operation->template get_if<ops::Gelu>() != nullptr) opset = 20;
  }
  return opset;
}

template <class T>
class Writer {
 public:
  explicit Writer(const Graph<T>& graph)
      : graph_(graph), names_(graph.values().size()), needed_(graph.values().size(), false) {
    find_needed();
    name_values();
    infer_shapes();
    document_.opset = required_opset(graph_);
    document_.number = std::same_as<T, double> ? DataType::float64 : DataType::float32;
    ModelProto& model = document_.model;
    model.ir_version = document_.opset > 17 ? 9 : 8;
    model.producer_name = producer_name;
    model.opset_imports = {{"", document_.opset}};
    model.graph.name = "network";
    for (const ValueId id : graph_.inputs()) model.graph.inputs.push_back(declared(id));
    for (const ValueId id : graph_.outputs()) model.graph.outputs.push_back(declared(id));
    write_vars();
    for (const GraphNode<T>& node : graph_.nodes()) {
      if (needed_[static_cast<std::size_t>(node.output)]) write_node(node);
    }
    for (const auto& [key, value] : graph_.metadata) model.metadata_props.emplace_back(key, value);
  }

  void write(const LateInitializer::Sink& sink) const { write_model(document_.model, stored_, sink); }

 private:
  /// Marks the values on the way to the outputs; what a cut-off head leaves behind is not written.
  void find_needed() {
    for (const ValueId id : graph_.outputs()) {
      TL_CHECK(graph_.value(id).kind == ValueKind::result, "expected outputs that nodes compute, got '",
               graph_.value(id).name, "'");
      needed_[static_cast<std::size_t>(id)] = true;
    }
    TL_CHECK(!graph_.outputs().empty(), "expected at least one output, got none");
    for (auto node = graph_.nodes().rbegin(); node != graph_.nodes().rend(); ++node) {
      if (!needed_[static_cast<std::size_t>(node->output)]) continue;
      for (const ValueId id : node->inputs) needed_[static_cast<std::size_t>(id)] = true;
    }
    for (const ValueId id : graph_.inputs()) needed_[static_cast<std::size_t>(id)] = true;
  }

  /// A name of its own for each value: first for parameters and buffers, whose names have meaning.
  void name_values() {
    std::set<std::string> taken;
    for (const bool stored : {true, false}) {
      for (std::size_t i = 0; i < names_.size(); ++i) {
        const GraphValue<T>& value = graph_.values()[i];
        const bool is_stored = value.kind == ValueKind::parameter || value.kind == ValueKind::buffer;
        if (!needed_[i] || is_stored != stored) continue;
        std::string name = value.name.empty() ? "value" : value.name;
        for (int n = 2; !taken.insert(name).second; ++n) name = concat(value.name, "_", n);
        names_[i] = std::move(name);
      }
    }
  }

  /// Shapes for two imagined inputs: what differs between them is open in the file.
  void infer_shapes() {
    for (std::size_t which : {0u, 1u}) {
      std::vector<Shape> inputs;
      for (const ValueId id : graph_.inputs()) {
        Shape shape = graph_.value(id).shape;
        for (int axis = 0; axis < shape.rank(); ++axis) {
          if (axis == 0 && graph_.open_batch) {
            shape[axis] = imagined_batch[which];
          } else if (shape[axis] == 0) {
            shape[axis] = imagined_size[which];
          }
        }
        inputs.push_back(shape);
      }
      shapes_[which] = graph_.infer(inputs);
    }
  }

  NodeWriter::Shapes shapes_of(ValueId id) const {
    const auto i = static_cast<std::size_t>(id);
    return {shapes_[0][i], shapes_[1][i]};
  }

  ValueInfoProto declared(ValueId id) const {
    ValueInfoProto info;
    info.name = names_[static_cast<std::size_t>(id)];
    info.type.is_tensor = true;
    info.type.tensor.elem_type = document_.number;
    info.type.tensor.has_shape = true;
    const NodeWriter::Shapes shapes = shapes_of(id);
    for (int axis = 0; axis < shapes[0].rank(); ++axis) {
      const Index a = shapes[0][axis], b = shapes[1][axis];
      Dimension extent;
      if (a == b) {
        extent.value = a;
      } else {
        extent.param = a == imagined_batch[0] && b == imagined_batch[1] ? "N" : concat(info.name, "_", axis);
      }
      info.type.tensor.shape.dims.push_back(std::move(extent));
    }
    return info;
  }

  void write_vars() {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const GraphValue<T>& value = graph_.values()[i];
      if (!needed_[i] || !value.var.defined()) continue;
      const Tensor<T> tensor = value.var.value();
      const std::vector<Index> dims(tensor.shape().begin(), tensor.shape().end());
      if (value.kind == ValueKind::constant) {
        const std::span<const T> elements = plain_.emplace_back(tensor.plain()).span();
        document_.add_constant(Document::tensor_over(names_[i], document_.number, dims, bytes_of(elements)));
      } else {
        TensorProto head;
        head.name = names_[i];
        head.data_type = document_.number;
        head.dims = dims;
        stored_.push_back({std::move(head), static_cast<std::size_t>(tensor.size()) * sizeof(T),
                           [tensor](const LateInitializer::Sink& sink) {
                             // A copy of what is still in another file goes again.
                             const Tensor<T> plain = tensor.is_deferred() ? tensor.clone() : tensor.plain();
                             sink(bytes_of(plain.span()));
                           }});
      }
    }
  }
  static std::string_view bytes_of(std::span<const T> elements) {
    return {reinterpret_cast<const char*>(elements.data()), elements.size_bytes()};
  }

  void write_node(const GraphNode<T>& node) {
    std::vector<std::string> inputs;
    std::vector<NodeWriter::Shapes> shapes;
    for (const ValueId id : node.inputs) {
      inputs.push_back(names_[static_cast<std::size_t>(id)]);
      shapes.push_back(shapes_of(id));
    }
    NodeWriter writer(document_, node.name, std::move(inputs), std::move(shapes),
                      names_[static_cast<std::size_t>(node.output)]);
    try {
      TL_CHECK(write_operation(writer, *node.operation), "there is no ONNX writer for it");
    } catch (const Error& error) {
      fail("[", node.operation->name(), "] cannot be saved (node '", node.name, "'): ", error.what());
    }
    writer.finish();
  }

  const Graph<T>& graph_;
  Document document_;
  std::vector<std::string> names_;
  std::vector<bool> needed_;
  std::array<std::vector<Shape>, 2> shapes_;
  std::vector<LateInitializer> stored_;  ///< parameters and running statistics
  std::deque<Tensor<T>> plain_;          ///< constants
};

}  // namespace save_impl

/// What save does otherwise than by itself.
struct SaveOptions {
  /// Folds batch normalisations into the convolutions before them: fewer operations for programs that only
  /// infer, but a poorer start for whoever trains the network further.
  bool fold_batch_norm = false;
};

/// The bytes of an .onnx file, passed to `sink` piece by piece. Throws tl::Error for operations that ONNX
/// does not have.
template <std::floating_point T>
void write(const Graph<T>& graph, const LateInitializer::Sink& sink, const SaveOptions& options = {}) {
  const Graph<T> written = options.fold_batch_norm ? with_folded_batch_norm(graph) : graph;
  std::optional<save_impl::Writer<T>> writer;
  try {
    writer.emplace(written);
  } catch (const Error& error) {
    fail("[onnx] cannot save the network: ", error.what());
  }
  writer->write(sink);
}

/// The same in one string.
template <std::floating_point T>
std::string encode(const Graph<T>& graph, const SaveOptions& options = {}) {
  std::string bytes;
  write<T>(
      graph, [&bytes](std::string_view piece) { bytes += piece; }, options);
  return bytes;
}

/// Writes an .onnx file, whole or not at all.
template <std::floating_point T>
void save(const Graph<T>& graph, const std::filesystem::path& path, const SaveOptions& options = {}) {
  AtomicFile file(path);
  write<T>(
      graph, [&file](std::string_view piece) { file.write(piece); }, options);
  file.commit();
}
/// The same of a model, with its metadata.
template <std::floating_point T>
void save(const Model<T>& model, const std::filesystem::path& path, const SaveOptions& options = {}) {
  save(model.graph(), path, options);
}

TL_PRECOMPILED(void write<float>(const Graph<float>&, const LateInitializer::Sink&, const SaveOptions&))
TL_PRECOMPILED(void save<float>(const Graph<float>&, const std::filesystem::path&, const SaveOptions&))
TL_PRECOMPILED(void save<float>(const Model<float>&, const std::filesystem::path&, const SaveOptions&))

}  // namespace tl::onnx
