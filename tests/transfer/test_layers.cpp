// Layers of networks: what last:N counts, what freezing freezes, and rates by depth.
#include <set>

#include <tl/transfer/layers.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;

namespace {

std::vector<std::string> names_of(const std::vector<nn::Named<float>>& parameters) {
  std::vector<std::string> names;
  for (const nn::Named<float>& p : parameters) names.push_back(p.name);
  return names;
}

using Names = std::vector<std::string>;

/// Fully connected layers "0", "1", ... of one input and output each.
ModelPtr chain(std::size_t layers) {
  nn::Sequential<float> network;
  for (std::size_t i = 0; i < layers; ++i)
    network.push_back(std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = 1, .out = 1}));
  return nn::trace<float>(network, Tensor<float>::zeros({1, 1}));
}

}  // namespace

TEST_CASE("a ResNet's layers are its convolutions with their BatchNorms, and the head") {
  const auto model = nn::trace<float>(*models::resnet_small<float>(10), Tensor<float>::zeros({1, 3, 32, 32}));
  const std::vector<transfer::Layer<float>> layers = transfer::layers(*model);
  REQUIRE(layers.size() == 21);  // a stem, eight blocks of two, three shortcuts, fc
  CHECK(layers[0].name == "conv1.weight");
  CHECK(names_of(layers[0].parameters) == Names{"conv1.weight", "bn1.weight", "bn1.bias"});
  CHECK(layers[20].name == "fc.weight");
  CHECK(names_of(layers[20].parameters) == Names{"fc.weight", "fc.bias"});
  std::set<std::string> seen;
  for (const transfer::Layer<float>& layer : layers) {
    for (const std::string& name : names_of(layer.parameters)) CHECK(seen.insert(name).second);
    if (!layer.name.starts_with("fc")) CHECK(layer.parameters.size() == 3);
  }
  CHECK(seen.size() == model->parameters().size());
}

TEST_CASE("a weight used twice belongs to its first layer; what stands before the first weight is one too") {
  Graph<float> graph;
  const ValueId x = graph.add_input("x", {1, 2});
  const auto parameter = [&](std::string name, const Shape& shape) {
    return graph.add_var(std::move(name), ValueKind::parameter, Var<float>(Tensor<float>::ones(shape), true));
  };
  const ValueId scale = parameter("scale", {2}), weight = parameter("weight", {2, 2});
  const ValueId scaled = graph.add_node("mul", ops::Mul{}, {x, scale});
  const ValueId once = graph.add_node("one", ops::Linear{}, {scaled, weight});
  graph.set_outputs({graph.add_node("two", ops::Linear{}, {once, weight, parameter("bias", {2})})});
  const std::vector<transfer::Layer<float>> layers = transfer::layers(Model<float>(graph));
  REQUIRE(layers.size() == 2);
  CHECK(names_of(layers[0].parameters) == Names{"scale"});
  CHECK(names_of(layers[1].parameters) == Names{"weight", "bias"});
}

TEST_CASE("all layers but the last n are frozen, and what was frozen stays so") {
  const ModelPtr model = small_resnet();
  model->freeze("layer2.0.bn2.weight");
  transfer::freeze_all_but_last(*model, 3);
  const std::set<std::string> trained{"layer2.0.conv2.weight",
                                      "layer2.0.bn2.bias",
                                      "layer2.0.downsample.0.weight",
                                      "layer2.0.downsample.1.weight",
                                      "layer2.0.downsample.1.bias",
                                      "fc.weight",
                                      "fc.bias"};
  Index elements = 0;
  for (const nn::Named<float>& p : model->parameters()) {
    INFO(p.name);
    CHECK(p.var.requires_grad() == trained.contains(p.name));
    if (trained.contains(p.name)) elements += p.var.value().size();
  }
  CHECK(transfer::trainable_elements(*model) == elements);

  const ModelPtr all = small_resnet();
  transfer::freeze_all_but_last(*all, 1000);
  CHECK(std::ranges::count(trainable_of(*all), false) == 0);
  CHECK_THROWS_WITH(transfer::freeze_all_but_last(*all, 0), contains("at least one layer to train, got 0"));
}

