// Layers: shapes, names of their parameters, options, and gradients with respect to input and parameters.
#include <cmath>
#include <string>
#include <vector>

#include <tl/autograd/gradcheck.hpp>
#include <tl/models/resnet.hpp>
#include <tl/nn/layers.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using V = Var<double>;
using Layer = nn::ModulePtr<double>;

namespace {

template <class M, class... Options>
std::shared_ptr<M> make(const Options&... options) {
  const RandomScope scope(1, 0);
  return std::make_shared<M>(options...);
}

std::vector<std::string> names_of(const std::vector<nn::Named<double>>& named) {
  std::vector<std::string> names;
  for (const auto& n : named) names.push_back(n.name);
  return names;
}

Layer conv(Index in, Index out, Index stride = 1) {
  return make<nn::Conv2d<double>>(
      nn::Conv2dOptions{.in = in, .out = out, .kernel = 3, .stride = stride, .padding = 1});
}
Layer norm(Index channels) {
  return make<nn::BatchNorm2d<double>>(nn::BatchNormOptions{.channels = channels});
}
Layer dense(Index in, Index out) { return make<nn::Dense<double>>(nn::DenseOptions{.in = in, .out = out}); }

struct Case {
  std::string name;
  Layer layer;
  Shape input, output;
};

std::vector<Case> layers() {
  using ops::PoolWindow;
  const PoolWindow window{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}};
  const Shape image{3, 4, 7, 5};
  const nn::Conv2dOptions grouped{
      .in = 4, .out = 6, .kernel = 3, .stride = 2, .padding = 2, .dilation = 2, .groups = 2, .bias = true};
  return {
      {"dense", dense(7, 5), {3, 7}, {3, 5}},
      {"dense without bias",
       make<nn::Dense<double>>(nn::DenseOptions{.in = 7, .out = 5, .bias = false}),
       {3, 7},
       {3, 5}},
      {"conv2d", conv(4, 6), image, {3, 6, 7, 5}},
      {"conv2d in groups", make<nn::Conv2d<double>>(grouped), image, {3, 6, 4, 3}},
      {"batch_norm of images", norm(4), image, image},
      {"batch_norm of rows", norm(7), {5, 7}, {5, 7}},
      {"relu", make<nn::Relu<double>>(), image, image},
      {"leaky_relu", make<nn::LeakyRelu<double>>(ops::LeakyRelu{.1}), image, image},
      {"clip", make<nn::Clip<double>>(ops::Clip{-.5, .5}), image, image},
      {"sigmoid", make<nn::Sigmoid<double>>(), image, image},
      {"tanh", make<nn::Tanh<double>>(), image, image},
      {"silu", make<nn::Silu<double>>(), image, image},
      {"hard_swish", make<nn::HardSwish<double>>(), image, image},
      {"max_pool2d", make<nn::MaxPool2d<double>>(ops::MaxPool2d{window}), image, {3, 4, 4, 3}},
      {"average_pool2d", make<nn::AveragePool2d<double>>(ops::AveragePool2d{window}), image, {3, 4, 4, 3}},
      {"global average pooling", make<nn::AdaptiveAveragePool2d<double>>(), image, {3, 4, 1, 1}},
      {"flatten", make<nn::Flatten<double>>(), image, {3, 140}},
      {"sequential",
       nn::sequential<double>(
           {conv(4, 3), norm(3), make<nn::Silu<double>>(), make<nn::Flatten<double>>(), dense(105, 2)}),
       image,
       {3, 2}},
      {"residual", make<nn::Residual<double>>(nn::sequential<double>({conv(4, 4), norm(4)})), image, image},
      {"residual with shortcut",
       make<nn::Residual<double>>(conv(4, 6, 2), conv(4, 6, 2)),
       image,
       {3, 6, 4, 3}},
      {"basic block", make<models::ResNetBlock<double>>(4, 4, 1, false), image, image},
      {"bottleneck", make<models::ResNetBlock<double>>(4, 2, 2, true), image, {3, 8, 4, 3}},
  };
}

}  // namespace

TEST_CASE("every layer passes gradcheck for its input and its parameters, in training and in inference") {
  for (const Case& c : layers()) {
    std::vector<V> leaves{V(hash_tensor<double>(c.name, c.input), true)};
    for (const auto& p : c.layer->parameters()) {
      V parameter = p.var;  // away from the initial zeros and ones
      Tensor<double>& value = parameter.mutable_value();
      value = add(value, hash_tensor<double>(p.name, value.shape(), .125));
      leaves.push_back(parameter);
    }
    for (const bool training : {true, false}) {
      INFO(c.name << (training ? " in training" : " in inference"));
      c.layer->train(training);
      CHECK(c.layer->forward(leaves[0]).shape() == c.output);
      const GradcheckResult result = gradcheck([&] { return c.layer->forward(leaves[0]); }, leaves);
      INFO("error " << result.error << " of leaf " << result.worst_leaf);
      CHECK(result);
    }
  }
}

