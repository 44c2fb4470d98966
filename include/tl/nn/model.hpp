// Model<T>: a graph as a module. What the importer returns, and what every command of the `tl` program works
// on.
#pragma once

#include <tl/graph/plan.hpp>
#include <tl/graph/trace.hpp>
#include <tl/nn/module.hpp>

namespace tl {

/// A network of one input and one output with named parameters, and the text that travels with it. It runs by
/// a plan of fused operations (graph/plan.hpp), and gives what its graph gives to the precision of T.
template <class T>
class Model final : public nn::Module<T> {
 public:
  /// Its parameters and buffers are the graph's, under the graph's names.
  explicit Model(Graph<T> graph) : graph_(std::move(graph)) { refresh(); }

  Var<T> forward(const Var<T>& x) override { return run(x, {.training = this->is_training()}); }

  /// Inference without a tape; safe from several threads on a const model.
  Tensor<T> predict(const Tensor<T>& x) const {
    const NoGrad no_grad;
    return run(Var<T>(x), {}).value();
  }

  /// As it was imported or traced, not as it runs.
  const Graph<T>& graph() const { return graph_; }

  /// Changes the graph, then finds parameters and buffers anew.
  template <class Edit>
  void edit(const Edit& change) {
    change(graph_);
    refresh();
  }

  /// Text that travels with the network: labels, preprocessing, origin.
  std::map<std::string, std::string>& metadata() { return graph_.metadata; }
  /// The same for reading.
  const std::map<std::string, std::string>& metadata() const { return graph_.metadata; }

 private:
  Var<T> run(const Var<T>& x, Mode mode) const {
    TL_CHECK(graph_.inputs().size() == 1 && graph_.outputs().size() == 1,
             "[model] expected a network with one input and one output, got ", graph_.inputs().size(),
             " and ", graph_.outputs().size(), ": use graph().run()");
    const std::span<const Var<T>> inputs(&x, 1);
    // A plan gives no gradient of the image, and a trace is to see the network's own operations.
    const bool gradients = !NoGrad::active();
    if ((gradients && x.requires_grad()) || Observer<T>::current() != nullptr || NodeByNode::active())
      return graph_.run(inputs, mode).front();
    if (!gradients && !mode.training) return plans_.for_inference(graph_)->run(x);
    return plans_.for_training(graph_)->run(inputs, mode).front();
  }

  void refresh() {
    plans_.clear();
    this->clear_parameters();
    for (const GraphValue<T>& value : graph_.values()) {
      if (value.kind == ValueKind::parameter) this->share_parameter(value.name, value.var);
      if (value.kind == ValueKind::buffer) this->share_buffer(value.name, value.var);
    }
  }

  Graph<T> graph_;
  mutable PlanCache<T> plans_;
};

namespace nn {

/// The model of a module, sharing its parameters; `example` is one input, for example zeros({1,3,224,224}).
template <class T>
std::shared_ptr<Model<T>> trace(Module<T>& module, const Tensor<T>& example) {
  std::vector<TracedLeaf<T>> leaves;
  for (const Named<T>& p : module.parameters()) leaves.push_back({p.name, ValueKind::parameter, p.var});
  for (const Named<T>& b : module.buffers()) leaves.push_back({b.name, ValueKind::buffer, b.var});
  const bool was_training = module.is_training();
  module.eval();
  const std::function<Var<T>(const Var<T>&)> forward = [&](const Var<T>& x) { return module.forward(x); };
  auto model = std::make_shared<Model<T>>(tl::trace<T>(forward, example, leaves));
  module.train(was_training);
  return model;
}

}  // namespace nn

}  // namespace tl
