// Reductions against plain loops in a wider type, on each instruction set.
#include <memory>

#include <tl/kernels/reduce.hpp>
#include <tl/kernels/reference/reduce.hpp>
#include "kernels/kernel_checks.hpp"

using namespace tl::kernels;
using namespace kernel_checks;

namespace {

const Reduce ops[] = {Reduce::sum, Reduce::mean, Reduce::max, Reduce::sum_squares};

struct Case {
  std::vector<Index> extents;
  std::vector<Index> strides;
  std::vector<int> reduced;
};

/// Errors in units of epsilon, relative to the sum that terms of the largest size would give.
template <class T>
void check_reduce(Reduce op, const Case& c, const std::vector<T>& x) {
  using W = Wide<T>;
  const int rank = static_cast<int>(c.extents.size());
  const std::unique_ptr<bool[]> reduced(new bool[c.extents.size() + 1]);
  Index outputs = 1, count = 1;
  for (std::size_t i = 0; i < c.extents.size(); ++i) {
    reduced[i] = c.reduced[i] != 0;
    (reduced[i] ? count : outputs) *= c.extents[i];
  }
  std::vector<T> y(size_of(outputs), T(-77));
  std::vector<W> want(y.size());
  reduce<T>(op, rank, c.extents.data(), c.strides.data(), reduced.get(), x.data(), y.data());
  reference::reduce<W>(op, rank, c.extents.data(), c.strides.data(), reduced.get(), converted<W>(x).data(),
                       want.data());
  const double largest_term = op == Reduce::sum_squares ? 4 : 1;
  const double floor =
      largest_term * (op == Reduce::mean ? 1 : static_cast<double>(std::max<Index>(1, count)));
  CHECK(worst_error(y, want, floor) <= (op == Reduce::max ? 0 : 2));
}

}  // namespace

TEMPLATE_TEST_CASE("reductions over any axes match the plain loops", "[reduce]", float, double) {
  using T = TestType;
  const Case cases[] = {
      {{}, {}, {}},
      {{1}, {1}, {1}},
      {{0}, {1}, {1}},
      {{3, 0}, {1, 1}, {0, 1}},
      {{0, 3}, {3, 1}, {0, 1}},
      {{37}, {1}, {1}},
      {{40003}, {1}, {1}},
      {{37}, {1}, {0}},
      {{70, 301}, {301, 1}, {0, 1}},     // rows
      {{2, 70000}, {70000, 1}, {0, 1}},  // few long rows
      {{1000, 3}, {3, 1}, {0, 1}},
      {{70, 301}, {301, 1}, {1, 0}},  // columns
      {{5, 2500}, {2500, 1}, {1, 0}},
      {{3001, 17}, {17, 1}, {1, 0}},
      {{3000, 1}, {1, 1}, {1, 0}},
      {{3, 131, 65}, {8515, 65, 1}, {0, 1, 0}},  // batches of columns
      {{3, 20, 500}, {10000, 500, 1}, {1, 0, 1}},
      {{3, 33, 10, 12}, {3960, 1, 396, 33}, {0, 0, 1, 1}},  // a mean over pixels, channels-last
      {{3, 33, 10, 12}, {3960, 1, 396, 33}, {1, 0, 1, 1}},  // over images and pixels
      {{3, 33, 10, 12}, {3960, 120, 12, 1}, {1, 0, 1, 1}},  // planes
      {{3, 4, 5, 6, 7}, {840, 210, 42, 7, 1}, {0, 1, 0, 1, 0}},
      {{30, 40}, {1, 30}, {0, 1}},   // transposed
      {{30, 40}, {0, 1}, {1, 0}},    // a repeated row
      {{30, 40}, {100, 2}, {0, 1}},  // every other element
      {{2, 3, 1, 2, 3, 2, 1, 4}, {288, 96, 96, 48, 16, 8, 8, 2}, {1, 0, 1, 0, 1, 0, 0, 1}},
  };
  const auto x = random_values<T>(150000, 30);
  on_each_isa([&] {
    for (std::size_t i = 0; i < std::size(cases); ++i) {
      for (const Reduce op : ops) {
        INFO("case " << i << ", op " << static_cast<int>(op));
        check_reduce(op, cases[i], x);
      }
    }
  });
}