TEST_CASE("freezing BatchNorms freezes nothing else") {
  const ModelPtr model = small_resnet();
  CHECK(transfer::freeze_batch_norm(*model) == 6);
  for (const nn::Named<float>& p : model->parameters()) {
    INFO(p.name);
    CHECK(p.var.requires_grad() == (p.var.shape().rank() > 1 || p.name == "fc.bias"));
  }
  CHECK(transfer::freeze_batch_norm(*chain(2)) == 0);
}

TEST_CASE("rates grow with depth: the earlier half below the head, the later half, the head") {
  const transfer::DepthRates rates{.head = 1, .later = 0.5, .earlier = 0.25};
  const std::vector<std::vector<double>> wanted{
      {1}, {0.25, 1}, {0.25, 0.5, 1}, {0.25, 0.25, 0.5, 1}, {0.25, 0.25, 0.5, 0.5, 1}};
  for (const std::vector<double>& of_layers : wanted) {
    std::map<std::string, double> rate_of;
    for (const auto& group : transfer::groups_by_depth(*chain(of_layers.size()), rates)) {
      for (const nn::Named<float>& p : group.params) {
        rate_of[p.name] = group.lr;
        CHECK(group.weight_decay == (p.name.ends_with("bias") ? 0 : -1));
      }
    }
    CHECK(rate_of.size() == 2 * of_layers.size());
    for (std::size_t i = 0; i < of_layers.size(); ++i) {
      INFO("layer " << i << " of " << of_layers.size());
      CHECK(rate_of[concat(i, ".weight")] == of_layers[i]);
      CHECK(rate_of[concat(i, ".bias")] == of_layers[i]);
    }
  }
}

TEST_CASE("stages are the head, then the layers that work at one size of image") {
  const auto model = nn::trace<float>(*models::resnet_small<float>(10), Tensor<float>::zeros({1, 3, 32, 32}));
  // fc; then, at 4, 8, 16 and 32 pixels, blocks of two with their shortcuts; the stem works at 32 pixels too.
  CHECK(transfer::stage_depths(*model, {1, 3, 32, 32}) == std::vector<Index>{1, 6, 11, 16, 21});
  CHECK(transfer::stage_depths(*small_resnet(), {1, 3, 16, 16}) == std::vector<Index>{1, 4, 7});
  CHECK(transfer::stage_depths(*pooled_network(), {1, 3, 16, 16}) == std::vector<Index>{1, 2});
  CHECK(transfer::stage_depths(*chain(3), {1, 1}) == std::vector<Index>{1, 3});
  CHECK(transfer::stage_depths(*chain(1), {1, 1}) == std::vector<Index>{1});
}

TEST_CASE("what is pooled to 1x1 in between, as squeeze-and-excitation is, makes no stage") {
  const RandomScope scope(5, 0);
  Graph<float> graph;
  const auto weight = [&](std::string name, const Shape& shape) {
    return graph.add_var(std::move(name), ValueKind::parameter, Var<float>(Tensor<float>::ones(shape), true));
  };
  const ValueId x = graph.add_input("x", {1, 3, 8, 8});
  const ValueId before = graph.add_node("before", ops::Conv2d{}, {x, weight("w1", {4, 3, 1, 1})});
  const ValueId pooled = graph.add_node("pool", ops::AdaptiveAveragePool2d{{1, 1}}, {before});
  const ValueId squeezed = graph.add_node("squeeze", ops::Conv2d{}, {pooled, weight("w2", {4, 4, 1, 1})});
  const ValueId scaled = graph.add_node("scale", ops::Mul{}, {before, squeezed});
  const ValueId after = graph.add_node("after", ops::Conv2d{}, {scaled, weight("w3", {4, 4, 1, 1})});
  const ValueId last = graph.add_node("flat", ops::Flatten{},
                                      {graph.add_node("pool2", ops::AdaptiveAveragePool2d{{1, 1}}, {after})});
  graph.set_outputs({graph.add_node("head", ops::Linear{}, {last, weight("w4", {2, 4})})});
  CHECK(transfer::stage_depths(Model<float>(graph), {1, 3, 8, 8}) == std::vector<Index>{1, 4});
}
