// What a ResNet consists of, stage by stage, and what its shortcuts do to gradients.
//
//   block   y = relu(F(x) + x)    dL/dx = (I + dF/dx)^T dL/dy   (where relu lets it through)
//   layer   parameters O I k k, multiply-adds O I k k H W of its output
//
// Source: He et al. 2015, https://arxiv.org/abs/1512.03385. First argument: an .onnx file of a ResNet.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <tl/tl.hpp>

#include "pretrained.hpp"

namespace {

using tl::Index;
using tl::Tensor;

struct Stage {
  std::string name;
  tl::Shape output{};
  Index layers = 0, parameters = 0, multiply_adds = 0;
};

/// One entry for each first part of the parameters' names: conv1, layer1, ..., fc.
std::vector<Stage> stages(const tl::Graph<float>& graph, const tl::Shape& image) {
  const std::vector<tl::Shape> shapes = graph.infer(std::span(&image, 1));
  std::vector<Stage> result;
  for (const auto& node : graph.nodes()) {
    for (const tl::ValueId id : node.inputs) {
      const auto& value = graph.value(id);
      if (value.kind != tl::ValueKind::parameter) continue;
      const std::string name = value.name.substr(0, value.name.find('.'));
      const bool is_norm = name.starts_with("bn");  // of the stem
      if (!is_norm && (result.empty() || result.back().name != name)) result.push_back({name});
      Stage& stage = result.back();
      stage.output = shapes[static_cast<std::size_t>(node.output)];
      stage.parameters += value.shape.size();
      if (value.shape.rank() == 1) continue;
      const Index places = stage.output.rank() == 4 ? stage.output[2] * stage.output[3] : 1;
      ++stage.layers;
      stage.multiply_adds += value.shape.size() * places;
    }
  }
  return result;
}

void show_stages(const tl::Graph<float>& graph) {
  std::puts("stage     output            layers  parameters  million multiply-adds");
  Stage sum{"in all"};
  for (const Stage& s : stages(graph, {1, 3, 64, 64})) {
    std::printf("%-8s  %-16s  %6lld  %10lld  %21.1f\n", s.name.c_str(), tl::concat(s.output).c_str(),
                static_cast<long long>(s.layers), static_cast<long long>(s.parameters),
                static_cast<double>(s.multiply_adds) / 1e6);
    sum.layers += s.layers;
    sum.parameters += s.parameters;
    sum.multiply_adds += s.multiply_adds;
  }
  std::printf("%-26s  %6lld  %10lld  %21.1f\n\n", sum.name.c_str(), static_cast<long long>(sum.layers),
              static_cast<long long>(sum.parameters), static_cast<double>(sum.multiply_adds) / 1e6);
}

enum class Kind { plain, plain_norm, residual };

/// `blocks` blocks of two convolutions of 16 channels, then a classifier of four classes.
std::shared_ptr<tl::nn::Sequential<float>> tower(Kind kind, int blocks) {
  const auto unit = [kind](tl::nn::Sequential<float>& to) {
    to.push_back(std::make_shared<tl::nn::Conv2d<>>(
        tl::nn::Conv2dOptions{.in = 16, .out = 16, .kernel = 3, .padding = 1}));
    if (kind != Kind::plain)
      to.push_back(std::make_shared<tl::nn::BatchNorm2d<>>(tl::nn::BatchNormOptions{16}));
  };
  auto all = std::make_shared<tl::nn::Sequential<float>>();
  for (int i = 0; i < blocks; ++i) {
    auto body = std::make_shared<tl::nn::Sequential<float>>();
    unit(*body);
    body->push_back(std::make_shared<tl::nn::Relu<>>());
    unit(*body);
    if (kind == Kind::residual) {
      all->push_back(std::make_shared<tl::nn::Residual<>>(body));
    } else {
      body->push_back(std::make_shared<tl::nn::Relu<>>());
      all->push_back(body);
    }
  }
  all->push_back(std::make_shared<tl::nn::AdaptiveAveragePool2d<>>());
  all->push_back(std::make_shared<tl::nn::Flatten<>>());
  all->push_back(std::make_shared<tl::nn::Dense<>>(tl::nn::DenseOptions{.in = 16, .out = 4}));
  return all;
}

double norm(const Tensor<float>& x) {
  double squares = 0;
  for (const float v : x.span()) squares += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(squares);
}

struct Told {
  double first = 0, ratio = 0, loss = 0;
};

/// The gradient of the first convolution's weights, alone and over that of the last one's; and the loss after
/// 40 steps.
Told learn(Kind kind, int blocks) {
  const tl::RandomScope random(1, 0);
  const auto model = tower(kind, blocks);
  // Four classes of noise: each has its own mean image.
  const Index n = 32;
  const Tensor<float> means = tl::nn::random_normal<float>({4, 16, 8, 8}, 0.5, tl::Rng(7));
  Tensor<float> images = tl::nn::random_normal<float>({n, 16, 8, 8}, 1, tl::Rng(8));
  std::vector<std::int64_t> classes;
  for (Index i = 0; i < n; ++i) {
    classes.push_back(i % 4);
    float* image = images.mutable_data() + i * 1024;
    for (Index j = 0; j < 1024; ++j) image[j] += means.data()[i % 4 * 1024 + j];
  }
  const auto labels = Tensor<std::int64_t>::from(classes, {n});
  const tl::Var<float> x = images.to(tl::Layout::channels_last);
  std::vector<tl::Var<float>> convolutions;
  for (const auto& p : model->parameters())
    if (p.var.shape().rank() == 4) convolutions.push_back(p.var);

  Told told;
  tl::optim::Sgd<float> sgd({{.params = model->parameters(), .lr = 0.02}});
  for (int step = 0; step < 40; ++step) {
    const auto loss = tl::cross_entropy(model->forward(x), labels);
    loss.backward();
    if (step == 0) {
      told.first = norm(convolutions.front().grad());
      told.ratio = told.first / norm(convolutions.back().grad());
    }
    told.loss = static_cast<double>(loss.item());
    sgd.step();
    sgd.zero_grad();
  }
  return told;
}

}  // namespace

int main(int argc, char** argv) try {
  show_stages(tl::onnx::load<float>(course::pretrained(argc, argv)).graph());

  std::puts(
      "blocks   kind of block                  gradient: first layer  first over last   loss, 40 steps");
  const char* const names[] = {"two convolutions", "the same, normalised", "the same, with shortcut"};
  for (const int blocks : {2, 8, 24}) {
    for (const Kind kind : {Kind::plain, Kind::plain_norm, Kind::residual}) {
      const Told told = learn(kind, blocks);
      std::printf("%6d   %-28s  %22.2g  %15.2g  %16.2g\n", blocks, names[static_cast<int>(kind)], told.first,
                  told.ratio, told.loss);
    }
  }
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
