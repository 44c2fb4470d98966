// Comparisons, choices, reductions, look-ups and quantised weights by their ONNX names; arithmetic on an open
// batch; networks whose first axis is no batch; operators of the user's own.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "io/operator_results.hpp"

using namespace tl;
using namespace tl::test;

namespace {

Graph<double> read(const OnnxModel& model, const onnx::LoadOptions<double>& options = {}) {
  return onnx::to_graph<double>(onnx::decode_model(model.bytes(), "model"), ".", options);
}

void check_each(const Tensor<double>& y, const std::function<double(double)>& f) {
  const Tensor<double> x = image();
  check(y, image_shape, [&](Index n, Index c, Index i, Index j) { return f(x.at(n, c, i, j)); });
}

/// A comparison of the image with 0.25, made a number again.
void check_comparison(const std::string& type, const std::function<bool(double, double)>& f) {
  OnnxModel model(17);
  model.input("x", {0, 6, 5, 4}).output("y").weight("half", {1}, {0.25f});
  model.node(type, {"x", "half"}, {"c"});
  model.node("Not", {"c"}, {"n"});
  model.node("And", {"c", "c"}, {"a"}).node("Or", {"a", "n"}, {"o"}).node("And", {"a", "o"}, {"t"});
  model.node("Cast", {"t"}, {"y"}).with("to", 1);
  check_each(outcome(model, image()), [&](double v) { return f(v, 0.25) ? 1 : 0; });
}

/// A reduction of each channel's image.
void check_reduction(const std::string& type, const std::function<double(const std::vector<double>&)>& f) {
  const Tensor<double> x = image();
  for (const Index opset : {17, 20}) {
    const auto axes = [&](OnnxModel& m) {
      opset < 18 ? m.with("axes", std::vector<Index>{2, -1}) : m.integers("axes", {2, -1});
      m.with("keepdims", 1);
    };
    const std::vector<std::string> inputs =
        opset < 18 ? std::vector<std::string>{} : std::vector<std::string>{"axes"};
    check(result(type, inputs, axes, opset), {2, 6, 1, 1}, [&](Index n, Index c, Index, Index) {
      std::vector<double> values;
      for (Index k = 0; k < 20; ++k) values.push_back(x.at(n, c, k / 4, k % 4));
      return f(values);
    });
  }
}

}  // namespace

TEST_CASE("comparisons and choices by their ONNX names", "[operators]") {
  check_comparison("Greater", std::greater<double>());
  check_comparison("GreaterOrEqual", std::greater_equal<double>());
  check_comparison("Less", std::less<double>());
  check_comparison("LessOrEqual", std::less_equal<double>());
  check_comparison("Equal", std::equal_to<double>());

  const float infinity = std::numeric_limits<float>::infinity();
  OnnxModel model(17);
  model.input("x", {0, 6, 5, 4}).output("y").weight("limit", {}, {0.25f}).weight("masked", {}, {-infinity});
  model.node("Less", {"x", "limit"}, {"c"}).node("Where", {"c", "masked", "x"}, {"w"});
  model.node("Max", {"w", "limit", "x"}, {"y"});
  check_each(outcome(model, image()), [](double v) { return std::max(v, 0.25); });
}

TEST_CASE("activations with a choice in them, by their ONNX names", "[operators]") {
  check_each(result("Sign", {}), [](double v) { return v > 0 ? 1 : v < 0 ? -1 : 0; });
  check_each(result("Softsign", {}), [](double v) { return v / (1 + std::abs(v)); });
  check_each(result("Reciprocal", {}), [](double v) { return 1 / v; });
  check_each(result("ThresholdedRelu", {}, [](OnnxModel& m) { m.with("alpha", 0.5f); }),
             [](double v) { return v > 0.5 ? v : 0; });
  check_each(result("Shrink", {}, [](OnnxModel& m) { m.with("lambd", 0.5f).with("bias", 0.125f); }),
             [](double v) { return v < -0.5  ? v + 0.125
                                   : v > 0.5 ? v - 0.125
                                             : 0; });
  check_each(result("Celu", {}, [](OnnxModel& m) { m.with("alpha", 1.5f); }),
             [](double v) { return v > 0 ? v : 1.5 * std::expm1(v / 1.5); });
}

TEST_CASE("two values at a time, by their ONNX names", "[operators]") {
  const Tensor<double> x = image();
  const Tensor<float> w = hash_tensor<float>("w", {6, 1, 1}, 0.5, 0.25);
  const auto against_weight = [&](const std::string& type, const std::function<double(double, double)>& f) {
    check(result(type, {"w"},
                 [](OnnxModel& m) {
                   m.weight("w", {6, 1, 1});
                 }),
          image_shape, [&](Index n, Index c, Index i, Index j) {
            return f(x.at(n, c, i, j), static_cast<double>(w.at(c, 0, 0)));
          });
  };
  against_weight("Max", [](double a, double b) { return std::max(a, b); });
  against_weight("Min", [](double a, double b) { return std::min(a, b); });
  check(outcome(OnnxModel(17)
                    .input("x", {0, 6, 5, 4})
                    .output("y")
                    .weight("w", {6, 1, 1})
                    .node("Abs", {"x"}, {"a"})
                    .node("Pow", {"a", "w"}, {"y"}),
                x),
        image_shape, [&](Index n, Index c, Index i, Index j) {
          return std::pow(std::abs(x.at(n, c, i, j)), static_cast<double>(w.at(c, 0, 0)));
        });
}

