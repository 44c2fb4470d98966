// Parameter groups: weights decay, parameters of one axis do not.
#include <vector>

#include <tl/optim/groups.hpp>
#include <tl/optim/sgd.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

namespace {

nn::Named<double> ones(std::string name, const Shape& shape) {
  return {std::move(name), Var<double>(Tensor<double>::ones(shape), true)};
}

}  // namespace

TEST_CASE("weights and parameters of one axis form groups of the same rate") {
  std::vector<optim::ParameterGroup<double>> groups;
  optim::add_groups(groups,
                    {ones("conv.weight", {2, 3, 1, 1}), ones("bn.weight", {2}), ones("fc.weight", {4, 2}),
                     ones("fc.bias", {4})},
                    0.5, "body");
  optim::add_groups(groups, {ones("head.bias", {4})}, 2);
  optim::add_groups(groups, {}, 3);

  REQUIRE(groups.size() == 3);
  REQUIRE(groups[0].params.size() == 2);
  CHECK(groups[0].params[0].name == "conv.weight");
  CHECK(groups[0].params[1].name == "fc.weight");
  CHECK(groups[0].weight_decay < 0);  // the optimizer's
  REQUIRE(groups[1].params.size() == 2);
  CHECK(groups[1].params[0].name == "bn.weight");
  CHECK(groups[1].weight_decay == 0);
  CHECK(groups[1].name == "body");
  CHECK(groups[0].lr == 0.5);
  CHECK(groups[1].lr == 0.5);
  CHECK(groups[2].params[0].name == "head.bias");
  CHECK(groups[2].lr == 2);
}

TEST_CASE("a step decays the weights alone") {
  std::vector<optim::ParameterGroup<double>> groups;
  nn::Named<double> weight = ones("weight", {1, 2}), bias = ones("bias", {2});
  optim::add_groups(groups, {weight, bias}, 0.5);
  optim::Sgd<double> sgd(groups, {.momentum = 0, .weight_decay = 0.1});
  for (Var<double> var : {weight.var, bias.var}) var.set_grad(Tensor<double>::zeros(var.shape()));
  sgd.step();
  CHECK(weight.var.value().at(0, 0) == Approx(1 - 0.5 * 0.1));
  CHECK(bias.var.value().at(0) == 1);
}