TEST_CASE("dropout and embedding layers pass gradcheck") {
  const auto dropout = make<nn::Dropout<double>>(ops::Dropout{.3});
  const V x(hash_tensor<double>("x", {4, 9}), true);
  CHECK(gradcheck(
      [&] {
        const RandomScope scope(1, 2);
        return dropout->forward(x);
      },
      {x}));

  const auto table = make<nn::Embedding<double>>(nn::EmbeddingOptions{.rows = 7, .width = 3});
  const auto indices = Tensor<std::int64_t>::from({6, 0, 6, 2}, {2, 2});
  CHECK(table->look_up(indices).shape() == Shape{2, 2, 3});
  CHECK(gradcheck([&] { return table->look_up(indices); }, {table->parameter("weight")}));
  CHECK(same_bits(table->forward(V(indices.cast<double>())).value(), table->look_up(indices).value()));
}

TEST_CASE("layers name their parameters and buffers as PyTorch does") {
  CHECK(names_of(dense(2, 3)->parameters()) == std::vector<std::string>{"weight", "bias"});
  CHECK(names_of(conv(2, 3)->parameters()) == std::vector<std::string>{"weight"});
  CHECK(names_of(norm(3)->parameters()) == std::vector<std::string>{"weight", "bias"});
  CHECK(names_of(norm(3)->buffers()) == std::vector<std::string>{"running_mean", "running_var"});
  const auto stack = nn::sequential<double>({conv(2, 3), norm(3), make<nn::Relu<double>>()});
  CHECK(names_of(stack->parameters()) == std::vector<std::string>{"0.weight", "1.weight", "1.bias"});
  CHECK(names_of(stack->buffers()) == std::vector<std::string>{"1.running_mean", "1.running_var"});
  CHECK(stack->size() == 3);
  const nn::Residual<double> residual(dense(2, 2), dense(2, 2));
  CHECK(names_of(residual.parameters()) ==
        std::vector<std::string>{"body.weight", "body.bias", "shortcut.weight", "shortcut.bias"});
  CHECK(conv(2, 3)->parameter("weight").shape() == Shape{3, 2, 3, 3});
  CHECK(dense(2, 3)->parameter("weight").shape() == Shape{3, 2});
}

TEST_CASE("dropout drops in training, and not in inference") {
  const auto dropout = make<nn::Dropout<double>>(ops::Dropout{.5});
  const V x(Tensor<double>::ones({100}));
  CHECK(!same_bits(dropout->forward(x).value(), x.value()));
  dropout->eval();
  CHECK(same_bits(dropout->forward(x).value(), x.value()));
}

TEST_CASE("layers that cannot be are refused") {
  CHECK_THROWS_WITH(dense(0, 3), "[dense] expected at least 1 input and output, got 0 and 3");
  CHECK_THROWS_WITH(
      make<nn::Conv2d<double>>(nn::Conv2dOptions{.in = 4, .out = 6, .groups = 4}),
      "[conv2d] expected in, out, kernel and groups of at least 1, groups dividing in and out, got "
      "4, 6, 1, 4");
  CHECK_THROWS_WITH(norm(0), "[batch_norm] expected at least 1 channel, got 0");
  CHECK_THROWS_WITH(make<nn::Embedding<double>>(nn::EmbeddingOptions{.rows = 3}),
                    "[embedding] expected at least 1 row and column, got 3 and 0");
  CHECK_THROWS_WITH(models::ResNet<double>({.blocks = {1, 1}, .channels = {8}}),
                    "[resnet] expected as many stages in blocks as in channels, got 2 and 1");
}

TEST_CASE("initial values: spreads, bounds, and the same for the same seed") {
  const auto conv_weight = make<nn::Conv2d<double>>(nn::Conv2dOptions{.in = 16, .out = 64, .kernel = 3})
                               ->parameter("weight")
                               .value();
  double squares = 0, sum = 0;
  for (double v : conv_weight.span()) {
    squares += v * v;
    sum += v;
  }
  const auto count = static_cast<double>(conv_weight.size());
  CHECK(squares / count == Approx(2. / (64 * 9)).epsilon(.05));  // Kaiming normal by fan-out
  CHECK(std::abs(sum / count) < 4 * std::sqrt(2. / (64 * 9) / count));

  const auto dense_weight = dense(50, 40)->parameter("weight").value();
  CHECK(largest_value(dense_weight) <= 1 / std::sqrt(50.));
  CHECK(largest_value(dense_weight) > .98 / std::sqrt(50.));
  const auto xavier = nn::xavier_uniform<double>({40, 50}, Rng(1));
  CHECK(largest_value(xavier) <= std::sqrt(6. / 90));
  CHECK(largest_value(xavier) > .98 * std::sqrt(6. / 90));
  CHECK(nn::fan_of({8, 3, 5, 5}).in == 75);
  CHECK(nn::fan_of({8, 3, 5, 5}).out == 200);
  CHECK_THROWS_WITH(nn::fan_of({8}), "[init] expected a weight (O,I,..), got (8)");

  const auto block = [](std::uint64_t seed) {
    const RandomScope scope(seed, 0);
    return models::ResNetBlock<double>(3, 4, 2, false).parameters();
  };
  const auto first = block(1), again = block(1), other = block(2);
  for (std::size_t i = 0; i < first.size(); ++i) {
    CHECK(same_bits(first[i].var.value(), again[i].var.value()));
    if (first[i].var.value().rank() == 4) CHECK(!same_bits(first[i].var.value(), other[i].var.value()));
  }
  CHECK(!same_bits(first[0].var.value().reshape({108}), first[3].var.value().reshape({144})));
}
