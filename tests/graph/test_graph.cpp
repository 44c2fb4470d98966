// Graphs built by hand: running, parts of them, what runs in training mode, errors with the node's name.
#include <thread>
#include <vector>

#include <tl/autograd/functions.hpp>
#include <tl/graph/graph.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using V = Var<float>;

namespace {

/// y = relu(x w^T) * scale, then the softmax of y.
struct Example {
  Graph<float> graph;
  V weight{hash_tensor<float>("weight", {4, 3}), true};
  ValueId x, hidden, product, scaled, result;

  Example() {
    x = graph.add_input("x", {1, 3});
    const ValueId w = graph.add_var("fc.weight", ValueKind::parameter, weight);
    const ValueId two = graph.add_var("two", ValueKind::constant, V(Tensor<float>::scalar(2)));
    hidden = graph.add_node("fc", ops::Linear{}, {x, w});
    product = graph.add_node("relu", ops::Relu{}, {hidden});
    scaled = graph.add_node("scale", ops::Mul{}, {product, two}, "scaled");
    result = graph.add_node("softmax", ops::Softmax{}, {scaled});
    graph.set_outputs({result});
  }
};

std::vector<V> one(const Tensor<float>& x) { return {V(x)}; }

}  // namespace

TEST_CASE("a graph computes what its operations compute") {
  const Example e;
  const auto x = hash_tensor<float>("x", {5, 3});
  const V y = e.graph.run(one(x), {}).front();
  const V want = softmax(relu(linear(V(x), e.weight)) * 2);
  CHECK(same_bits(y.value(), want.value()));

  sum(y * y).backward();
  const Tensor<float> from_graph = e.weight.grad();
  V(e.weight).zero_grad();
  sum(want * want).backward();
  CHECK(same_bits(from_graph, e.weight.grad()));
}

TEST_CASE("values are found by name, and nodes by what they compute") {
  const Example e;
  CHECK(e.graph.find("scaled") == e.scaled);
  CHECK(e.graph.find("relu") == e.product);
  CHECK(e.graph.find("nothing") == -1);
  CHECK(e.graph.producer(e.scaled) == 2);
  CHECK(e.graph.producer(e.x) == -1);
  CHECK(e.graph.value(e.x).kind == ValueKind::input);
  CHECK(e.graph.value(e.graph.find("fc.weight")).shape == Shape{4, 3});
  CHECK(e.graph.nodes()[1].operation->get_if<ops::Relu>() != nullptr);
  CHECK(e.graph.nodes()[1].operation->get_if<ops::Tanh>() == nullptr);
}

TEST_CASE("run_until gives the wanted values and runs nothing after them") {
  Example e;
  const auto x = hash_tensor<float>("x", {5, 3});
  // A node that would fail, were it run.
  const ValueId bad = e.graph.add_node("bad", ops::Reshape{{7}}, {e.scaled});
  const std::vector<ValueId> wanted{e.product, e.hidden, e.x, e.graph.find("two")};
  const std::vector<V> got = e.graph.run_until(one(x), {}, wanted);
  CHECK(same_bits(got[0].value(), relu(linear(V(x), e.weight)).value()));
  CHECK(same_bits(got[1].value(), linear(V(x), e.weight).value()));
  CHECK(same_bits(got[2].value(), x));
  CHECK(got[3].item() == 2);
  CHECK_NOTHROW(e.graph.run(one(x), {}));  // bad is not among the outputs
  CHECK_THROWS_WITH(e.graph.run_until(one(x), {}, std::vector{bad}),
                    "[reshape] expected 20 elements as in (5,4), got (7) (node 'bad')");
}

TEST_CASE("shapes are inferred for other sizes, and mistakes named by node") {
  const Example e;
  const std::vector<Shape> shapes = e.graph.infer(std::vector{Shape{7, 3}});
  CHECK(shapes[static_cast<std::size_t>(e.hidden)] == Shape{7, 4});
  CHECK(shapes[static_cast<std::size_t>(e.result)] == Shape{7, 4});
  CHECK_THROWS_WITH(e.graph.infer(std::vector{Shape{7, 5}}),
                    "[linear] expected x(N,I), w(O,I), got (7,5), (4,3) (node 'fc')");
  CHECK_THROWS_WITH(e.graph.run(one(Tensor<float>::zeros({7, 5})), {}),
                    "[linear] expected x(N,I), w(O,I), got (7,5), (4,3) (node 'fc')");
  CHECK_THROWS_WITH(e.graph.run({}, {}), "[graph] expected 1 inputs, got 0");
  CHECK_THROWS_WITH(e.graph.infer({}), "[graph] expected 1 input shapes, got 0");
  Graph<float> graph;
  CHECK_THROWS_WITH(graph.add_node("relu", ops::Relu{}, {3}), "[graph] expected a value below 0, got 3");
}

TEST_CASE("a value that nobody reads any more is freed during the run") {
  constexpr Index n = 1 << 16;
  constexpr std::size_t bytes = n * sizeof(float);
  Graph<float> graph;
  ValueId value = graph.add_input("x", {1});
  const ValueId first = graph.add_node("first", ops::Silu{}, {value});
  value = first;
  for (int i = 0; i < 20; ++i) value = graph.add_node(concat("silu_", i), ops::Silu{}, {value});
  graph.set_outputs({graph.add_node("sum", ops::Add{}, {value, first})});
  const std::vector<V> x = one(Tensor<float>::ones({n}));
  const std::size_t before = MemoryPool::instance().bytes_in_use();
  MemoryPool::instance().reset_peak();
  graph.run(x, {});
  // Alive together at most: the first value, the last two, and a sum.
  CHECK(MemoryPool::instance().peak_bytes() <= before + 4 * bytes);
}

