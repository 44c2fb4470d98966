// Rows of a table as a leaf: the same values and gradients as a look-up in the whole table, and the way back.
#include <tl/autograd/gradcheck.hpp>
#include <tl/nn/table_rows.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using V = Var<double>;
using List = std::vector<double>;

namespace {

Tensor<std::int64_t> numbers(std::initializer_list<std::int64_t> values, const Shape& shape) {
  return Tensor<std::int64_t>::from(values, shape);
}

}  // namespace

TEST_CASE("table rows by hand: each row once, in the order of first use") {
  V table(Tensor<double>::from({1, 2, 3, 4, 5, 6, 7, 8}, {4, 2}), true);
  nn::TableRows<double> rows(table, numbers({2, 0, 2, 3}, {2, 2}));
  CHECK(rows.indices() == std::vector<Index>{2, 0, 3});
  CHECK(values_of(rows.rows().value()) == List{5, 6, 1, 2, 7, 8});
  CHECK(values_of(rows.local()) == std::vector<std::int64_t>{0, 1, 0, 2});
  CHECK(rows.look_up().shape() == Shape{2, 2, 2});
  CHECK(values_of(rows.look_up().value()) == List{5, 6, 1, 2, 5, 6, 7, 8});

  sum(rows.look_up()).backward();
  CHECK(values_of(rows.rows().grad()) == List{2, 2, 1, 1, 1, 1});
  CHECK_FALSE(table.grad().defined());

  V leaf = rows.rows();
  leaf.mutable_value() = Tensor<double>::from({50, 60, 10, 20, 70, 80}, {3, 2});
  rows.store();
  CHECK(values_of(table.value()) == List{10, 20, 3, 4, 50, 60, 70, 80});
}

TEST_CASE("table rows pass gradcheck, and give what a look-up in the table gives") {
  const V table(hash_tensor<double>("table", {9, 3}), true);
  const auto indices = numbers({8, 1, 1, 0, 8, 4}, {3, 2});
  const nn::TableRows<double> checked(table, indices);
  CHECK(gradcheck([&] { return checked.look_up(); }, {checked.rows()}));

  const nn::TableRows<double> rows(table, indices);
  CHECK(same_bits(rows.look_up().value(), embedding(table, indices).value()));

  sum(power(embedding(table, indices), 2)).backward();
  sum(power(rows.look_up(), 2)).backward();
  for (std::size_t r = 0; r < rows.indices().size(); ++r) {
    for (Index k = 0; k < 3; ++k)
      CHECK(rows.rows().grad().at(static_cast<Index>(r), k) == table.grad().at(rows.indices()[r], k));
  }
}

TEST_CASE("table rows of a frozen table want no gradient, and bad indices are named") {
  const V frozen(Tensor<double>::zeros({3, 2}));
  CHECK_FALSE(nn::TableRows<double>(frozen, numbers({1}, {1})).rows().requires_grad());
  CHECK(nn::TableRows<double>(frozen, numbers({}, {0})).rows().shape() == Shape{0, 2});
  CHECK_THROWS_WITH(nn::TableRows<double>(frozen, numbers({0, 3}, {2})),
                    "[table_rows] expected indices in [0, 3), got 3");
  CHECK_THROWS_WITH(nn::TableRows<double>(frozen, numbers({-1}, {1})),
                    "[table_rows] expected indices in [0, 3), got -1");
  CHECK_THROWS_WITH(nn::TableRows<double>(V(Tensor<double>::zeros({3})), numbers({0}, {1})),
                    "[table_rows] expected a table(V,D), got (3)");
}