TEMPLATE_TEST_CASE("whole arrays, rows, columns and inner products", "[reduce]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  const auto a = random_values<T>(50000, 31), b = random_values<T>(50000, 32);
  const auto wide_a = converted<W>(a), wide_b = converted<W>(b);
  on_each_isa([&] {
    for (const Index n : {0, 1, 2, 15, 16, 17, 63, 64, 100, 1023, 1024, 1025, 5000, 16385, 50000}) {
      INFO("n " << n);
      const double floor = static_cast<double>(std::max<Index>(1, n));
      CHECK(worst_error<T>({dot(n, a.data(), b.data())}, {reference::dot<W>(n, wide_a.data(), wide_b.data())},
                           floor) <= 2);
      for (const Reduce op : ops) {
        const Index stride = 1;
        const bool reduced = true;
        W want;
        reference::reduce<W>(op, 1, &n, &stride, &reduced, wide_a.data(), &want);
        CHECK(worst_error<T>({reduce_all(op, n, a.data())}, {want}, floor) <= 2);
      }
    }
    const Index rows = 333, columns = 41;
    std::vector<T> of_rows(size_of(rows)), of_columns(size_of(columns)), products(size_of(columns));
    reduce_rows(Reduce::sum, rows, columns, a.data(), of_rows.data());
    reduce_columns(Reduce::sum, rows, columns, a.data(), of_columns.data());
    dot_columns(rows, columns, a.data(), b.data(), products.data());
    std::vector<W> want_rows(of_rows.size()), want_columns(of_columns.size()),
        want_products(of_columns.size());
    for (std::size_t i = 0; i < want_rows.size() * want_columns.size(); ++i) {
      want_rows[i / 41] += wide_a[i];
      want_columns[i % 41] += wide_a[i];
      want_products[i % 41] += wide_a[i] * wide_b[i];
    }
    CHECK(worst_error(of_rows, want_rows, 41) <= 2);
    CHECK(worst_error(of_columns, want_columns, 333) <= 2);
    CHECK(worst_error(products, want_products, 333) <= 2);
  });
}

TEST_CASE("float sums over a million elements keep six digits", "[reduce]") {
  const Index n = 1000003;
  const auto x = random_values<float>(n, 33, 0, 1);
  double want = 0, want_squares = 0;
  for (float v : x) want += v, want_squares += static_cast<double>(v) * v;
  const std::vector<float> columns(size_of(16 * 65536), 0.1f);
  const double tenth = 65536 * static_cast<double>(0.1f);
  on_each_isa([&] {
    CHECK(std::abs(reduce_all(Reduce::sum, n, x.data()) / want - 1) < 1e-6);
    CHECK(std::abs(reduce_all(Reduce::sum_squares, n, x.data()) / want_squares - 1) < 1e-6);
    CHECK(std::abs(dot(n, x.data(), x.data()) / want_squares - 1) < 1e-6);
    std::vector<float> y(16);
    reduce_columns(Reduce::sum, 65536, 16, columns.data(), y.data());
    for (float v : y) CHECK(std::abs(v / tenth - 1) < 1e-6);
  });
}

TEMPLATE_TEST_CASE("a maximum is NaN when any element is", "[reduce]", float, double) {
  using T = TestType;
  on_each_isa([&] {
    for (const Index n : {1, 5, 16, 33, 100, 20000}) {
      for (const Index place : {Index{0}, n / 2, n - 1}) {
        std::vector<T> x = random_values<T>(n, 34, -9, -1);
        CHECK(reduce_all(Reduce::max, n, x.data()) == *std::max_element(x.begin(), x.end()));
        x[size_of(place)] = std::numeric_limits<T>::quiet_NaN();
        CHECK(std::isnan(reduce_all(Reduce::max, n, x.data())));
        T y;
        reduce_columns(Reduce::max, n, 1, x.data(), &y);
        CHECK(std::isnan(y));
      }
    }
    std::vector<T> x = random_values<T>(300 * 20, 35), y(20);
    x[123 * 20 + 7] = std::numeric_limits<T>::quiet_NaN();
    reduce_columns(Reduce::max, 300, 20, x.data(), y.data());
    for (std::size_t c = 0; c < 20; ++c) CHECK(std::isnan(y[c]) == (c == 7));
  });
}

TEMPLATE_TEST_CASE("reductions have the same bits at any thread count", "[reduce]", float, double) {
  using T = TestType;
  const auto a = random_values<T>(300 * 1000, 36), b = random_values<T>(300 * 1000, 37);
  on_each_isa([&] {
    check_same_bits_at_any_thread_count([&] {
      std::vector<T> all{dot(300000, a.data(), b.data())}, y(5330);
      for (const Reduce op : ops) {
        all.push_back(reduce_all(op, 300000, a.data()));
        reduce_rows(op, 300, 1000, a.data(), y.data());
        reduce_columns(op, 10000, 30, a.data(), y.data() + 300);
        const Index extents[] = {10, 50, 6, 100}, strides[] = {30000, 600, 100, 1};
        const bool reduced[] = {true, false, true, false};
        reduce(op, 4, extents, strides, reduced, a.data(), y.data() + 330);  // (50,100)
        append(all, y);
      }
      dot_columns(300, 1000, a.data(), b.data(), y.data());
      append(all, y);
      return all;
    });
  });
}
