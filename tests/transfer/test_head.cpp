// replace_head: networks of every kind of head get a new one; what stands before it is kept as it is.
#include <numeric>

#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/transfer/head.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;
using transfer::replace_head;
using V = Var<float>;

namespace {

const std::vector<std::string> animals{"cat", "dog", "owl"};

V weight(std::string_view name, const Shape& shape) { return V(hash_tensor<float>(name, shape), true); }

/// image (1,4,6,6), through a 1x1 convolution "body"; heads are added to `top`.
struct Body {
  Graph<float> graph;
  ValueId input, top;

  Body() {
    input = graph.add_input("image", {1, 4, 6, 6});
    top = graph.add_node("body", ops::Conv2d{}, {input, parameter("body.weight", {8, 4, 1, 1})});
  }
  ValueId parameter(std::string name, const Shape& shape) {
    return graph.add_var(name, ValueKind::parameter, weight(name, shape));
  }
  template <class Op>
  void add(std::string name, Op op, std::vector<ValueId> more = {}) {
    more.insert(more.begin(), top);
    top = graph.add_node(std::move(name), std::move(op), std::move(more));
  }
  Model<float> model() {
    graph.set_outputs({top});
    return Model<float>(graph);
  }
};

/// What the network computes before its head, and what the new head makes of that.
Tensor<float> by_hand(const Model<float>& model, const Tensor<float>& features) {
  return linear(V(features), model.parameter("head.weight"), model.parameter("head.bias")).value();
}

const Tensor<float> images = hash_tensor<float>("images", {3, 4, 6, 6});

Model<float> round_trip(const Model<float>& model) {
  return Model<float>(onnx::to_graph<float>(onnx::decode_model(onnx::encode(model.graph()), "model"), "."));
}

/// The features of a Body: its convolution's means over the image.
Tensor<float> means(const Model<float>& model) {
  const V body = conv2d(V(images), model.parameter("body.weight"), ops::Conv2d{});
  return flatten(global_average_pool2d(body)).value();
}

}  // namespace

TEST_CASE("a fully connected head is replaced; the layers below are shared, the old weights are gone") {
  const ModelPtr model = small_resnet(10);
  const Var<float> conv = model->parameter("conv1.weight");
  replace_head(*model, animals);
  CHECK(model->parameter("conv1.weight").same(conv));
  CHECK_THROWS(model->parameter("fc.weight"));
  CHECK_THROWS(model->parameter("fc.bias"));
  CHECK(model->parameter("head.weight").shape() == Shape{3, 16});
  CHECK(model->parameter("head.bias").shape() == Shape{3});
  CHECK(model->predict(Tensor<float>::ones({2, 3, 16, 16})).shape() == Shape{2, 3});
  CHECK(io::labels(model->metadata()) == animals);
  CHECK(model->graph().value(model->graph().outputs()[0]).name == "logits");
}

TEST_CASE("the new head reads what the old one read") {
  Body body;
  body.add("pool", ops::AdaptiveAveragePool2d{{1, 1}});
  body.add("flat", ops::Flatten{});
  body.add("fc", ops::Linear{}, {body.parameter("fc.weight", {5, 8}), body.parameter("fc.bias", {5})});
  body.add("softmax", ops::Softmax{});
  Model<float> model = body.model();
  replace_head(model, animals);
  CHECK(model.graph().nodes().size() == 4);  // the softmax is left out
  CHECK(same_bits(model.predict(images), by_hand(model, means(model))));
}

TEST_CASE("a convolutional head as SqueezeNet's is replaced by pooling and a fully connected layer") {
  Body body;
  body.add("classifier", ops::Conv2d{},
           {body.parameter("classifier.weight", {5, 8, 1, 1}), body.parameter("classifier.bias", {5})});
  body.add("relu", ops::Relu{});
  body.add("pool", ops::AdaptiveAveragePool2d{{1, 1}});
  body.add("flat", ops::Flatten{});
  Model<float> model = body.model();
  replace_head(model, animals);
  CHECK(model.parameters().size() == 3);
  CHECK(model.parameter("head.weight").shape() == Shape{3, 8});
  CHECK(same_bits(model.predict(images), by_hand(model, means(model))));
}

