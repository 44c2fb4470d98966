// Parts of graphs: the same bits as in the whole, shared parameters, nothing that is not needed.
#include <vector>

#include <tl/autograd/functions.hpp>
#include <tl/graph/subgraph.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using V = Var<float>;

namespace {

/// hidden = relu(x first^T), result = hidden second^T + shift; beside them a branch of its own from `hidden`.
struct Example {
  Graph<float> graph;
  V first{hash_tensor<float>("first", {4, 3}), true}, second{hash_tensor<float>("second", {2, 4}), true};
  ValueId x, hidden, result, branch;
  const Shape x_shape{1, 3}, hidden_shape{1, 4};

  Example() {
    x = graph.add_input("x", x_shape);
    const ValueId w1 = graph.add_var("first.weight", ValueKind::parameter, first);
    const ValueId w2 = graph.add_var("second.weight", ValueKind::parameter, second);
    const ValueId w3 = graph.add_var("branch.weight", ValueKind::parameter, V(Tensor<float>::ones({5, 4})));
    const ValueId shift = graph.add_var("shift", ValueKind::constant, V(hash_tensor<float>("shift", {2})));
    const ValueId product = graph.add_node("first", ops::Linear{}, {x, w1});
    hidden = graph.add_node("relu", ops::Relu{}, {product}, "hidden");
    branch = graph.add_node("branch", ops::Linear{}, {hidden, w3});
    const ValueId scores = graph.add_node("second", ops::Linear{}, {hidden, w2});
    result = graph.add_node("add", ops::Add{}, {scores, shift}, "result");
    graph.set_outputs({result});
    graph.metadata["origin"] = "by hand";
  }
  Graph<float> part(ValueId from, const Shape& shape, ValueId to) const {
    return subgraph<float>(graph, std::span(&from, 1), std::span(&shape, 1),
                           std::span<const ValueId>(&to, 1));
  }
};

Tensor<float> run(const Graph<float>& graph, const Tensor<float>& x) {
  const V input(x);
  return graph.run(std::span<const V>(&input, 1), {}).front().value();
}

}  // namespace

TEST_CASE("two parts, one after the other, are the whole to the bit") {
  const Example e;
  const auto x = hash_tensor<float>("x", {5, 3});
  const Graph<float> before = e.part(e.x, e.x_shape, e.hidden);
  const Graph<float> after = e.part(e.hidden, e.hidden_shape, e.result);
  CHECK(before.nodes().size() == 2);
  CHECK(after.nodes().size() == 2);
  CHECK(after.value(after.inputs()[0]).name == "hidden");
  CHECK(after.value(after.inputs()[0]).shape == e.hidden_shape);
  CHECK(after.value(after.outputs()[0]).name == "result");
  CHECK(after.metadata == e.graph.metadata);
  CHECK(same_bits(run(after, run(before, x)), run(e.graph, x)));
}

TEST_CASE("a part shares its parameters with the whole and has no others") {
  const Example e;
  const Graph<float> after = e.part(e.hidden, e.hidden_shape, e.result);
  CHECK(after.find("first.weight") == -1);
  CHECK(after.find("branch.weight") == -1);
  CHECK(after.value(after.find("second.weight")).var.same(e.second));
  CHECK(after.value(after.find("shift")).kind == ValueKind::constant);

  V(e.second).mutable_value() = Tensor<float>::zeros({2, 4});
  const Tensor<float> y = run(after, Tensor<float>::ones({1, 4}));
  CHECK(same_bits(y.reshape({2}), hash_tensor<float>("shift", {2})));
}

TEST_CASE("pruning drops what no output needs, and nothing else") {
  const Example e;
  const auto x = hash_tensor<float>("x", {5, 3});
  const Graph<float> kept = pruned(e.graph);
  CHECK(kept.nodes().size() == 4);
  CHECK(kept.find("branch") == -1);
  CHECK(kept.find("branch.weight") == -1);
  CHECK(kept.value(kept.inputs()[0]).shape == e.x_shape);
  CHECK(same_bits(run(kept, x), run(e.graph, x)));
}

TEST_CASE("a part may end where it begins") {
  const Example e;
  const Graph<float> nothing = e.part(e.hidden, e.hidden_shape, e.hidden);
  const auto x = hash_tensor<float>("x", {5, 4});
  CHECK(nothing.nodes().empty());
  CHECK(same_bits(run(nothing, x), x));
}

TEST_CASE("parts that cannot be are errors") {
  const Example e;
  CHECK_THROWS_WITH(e.part(e.branch, {1, 5}, e.result), "[subgraph] expected 'x' among the inputs");
  CHECK_THROWS_WITH(e.part(e.x, e.x_shape, 99), contains("expected a value below"));
  CHECK_THROWS_WITH(e.part(-1, e.x_shape, e.result), contains("expected a value below"));
  CHECK_THROWS_WITH(subgraph<float>(e.graph, e.graph.inputs(), {}, e.graph.outputs()),
                    "[subgraph] expected a shape for each of 1 inputs, got 0");
}
