// Graph<T>: a network as data.
//
// Nodes are operations that turn named values into one named value; parameters, buffers and constants are
// values that the graph owns. The importer makes graphs, trace() makes them from modules, the exporter writes
// them. To run one goes through apply() as everything does, so that a graph trains like any module.
//
//   auto y = graph.run(x, {.training = true});     y.backward();
#pragma once

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <tl/autograd/var.hpp>

namespace tl {

/// What a value of a graph is.
enum class ValueKind {
  input,      ///< given by the caller of run()
  parameter,  ///< trained
  buffer,     ///< state that is not trained: running statistics
  constant,   ///< fixed by the network's definition
  result      ///< computed by a node
};

using ValueId = int;  ///< an index into Graph::values()

/// What nodes read and write.
template <class T>
struct GraphValue {
  std::string name;                    ///< as in the file or module
  ValueKind kind = ValueKind::result;  ///< where its contents come from
  Var<T> var{};                        ///< of parameters, buffers and constants
  Shape shape{};  ///< of inputs: the shape for one example, where known; otherwise of what `var` holds
};

/// One operation of a network.
template <class T>
struct GraphNode {
  std::string name;             ///< as in the file or module
  OperationPtr<T> operation;    ///< shared, never changed
  std::vector<ValueId> inputs;  ///< in the order of the operation's arguments
  ValueId output = -1;          ///< what it computes
};

/// A network as data: nodes in the order of execution, and the values between them.
template <class T>
class Graph {
 public:
  /// `shape` is for one example, where it is known; run() takes inputs in the order of these calls.
  ValueId add_input(std::string name, const Shape& shape) {
    inputs_.push_back(add_value({std::move(name), ValueKind::input, {}, shape}));
    return inputs_.back();
  }
  /// A parameter, buffer or constant. The graph shares the Var with the caller.
  ValueId add_var(std::string name, ValueKind kind, Var<T> var) {
    const Shape shape = var.shape();
    return add_value({std::move(name), kind, std::move(var), shape});
  }
  /// A node after its inputs; the name of its result defaults to the node's.
  ValueId add_node(std::string name, OperationPtr<T> operation, std::vector<ValueId> inputs,
                   std::string output_name = {}) {
    for (ValueId input : inputs) value(input);
    const ValueId output =
        add_value({output_name.empty() ? name : std::move(output_name), ValueKind::result, {}, {}});
    nodes_.push_back({std::move(name), std::move(operation), std::move(inputs), output});
    return output;
  }
  /// The same for an operation struct.
  template <class Op>
  requires requires { Op::name; }
  ValueId add_node(std::string name, Op operation, std::vector<ValueId> inputs,
                   std::string output_name = {}) {
    return add_node(std::move(name), make_operation<T>(std::move(operation)), std::move(inputs),
                    std::move(output_name));
  }
  /// What run() returns, in this order; throws for values that are not there.
  void set_outputs(std::vector<ValueId> outputs) {
    for (ValueId output : outputs) value(output);
    outputs_ = std::move(outputs);
  }

  const std::vector<GraphNode<T>>& nodes() const { return nodes_; }  ///< in the order of execution
  /// For passes that change a graph; inputs stay before their readers.
  std::vector<GraphNode<T>>& nodes() { return nodes_; }
  const std::vector<GraphValue<T>>& values() const { return values_; }  ///< of every kind, by ValueId
  /// Throws where there is no such value.
  const GraphValue<T>& value(ValueId id) const {
    TL_CHECK(id >= 0 && id < static_cast<ValueId>(values_.size()), "[graph] expected a value below ",
             values_.size(), ", got ", id);
    return values_[static_cast<std::size_t>(id)];
  }
  /// The same for writing.
  GraphValue<T>& value(ValueId id) { return const_cast<GraphValue<T>&>(std::as_const(*this).value(id)); }
  const std::vector<ValueId>& inputs() const { return inputs_; }    ///< in the order of run()
  const std::vector<ValueId>& outputs() const { return outputs_; }  ///< in the order of run()'s result