TEST_CASE("a grouped convolution reads all its channels") {
  Body body;
  body.add("grouped", ops::Conv2d{.groups = 4}, {body.parameter("grouped.weight", {12, 2, 1, 1})});
  body.add("pool", ops::AdaptiveAveragePool2d{{1, 1}});
  body.add("flat", ops::Flatten{});
  Model<float> model = body.model();
  replace_head(model, animals);
  CHECK(model.parameter("head.weight").shape() == Shape{3, 8});
  CHECK(model.predict(images).shape() == Shape{3, 3});
}

TEST_CASE("a head right behind the input, with weights that are not trained, is replaced too") {
  Graph<float> graph;
  const ValueId x = graph.add_input("x", {1, 4});
  const ValueId w = graph.add_var("w", ValueKind::constant, V(Tensor<float>::ones({5, 4})));
  graph.set_outputs({graph.add_node("fc", ops::Linear{}, {x, w})});
  Model<float> model(graph);
  replace_head(model, animals);
  CHECK(model.graph().find("w") == -1);
  CHECK(model.graph().value(model.graph().inputs()[0]).name == "x");
  const auto rows = hash_tensor<float>("rows", {2, 4});
  CHECK(same_bits(model.predict(rows), by_hand(model, rows)));
}

TEST_CASE("a head replaced again keeps its names and forgets the old weights") {
  const ModelPtr model = small_resnet(10);
  replace_head(*model, animals, 1);
  const std::size_t parameters = model->parameters().size();
  const Tensor<float> first = model->parameter("head.weight").value();
  replace_head(*model, {"day", "night"}, 1);
  CHECK(model->parameters().size() == parameters);
  CHECK(model->parameter("head.weight").shape() == Shape{2, 16});
  CHECK(io::labels(model->metadata()) == std::vector<std::string>{"day", "night"});
  replace_head(*model, animals, 1);
  CHECK(same_bits(model->parameter("head.weight").value(), first));
  replace_head(*model, animals, 2);
  CHECK(!same_bits(model->parameter("head.weight").value(), first));
}

TEST_CASE("a name that the body has taken is not taken again") {
  Body body;
  body.add("pool", ops::AdaptiveAveragePool2d{{1, 1}});
  body.add("flat", ops::Flatten{});
  body.add("inner", ops::Linear{}, {body.parameter("head.weight", {8, 8})});
  body.add("fc", ops::Linear{}, {body.parameter("fc.weight", {5, 8})});
  Model<float> model = body.model();
  replace_head(model, animals);
  CHECK(model.parameter("head.weight").shape() == Shape{8, 8});
  CHECK(model.parameter("head.weight_new").shape() == Shape{3, 8});
}

TEST_CASE("a new head is trained though the network is frozen, and begins small") {
  const ModelPtr model = small_resnet(10);
  model->freeze();
  replace_head(*model, animals);
  CHECK(std::ranges::count(trainable_of(*model), true) == 2);
  CHECK(model->parameter("head.weight").requires_grad());
  CHECK(largest_value(model->parameter("head.weight").value()) <= 0.25);  // 1 / sqrt(16)
  CHECK(largest_value(model->parameter("head.weight").value()) > 0.1);
  CHECK(largest_value(model->parameter("head.bias").value()) == 0);
}

TEST_CASE("a network with a new head goes through an .onnx file and back") {
  const ModelPtr model = small_resnet(10);
  replace_head(*model, animals);
  const std::string bytes = onnx::encode(model->graph());
  Model<float> again(onnx::to_graph<float>(onnx::decode_model(bytes, "model"), "."));
  CHECK(io::labels(again.metadata()) == animals);
  const auto x = hash_tensor<float>("x", {2, 3, 16, 16});
  CHECK(same_bits(again.predict(x), model->predict(x)));
  replace_head(again, {"day", "night"});
  CHECK(again.parameter("head.weight").shape() == Shape{2, 16});
  CHECK(again.predict(x).shape() == Shape{2, 2});
}

