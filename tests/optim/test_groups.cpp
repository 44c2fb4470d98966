// Parameter groups: weights decay, parameters of one axis do not.
#include <map>
#include <string>
#include <utility>
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

TEST_CASE("parameters of a glob get a rate of their own, and keep whether they decay") {
  std::vector<optim::ParameterGroup<double>> groups;
  optim::add_groups(groups,
                    {ones("a.conv.weight", {2, 3, 1, 1}), ones("a.bn.weight", {2}),
                     ones("b.conv.weight", {4, 2}), ones("b.bn.weight", {4})},
                    0.5, "body");
  CHECK(optim::set_rate(groups, "a.*", 0.25) == 2);
  CHECK(optim::set_rate(groups, "a.bn.weight", 0) == 1);  // the later one holds
  CHECK(optim::set_rate(groups, "c.*", 9) == 0);
  std::map<std::string, std::pair<double, double>> found;
  for (const auto& group : groups) {
    CHECK(group.name == "body");
    CHECK(!group.params.empty());
    for (const auto& p : group.params) found[p.name] = {group.lr, group.weight_decay};
  }
  CHECK(found.size() == 4);
  CHECK(found["a.conv.weight"] == std::pair(0.25, -1.0));
  CHECK(found["a.bn.weight"] == std::pair(0.0, 0.0));
  CHECK(found["b.conv.weight"] == std::pair(0.5, -1.0));
  CHECK(found["b.bn.weight"] == std::pair(0.5, 0.0));
}
