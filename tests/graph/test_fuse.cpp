// Fused networks give what the originals give, with fewer nodes, and leave the originals as they are.
#include <set>
#include <string>

#include <tl/graph/fuse.hpp>
#include <tl/models/resnet.hpp>
#include <tl/nn/model.hpp>

#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

namespace {

/// Batch normalisations with statistics of their own, so that folding has something to do.
template <class T>
void stir(Model<T>& model) {
  for (const auto& list : {model.parameters(), model.buffers()}) {
    for (nn::Named<T> p : list) {
      if (p.var.shape().rank() != 1) continue;
      const bool positive =
          p.name.find("mean") == std::string::npos && p.name.find("bias") == std::string::npos;
      p.var.mutable_value() = hash_tensor<T>(p.name, p.var.shape(), 0.3, positive ? 1.0 : 0.1);
    }
  }
}

std::multiset<std::string> operations(const Graph<double>& graph) {
  std::multiset<std::string> names;
  for (const GraphNode<double>& node : graph.nodes()) names.insert(std::string(node.operation->name()));
  return names;
}

/// conv(3 -> 4), then what `after` adds to it; fused, and compared with itself on two images.
struct Built {
  Graph<double> graph;
  ValueId x = -1, conv = -1;
  Built() {
    x = graph.add_input("x", {1, 3, 6, 6});
    const ValueId w = weight("w", {4, 3, 3, 3});
    conv = graph.add_node("conv", ops::Conv2d{.padding = {1, 1, 1, 1}}, {x, w});
  }
  ValueId weight(const std::string& name, const Shape& shape) {
    return graph.add_var(name, ValueKind::parameter, Var<double>(hash_tensor<double>(name, shape), true));
  }
  Graph<double> check(ValueId output) {
    graph.set_outputs({output});
    Graph<double> result = fused(graph);
    const Var<double> image(hash_tensor<double>("image", {2, 3, 6, 6}));
    const NoGrad no_grad;
    const auto want = graph.run(std::span<const Var<double>>(&image, 1), {}).front().value();
    const auto got = result.run(std::span<const Var<double>>(&image, 1), {}).front().value();
    CHECK(relative_difference(got, want) < 1e-13);
    return result;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("fused: a ResNet keeps its logits", "[fuse]", float, double) {
  using T = TestType;
  const RandomScope scope(1, 0);
  models::ResNetOptions options{.channels = {32, 40, 48, 56}, .classes = 10};
  options.bottleneck = GENERATE(false, true);
  const auto model =
      nn::trace<T>(*std::make_shared<models::ResNet<T>>(options), Tensor<T>::zeros({1, 3, 40, 48}));
  stir(*model);
  const Tensor<T> x = hash_tensor<T>("x", {2, 3, 40, 48}).to(Layout::channels_last);
  const Tensor<T> want = model->predict(x);

  const Model<T> light(fused(model->graph()));
  CHECK(relative_difference(light.predict(x), want) < (std::is_same_v<T, float> ? 2e-5 : 1e-13));
  for (const GraphNode<T>& node : light.graph().nodes()) {
    CAPTURE(node.name);
    const std::string name(node.operation->name());
    CHECK((name == "fused_conv2d" || name == "max_pool2d" || name == "adaptive_average_pool2d" ||
           name == "flatten" || name == "linear"));
  }
  CHECK(same_bits(want, model->predict(x)));  // the original is as it was
}

TEST_CASE("batch normalisation folded into parameters gives the same", "[fuse]") {
  const RandomScope scope(1, 0);
  models::ResNetOptions options{.channels = {8, 12, 16, 20}, .classes = 10};
  const auto model = nn::trace<double>(*std::make_shared<models::ResNet<double>>(options),
                                       Tensor<double>::zeros({1, 3, 40, 48}));
  stir(*model);
  const Model<double> folded(with_folded_batch_norm(model->graph()));
  const Tensor<double> x = hash_tensor<double>("x", {2, 3, 40, 48});
  CHECK(relative_difference(folded.predict(x), model->predict(x)) < 1e-12);
  CHECK(operations(folded.graph()).count("batch_norm") == 0);
  CHECK(folded.parameter("layer1.0.conv1.weight").requires_grad());
  CHECK(folded.parameter("layer1.0.conv1.bias").shape() == Shape{8});
  CHECK(folded.buffers().empty());
  CHECK(operations(model->graph()).count("batch_norm") == 20);  // the original is as it was
}

TEST_CASE("fused: what an activation may be", "[fuse]") {
  Built relu6;
  CHECK(operations(relu6.check(relu6.graph.add_node("clip", ops::Clip{0, 6}, {relu6.conv}))) ==
        std::multiset<std::string>{"fused_conv2d"});
  Built other;
  CHECK(operations(other.check(other.graph.add_node("clip", ops::Clip{-1, 1}, {other.conv}))) ==
        std::multiset<std::string>{"clip", "fused_conv2d"});
  Built twice;
  const ValueId first = twice.graph.add_node("first", ops::Relu{}, {twice.conv});
  CHECK(operations(twice.check(twice.graph.add_node("second", ops::Clip{0, 6}, {first}))) ==
        std::multiset<std::string>{"clip", "fused_conv2d"});
}

TEST_CASE("fused: a value that others read too stays", "[fuse]") {
  Built b;
  const ValueId y = b.graph.add_node("relu", ops::Relu{}, {b.conv});
  CHECK(operations(b.check(b.graph.add_node("add", ops::Add{}, {b.conv, y}))) ==
        std::multiset<std::string>{"add", "fused_conv2d", "relu"});
}

TEST_CASE("fused: additions", "[fuse]") {
  Built residual;  // of two convolutions the later one takes the other in
  const ValueId v = residual.weight("v", {4, 3, 1, 1});
  const ValueId other = residual.graph.add_node("other", ops::Conv2d{}, {residual.x, v});
  const ValueId sum = residual.graph.add_node("sum", ops::Add{}, {other, residual.conv});
  CHECK(operations(residual.check(residual.graph.add_node("relu", ops::Relu{}, {sum}))) ==
        std::multiset<std::string>{"fused_conv2d", "fused_conv2d"});

  Built repeated;  // an operand of one pixel
  const ValueId pooled = repeated.graph.add_node("pool", ops::AdaptiveAveragePool2d{{1, 1}}, {repeated.x});
  const ValueId u = repeated.weight("u", {4, 3, 1, 1});
  const ValueId pixel = repeated.graph.add_node("pixel", ops::Conv2d{}, {pooled, u});
  const ValueId wide = repeated.graph.add_node("wide", ops::Add{}, {repeated.conv, pixel});
  repeated.check(repeated.graph.add_node("relu", ops::Relu{}, {wide}));

  Built constant;
  const ValueId c = constant.weight("c", {4, 1, 1});
  CHECK(operations(constant.check(constant.graph.add_node("add", ops::Add{}, {constant.conv, c}))) ==
        std::multiset<std::string>{"add", "fused_conv2d"});
}

TEST_CASE("fused: a normalisation in front of a convolution, and weights that are computed", "[fuse]") {
  Built b;
  const ValueId gamma = b.weight("gamma", {4}), beta = b.weight("beta", {4});
  const ValueId mean = b.graph.add_var("mean", ValueKind::buffer, Var<double>(hash_tensor<double>("m", {4})));
  const ValueId var = b.graph.add_var("var", ValueKind::buffer, Var<double>(Tensor<double>::full({4}, 0.7)));
  const ValueId relu = b.graph.add_node("relu", ops::Relu{}, {b.conv});
  const ValueId norm = b.graph.add_node("norm", ops::BatchNorm{}, {relu, gamma, beta, mean, var});
  const ValueId w = b.graph.add_node("scaled", ops::Neg{}, {b.weight("w2", {2, 4, 1, 1})});
  CHECK(operations(b.check(b.graph.add_node("second", ops::Conv2d{}, {norm, w}))) ==
        std::multiset<std::string>{"batch_norm", "conv2d", "fused_conv2d", "neg"});
}

namespace {

/// 1x1 (3 -> 8), depthwise, 1x1 (8 -> 3): what MobileNets are made of.
struct Block {
  Graph<double> graph;
  ValueId x = -1, wide = -1, deep = -1;
  explicit Block(Index first_kernel = 1) {
    x = graph.add_input("x", {1, 3, 12, 10});
    wide = conv("wide", x, {8, 3, first_kernel, first_kernel}, {.padding = same(first_kernel)});
    wide = graph.add_node("relu6", ops::Clip{0, 6}, {wide});
    deep = conv("deep", wide, {8, 1, 3, 3}, {.padding = same(3), .groups = 8});
  }
  ValueId narrow() { return conv("narrow", deep, {3, 8, 1, 1}, {}); }
  static ops::Padding2 same(Index kernel) { return {kernel / 2, kernel / 2, kernel / 2, kernel / 2}; }
  ValueId conv(const std::string& name, ValueId from, const Shape& w, const ops::Conv2d& operation) {
    const ValueId weights =
        graph.add_var(name + ".w", ValueKind::parameter, Var<double>(hash_tensor<double>(name, w), true));
    return graph.add_node(name, operation, {from, weights});
  }
  std::multiset<std::string> fused_operations(ValueId output) {
    graph.set_outputs({output});
    const Graph<double> result = fused(graph);
    const NoGrad no_grad;
    for (const Shape& shape : {Shape{1, 3, 12, 10}, Shape{5, 3, 64, 48}}) {
      const Var<double> image(hash_tensor<double>("image", shape));
      const auto want = graph.run(std::span<const Var<double>>(&image, 1), {}).front().value();
      const auto got = result.run(std::span<const Var<double>>(&image, 1), {}).front().value();
      CHECK(relative_difference(got, want) < 1e-13);
    }
    return operations(result);
  }
};

}  // namespace

TEST_CASE("fused: convolutions around a depthwise one are joined", "[fuse]") {
  using Names = std::multiset<std::string>;
  Block plain;
  CHECK(plain.fused_operations(plain.narrow()) == Names{"separable_conv2d"});

  Block residual;
  CHECK(residual.fused_operations(residual.graph.add_node(
            "sum", ops::Add{}, {residual.narrow(), residual.x})) == Names{"separable_conv2d"});

  Block repeated;  // an operand of one pixel
  const ValueId pixel = repeated.graph.add_node("pool", ops::AdaptiveAveragePool2d{{1, 1}}, {repeated.x});
  CHECK(repeated.fused_operations(repeated.graph.add_node("sum", ops::Add{}, {repeated.narrow(), pixel})) ==
        Names{"adaptive_average_pool2d", "separable_conv2d"});

  Block row;  // one after the other
  const ValueId next = row.conv("next", row.narrow(), {3, 1, 3, 3}, {.padding = Block::same(3), .groups = 3});
  CHECK(row.fused_operations(row.conv("last", next, {5, 3, 1, 1}, {})) ==
        Names{"separable_conv2d", "separable_conv2d"});
}

TEST_CASE("fused: convolutions that stay apart", "[fuse]") {
  using Names = std::multiset<std::string>;
  Block winograd(3);  // packs its weights by the size of the image
  CHECK(winograd.fused_operations(winograd.narrow()) == Names{"fused_conv2d", "separable_conv2d"});

  Block wide;  // read twice
  const ValueId other = wide.conv("other", wide.wide, {3, 8, 1, 1}, {});
  CHECK(wide.fused_operations(wide.graph.add_node("concat", ops::Concat{1}, {wide.narrow(), other})) ==
        Names{"concat", "fused_conv2d", "fused_conv2d", "separable_conv2d"});

  Block deep;
  CHECK(deep.fused_operations(deep.graph.add_node("concat", ops::Concat{1}, {deep.narrow(), deep.deep})) ==
        Names{"concat", "fused_conv2d", "fused_conv2d", "fused_conv2d"});

  Block grouped;
  const ValueId groups = grouped.conv("groups", grouped.deep, {4, 4, 1, 1}, {.groups = 2});
  CHECK(grouped.fused_operations(groups) == Names{"fused_conv2d", "fused_conv2d", "fused_conv2d"});
}