TEST_CASE("weights of a classifier become those of the head") {
  const ModelPtr model = small_resnet(10);
  replace_head(*model, animals);
  model->metadata()[io::reference_input_key] = "of other weights";
  const auto w = hash_tensor<float>("w", {3, 16}), b = hash_tensor<float>("b", {3});
  const auto x = hash_tensor<float>("x", {2, 3, 16, 16});
  const Tensor<float> before = model->predict(x);
  transfer::set_linear_head(*model, w, b);
  CHECK(same_bits(model->parameter("head.weight").value(), w));
  CHECK(same_bits(model->parameter("head.bias").value(), b));
  CHECK(!model->parameter("head.weight").value().shares_buffer(w));
  CHECK(relative_difference(model->predict(x), before) > 0.1);  // the plan has noticed
  CHECK(model->metadata().count(io::reference_input_key) == 0);

  CHECK_THROWS_WITH(transfer::set_linear_head(*model, hash_tensor<float>("w", {4, 16}), b),
                    contains("expected weight (3,16) and bias (3), got (4,16) and (3)"));
  CHECK_THROWS_WITH(transfer::set_linear_head(*model, w, w), contains("got (3,16) and (3,16)"));
  Body body;
  body.add("classifier", ops::Conv2d{}, {body.parameter("classifier.weight", {5, 8, 1, 1})});
  Model<float> convolution = body.model();
  CHECK_THROWS_WITH(transfer::set_linear_head(convolution, w, b), contains("call replace_head first"));
  CHECK(same_bits(model->parameter("head.weight").value(), w));
}

TEST_CASE("networks without a head that could be replaced are errors, and stay as they are") {
  Body none;
  none.top = none.input;
  none.add("relu", ops::Relu{});
  Model<float> no_weight = none.model();
  CHECK_THROWS_WITH(replace_head(no_weight, animals),
                    "[head] expected a fully connected or convolutional layer before the output, got none");

  Body sum;
  sum.add("twice", ops::Add{}, {sum.top});
  Model<float> two_inputs = sum.model();
  CHECK_THROWS_WITH(replace_head(two_inputs, animals),
                    contains("before the output, got [add] (node 'twice')"));

  Graph<float> graph;
  const ValueId x = graph.add_input("x", {1, 4}),
                w = graph.add_var("w", ValueKind::parameter, weight("w", {5, 4}));
  const ValueId scaled = graph.add_node("scale", ops::Mul{}, {w, w});
  graph.set_outputs({graph.add_node("fc", ops::Linear{}, {x, scaled})});
  Model<float> computed(graph);
  CHECK_THROWS_WITH(replace_head(computed, animals), contains("node 'fc', got a computed value"));

  graph.set_outputs({x, scaled});
  Model<float> two_outputs(graph);
  CHECK_THROWS_WITH(replace_head(two_outputs, animals), contains("a network with one output, got 2"));

  const ModelPtr model = small_resnet(10);
  CHECK_THROWS_WITH(replace_head(*model, {"alone"}), contains("at least two classes, got 1"));
  CHECK_THROWS_WITH(replace_head(*model, {"a", "b\nc"}), contains("names without line feeds"));
  CHECK(model->parameter("fc.weight").shape() == Shape{10, 16});
  CHECK(io::labels(model->metadata()).empty());
}

TEST_CASE("a wide head reads means and maxima of the last two stages") {
  const ModelPtr model = small_resnet(10);
  const Shape example{1, 3, 16, 16};
  const Graph<float>& whole = model->graph();
  // The values that are pooled: the last of the stages of 8 and of 16 channels.
  const ValueId last =
      whole.nodes()[static_cast<std::size_t>(whole.producer(transfer::find_head(whole).input)) - 1].inputs[0];
  const std::vector<Shape> shapes = whole.infer(std::span(&example, 1));
  REQUIRE(shapes[static_cast<std::size_t>(last)] == Shape{1, 16, 4, 4});
  const ValueId before = transfer::head_features_impl::maps_before(whole, last, shapes);
  REQUIRE(shapes[static_cast<std::size_t>(before)] == Shape{1, 8, 8, 8});
  const auto x = hash_tensor<float>("x", {2, 3, 16, 16});
  const V image(x);
  const std::vector<V> maps = whole.run_until(std::span(&image, 1), {}, std::vector<ValueId>{last, before});
  const V wide = concat({flatten(global_average_pool2d(maps[0])), flatten(global_max_pool2d(maps[0])),
                         flatten(global_average_pool2d(maps[1])), flatten(global_max_pool2d(maps[1]))},
                        1);
  REQUIRE(wide.shape() == Shape{2, 48});

  replace_head(*model, animals, 1, {.wide = true}, example);
  CHECK(model->parameter("head.weight").shape() == Shape{3, 48});
  const V expected = linear(wide, model->parameter("head.weight"), model->parameter("head.bias"));
  CHECK(relative_difference(model->predict(x), expected.value()) < 1e-5);

  const auto again = round_trip(*model);
  CHECK(relative_difference(again.predict(x), expected.value()) < 1e-5);
  replace_head(*model, animals, 1);
  CHECK(model->parameter("head.weight").shape() == Shape{3, 48});  // what the old head read
}

