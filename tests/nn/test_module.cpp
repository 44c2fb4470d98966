// Module: names, training mode and freezing, which do not touch each other.
#include <vector>

#include <tl/nn/layers.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using V = Var<float>;

namespace {

/// conv-norm-relu, twice, and a head.
std::shared_ptr<nn::Sequential<float>> small_network() {
  const RandomScope scope(1, 0);
  const auto conv = [](Index in, Index out) {
    return std::make_shared<nn::Conv2d<float>>(
        nn::Conv2dOptions{.in = in, .out = out, .kernel = 3, .padding = 1});
  };
  const auto norm = [](Index channels) {
    return std::make_shared<nn::BatchNorm2d<float>>(nn::BatchNormOptions{.channels = channels});
  };
  const auto relu = std::make_shared<nn::Relu<float>>();
  return nn::sequential<float>(
      {nn::sequential<float>({conv(3, 8), norm(8), relu}), nn::sequential<float>({conv(8, 8), norm(8), relu}),
       std::make_shared<nn::AdaptiveAveragePool2d<float>>(), std::make_shared<nn::Flatten<float>>(),
       std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = 8, .out = 4})});
}

Tensor<float> images() { return hash_tensor<float>("images", {4, 3, 6, 6}); }

}  // namespace

TEST_CASE("globs match whole names") {
  CHECK(nn::glob_match("*", ""));
  CHECK(nn::glob_match("layer1.*", "layer1.0.conv1.weight"));
  CHECK(!nn::glob_match("layer1.*", "layer11.0"));
  CHECK(!nn::glob_match("layer1", "layer1.0"));
  CHECK(nn::glob_match("*.bias", "layer1.0.bn1.bias"));
  CHECK(!nn::glob_match("*.bias", "bias"));
  CHECK(nn::glob_match("layer?.*.conv?.weight", "layer4.1.conv2.weight"));
  CHECK(nn::glob_match("*a*b*", "xxaxxabx"));
  CHECK(!nn::glob_match("*a*b", "xxaxxabx"));
  CHECK(!nn::glob_match("", "x"));
  CHECK(nn::glob_match("", ""));
  CHECK(!nn::glob_match("?", ""));
}

TEST_CASE("parameters are found by name and frozen by glob") {
  const auto network = small_network();
  CHECK(network->parameters().size() == 8);
  CHECK(network->parameter("1.0.weight").shape() == Shape{8, 8, 3, 3});
  CHECK_THROWS_WITH(network->parameter("1.0.bias"),
                    "[module] expected the name of a parameter, got '1.0.bias'");
  CHECK(network->freeze("0.*") == 3);
  CHECK(!network->parameter("0.0.weight").requires_grad());
  CHECK(network->parameter("1.0.weight").requires_grad());
  CHECK(network->freeze() == 8);
  CHECK(network->unfreeze("*.weight") == 5);
  CHECK(network->freeze("no such layer") == 0);
  CHECK(!network->parameter("4.bias").requires_grad());
  CHECK(network->unfreeze("4.*") == 2);
  CHECK(network->parameter("4.bias").requires_grad());
}

TEST_CASE("a frozen batch normalisation stays in inference under train()") {
  const auto network = small_network();
  network->freeze("0.*");
  network->train();
  CHECK(network->is_training());
  const auto statistics = [&] {
    std::vector<Tensor<float>> all;
    for (const auto& b : network->buffers()) all.push_back(b.var.value().clone());
    return all;
  };
  const auto before = statistics();
  network->forward(V(images()));
  const auto after = statistics();
  CHECK(same_bits(before[0], after[0]));  // the frozen one's mean and variance
  CHECK(same_bits(before[1], after[1]));
  CHECK(!same_bits(before[2], after[2]));
  CHECK(!same_bits(before[3], after[3]));
  network->eval();
  network->forward(V(images()));
  CHECK(same_bits(after[2], statistics()[2]));
  network->unfreeze();
  CHECK(!network->is_training());  // the two switches do not touch each other
  network->train();
  network->forward(V(images()));
  CHECK(!same_bits(before[0], statistics()[0]));
}

TEST_CASE("a frozen prefix leaves no trace on the tape and no activations in memory") {
  const ScopedThreads one(1);  // another one would take its scratch memory when it first has something to do
  const auto network = small_network();
  const Tensor<float> x = hash_tensor<float>("x", {8, 3, 32, 32});
  const auto bytes_kept = [&] {
    const std::size_t before = MemoryPool::instance().bytes_in_use();
    const V y = network->forward(V(x));
    return MemoryPool::instance().bytes_in_use() - before;
  };
  network->forward(V(x));                                   // packs the weights
  const std::size_t map = 8 * 8 * 32 * 32 * sizeof(float);  // one activation of 8 channels
  const auto maps_kept = [&] { return static_cast<double>(bytes_kept()) / static_cast<double>(map); };
  // Of each block what the convolution gives, for the batch norm, and what relu gives, for relu and what
  // follows.
  CHECK(maps_kept() == Approx(4).epsilon(.01));
  network->freeze("0.*");
  CHECK(maps_kept() == Approx(3).epsilon(.01));  // of the first block its result only
  network->freeze("1.*");
  CHECK(maps_kept() < .01);
  V head = network->parameter("4.weight");
  sum(network->forward(V(x))).backward();
  CHECK(head.grad().defined());
  CHECK(!network->parameter("1.0.weight").grad().defined());
}

TEST_CASE("zero_grad clears every gradient") {
  const auto network = small_network();
  sum(network->forward(V(images()))).backward();
  for (const auto& p : network->parameters()) CHECK(p.var.grad().defined());
  network->zero_grad();
  for (const auto& p : network->parameters()) CHECK(!p.var.grad().defined());
}
