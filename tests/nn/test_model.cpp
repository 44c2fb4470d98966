// A traced module: the same bits as the module in inference and in every training step; models from threads.
#include <thread>
#include <vector>

#include <tl/models/resnet.hpp>
#include <tl/nn/model.hpp>
#include <tl/optim/sgd.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using V = Var<float>;

namespace {

/// A ResNet of four blocks of both kinds' making, for small images, with dropout before the last layer.
nn::ModulePtr<float> small_resnet(bool bottleneck) {
  const RandomScope scope(7, 0);
  const auto body = std::make_shared<models::ResNet<float>>(
      models::ResNetOptions{.blocks = {1, 1},
                            .channels = {8, 16},
                            .bottleneck = bottleneck,
                            .stem = bottleneck ? models::Stem::large_image : models::Stem::small_image,
                            .classes = 12});
  return nn::sequential<float>({body, std::make_shared<nn::Relu<float>>(),
                                std::make_shared<nn::Dropout<float>>(ops::Dropout{.25}),
                                std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = 12, .out = 5})});
}

Tensor<float> images(Index n = 6) { return hash_tensor<float>("images", {n, 3, 21, 17}); }

Tensor<std::int64_t> labels() { return Tensor<std::int64_t>::from({0, 1, 2, 3, 4, 0}, {6}); }

/// Everything that two steps of training leave: losses, gradients of the last, parameters, buffers.
std::vector<Tensor<float>> train_two_steps(nn::Module<float>& network) {
  std::vector<Tensor<float>> results;
  optim::Sgd<float> sgd({{.params = network.parameters(), .lr = .05}},
                        {.momentum = .9, .weight_decay = 1e-3});
  network.train();
  for (std::uint64_t step = 0; step < 2; ++step) {
    const RandomScope scope(3, step);
    sgd.zero_grad();
    const V loss = cross_entropy(network.forward(V(images())), labels());
    loss.backward();
    sgd.step();
    results.push_back(loss.value());
  }
  for (const auto& p : network.parameters()) results.push_back(p.var.grad());
  for (const auto& p : network.parameters()) results.push_back(p.var.value().clone());
  for (const auto& b : network.buffers()) results.push_back(b.var.value().clone());
  return results;
}

void check_same(const std::vector<Tensor<float>>& a, const std::vector<Tensor<float>>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO("tensor " << i);
    CHECK(a[i].defined() == b[i].defined());
    if (a[i].defined() && b[i].defined()) CHECK(same_bits(a[i], b[i]));
  }
}

}  // namespace

TEST_CASE("a traced module shares its parameters and keeps its names and mode") {
  const auto network = small_resnet(false);
  const auto model = nn::trace(*network, Tensor<float>::zeros({1, 3, 21, 17}));
  CHECK(network->is_training());
  REQUIRE(model->parameters().size() == network->parameters().size());
  for (const auto& p : network->parameters()) CHECK(model->parameter(p.name).same(p.var));
  CHECK(model->buffers().size() == network->buffers().size());
  const Shape example{1, 3, 21, 17};
  CHECK(model->graph().value(model->graph().inputs().front()).shape == example);
  CHECK(model->graph().infer(std::vector{Shape{9, 3, 40, 50}}).back() == Shape{9, 5});
}

TEST_CASE("a traced module gives the module's bits in inference") {
  for (const bool bottleneck : {false, true}) {
    const auto network = small_resnet(bottleneck);
    const auto model = nn::trace(*network, Tensor<float>::zeros({1, 3, 21, 17}));
    network->eval();
    const Tensor<float> want = network->forward(V(images())).value();
    model->eval();
    CHECK(relative_difference(model->predict(images()), want) < 1e-5);
    const NodeByNode exactly;
    CHECK(same_bits(model->predict(images()), want));
    CHECK(same_bits(model->forward(V(images())).value(), want));
  }
}