TEST_CASE("a mirrored head sees the same in an image and in its mirror image") {
  for (const bool wide : {false, true}) {
    CAPTURE(wide);
    const ModelPtr model = small_resnet(10);
    const std::size_t parameters = model->parameters().size();
    const auto x = hash_tensor<float>("x", {2, 3, 16, 16});
    std::vector<Index> backwards(16);
    std::iota(backwards.rbegin(), backwards.rend(), Index{0});
    const Tensor<float> mirrored = take(V(x), 3, backwards).value();
    const ModelPtr plain = small_resnet(10);
    replace_head(*plain, animals, 1, {.wide = wide}, {1, 3, 16, 16});
    replace_head(*model, animals, 1, {.wide = wide, .mirrored = true}, {1, 3, 16, 16});
    CHECK(model->parameters().size() == parameters);  // shared
    const Tensor<float> mean = (V(plain->predict(x)) + V(plain->predict(mirrored))).value();
    CHECK(relative_difference((V(model->predict(x)) * 2).value(), mean) < 1e-5);
    CHECK(relative_difference(model->predict(x), model->predict(mirrored)) < 1e-5);
    CHECK(relative_difference(round_trip(*model).predict(x), model->predict(x)) < 1e-5);
    CHECK(model->predict(hash_tensor<float>("other", {1, 3, 20, 24})).shape() == Shape{1, 3});
  }
}

TEST_CASE("a mirrored network is trained: gradients reach each parameter from both sides") {
  const auto network = [] {
    RandomScope weights(3, 0);
    Body body;
    body.add("conv", ops::Conv2d{}, {body.parameter("conv.weight", {4, 8, 3, 3})});
    body.add("pool", ops::AdaptiveAveragePool2d{{1, 1}});
    body.add("flat", ops::Flatten{});
    body.add("fc", ops::Linear{}, {body.parameter("fc.weight", {5, 4})});
    return body.model();
  };
  Model<float> model = network();
  replace_head(model, animals, 1, {.mirrored = true}, {1, 4, 6, 6});
  const V loss = cross_entropy(model.forward(images), Tensor<std::int64_t>::from({0, 1, 2}, {3}));
  loss.backward();
  V weight = model.parameter("conv.weight");
  const Tensor<float> gradient = weight.grad().clone();
  const float step = 1e-2F;
  for (const Index i : {Index{0}, Index{100}, Index{287}}) {
    float value = weight.value().data()[i];
    double losses[2];
    for (const int side : {0, 1}) {
      weight.mutable_value().mutable_data()[i] = value + (side == 0 ? -step : step);
      losses[side] = cross_entropy(model.forward(images), Tensor<std::int64_t>::from({0, 1, 2}, {3})).item();
    }
    weight.mutable_value().mutable_data()[i] = value;
    CHECK(gradient.data()[i] == Approx((losses[1] - losses[0]) / (2 * step)).margin(2e-4));
  }
}

TEST_CASE("a wide head of a network without maps is refused, and nothing is changed") {
  Graph<float> graph;
  const ValueId x = graph.add_input("x", {1, 4});
  const ValueId w = graph.add_var("w", ValueKind::parameter, V(Tensor<float>::ones({5, 4}), true));
  graph.set_outputs({graph.add_node("fc", ops::Linear{}, {x, w})});
  Model<float> model(graph);
  CHECK_THROWS_WITH(replace_head(model, animals, 0, {.wide = true}, {1, 4}), contains("comes from none"));
  CHECK(model.graph().find("w") >= 0);
  CHECK(io::labels(model.metadata()).empty());
}
