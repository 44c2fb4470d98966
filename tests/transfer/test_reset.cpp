// reset_parameters: the network from scratch, the same one for the same seed.
#include <tl/transfer/reset.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;

namespace {

/// A network whose running statistics and biases are not where they began.
ModelPtr trained_resnet() {
  const ModelPtr model = small_resnet();
  for (const auto& list : {model->parameters(), model->buffers()}) {
    for (nn::Named<float> entry : list)
      entry.var.mutable_value() = hash_tensor<float>(entry.name, entry.var.shape(), 1, 2);
  }
  return model;
}

bool holds_only(const Tensor<float>& x, float value) {
  return std::all_of(x.span().begin(), x.span().end(), [value](float v) { return v == value; });
}

}  // namespace

TEST_CASE("a seed says what a reset network is, whatever it was") {
  const ModelPtr a = trained_resnet(), b = small_resnet(), c = small_resnet();
  transfer::reset_parameters(*a, 3);
  transfer::reset_parameters(*b, 3);
  transfer::reset_parameters(*c, 4);
  CHECK(same_bits(state_of(*a), state_of(*b)));
  CHECK(!same_bits(state_of(*b), state_of(*c)));
}

TEST_CASE("weights become those of a new network, and statistics those of none") {
  const ModelPtr model = trained_resnet();
  const Var<float> kept = model->parameter("layer1.0.conv1.weight");
  transfer::reset_parameters(*model, 3);
  CHECK(kept.same(model->parameter("layer1.0.conv1.weight")));
  for (const nn::Named<float>& p : model->parameters()) {
    INFO(p.name);
    const Tensor<float>& value = p.var.value();
    CHECK(p.var.requires_grad());
    if (value.rank() > 1) {
      double sum = 0, squares = 0;
      for (float v : value.span()) sum += static_cast<double>(v), squares += static_cast<double>(v) * v;
      const auto n = static_cast<double>(value.size());
      // Variance of Kaiming's normal 2 / fan_out, of the uniform one b^2 / 3 with b^2 = 1 / fan_in.
      const double wanted = value.rank() == 4 ? 2.0 / static_cast<double>(nn::fan_of(value.shape()).out)
                                              : 1.0 / (3 * static_cast<double>(value.shape(1)));
      CHECK(std::abs(sum / n) < 4 * std::sqrt(wanted / n));
      CHECK(squares / n == Approx(wanted).epsilon(0.35));
    } else {
      CHECK(holds_only(value, nn::glob_match("*bn?.weight", p.name) || p.name.ends_with("downsample.1.weight")
                                  ? 1.F
                                  : 0.F));
    }
  }
  for (const nn::Named<float>& b : model->buffers()) {
    INFO(b.name);
    CHECK(holds_only(b.var.value(), b.name.ends_with("running_var") ? 1.F : 0.F));
  }
  CHECK(!same_bits(model->parameter("layer1.0.conv1.weight").value(),
                   model->parameter("layer1.0.conv2.weight").value()));
}

TEST_CASE("running statistics that follow slowly follow at the usual pace, others at their own") {
  const ModelPtr model = small_resnet();
  std::vector<double> momenta{0.01, 0.3};
  model->edit([&](Graph<float>& graph) {
    std::size_t i = 0;
    for (GraphNode<float>& node : graph.nodes()) {
      if (i < momenta.size() && node.operation->get_if<ops::BatchNorm>() != nullptr)
        node.operation = make_operation<float>(ops::BatchNorm{.momentum = momenta[i++]});
    }
  });
  transfer::reset_parameters(*model, 3);
  momenta.clear();
  for (const GraphNode<float>& node : model->graph().nodes()) {
    if (const auto* norm = node.operation->get_if<ops::BatchNorm>()) momenta.push_back(norm->momentum);
  }
  REQUIRE(momenta.size() > 2);
  CHECK(momenta[0] == 0.1);
  CHECK(momenta[1] == 0.3);
  CHECK(momenta[2] == 0.1);
}

TEST_CASE("a network whose BatchNorms were folded into its convolutions is reset too") {
  const RandomScope scope(1, 0);
  const auto network = nn::sequential<float>(
      {std::make_shared<nn::Conv2d<float>>(nn::Conv2dOptions{.in = 3, .out = 4, .kernel = 3, .bias = true}),
       std::make_shared<nn::Relu<float>>()});
  const ModelPtr model = nn::trace<float>(*network, Tensor<float>::zeros({1, 3, 8, 8}));
  const Tensor<float> before = model->parameter("0.weight").value().clone();
  model->parameter("0.bias").mutable_value() = Tensor<float>::ones({4});
  transfer::reset_parameters(*model, 9);
  CHECK(holds_only(model->parameter("0.bias").value(), 0));
  CHECK(!same_bits(model->parameter("0.weight").value(), before));
}
