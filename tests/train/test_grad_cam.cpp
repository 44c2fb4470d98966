// Grad-CAM: by hand, against the class activation map that it generalises, and that it leaves networks alone.
#include <tl/train/grad_cam.hpp>

#include <tl/nn/layers.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;
using train::GradCam;

namespace {

/// A 1x1 convolution that gives x and 5 - x, relu, and a fully connected layer on the flattened maps. Image
/// (1,1,2,2).
Graph<double> small_graph() {
  Graph<double> g;
  const auto parameter = [&](const std::string& name, std::initializer_list<double> values,
                             const Shape& shape) {
    return g.add_var(name, ValueKind::parameter, Var<double>(Tensor<double>::from(values, shape), true));
  };
  const ValueId x = g.add_input("x", {1, 1, 2, 2});
  const ValueId w = parameter("w", {1, -1}, {2, 1, 1, 1}), b = parameter("b", {0, 5}, {2});
  const ValueId maps = g.add_node("conv", ops::Conv2d{}, {x, w, b});
  const ValueId active = g.add_node("active", ops::Relu{}, {maps}, "maps");
  const ValueId flat = g.add_node("flat", ops::Flatten{}, {active});
  // Means of the gradients: class 0 has 1 and -1/2, class 1 has -1 and -1.
  const ValueId v = parameter("v", {1, 0, 2, 1, -1, -1, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1}, {2, 8});
  g.set_outputs({g.add_node("head", ops::Linear{}, {flat, v, parameter("c", {0, 0}, {2})})});
  return g;
}

const Tensor<double> one_to_four = Tensor<double>::from({1, 2, 3, 4}, {1, 1, 2, 2});

void check_values(const Tensor<double>& got, const std::vector<double>& want) {
  REQUIRE(static_cast<std::size_t>(got.size()) == want.size());
  for (std::size_t i = 0; i < want.size(); ++i) CHECK(got.data()[i] == Approx(want[i]).margin(1e-12));
}

/// Convolution, relu, global pooling and a fully connected layer, in double.
std::shared_ptr<Model<double>> pooled(Index side, Index stride) {
  const RandomScope scope(3, 0);
  const auto network = nn::sequential<double>(
      {std::make_shared<nn::Conv2d<double>>(
           nn::Conv2dOptions{.in = 3, .out = 6, .kernel = 3, .stride = stride, .padding = 1}),
       std::make_shared<nn::Relu<double>>(), std::make_shared<nn::AdaptiveAveragePool2d<double>>(),
       std::make_shared<nn::Flatten<double>>(),
       std::make_shared<nn::Dense<double>>(nn::DenseOptions{.in = 6, .out = 4})});
  return nn::trace<double>(*network, Tensor<double>::zeros({1, 3, side, side}));
}

}  // namespace

TEST_CASE("grad-cam by hand: means of the gradients, negative sums cut off, the largest being 1") {
  const GradCam<double> grad_cam(small_graph(), {1, 1, 2, 2});
  CHECK(grad_cam.layer() == "maps");
  // x - (5 - x) / 2 = -1, 1/2, 2, 7/2
  check_values(grad_cam(one_to_four, 0), {0, 0.5 / 3.5, 2 / 3.5, 1});
  check_values(grad_cam(one_to_four, 1), {0, 0, 0, 0});  // nothing speaks for it
}

TEST_CASE("grad-cam of a pooled network is its class activation map") {
  const auto model = pooled(8, 1);
  const Graph<double>& g = model->graph();
  const auto x = hash_tensor<double>("image", {1, 3, 8, 8});
  const GradCam<double> grad_cam(g, x.shape());
  const Var<double> input(x);
  const ValueId layer = g.find(grad_cam.layer());
  const Tensor<double> maps =
      g.run_until(std::span(&input, 1), {}, std::span(&layer, 1)).front().value().plain();
  const Tensor<double> weight = g.value(g.nodes().back().inputs[1]).var.value();
  REQUIRE(maps.shape() == Shape{1, 6, 8, 8});
  REQUIRE(weight.shape() == Shape{4, 6});
  for (Index label = 0; label < 4; ++label) {
    std::vector<double> cam(64, 0.0);
    for (Index c = 0; c < 6; ++c)
      for (Index i = 0; i < 64; ++i)
        cam[static_cast<std::size_t>(i)] += weight.at(label, c) * maps.data()[c * 64 + i];
    const double most = *std::max_element(cam.begin(), cam.end());
    REQUIRE(most > 0);
    for (double& value : cam) value = std::max(0.0, value) / most;
    check_values(grad_cam(x, label), cam);
  }
}

TEST_CASE("grad-cam is resized bilinearly to the image, between the centres of its pixels") {
  const auto model = pooled(4, 2);
  const auto x = hash_tensor<double>("image", {1, 3, 4, 4});
  const Tensor<double> map = GradCam<double>(model->graph(), x.shape())(x, 0);
  REQUIRE(map.shape() == Shape{4, 4});
  const auto mixed = [&](double row, double column) {
    const double a = map.at(0, 0), b = map.at(0, 3), c = map.at(3, 0), d = map.at(3, 3);
    return (1 - row) * ((1 - column) * a + column * b) + row * ((1 - column) * c + column * d);
  };
  const double shares[] = {0, 0.25, 0.75, 1};
  CHECK(largest_value(map) == Approx(1));
  for (Index y = 0; y < 4; ++y)
    for (Index i = 0; i < 4; ++i) CHECK(map.at(y, i) == Approx(mixed(shares[y], shares[i])).margin(1e-12));
}

