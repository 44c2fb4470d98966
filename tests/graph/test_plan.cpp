// Plans: a network runs fused, gives the same values and gradients, and notices when a plan no longer holds.
#include <set>
#include <string>

#include <tl/graph/plan.hpp>
#include <tl/graph/subgraph.hpp>
#include <tl/models/resnet.hpp>
#include <tl/nn/model.hpp>

#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

namespace {

using V = Var<float>;
using ModelPtr = std::shared_ptr<Model<float>>;

ModelPtr small_resnet(bool bottleneck) {
  const RandomScope scope(1, 0);
  const models::ResNetOptions options{.channels = {32, 40, 48, 56}, .bottleneck = bottleneck, .classes = 10};
  const auto network = std::make_shared<models::ResNet<float>>(options);
  return nn::trace<float>(*network, Tensor<float>::zeros({1, 3, 40, 48}));
}

void freeze(const Model<float>& model, const std::string& except) {
  for (const nn::Named<float>& p : model.parameters()) {
    V var = p.var;
    var.set_requires_grad(p.name.starts_with(except));
  }
}

std::multiset<std::string> operations(const Graph<float>& graph) {
  std::multiset<std::string> names;
  for (const GraphNode<float>& node : graph.nodes()) names.insert(std::string(node.operation->name()));
  return names;
}

const Tensor<float>& image() {
  static const Tensor<float> x = hash_tensor<float>("x", {4, 3, 40, 48}).to(Layout::channels_last);
  return x;
}

/// One step forward and backward, node by node or by plan.
V train_on(Model<float>& model, bool by_plan) {
  const V x(image());
  const V y = by_plan      ? model.train(),
          model.forward(x) : model.graph().run(std::span<const V>(&x, 1), {.training = true}).front();
  y.backward(hash_tensor<float>("dy", y.shape()));
  return y;
}

Tensor<float> node_by_node(const Model<float>& model) {
  const NoGrad no_grad;
  const V x(image());
  return model.graph().run(std::span<const V>(&x, 1), {}).front().value();
}

}  // namespace

TEST_CASE("a network that trains by plan has the bits of one that trains node by node", "[plan]") {
  const bool bottleneck = GENERATE(false, true);
  const ModelPtr a = small_resnet(bottleneck), b = small_resnet(bottleneck);
  CHECK(operations(fused_for_training(a->graph())).count("relu") == 0);
  CHECK(operations(fused_for_training(a->graph())).count("add") == 0);
  CHECK(same_bits(train_on(*a, true).value(), train_on(*b, false).value()));
  for (std::size_t i = 0; i < a->parameters().size(); ++i) {
    const nn::Named<float> p = a->parameters()[i], q = b->parameters()[i];
    INFO(p.name);
    REQUIRE(p.var.grad().defined());
    CHECK(same_bits(p.var.grad(), q.var.grad()));
  }
  for (std::size_t i = 0; i < a->buffers().size(); ++i)
    CHECK(same_bits(a->buffers()[i].var.value(), b->buffers()[i].var.value()));
}

TEST_CASE("with frozen batch normalisations too", "[plan]") {
  const ModelPtr a = small_resnet(true), b = small_resnet(true);
  for (const ModelPtr& model : {a, b}) {
    for (const nn::Named<float>& p : model->parameters()) {
      V var = p.var;
      if (var.shape().rank() == 1 && !p.name.starts_with("fc")) var.set_requires_grad(false);
    }
  }
  CHECK(same_bits(train_on(*a, true).value(), train_on(*b, false).value()));
  for (std::size_t i = 0; i < a->parameters().size(); ++i) {
    const nn::Named<float> p = a->parameters()[i], q = b->parameters()[i];
    INFO(p.name);
    REQUIRE(p.var.grad().defined() == p.var.requires_grad());
    if (p.var.requires_grad()) CHECK(same_bits(p.var.grad(), q.var.grad()));
  }
}

TEST_CASE("what is frozen is folded, keeps its statistics, and comes back when it is thawed", "[plan]") {
  const ModelPtr a = small_resnet(false), b = small_resnet(false);
  freeze(*a, "fc");
  freeze(*b, "fc");
  CHECK(operations(fused_for_training(a->graph())).count("batch_norm") == 0);
  const std::vector<Tensor<float>> before = [&] {
    std::vector<Tensor<float>> values;
    for (const nn::Named<float>& buffer : a->buffers()) values.push_back(buffer.var.value().clone());
    return values;
  }();
  CHECK(relative_difference(train_on(*a, true).value(), train_on(*b, false).value()) < 2e-5);
  CHECK(relative_difference(a->parameter("fc.weight").grad(), b->parameter("fc.weight").grad()) < 2e-5);
  CHECK(!a->parameter("conv1.weight").grad().defined());
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(same_bits(a->buffers()[i].var.value(), before[i]));

  freeze(*a, "");
  freeze(*b, "");
  for (const ModelPtr& model : {a, b}) V(model->parameter("fc.weight")).zero_grad();
  CHECK(same_bits(train_on(*a, true).value(), train_on(*b, false).value()));
  CHECK(same_bits(a->parameter("conv1.weight").grad(), b->parameter("conv1.weight").grad()));
}

