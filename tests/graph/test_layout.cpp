// Transposes and channel shuffles that a network does not need go away; results keep their bits.
#include <tl/graph/layout.hpp>
#include <tl/ops/linear.hpp>
#include <tl/ops/reduce.hpp>

#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

namespace {

const std::vector<int> to_last{0, 2, 3, 1}, to_first{0, 3, 1, 2};

struct Built {
  Graph<double> graph;
  ValueId x = graph.add_input("x", {1, 6, 4, 5});

  ValueId transpose(ValueId from, const std::vector<int>& axes) {
    return graph.add_node(concat("transpose_", graph.nodes().size()), ops::Transpose{axes}, {from});
  }
  template <class Op>
  ValueId add(Op op, std::vector<ValueId> inputs) {
    return graph.add_node(concat("node_", graph.nodes().size()), std::move(op), std::move(inputs));
  }
  ValueId weight(const std::string& name, const Shape& shape) {
    return graph.add_var(name, ValueKind::parameter, Var<double>(hash_tensor<double>(name, shape), true));
  }
  /// The network without copies, which gives the same bits.
  Graph<double> check(ValueId output, bool copies_weights = true) {
    graph.set_outputs({output});
    Graph<double> result = without_layout_copies(graph, copies_weights);
    for (const Layout layout : {Layout::plain, Layout::channels_last}) {
      const Var<double> image(hash_tensor<double>("image", {2, 6, 4, 5}).to(layout));
      const NoGrad no_grad;
      const auto want = graph.run(std::span<const Var<double>>(&image, 1), {}).front().value();
      const auto got = result.run(std::span<const Var<double>>(&image, 1), {}).front().value();
      CHECK(same_bits(got, want));
    }
    return result;
  }
};

Index transposes(const Graph<double>& graph) { return layout_impl::count_transposes(graph); }

}  // namespace

TEST_CASE("transposes that undo each other go away, with what is elementwise between them", "[layout]") {
  Built b;
  const ValueId last = b.transpose(b.x, to_last);
  const ValueId scaled = b.add(ops::Mul{}, {last, b.weight("w", {6})});
  const ValueId active = b.add(ops::Relu{}, {b.add(ops::Add{}, {scaled, last})});
  const Graph<double> clean = b.check(b.transpose(active, to_first));
  CHECK(transposes(clean) == 0);
  CHECK(clean.nodes().size() == 3);
  // In training a weight stays what it is, so that the transposes around it must stay, too.
  CHECK(transposes(b.check(b.graph.outputs()[0], false)) == 2);
}

TEST_CASE("transposes in a row become one", "[layout]") {
  Built b;
  const ValueId once = b.transpose(b.x, {0, 1, 3, 2});
  CHECK(transposes(b.check(b.transpose(once, {0, -1, 1, -2}))) == 1);
}

TEST_CASE("a transpose that is needed stays one", "[layout]") {
  Built b;
  const ValueId last = b.transpose(b.x, to_last);
  const ValueId active = b.add(ops::Relu{}, {last});
  const ValueId product = b.add(ops::MatMul{}, {active, b.weight("w", {6, 3})});
  const ValueId other = b.add(ops::MatMul{}, {last, b.weight("v", {6, 3})});
  CHECK(transposes(b.check(b.add(ops::Add{}, {product, other}))) == 1);
}

TEST_CASE("operands of different orders are not mixed up", "[layout]") {
  Built b;
  const ValueId square = b.add(ops::Slice{{{2, 0, 4, 1}, {3, 0, 4, 1}}}, {b.x});
  const ValueId turned = b.transpose(square, {0, 1, 3, 2});
  const ValueId sum = b.add(ops::Add{}, {turned, square});
  CHECK(transposes(b.check(b.transpose(sum, {0, 1, 3, 2}))) == 2);
}

TEST_CASE("a channel shuffle takes channels in another order", "[layout]") {
  for (const Index first : {0, -1}) {
    Built b;
    const ValueId groups = b.add(ops::Reshape{{first, 3, 2, 4, 5}}, {b.add(ops::Relu{}, {b.x})});
    const ValueId turned = b.transpose(groups, {0, 2, 1, 3, 4});
    const Graph<double> clean = b.check(b.add(ops::Reshape{{first, 6, 4, 5}}, {turned}));
    REQUIRE(clean.nodes().size() == 2);
    const auto* take = clean.nodes()[1].operation->get_if<ops::Take>();
    REQUIRE(take != nullptr);
    CHECK(take->indices == std::vector<Index>{0, 2, 4, 1, 3, 5});
  }
}

TEST_CASE("a shuffle whose parts somebody else reads stays", "[layout]") {
  Built b;
  const ValueId groups = b.add(ops::Reshape{{0, 3, 2, 4, 5}}, {b.x});
  const ValueId turned = b.transpose(groups, {0, 2, 1, 3, 4});
  const ValueId merged = b.add(ops::Reshape{{0, 6, 4, 5}}, {turned});
  const ValueId summed = b.add(ops::Sum{.axes = {1}}, {turned});
  CHECK(transposes(b.check(b.add(ops::Add{}, {merged, b.add(ops::Mean{}, {summed})}))) == 1);
}

TEST_CASE("a transpose between the layouts of images moves nothing", "[layout]") {
  const auto image = hash_tensor<double>("image", {2, 6, 4, 5});
  const auto first = image.to(Layout::channels_last);
  const auto last = permute<double>(first, to_last);
  CHECK(last.shares_buffer(first));
  CHECK(last.layout() == Layout::plain);
  const auto back = permute<double>(last, to_first);
  CHECK(back.shares_buffer(first));
  CHECK(back.layout() == Layout::channels_last);
  CHECK(same_bits(back, image));
  CHECK_FALSE(permute<double>(image, to_last).shares_buffer(image));
}
