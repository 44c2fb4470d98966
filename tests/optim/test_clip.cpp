// Gradient clipping: the common norm, frozen parameters, and gradients that are no numbers.
#include <cmath>

#include <tl/optim/clip.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

namespace {

/// A parameter with a gradient of these values.
Var<double> with_gradient(const std::vector<double>& values) {
  Var<double> var(Tensor<double>::zeros({static_cast<Index>(values.size())}), true);
  var.set_grad(Tensor<double>::from(values, {static_cast<Index>(values.size())}));
  return var;
}

}  // namespace

TEST_CASE("gradients are scaled to a common norm when theirs is larger") {
  const Var<double> a = with_gradient({2, 0}), b = with_gradient({1, -2, 4});
  std::vector<optim::ParameterGroup<double>> groups{{.params = {{"a", a}}}, {.params = {{"b", b}}}};
  CHECK(optim::clip_gradients(groups, 5.0) == 5);  // 4 + 1 + 4 + 16
  CHECK(a.grad().data()[0] == 2);
  CHECK(optim::clip_gradients(groups, 2.5) == 5);
  CHECK(a.grad().data()[0] == 1);
  CHECK(b.grad().data()[1] == -1);
  CHECK(b.grad().data()[2] == 2);
}

TEST_CASE("what is frozen or has no gradient takes no part in clipping") {
  Var<double> frozen = with_gradient({100}), none(Tensor<double>::zeros({1}), true);
  const Var<double> a = with_gradient({3});
  frozen.set_requires_grad(false);
  std::vector<optim::ParameterGroup<double>> groups{{.params = {{"f", frozen}, {"n", none}, {"a", a}}}};
  CHECK(optim::clip_gradients(groups, 1.5) == 3);
  CHECK(a.grad().data()[0] == 1.5);
  CHECK(!none.grad().defined());
}

TEST_CASE("a gradient that is no finite number is named") {
  std::vector<optim::ParameterGroup<double>> groups{{.params = {{"fc.bias", with_gradient({1, NAN})}}}};
  CHECK_THROWS_WITH(optim::clip_gradients(groups, 1.0),
                    contains("the gradient of 'fc.bias' is no finite number"));
  CHECK_THROWS_WITH(optim::clip_gradients(groups, 0.0), contains("expected a norm above 0"));
}