  /// The value of a name, or -1.
  ValueId find(std::string_view name) const {
    const auto it =
        std::find_if(values_.begin(), values_.end(), [&](const auto& v) { return v.name == name; });
    return it == values_.end() ? -1 : static_cast<ValueId>(it - values_.begin());
  }
  /// The index of the node that computes a value, or -1.
  int producer(ValueId id) const {
    const auto it = std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& n) { return n.output == id; });
    return it == nodes_.end() ? -1 : static_cast<int>(it - nodes_.begin());
  }

  /// For each value, whether a parameter that requires a gradient lies before it.
  std::vector<bool> trainable_values() const {
    std::vector<bool> trainable(values_.size(), false);
    for (std::size_t i = 0; i < values_.size(); ++i)
      trainable[i] = values_[i].kind == ValueKind::parameter && values_[i].var.requires_grad();
    for (const GraphNode<T>& node : nodes_) {
      trainable[static_cast<std::size_t>(node.output)] = std::any_of(
          node.inputs.begin(), node.inputs.end(),
          [&](ValueId input) { return static_cast<bool>(trainable[static_cast<std::size_t>(input)]); });
    }
    return trainable;
  }

  /// For each node, whether it runs in training mode when the graph does; see run().
  std::vector<bool> training_nodes() const {
    const std::vector<bool> trainable = trainable_values();
    std::vector<bool> before_trained(values_.size(), false), trains(nodes_.size());
    for (std::size_t n = nodes_.size(); n-- > 0;) {
      const auto output = static_cast<std::size_t>(nodes_[n].output);
      const Parameters own = parameters_of(nodes_[n]);
      trains[n] = own != Parameters::frozen && (trainable[output] || before_trained[output]);
      if (own == Parameters::trained || (own == Parameters::none && before_trained[output])) {
        for (ValueId id : nodes_[n].inputs) before_trained[static_cast<std::size_t>(id)] = true;
      }
    }
    return trains;
  }

  /// The outputs for given inputs. In training, a node runs as in inference when its own parameters are all
  /// frozen (a frozen BatchNorm), or when nothing before it is trained; but a dropout that only nodes without
  /// parameters separate from a trained one belongs to that one and drops.
  std::vector<Var<T>> run(std::span<const Var<T>> inputs, Mode mode) const {
    return run_until(inputs, mode, outputs_);
  }
  /// The values of the wanted ids; nodes after them are not run.
  std::vector<Var<T>> run_until(std::span<const Var<T>> inputs, Mode mode,
                                std::span<const ValueId> wanted) const {
    TL_CHECK(inputs.size() == inputs_.size(), "[graph] expected ", inputs_.size(), " inputs, got ",
             inputs.size());
    const std::vector<bool> trains =
        mode.training ? training_nodes() : std::vector<bool>(nodes_.size(), false);
    std::vector<int> readers = count_readers(wanted);
    std::vector<Var<T>> vars(values_.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) vars[static_cast<std::size_t>(inputs_[i])] = inputs[i];

    std::vector<Var<T>> arguments;
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      const GraphNode<T>& node = nodes_[n];
      const auto output = static_cast<std::size_t>(node.output);
      if (readers[output] == 0) continue;
      arguments.clear();
      for (ValueId id : node.inputs) {
        const auto i = static_cast<std::size_t>(id);
        arguments.push_back(values_[i].var.defined() ? values_[i].var : vars[i]);
        if (--readers[i] == 0) vars[i] = {};  // the last reader: its memory may be used again
      }
      try {
        vars[output] =
            apply<T>(node.operation, std::span<const Var<T>>(arguments), Mode{.training = trains[n]});
      } catch (const Error& error) {
        fail(error.what(), " (node '", node.name, "')");
      }
    }
    std::vector<Var<T>> results;
    for (ValueId id : wanted) {
      const GraphValue<T>& v = value(id);
      results.push_back(v.var.defined() ? v.var : vars[static_cast<std::size_t>(id)]);
    }
    return results;
  }

  /// Shapes of all values for given input shapes; checks every node.
  std::vector<Shape> infer(std::span<const Shape> inputs) const {
    TL_CHECK(inputs.size() == inputs_.size(), "[graph] expected ", inputs_.size(), " input shapes, got ",
             inputs.size());
    std::vector<Shape> shapes(values_.size());
    for (std::size_t i = 0; i < values_.size(); ++i) shapes[i] = values_[i].shape;
    for (std::size_t i = 0; i < inputs.size(); ++i) shapes[static_cast<std::size_t>(inputs_[i])] = inputs[i];
    std::vector<Shape> arguments;
    for (const GraphNode<T>& node : nodes_) {
      arguments.clear();
      for (ValueId id : node.inputs) arguments.push_back(shapes[static_cast<std::size_t>(id)]);
      try {
        shapes[static_cast<std::size_t>(node.output)] = node.operation->infer(arguments);
      } catch (const Error& error) {
        fail(error.what(), " (node '", node.name, "')");
      }
    }
    return shapes;
  }

  /// Whether the first axis of its inputs is a batch, of any extent; otherwise all extents are as declared.
  bool open_batch = true;
  /// Text that travels with the network: labels, preprocessing, origin.
  std::map<std::string, std::string> metadata;

 private:
  ValueId add_value(GraphValue<T> value) {
    values_.push_back(std::move(value));
    return static_cast<ValueId>(values_.size()) - 1;
  }

  /// What a node's own parameters say about it; buffers and constants do not count.
  enum class Parameters { none, frozen, trained };
  Parameters parameters_of(const GraphNode<T>& node) const {
    Parameters found = Parameters::none;
    for (ValueId id : node.inputs) {
      const GraphValue<T>& input = value(id);
      if (input.kind != ValueKind::parameter) continue;
      if (input.var.requires_grad()) return Parameters::trained;
      found = Parameters::frozen;
    }
    return found;
  }

  /// How often each value is read on the way to the wanted ones; 0 for those not needed.
  std::vector<int> count_readers(std::span<const ValueId> wanted) const {
    std::vector<int> readers(values_.size(), 0);
    for (ValueId id : wanted) ++readers[static_cast<std::size_t>(id)];
    for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
      if (readers[static_cast<std::size_t>(node->output)] == 0) continue;
      for (ValueId id : node->inputs) ++readers[static_cast<std::size_t>(id)];
    }
    return readers;
  }

  std::vector<GraphValue<T>> values_;
  std::vector<GraphNode<T>> nodes_;
  std::vector<ValueId> inputs_, outputs_;
};

}  // namespace tl