TEST_CASE("a traced module trains as the module does, bit for bit") {
  const NodeByNode exactly;
  const std::vector<std::string> frozen_parts{"", "0.conv1.*", "*.bn?.*", "0.layer1.*", "0.*"};
  for (const bool bottleneck : {false, true}) {
    for (const std::string& frozen : frozen_parts) {
      INFO((bottleneck ? "bottleneck" : "basic") << ", frozen: " << frozen);
      const auto network = small_resnet(bottleneck), copy = small_resnet(bottleneck);
      network->freeze(frozen);
      copy->freeze(frozen);
      const auto model = nn::trace(*copy, Tensor<float>::zeros({1, 3, 21, 17}));
      check_same(train_two_steps(*model), train_two_steps(*network));
    }
  }
}

TEST_CASE("a training step gives the same bits at any number of threads") {
  for (const bool bottleneck : {false, true}) {
    std::vector<Tensor<float>> one;
    for (const int threads : {1, 2, 3, 8}) {
      const ScopedThreads scope(threads);
      const auto network = small_resnet(bottleneck);
      std::vector<Tensor<float>> results = train_two_steps(*network);
      INFO(threads << " threads");
      if (threads == 1) {
        one = std::move(results);
      } else {
        check_same(results, one);
      }
    }
  }
}

TEST_CASE("a const model may run inference from several threads at once") {
  const auto network = small_resnet(false);
  const auto made = nn::trace(*network, Tensor<float>::zeros({1, 3, 21, 17}));
  const Model<float>& model = *made;
  const Tensor<float> x = images();
  std::vector<Tensor<float>> results(4);
  std::vector<std::thread> threads;
  for (Tensor<float>& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) result = model.predict(x);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Tensor<float>& result : results) CHECK(same_bits(result, model.predict(x)));
}

TEST_CASE("predict leaves the mode, the statistics and the tape alone") {
  const auto network = small_resnet(false);
  const auto model = nn::trace(*network, Tensor<float>::zeros({1, 3, 21, 17}));
  model->train();
  const auto before = model->buffers().front().var.value().version();
  model->predict(images());
  CHECK(model->is_training());
  CHECK(model->buffers().front().var.value().version() == before);
  CHECK(model->forward(V(images())).requires_grad());
}

TEST_CASE("the gradient of a batch does not depend on packed weights of an earlier value") {
  const auto network = small_resnet(false);
  network->eval();
  const Tensor<float> before = network->forward(V(images())).value();
  V weight = network->parameter("0.layer1.0.conv1.weight");
  const Tensor<float> kept = weight.value().clone();
  for (float *v = weight.mutable_value().mutable_data(), *end = v + kept.size(); v != end; ++v) *v = -*v;
  CHECK(!same_bits(network->forward(V(images())).value(), before));
  std::copy_n(kept.data(), kept.size(), weight.mutable_value().mutable_data());
  CHECK(same_bits(network->forward(V(images())).value(), before));
}

TEST_CASE("a model is edited through its graph") {
  const auto network = small_resnet(false);
  const auto model = nn::trace(*network, Tensor<float>::zeros({1, 3, 21, 17}));
  model->edit([](Graph<float>& graph) {
    const ValueId scale = graph.add_var("scale", ValueKind::parameter, V(Tensor<float>::full({5}, 2), true));
    graph.set_outputs({graph.add_node("scaled", ops::Mul{}, {graph.outputs().front(), scale})});
  });
  CHECK(model->parameter("scale").shape() == Shape{5});
  network->eval();
  const NodeByNode exactly;
  CHECK(same_bits(model->predict(images()), scale(network->forward(V(images())).value(), 2.0F)));
  model->metadata()["labels"] = "a b";
  CHECK(model->graph().metadata.at("labels") == "a b");
}

TEST_CASE("a model of several inputs says how to run it") {
  Graph<float> graph;
  const ValueId a = graph.add_input("a", {1}), b = graph.add_input("b", {1});
  graph.set_outputs({graph.add_node("sum", ops::Add{}, {a, b})});
  const Model<float> model(std::move(graph));
  CHECK_THROWS_WITH(
      model.predict(Tensor<float>::zeros({1})),
      "[model] expected a network with one input and one output, got 2 and 1: use graph().run()");
}