TEST_CASE("grad-cam changes nothing of a network: weights, statistics, gradients, mode, what is frozen") {
  const ModelPtr model = small_resnet();
  const auto x = hash_tensor<float>("image", {1, 3, 16, 16}, 1, 0, Layout::channels_last);
  model->freeze("layer1.*");
  model->train();
  Var<float> first = model->parameters().front().var;
  first.set_grad(Tensor<float>::full(first.shape(), 2.F));
  const std::vector<Tensor<float>> before = state_of(*model);
  const std::vector<bool> trainable = trainable_of(*model);

  const GradCam<float> grad_cam(model->graph(), x.shape());
  const Tensor<float> map = grad_cam(x, 2);
  CHECK(same_bits(state_of(*model), before));
  CHECK(trainable_of(*model) == trainable);
  CHECK(model->is_training());
  for (const nn::Named<float>& p : model->parameters()) {
    if (p.var.same(first)) {
      CHECK(same_bits(p.var.grad(), Tensor<float>::full(first.shape(), 2.F)));
    } else {
      CHECK_FALSE(p.var.grad().defined());
    }
  }
  for (const float value : map.span()) CHECK((value >= 0 && value <= 1));
  CHECK(largest_value(map) > 0.5);

  model->freeze();  // nothing is trained: the map is the same
  CHECK(same_bits(GradCam<float>(model->graph(), x.shape())(x, 2), map));
  model->eval();
  CHECK(same_bits(grad_cam(x, 2), map));
}

TEST_CASE(
    "grad-cam looks at the last feature map of more than one pixel, at one that is named, and past a "
    "softmax") {
  const ModelPtr model = small_resnet();
  const Shape shape{1, 3, 16, 16};
  const auto x = hash_tensor<float>("image", shape);
  const Graph<float>& g = model->graph();
  const GradCam<float> last(g, shape);
  const GraphNode<float>& node = g.nodes()[static_cast<std::size_t>(g.producer(g.find(last.layer())))];
  CHECK(node.operation->get_if<ops::Relu>() != nullptr);
  CHECK(g.infer(std::span(&shape, 1))[static_cast<std::size_t>(node.output)].rank() == 4);
  CHECK(same_bits(GradCam<float>(g, shape, last.layer())(x, 1), last(x, 1)));
  CHECK(same_bits(GradCam<float>(g, shape, node.name)(x, 1), last(x, 1)));
  const std::string earlier = g.value(g.nodes()[0].output).name;
  CHECK_FALSE(same_bits(GradCam<float>(g, shape, earlier)(x, 1), last(x, 1)));

  Graph<float> with_softmax = g;
  with_softmax.set_outputs({with_softmax.add_node("p", ops::Softmax{1}, {g.outputs()[0]})});
  CHECK(same_bits(GradCam<float>(with_softmax, shape)(x, 1), last(x, 1)));
}

TEST_CASE("grad-cam: what it cannot look into is an error") {
  const Graph<double> g = small_graph();
  const Shape shape{1, 1, 2, 2};
  CHECK_THROWS_WITH(GradCam<double>(g, shape, "nothing"),
                    contains("[grad_cam] the network has no value or node 'nothing'"));
  CHECK_THROWS_WITH(GradCam<double>(g, shape, "head"),
                    contains("expected a feature map (N,C,h,w) as 'head', got (1,2)"));
  CHECK_THROWS_WITH(GradCam<double>(g, shape, "conv")(one_to_four, 2),
                    contains("expected a class below 2, got 2"));
  const GradCam<double> grad_cam(g, shape);
  CHECK_THROWS_WITH(grad_cam(one_to_four, -1), contains("expected a class below 2, got -1"));
  CHECK_THROWS_WITH(grad_cam(Tensor<double>::zeros({2, 1, 2, 2}), 0), contains("expected one image"));
  const NoGrad no_grad;
  CHECK_THROWS_WITH(grad_cam(one_to_four, 0), contains("outside the scope of a NoGrad"));
}

TEST_CASE("grad-cam: a network without a convolution of more than one pixel is refused") {
  Graph<double> g;
  const ValueId x = g.add_input("x", {1, 4});
  const ValueId w = g.add_var("w", ValueKind::parameter, Var<double>(Tensor<double>::zeros({2, 4}), true));
  const ValueId b = g.add_var("b", ValueKind::parameter, Var<double>(Tensor<double>::zeros({2}), true));
  g.set_outputs({g.add_node("head", ops::Linear{}, {x, w, b})});
  CHECK_THROWS_WITH(GradCam<double>(g, {1, 4}), contains("expected a network with a convolution"));
}
