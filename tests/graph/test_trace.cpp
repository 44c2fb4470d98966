// trace: the graph of a function has its operations, its leaves and its bits.
#include <vector>

#include <tl/autograd/functions.hpp>
#include <tl/graph/trace.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using V = Var<float>;

TEST_CASE("a trace has one node an operation, in order, with the names of the leaves given") {
  const V weight(hash_tensor<float>("w", {4, 3}), true), shift(hash_tensor<float>("s", {4}));
  const V loose(Tensor<float>::scalar(3));
  const auto f = [&](const V& x) {
    const V h = linear(x, weight) + shift;
    return h * sigmoid(h) * loose;
  };
  const Graph<float> graph = trace<float>(f, Tensor<float>::zeros({2, 3}),
                                          {{"weight", ValueKind::parameter, weight},
                                           {"shift", ValueKind::buffer, shift},
                                           {"unused", ValueKind::buffer, V(Tensor<float>::zeros({1}))}});
  std::vector<std::string> names;
  for (const auto& node : graph.nodes()) names.push_back(node.name);
  CHECK(names == std::vector<std::string>{"linear_0", "add_1", "sigmoid_2", "mul_3", "mul_4"});
  CHECK(graph.value(graph.find("weight")).kind == ValueKind::parameter);
  CHECK(graph.value(graph.find("weight")).var.same(weight));
  CHECK(graph.value(graph.find("shift")).kind == ValueKind::buffer);
  CHECK(graph.find("unused") == -1);
  CHECK(graph.value(graph.nodes()[4].inputs[1]).kind == ValueKind::constant);
  CHECK(graph.value(graph.inputs().front()).shape == Shape{1, 3});

  const auto x = hash_tensor<float>("x", {7, 3});
  CHECK(same_bits(graph.run(std::vector{V(x)}, {}).front().value(), f(V(x)).value()));
}

TEST_CASE("a trace leaves no record and no observer behind") {
  const V weight(hash_tensor<float>("w", {3}), true);
  const Graph<float> graph =
      trace<float>([&](const V& x) { return x * weight; }, Tensor<float>::zeros({3}), {});
  CHECK(Observer<float>::current() == nullptr);
  CHECK(!NoGrad::active());
  CHECK_THROWS(trace<float>([&](const V& x) { return x * V(Tensor<float>::zeros({2})); },
                            Tensor<float>::zeros({3}), {}));
  CHECK(Observer<float>::current() == nullptr);
  CHECK(!NoGrad::active());
  // A leaf that nobody named becomes a constant; it still trains, since it is the same Var.
  CHECK(graph.value(graph.nodes()[0].inputs[1]).kind == ValueKind::constant);
}

TEST_CASE("the identity traces to a graph without nodes") {
  const Graph<float> graph = trace<float>([](const V& x) { return x; }, Tensor<float>::zeros({3}), {});
  CHECK(graph.nodes().empty());
  const V x(hash_tensor<float>("x", {3}));
  CHECK(graph.run(std::vector{x}, {}).front().same(x));
}

TEST_CASE("a leaf used twice is one value, and a result used twice too") {
  const V w(hash_tensor<float>("w", {3}), true);
  const Graph<float> graph = trace<float>([&](const V& x) { return (x * w) + (x * w); },
                                          Tensor<float>::zeros({3}), {{"w", ValueKind::parameter, w}});
  CHECK(graph.nodes().size() == 3);
  CHECK(graph.values().size() == 5);  // x, w, two products, their sum
}
