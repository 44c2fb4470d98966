// Adagrad for a table of which a step reads some rows: a row's rate falls with the gradients it has had, so
// that rare rows take large steps and frequent ones small (Duchi, Hazan, Singer 2011,
// https://jmlr.org/papers/v12/duchi11a.html; here one sum a row instead of one a value).
//
//   sum_r += mean(g_r^2)     table_r -= lr / sqrt(sum_r) * g_r
#pragma once

#include <cmath>
#include <vector>

#include <tl/nn/table_rows.hpp>

namespace tl::optim {

/// Adagrad with one rate a row, for a table (V,D) of which a step reads some rows.
template <std::floating_point T = float>
class RowAdagrad {
 public:
  /// A table (V,D) and the rate, which is the length of a first step's values.
  RowAdagrad(Var<T> table, double lr)
      : table_(std::move(table)), lr_(lr), sums_(static_cast<std::size_t>(table_.shape(0)), 0.0) {
    TL_CHECK(lr >= 0, "[row_adagrad] expected a rate of at least 0, got ", lr);
  }

  /// Moves the rows of the table by the gradient of rows.rows(); the rate is multiplied by `factor`. `rows`
  /// has the old values afterwards and is not to be stored.
  void step(const nn::TableRows<T>& rows, double factor = 1) {
    TL_CHECK(rows.table().same(table_), "[row_adagrad] expected rows of its own table");
    const Tensor<T> gradient = rows.rows().grad();
    if (!gradient.defined()) return;
    const Index width = table_.shape(1);
    const T* g = gradient.data();
    T* values = table_.mutable_value().mutable_data();
    for (const Index row : rows.indices()) {
      double squares = 0;
      for (Index k = 0; k < width; ++k) squares += static_cast<double>(g[k]) * static_cast<double>(g[k]);
      double& sum = sums_[static_cast<std::size_t>(row)];
      sum += squares / static_cast<double>(width);
      if (squares > 0) {
        const T rate = static_cast<T>(lr_ * factor / std::sqrt(sum));
        for (Index k = 0; k < width; ++k) values[row * width + k] -= rate * g[k];
      }
      g += width;
    }
  }

 private:
  Var<T> table_;
  double lr_;
  std::vector<double> sums_;  ///< a row's
};

}  // namespace tl::optim