TEST_CASE("reductions by their ONNX names", "[operators]") {
  const auto fold = [](const std::vector<double>& v, double start,
                       const std::function<double(double, double)>& f) {
    return std::accumulate(v.begin(), v.end(), start, f);
  };
  check_reduction("ReduceMax", [](const auto& v) { return *std::max_element(v.begin(), v.end()); });
  check_reduction("ReduceMin", [](const auto& v) { return *std::min_element(v.begin(), v.end()); });
  check_reduction("ReduceL1", [&](const auto& v) {
    return fold(v, 0, [](double s, double a) { return s + std::abs(a); });
  });
  check_reduction("ReduceL2", [&](const auto& v) {
    return std::sqrt(fold(v, 0, [](double s, double a) { return s + a * a; }));
  });
  check_reduction("ReduceSumSquare",
                  [&](const auto& v) { return fold(v, 0, [](double s, double a) { return s + a * a; }); });
  check_reduction("ReduceLogSumExp", [&](const auto& v) {
    return std::log(fold(v, 0, [](double s, double a) { return s + std::exp(a); }));
  });
  check(outcome(OnnxModel(17)
                    .input("x", {0, 6, 5, 4})
                    .output("y")
                    .node("Abs", {"x"}, {"a"})
                    .node("ReduceLogSum", {"a"}, {"y"})
                    .with("axes", std::vector<Index>{1}),
                image()),
        {2, 1, 5, 4}, [&](Index n, Index, Index i, Index j) {
          double sum = 0;
          for (Index c = 0; c < 6; ++c) sum += std::abs(image().at(n, c, i, j));
          return std::log(sum);
        });
}

TEST_CASE("rows of a weight are looked up by whole numbers given at run time", "[operators]") {
  OnnxModel model(17);
  model.input("words", {0, 3}, onnx::DataType::int64).output("y").weight("table", {5, 2});
  model.node("Gather", {"table", "words"}, {"y"});
  const Tensor<double> words = Tensor<double>::from({4, 0, 1, 1, 1, 3}, {2, 3});
  const Tensor<float> table = hash_tensor<float>("table", {5, 2}, 0.5, 0.25);
  const Tensor<double> y = outcome(model, words);
  REQUIRE(y.shape() == Shape{2, 3, 2});
  for (Index i = 0; i < 6; ++i) {
    for (Index k = 0; k < 2; ++k)
      CHECK(y.data()[2 * i + k] == static_cast<double>(table.at(static_cast<Index>(words.data()[i]), k)));
  }
  CHECK(read(model).values()[1].kind == ValueKind::parameter);
}

TEST_CASE("quantised weights become floating-point parameters under their names", "[operators]") {
  OnnxModel model(17);
  const std::vector<std::int8_t> quantised = {10, -20, 30, -40, 50, -60};
  model.input("x", {0, 3}).output("y").weight("scale", {2}, {0.5f, 0.25f});
  auto& initializers = model.proto().graph.initializers;
  initializers.push_back(model.document().tensor("w", onnx::DataType::int8, {3, 2}, quantised));
  initializers.push_back(
      model.document().tensor("zero", onnx::DataType::int8, {2}, std::vector<std::int8_t>{2, -4}));
  model.node("DequantizeLinear", {"w", "scale", "zero"}, {"d"}).node("MatMul", {"x", "d"}, {"y"});
  const Tensor<double> y = outcome(model, Tensor<double>::from({1, 10, 100}, {1, 3}));
  // (10 - 2) / 2, (-20 + 4) / 4;  (30 - 2) / 2, (-40 + 4) / 4;  (50 - 2) / 2, (-60 + 4) / 4
  CHECK(y.data()[0] == 4 + 140 + 2400);
  CHECK(y.data()[1] == -4 - 90 - 1400);
  const Graph<double> graph = read(model);
  CHECK(graph.value(graph.find("w")).kind == ValueKind::parameter);
}