TEST_CASE("several inputs and outputs, one of them an input") {
  Graph<float> graph;
  const ValueId a = graph.add_input("a", {2}), b = graph.add_input("b", {2});
  const ValueId sum = graph.add_node("sum", ops::Add{}, {a, b});
  graph.set_outputs({sum, b, sum});
  const std::vector<V> inputs{V(Tensor<float>::full({2}, 1)), V(Tensor<float>::full({2}, 2))};
  const std::vector<V> y = graph.run(inputs, {});
  REQUIRE(y.size() == 3);
  CHECK(y[0].value().at(0) == 3);
  CHECK(y[1].same(inputs[1]));
  CHECK(y[2].same(y[0]));
}

TEST_CASE("a frozen batch normalisation, and one before which nothing is trained, uses running statistics") {
  struct Norm {
    V gamma{Tensor<float>::ones({2}), true}, beta{Tensor<float>::zeros({2}), true};
    V mean{Tensor<float>::zeros({2})}, var{Tensor<float>::ones({2})};
  };
  Norm lower, upper;
  Graph<float> graph;
  ValueId value = graph.add_input("x", {1, 2});
  for (auto& [name, norm] : {std::pair<std::string, Norm&>{"lower", lower}, {"upper", upper}}) {
    value = graph.add_node(name, ops::BatchNorm{},
                           {value, graph.add_var(name + ".weight", ValueKind::parameter, norm.gamma),
                            graph.add_var(name + ".bias", ValueKind::parameter, norm.beta),
                            graph.add_var(name + ".running_mean", ValueKind::buffer, norm.mean),
                            graph.add_var(name + ".running_var", ValueKind::buffer, norm.var)});
  }
  graph.set_outputs({value});
  const std::vector<V> x = one(hash_tensor<float>("x", {8, 2}, 3, 1));
  const auto moved = [&](const Norm& norm, bool training) {
    const std::uint64_t before = norm.mean.value().version() + norm.var.value().version();
    graph.run(x, {.training = training});
    return norm.mean.value().version() + norm.var.value().version() != before;
  };
  CHECK(!moved(lower, false));
  CHECK(!moved(upper, false));
  CHECK(moved(lower, true));
  CHECK(moved(upper, true));
  lower.gamma.set_requires_grad(false);
  CHECK(moved(lower, true));  // its bias is still trained
  lower.beta.set_requires_grad(false);
  CHECK(!moved(lower, true));
  CHECK(moved(upper, true));
  upper.gamma.set_requires_grad(false);
  upper.beta.set_requires_grad(false);
  CHECK(!moved(upper, true));
  lower.beta.set_requires_grad(true);
  CHECK(!moved(upper, true));  // gradients pass through it, but it is frozen
  CHECK(moved(lower, true));
}

TEST_CASE("dropout drops before a trained layer, not inside a frozen part") {
  V frozen(hash_tensor<float>("frozen", {3, 3})), trained(hash_tensor<float>("trained", {2, 3}), true);
  Graph<float> graph;
  const ValueId x = graph.add_input("x", {1, 3});
  const ValueId inside = graph.add_node("inside", ops::Dropout{.5}, {x});
  const ValueId features = graph.add_node(
      "body", ops::Linear{}, {inside, graph.add_var("body.weight", ValueKind::parameter, frozen)});
  const ValueId active = graph.add_node("sigmoid", ops::Sigmoid{}, {features});
  const ValueId dropped = graph.add_node("drop", ops::Dropout{.5}, {active});
  const ValueId flat = graph.add_node("flat", ops::Flatten{}, {dropped});
  const ValueId head = graph.add_node("head", ops::Linear{},
                                      {flat, graph.add_var("head.weight", ValueKind::parameter, trained)});
  const ValueId after = graph.add_node("after", ops::Dropout{.5}, {head});
  graph.set_outputs({after});
  const Tensor<float> input = hash_tensor<float>("x", {64, 3}, 1, 2);
  const auto changes = [&](Mode mode) {
    const RandomScope scope(1, 1);
    const std::vector<V> v =
        graph.run_until(one(input), mode, std::vector{x, inside, active, dropped, head, after});
    return std::vector<bool>{!same_bits(v[0].value(), v[1].value()), !same_bits(v[2].value(), v[3].value()),
                             !same_bits(v[4].value(), v[5].value())};
  };
  CHECK(changes({}) == std::vector<bool>{false, false, false});
  CHECK(changes({.training = true}) == std::vector<bool>{false, true, true});
  trained.set_requires_grad(false);
  CHECK(changes({.training = true}) == std::vector<bool>{false, false, false});
  frozen.set_requires_grad(true);
  CHECK(changes({.training = true}) == std::vector<bool>{true, true, true});
}

TEST_CASE("inference on a const graph from several threads gives the same bits") {
  Graph<float> graph;
  const ValueId x = graph.add_input("x", {1, 3, 9, 9});
  const ValueId w = graph.add_var("w", ValueKind::parameter, V(hash_tensor<float>("w", {5, 3, 3, 3}), true));
  graph.set_outputs({graph.add_node("relu", ops::Relu{},
                                    {graph.add_node("conv", ops::Conv2d{.padding = {1, 1, 1, 1}}, {x, w})})});
  const Graph<float>& fixed = graph;
  const auto input = hash_tensor<float>("x", {2, 3, 9, 9});
  const auto run = [&] {
    const NoGrad no_grad;
    return fixed.run(one(input), {}).front().value();
  };
  std::vector<Tensor<float>> results(4);
  std::vector<std::thread> threads;
  for (Tensor<float>& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) result = run();
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Tensor<float> want = run();
  for (const Tensor<float>& result : results) CHECK(same_bits(result, want));
}