TEST_CASE("a plan is used again until something it folded changes", "[plan]") {
  const ModelPtr model = small_resnet(false);
  PlanCache<float> plans;
  const auto infer = [&] { return plans.for_inference(model->graph()); };
  const auto train = [&] { return plans.for_training(model->graph()); };
  const auto first = infer();
  CHECK(infer() == first);
  V weight = model->parameter("layer1.0.conv1.weight");
  weight.mutable_value().set(1.F, 0, 0, 0, 0);  // in place
  const auto second = infer();
  CHECK(second != first);
  weight.mutable_value() = weight.value().clone();  // another buffer
  CHECK(infer() != second);

  const auto all = train();
  weight.mutable_value().set(2.F, 0, 0, 0, 0);  // trained, so not folded
  CHECK(train() == all);
  freeze(*model, "fc");
  const auto head = train();
  CHECK(head != all);
  CHECK(train() == head);
  V(model->parameter("fc.weight")).mutable_value().set(1.F, 0, 0);
  CHECK(train() == head);
  weight.mutable_value().set(3.F, 0, 0, 0, 0);
  CHECK(train() != head);
}

TEST_CASE("predictions follow the weights", "[plan]") {
  const ModelPtr model = small_resnet(false);
  CHECK(relative_difference(model->predict(image()), node_by_node(*model)) < 2e-5);
  const Tensor<float> before = model->predict(image());
  train_on(*model, true);  // moves the running statistics
  CHECK(!same_bits(model->predict(image()), before));
  CHECK(relative_difference(model->predict(image()), node_by_node(*model)) < 2e-5);
  V(model->parameter("layer2.0.conv1.weight")).mutable_value() = hash_tensor<float>("w", {40, 32, 3, 3}, 0.1);
  CHECK(relative_difference(model->predict(image()), node_by_node(*model)) < 2e-5);
}

TEST_CASE("the gradient of an image passes through a frozen network", "[plan]") {
  const ModelPtr model = small_resnet(false);
  freeze(*model, "nothing");
  V x(image(), true);
  model->eval();
  model->forward(x).backward(Tensor<float>::ones({4, 10}));
  CHECK(largest_value(x.grad()) > 0);
}

TEST_CASE("a normalisation takes in no operand that repeats", "[plan]") {
  Graph<float> graph;
  const ValueId x = graph.add_input("x", {1, 4, 6, 6});
  const auto of_channels = [&](const std::string& name, ValueKind kind) {
    return graph.add_var(name, kind, V(hash_tensor<float>(name, {4}, 0.3, 1), kind == ValueKind::parameter));
  };
  const ValueId norm = graph.add_node(
      "norm", ops::BatchNorm{},
      {x, of_channels("gamma", ValueKind::parameter), of_channels("beta", ValueKind::parameter),
       of_channels("mean", ValueKind::buffer), of_channels("var", ValueKind::buffer)});
  const ValueId pooled = graph.add_node("pool", ops::AdaptiveAveragePool2d{{1, 1}}, {x});
  const ValueId sum = graph.add_node("sum", ops::Add{}, {norm, pooled});
  graph.set_outputs({graph.add_node("relu", ops::Relu{}, {sum})});
  CHECK(operations(fused_for_training(graph)) ==
        std::multiset<std::string>{"adaptive_average_pool2d", "add", "batch_norm", "relu"});
  const ValueId same = graph.add_node("twice", ops::Add{}, {norm, x});
  graph.set_outputs({graph.add_node("relu2", ops::Relu{}, {same})});
  CHECK(operations(fused_for_training(pruned(graph))) == std::multiset<std::string>{"fused_batch_norm"});
}

TEST_CASE("a batch in pieces has the bits of a batch at once", "[pieces]") {
  const ModelPtr model = small_resnet(true);
  const InPieces<float> network(fused(model->graph()));
  const NoGrad no_grad;
  // 40 images of 3 x 200 x 240: the first convolution makes some 60 MB of them.
  const V x(hash_tensor<float>("large", {40, 3, 200, 240}).to(Layout::channels_last));
  const Tensor<float> want = network.whole().run(std::span<const V>(&x, 1), {}).front().value();
  MemoryPool::instance().reset_peak();
  const std::size_t before = MemoryPool::instance().bytes_in_use();
  CHECK(same_bits(network.run(x).value(), want));
  CHECK(MemoryPool::instance().peak_bytes() - before < std::size_t{40} << 20);
  const V plain(x.value().plain());
  CHECK(same_bits(network.run(plain).value(), want));
}

TEST_CASE("what mixes images is not taken apart", "[pieces]") {
  Graph<float> graph;
  const ValueId x = graph.add_input("x", {1, 3, 64, 64});
  const ValueId w = graph.add_var("w", ValueKind::parameter, V(hash_tensor<float>("w", {64, 3, 3, 3})));
  const ValueId y = graph.add_node("conv", ops::Conv2d{.padding = {1, 1, 1, 1}}, {x, w});
  const ValueId mean = graph.add_node("mean", ops::Mean{{0}, true}, {y});
  graph.set_outputs({graph.add_node("centred", ops::Sub{}, {y, mean})});
  const InPieces<float> network(graph);
  const NoGrad no_grad;
  const V images(hash_tensor<float>("images", {60, 3, 64, 64}));  // 63 MB behind the convolution
  const Tensor<float> want = graph.run(std::span<const V>(&images, 1), {}).front().value();
  CHECK(same_bits(network.run(images).value(), want));
}
