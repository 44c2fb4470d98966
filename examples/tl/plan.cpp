#include "plan.hpp"

#include <algorithm>
#include <map>

#include <tl/graph/fuse.hpp>
#include <tl/transfer/features.hpp>
#include <tl/transfer/layers.hpp>

namespace program {

namespace {

Index batch_norms_in(const tl::Graph<float>& graph) {
  return std::count_if(graph.nodes().begin(), graph.nodes().end(), [](const auto& node) {
    return node.operation->template get_if<tl::ops::BatchNorm>() != nullptr;
  });
}

/// The same weights, whose freezing does not freeze them in the original.
tl::Graph<float> with_own_switches(tl::Graph<float> graph) {
  for (tl::ValueId id = 0; id < static_cast<tl::ValueId>(graph.values().size()); ++id) {
    tl::Var<float>& var = graph.value(id).var;
    if (var.defined()) var = tl::Var<float>(var.value(), var.requires_grad());
  }
  return graph;
}

}  // namespace

TrainingPlan training_plan(const tl::Graph<float>& whole, const tl::transfer::Method& method,
                           const tl::Shape& example, bool freeze_batch_norm) {
  const tl::Model<float> model(with_own_switches(whole));
  const tl::Graph<float>& graph = model.graph();
  tl::transfer::freeze_for(model, method);
  if (freeze_batch_norm) tl::transfer::freeze_batch_norm(model);
  TrainingPlan plan;
  plan.method = tl::concat(method);
  plan.layers = static_cast<Index>(graph.nodes().size());
  plan.trained = tl::transfer::trainable_elements(model);
  const tl::ValueId cut = tl::transfer::frozen_cut(graph);
  plan.cut = graph.value(cut).name;
  plan.features = example;
  if (cut == graph.inputs()[0]) return plan;
  const tl::transfer::SplitModel<float> parts = tl::transfer::split_at(graph, cut, example);
  const tl::Graph<float>& frozen = parts.prefix->graph();
  const tl::Graph<float> run = tl::fused(frozen);
  plan.frozen_layers = static_cast<Index>(frozen.nodes().size());
  plan.tensors = static_cast<Index>(parts.prefix->parameters().size() + parts.prefix->buffers().size());
  plan.batch_norms = batch_norms_in(frozen);
  plan.batch_norms_left = batch_norms_in(run);
  std::map<std::string, Index> counts;
  for (const auto& node : run.nodes()) ++counts[std::string(node.operation->name())];
  plan.operations.assign(counts.begin(), counts.end());
  plan.features = parts.rest->graph().value(parts.rest->graph().inputs()[0]).shape;
  return plan;
}

std::vector<std::pair<std::string, std::string>> lines_of(const TrainingPlan& plan) {
  const std::pair<std::string, std::string> trained{"trained", grouped(plan.trained) + " parameters"};
  if (plan.frozen_layers == 0)
    return {{"frozen part", "none: photos go through the whole network in every epoch"}, trained};
  std::string operations;
  for (const auto& [name, count] : plan.operations)
    operations += (operations.empty() ? "" : ", ") + grouped(count) + " " + name;
  return {{"frozen part",
           tl::concat(plan.frozen_layers, " of ", counted(plan.layers, "layer"), " with ",
                      counted(plan.tensors, "tensor"), "; nothing of it is recorded or kept for gradients")},
          {"it runs as", tl::concat(operations, "; ", plan.batch_norms - plan.batch_norms_left, " of ",
                                    counted(plan.batch_norms, "BatchNorm"), " folded")},
          {"its features",
           tl::concat(printable(plan.cut), ' ', plan.features, ", ",
                      grouped(plan.features.size() * static_cast<Index>(sizeof(float))), " bytes a photo")},
          trained};
}

void print(const TrainingPlan& plan) {
  constexpr std::size_t width = 15;
  std::cout << "\nplan of tl finetune --method " << plan.method << '\n';
  for (const auto& [name, text] : lines_of(plan))
    std::cout << name << std::string(width - name.size(), ' ') << text << '\n';
}

Json to_json(const TrainingPlan& plan) {
  Json operations = Json::object();
  for (const auto& [name, count] : plan.operations) operations[name] = count;
  return {{"method", plan.method},
          {"frozen_layers", plan.frozen_layers},
          {"frozen_tensors", plan.tensors},
          {"operations", std::move(operations)},
          {"batch_norms_folded", plan.batch_norms - plan.batch_norms_left},
          {"features", plan.cut},
          {"features_shape", to_json(plan.features)},
          {"trained_parameters", plan.trained}};
}

}  // namespace program
