// Adagrad over rows: steps followed with a pencil, rows that are not read, and an objective it must minimise.
#include <cmath>

#include <tl/optim/row_adagrad.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using V = Var<double>;
using optim::RowAdagrad;

namespace {

Tensor<std::int64_t> row(std::int64_t index) { return Tensor<std::int64_t>::from({index}, {1}); }

}  // namespace

TEST_CASE("row adagrad by hand") {
  V table(Tensor<double>::from({1, 1, 5, 5}, {2, 2}), true);
  RowAdagrad<double> adagrad(table, .5);
  // Gradients (6,8), mean square 50; then (6,8) again, sum 100.
  const V factor(Tensor<double>::from({6, 8}, {2}));
  for (int step = 0; step < 2; ++step) {
    const nn::TableRows<double> rows(table, row(0));
    sum(rows.look_up() * factor).backward();
    adagrad.step(rows, step == 0 ? 1 : .1);
  }
  const double both = .5 / std::sqrt(50.) + .05 / std::sqrt(100.);
  CHECK(table.value().at(0, 0) == Approx(1 - 6 * both));
  CHECK(table.value().at(0, 1) == Approx(1 - 8 * both));
  CHECK(table.value().at(1, 0) == 5);
  CHECK(table.value().at(1, 1) == 5);
}

TEST_CASE("row adagrad leaves a row without gradient where it is, and minimises") {
  V table(hash_tensor<double>("table", {4, 3}), true);
  const Tensor<double> before = table.value().clone();
  RowAdagrad<double> adagrad(table, .5);
  const nn::TableRows<double> untouched(table, row(2));
  adagrad.step(untouched);
  (untouched.look_up() * 0.0).backward(Tensor<double>::ones({1, 3}));
  adagrad.step(untouched);
  CHECK(same_bits(table.value(), before));

  for (int step = 0; step < 500; ++step) {
    const nn::TableRows<double> rows(table, row(step % 4));
    sum(power(rows.look_up() + -2.0, 2)).backward();
    adagrad.step(rows);
  }
  for (const double value : values_of(table.value())) CHECK(value == Approx(2).margin(1e-3));
}

TEST_CASE("row adagrad refuses rows of another table and rates below 0") {
  V table(Tensor<double>::zeros({2, 2}), true), other(Tensor<double>::zeros({2, 2}), true);
  RowAdagrad<double> adagrad(table, .1);
  CHECK_THROWS_WITH(adagrad.step(nn::TableRows<double>(other, row(0))),
                    "[row_adagrad] expected rows of its own table");
  CHECK_THROWS_WITH(RowAdagrad<double>(table, -1), "[row_adagrad] expected a rate of at least 0, got -1");
}
