// SGD against PyTorch, parameter groups, frozen parameters and layouts.
#include <vector>

#include <tl/autograd/functions.hpp>
#include <tl/optim/sgd.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using V = Var<double>;
using optim::Sgd;
using optim::SgdOptions;
using Rows = std::vector<std::vector<double>>;

namespace {

V leaf(std::initializer_list<double> values) {
  return V(Tensor<double>::from(values, {static_cast<Index>(values.size())}), true);
}

/// Three steps that minimise sum w^4 / 4 from (1, -2) at the rate .1; w after each.
Rows three_steps(const SgdOptions& options) {
  V w = leaf({1, -2});
  Sgd<double> sgd({{.params = {{"w", w}}, .lr = .1}}, options);
  Rows rows;
  for (int i = 0; i < 3; ++i) {
    sgd.zero_grad();
    sum(power(w, 4) * .25).backward();
    sgd.step();
    rows.push_back(values_of(w.value()));
  }
  return rows;
}

void check(const Rows& got, const Rows& want) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    for (std::size_t k = 0; k < want[i].size(); ++k) CHECK(got[i][k] == Approx(want[i][k]).epsilon(1e-14));
  }
}

}  // namespace

TEST_CASE("SGD follows PyTorch's formula by hand") {
  V w = leaf({1});
  Sgd<double> sgd({{.params = {{"w", w}}, .lr = .5}}, {.momentum = .5, .weight_decay = .1, .nesterov = true});
  const auto step_with = [&](double gradient) {
    w.set_grad(Tensor<double>::from({gradient}, {1}));
    sgd.step();
    return w.item();
  };
  // g = 2 + .1 * 1 = 2.1, v = 2.1, w = 1 - .5 (2.1 + .5 * 2.1)
  CHECK(step_with(2) == Approx(-.575));
  // g = 1 - .0575 = .9425, v = .5 * 2.1 + .9425 = 1.9925, w = -.575 - .5 (.9425 + .5 * 1.9925)
  CHECK(step_with(1) == Approx(-1.544375));
}

TEST_CASE("SGD gives PyTorch's numbers") {
  // torch.optim.SGD([w], lr=.1, ...) in float64
  check(three_steps({.momentum = 0}),
        {{0.9, -1.2}, {0.8271000000000001, -1.0272}, {0.7705185513489, -0.9188160356351999}});
  check(three_steps({.momentum = 0, .weight_decay = .01}),
        {{0.899, -1.198}, {0.8254437301, -1.0248645608}, {0.76837607098951, -0.916193316841587}});
  check(three_steps({.momentum = .9}),
        {{0.9, -1.2}, {0.7371, -0.3071999999999998}, {0.5504421474189, 0.4992191029248003}});
  check(three_steps({.momentum = .9, .dampening = .5}),
        {{0.9, -1.2}, {0.7735500000000001, -0.3935999999999999}, {0.6366011729243063, 0.3352088444928002}});
  check(three_steps({.momentum = .9, .weight_decay = .01, .nesterov = true}),
        {{0.8081, -0.47619999999999996},
         {0.62448971086621, 0.19484215395832014},
         {0.4600019173593164, 0.7868571485187398}});
}

TEST_CASE("groups have their own rates and weight decay; the step's factor multiplies all rates") {
  V slow = leaf({1}), fast = leaf({1}), plain = leaf({1});
  Sgd<double> sgd({{.params = {{"slow", slow}}, .lr = .01, .name = "body"},
                   {.params = {{"fast", fast}}, .lr = .1},
                   {.params = {{"plain", plain}}, .lr = .1, .weight_decay = 0}},
                  {.momentum = 0, .weight_decay = .5});
  for (V w : {slow, fast, plain}) w.set_grad(Tensor<double>::ones({1}));
  sgd.step(.5);
  CHECK(slow.item() == Approx(1 - .005 * 1.5));
  CHECK(fast.item() == Approx(1 - .05 * 1.5));
  CHECK(plain.item() == Approx(1 - .05));
  sgd.groups()[0].lr = 0;
  sgd.step();
  CHECK(slow.item() == Approx(1 - .005 * 1.5));
  CHECK(sgd.groups()[0].name == "body");
}

TEST_CASE("frozen parameters, and those without a gradient, are passed over") {
  V frozen = leaf({1}), unused = leaf({1}), trained = leaf({1});
  Sgd<double> sgd({{.params = {{"frozen", frozen}, {"unused", unused}, {"trained", trained}}, .lr = 1}},
                  {.weight_decay = .5});
  frozen.set_grad(Tensor<double>::ones({1}));
  trained.set_grad(Tensor<double>::ones({1}));
  frozen.set_requires_grad(false);
  const std::uint64_t version = frozen.value().version();
  sgd.step();
  CHECK(frozen.item() == 1);
  CHECK(frozen.value().version() == version);
  CHECK(unused.item() == 1);
  CHECK(trained.item() == -.5);
  CHECK(!sgd.velocities()[0][0].defined());
  CHECK(!sgd.velocities()[0][1].defined());
  CHECK(sgd.velocities()[0][2].at(0) == 1.5);

  // Unfrozen later, its momentum starts with its first step.
  frozen.set_requires_grad(true);
  frozen.set_grad(Tensor<double>::ones({1}));
  trained.zero_grad();
  sgd.step();
  CHECK(frozen.item() == -.5);
  sgd.zero_grad();
  CHECK(!frozen.grad().defined());
}

TEST_CASE("gradients in another layout than their parameter") {
  const auto value = hash_tensor<double>("w", {2, 3, 2, 2}, 1, 0, Layout::channels_last);
  const auto gradient = hash_tensor<double>("g", {2, 3, 2, 2});
  V w(value.clone(), true);
  Sgd<double> sgd({{.params = {{"w", w}}, .lr = 1}}, {.momentum = 0});
  w.set_grad(gradient);
  sgd.step();
  CHECK(w.value().layout() == Layout::channels_last);
  CHECK(w.value().at(1, 2, 0, 1) == value.at(1, 2, 0, 1) - gradient.at(1, 2, 0, 1));
  w.set_grad(Tensor<double>::zeros({2, 3}));
  CHECK_THROWS_WITH(sgd.step(), "[sgd] expected a gradient of shape (2,3,2,2) for 'w', got (2,3)");
}

TEST_CASE("impossible options are refused") {
  const V w = leaf({1});
  const auto make = [&](double lr, const SgdOptions& options) {
    return Sgd<double>({{.params = {{"w", w}}, .lr = lr}}, options);
  };
  CHECK_THROWS_WITH(make(.1, {.momentum = -1}),
                    "[sgd] expected momentum and weight decay of at least 0, got -1 and 0");
  CHECK_THROWS_WITH(make(.1, {.momentum = 0, .nesterov = true}),
                    "[sgd] expected momentum above 0 and no dampening with Nesterov's momentum, got 0 and 0");
  CHECK_THROWS_WITH(make(-1, {}), "[sgd] expected a rate of at least 0, got -1");
  CHECK_THROWS_WITH(Sgd<double>({{.params = {{"w", w}}}, {.params = {{"same", w}}}}),
                    "[sgd] expected each parameter once, got 'same' twice");
}

TEST_CASE("a step between forward and backward is noticed") {
  V w = leaf({1, 2});
  Sgd<double> sgd({{.params = {{"w", w}}, .lr = .1}});
  sum(w * w).backward();
  const V stale = sum(w * w);
  sgd.step();
  CHECK_THROWS_WITH(stale.backward(), contains("[mul] expected its saved value of shape (2) unchanged"));
}
