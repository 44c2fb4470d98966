// EfficientNet-Lite0: its names, sizes and padding, and that everything is trained. That it computes what
// other runtimes do with real weights, tests/programs/test_real_data.cpp tells.
#include <set>
#include <string>

#include <tl/models/efficientnet.hpp>

#include "models/thread_checks.hpp"

using namespace tl;
using namespace tl::test;

namespace {

Shape conv_shape(Index extent, Index kernel, Index stride) {
  models::SameConv2d<float> conv({.in = 1, .out = 2, .kernel = kernel, .stride = stride});
  return conv.forward(Var<float>(Tensor<float>::zeros({1, 1, extent, extent + 1}))).shape();
}

}  // namespace

TEST_CASE("EfficientNet-Lite0 has the names and the number of parameters of timm's") {
  const RandomScope scope(1, 0);
  const auto network = models::efficientnet_lite0<float>();
  Index count = 0;
  std::set<std::string> names;
  for (const auto& p : network->parameters()) {
    count += p.var.value().size();
    names.insert(p.name);
  }
  CHECK(count == 4'652'008);
  CHECK(names.size() == 149);
  for (const char* name : {"conv_stem.weight", "bn1.bias", "blocks.0.0.conv_dw.weight",
                           "blocks.0.0.conv_pw.weight", "blocks.0.0.bn2.weight", "blocks.1.1.conv_pw.weight",
                           "blocks.5.3.conv_dw.weight", "blocks.6.0.conv_pwl.weight", "blocks.6.0.bn3.bias",
                           "conv_head.weight", "bn2.weight", "classifier.bias"}) {
    INFO(name);
    CHECK(names.count(name) == 1);
  }
  CHECK(network->parameter("blocks.5.0.conv_dw.weight").shape() == Shape{672, 1, 5, 5});
  CHECK(network->buffers().size() == 98);
}

TEST_CASE("padding is TensorFlow's: what is odd goes to the bottom and to the right") {
  CHECK(conv_shape(8, 3, 2) == Shape{1, 2, 4, 5});
  CHECK(conv_shape(7, 5, 2) == Shape{1, 2, 4, 4});
  CHECK(conv_shape(7, 5, 1) == Shape{1, 2, 7, 8});
  CHECK(conv_shape(1, 3, 2) == Shape{1, 2, 1, 1});
  models::SameConv2d<float> conv({.in = 1, .out = 1, .kernel = 3, .stride = 2});
  const Tensor<float> ones = Tensor<float>::ones({1, 1, 3, 3});
  for (auto& p : conv.parameters()) p.var.mutable_value() = ones;
  // Nothing above and left of the image, one row and one column of zeros below and right of it.
  const Var<float> even = conv.forward(Var<float>(Tensor<float>::ones({1, 1, 4, 4})));
  CHECK(values_of(even.value()) == std::vector<float>{9, 6, 6, 4});
  const Var<float> odd = conv.forward(Var<float>(Tensor<float>::ones({1, 1, 3, 3})));
  CHECK(values_of(odd.value()) == std::vector<float>{4, 4, 4, 4});
}

TEST_CASE("EfficientNet-Lite0 gives logits of its classes, and its gradient reaches every parameter") {
  const RandomScope scope(2, 0);
  const auto network = models::efficientnet_lite0<float>(10);
  const Var<float> x(nn::random_uniform<float>({2, 3, 64, 48}, 1, Rng(1)));
  const Var<float> logits = network->forward(x);
  REQUIRE(logits.shape() == Shape{2, 10});
  cross_entropy(logits, Tensor<std::int64_t>::from({1, 2}, {2})).backward();
  for (const auto& p : network->parameters()) {
    INFO(p.name);
    REQUIRE(p.var.grad().defined());
    CHECK(largest_value(p.var.grad()) > 0);
  }
}

TEST_CASE("EfficientNet-Lite0 gives the same bits at any number of threads") {
  const auto make = [] {
    const RandomScope scope(2, 0);
    return models::efficientnet_lite0<float>(3);
  };
  check_same_bits_at_any_thread_count(make, nn::random_uniform<float>({3, 3, 96, 80}, 1, Rng(1)));
}