TEST_CASE("arithmetic on an open batch is read where it stays affine", "[operators]") {
  // y = x reshaped to (N * 6 / 3, -1), and rows 0 to N * 6 - 1 of a list, which are all of them.
  const auto flattened = [](const std::string& factor_type, Index factor, Index divisor) {
    OnnxModel model(17);
    model.input("x", {0, 6})
        .output("y")
        .integer("zero", 0)
        .integer("factor", factor)
        .integer("divisor", divisor);
    model.integers("rest", {-1}).integers("first", {0});
    model.node("Shape", {"x"}, {"shape"}).node("Gather", {"shape", "zero"}, {"n"});
    model.node(factor_type, {"n", "factor"}, {"m"}).node("Div", {"m", "divisor"}, {"q"});
    model.node("Unsqueeze", {"q", "first"}, {"rows"})
        .node("Concat", {"rows", "rest"}, {"to"})
        .with("axis", 0);
    model.node("Reshape", {"x", "to"}, {"y"});
    return model.bytes();
  };
  const auto graph_of = [](const std::string& bytes) {
    return onnx::to_graph<double>(onnx::decode_model(bytes, "model"), ".");
  };
  const Tensor<double> x = hash_tensor<double>("x", {5, 6});
  CHECK(run(graph_of(flattened("Mul", 6, 3)), x).shape() == Shape{10, 3});
  CHECK_THROWS_WITH(graph_of(flattened("Mul", 3, 2)),
                    Catch::Contains("open extent"));  // exact for even N alone
  CHECK_THROWS_WITH(graph_of(flattened("Min", 2, 1)), Catch::Contains("open extent"));

  OnnxModel model(17);
  model.input("x", {0, 6})
      .output("y")
      .integers("flat", {-1})
      .integer("zero", 0)
      .integer("one", 1)
      .integer("six", 6);
  model.integers("last", {1}).node("Shape", {"x"}, {"shape"}).node("Gather", {"shape", "zero"}, {"n"});
  model.node("Range", {"zero", "n", "one"}, {"r"}).node("Mul", {"r", "six"}, {"starts"});
  model.node("Unsqueeze", {"starts", "last"}, {"column"}).node("Range", {"zero", "six", "one"}, {"row"});
  model.node("Add", {"column", "row"}, {"positions"}).node("Reshape", {"x", "flat"}, {"list"});
  model.node("Gather", {"list", "positions"}, {"y"});
  CHECK(same_bits(run(read(model), x), x));
}

TEST_CASE("a network whose first axis is no batch is read as declared", "[operators]") {
  OnnxModel model(17);
  model.input("a", {2, 3}).input("b", {3, 4}).output("y");
  model.node("MatMul", {"a", "b"}, {"p"}).node("Split", {"p"}, {"y", "z"}).with("axis", 0);
  const Graph<double> graph = read(model);
  CHECK_FALSE(graph.open_batch);
  CHECK(graph.value(graph.inputs()[0]).shape == Shape{2, 3});
  const std::vector<Var<double>> inputs{Var<double>(hash_tensor<double>("a", {2, 3})),
                                        Var<double>(hash_tensor<double>("b", {3, 4}))};
  const Tensor<double> y = graph.run(inputs, {}).front().value();
  CHECK(y.shape() == Shape{1, 4});
  const std::string saved = onnx::encode(graph);
  const Graph<double> again = onnx::to_graph<double>(onnx::decode_model(saved, "saved"), ".");
  CHECK(same_bits(again.run(inputs, {}).front().value(), y));

  OnnxModel open(17);  // the same with an open batch cannot be read
  open.input("a", {0, 3}).output("y").node("Split", {"a"}, {"y", "z"}).with("axis", 0);
  CHECK_THROWS_WITH(read(open), Catch::Contains("splitting along the batch"));
}

TEST_CASE("integer inputs that shapes depend on are given by value", "[operators]") {
  OnnxModel model(17);
  model.input("x", {1, 3}).input("shape", {2}, onnx::DataType::int64).output("y").output("twice");
  model.node("Expand", {"x", "shape"}, {"y"}).node("Add", {"shape", "shape"}, {"twice"});
  CHECK_THROWS_WITH(read(model), Catch::Contains("known at load time"));
  const Graph<double> graph =
      read(model, {.operators = {}, .whole_numbers = {{"shape", Tensor<std::int64_t>::from({4, 1}, {2})}}});
  REQUIRE(graph.inputs().size() == 1);
  const Var<double> x(Tensor<double>::from({1, 2, 3}, {1, 3}));
  const auto results = graph.run(std::span<const Var<double>>(&x, 1), {});
  CHECK(values_of(results[0].value()) == std::vector<double>{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3});
  CHECK(values_of(results[1].value()) == std::vector<double>{8, 2});
}

TEST_CASE("volumes are refused by name", "[operators]") {
  OnnxModel model(17);
  model.input("x", {0, 3, 4, 4, 4}).output("y").node("MaxPool", {"x"}, {"y"}).with("kernel_shape", {2, 2, 2});
  CHECK_THROWS_WITH(read(model), Catch::Contains("volumes (N,C,D,H,W) are not supported"));
}

TEST_CASE("a reader of the user's own for an operator", "[operators]") {
  OnnxModel model(17);
  model.input("x", {0, 6, 5, 4}).output("y").node("Swirl", {"x"}, {"y"}).with("strength", 2.0f);
  model.proto().graph.nodes.back().domain = "com.example";
  CHECK_THROWS_WITH(read(model), Catch::Contains("com.example"));

  // [custom_operator]
  onnx::LoadOptions<double> options;
  options.operators["com.example.Swirl"] = [](onnx::Node<double>& n) {  // y = strength x
    n.emit(ops::Mul{},
           {n.id(0, ValueKind::constant), n.number_constant(n.number("strength", 1), "strength")});
  };
  // [/custom_operator]
  const Tensor<double> y = run(read(model, options), image());
  check_each(y, [](double v) { return 2 * v; });
}
