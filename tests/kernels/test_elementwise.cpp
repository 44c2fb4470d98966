// Elementwise kernels against the plain loops, on each instruction set.
#include <array>
#include <string>

#include <tl/kernels/elementwise.hpp>
#include <tl/kernels/reference/elementwise.hpp>
#include "kernels/kernel_checks.hpp"

using namespace tl::kernels;
using namespace kernel_checks;

namespace {

struct UnaryCase {
  Unary op;
  const char* name;
  double alpha, beta;
  double low, high;      // where x is drawn from
  double forward_units;  // of epsilon * max(|y|, 1e-30): relative accuracy everywhere
  double backward_units;
};

// Units of the derivatives: what remains of y (1 - y) and the like near their zeros is relative to 1, not to
// dx.
const UnaryCase unary_cases[] = {
    {Unary::relu, "relu", 0, 0, -3, 3, 0, 0},
    {Unary::clip, "clip", 0, 6, -3, 9, 0, 0},
    {Unary::leaky_relu, "leaky_relu", 0.1, 0, -3, 3, .5, .5},
    {Unary::sigmoid, "sigmoid", 0, 0, -60, 60, 2.5, 2},
    {Unary::tanh, "tanh", 0, 0, -9, 9, 2.5, 2},
    {Unary::silu, "silu", 0, 0, -60, 60, 3, 3},
    {Unary::hard_swish, "hard_swish", 0, 0, -4, 4, 8, 2},
    {Unary::hard_sigmoid, "hard_sigmoid", 0.2, 0.5, -4, 4, 8, .5},
    {Unary::exp, "exp", 0, 0, -87, 88, 1, 1},
    {Unary::log, "log", 0, 0, 1e-6, 40, 1, 2},
    {Unary::sqrt, "sqrt", 0, 0, 0, 40, .5, 1},
    {Unary::abs, "abs", 0, 0, -3, 3, 0, 0},
    {Unary::neg, "neg", 0, 0, -3, 3, 0, 0},
    {Unary::reciprocal, "reciprocal", 0, 0, .1, 9, .5, 1},
    {Unary::gelu, "gelu", 0, 0, -9, 9, 40, 8},
    {Unary::elu, "elu", 1.5, 1.1, -30, 5, 4, 3},
    {Unary::softplus, "softplus", 0, 0, -60, 60, 4, 3},
    {Unary::mish, "mish", 0, 0, -60, 60, 5, 4},
    {Unary::erf, "erf", 0, 0, -4, 4, 4, 3},
};

const Index lengths[] = {0, 1, 3, 7, 16, 17, 31, 65, 1000, 20001};

}  // namespace

TEMPLATE_TEST_CASE("functions of one value and their derivatives match the plain loops", "[elementwise]",
                   float, double) {
  using T = TestType;
  using W = Wide<T>;
  for (const UnaryCase& c : unary_cases) {
    on_each_isa([&] {
      for (const Index n : lengths) {
        INFO(c.name << ", n " << n);
        const T alpha = static_cast<T>(c.alpha), beta = static_cast<T>(c.beta);
        const auto x = random_values<T>(n, 1, c.low, c.high), dy = random_values<T>(n, 2);
        std::vector<T> y(x.size()), dx(x.size());
        std::vector<W> wide_y(x.size()), wide_dx(x.size());
        unary_forward<T>(c.op, alpha, beta, n, x.data(), y.data());
        reference::unary_forward<W>(c.op, alpha, beta, n, converted<W>(x).data(), wide_y.data());
        // The portable instruction set has no fused multiply-add: the corners of hard_swish round twice.
        CHECK(worst_error(y, wide_y, c.forward_units == 8 ? 1 : 1e-30) <= c.forward_units);

        const std::vector<T>& saved = saves_output(c.op) ? y : x;
        unary_backward<T>(c.op, alpha, beta, n, saved.data(), dy.data(), dx.data());
        reference::unary_backward<W>(c.op, alpha, beta, n, converted<W>(saved).data(),
                                     converted<W>(dy).data(), wide_dx.data());
        CHECK(worst_error(dx, wide_dx, 1) <= c.backward_units);

        std::vector<T> in_place = x, gradient_in_place = dy;
        unary_forward<T>(c.op, alpha, beta, n, in_place.data(), in_place.data());
        unary_backward<T>(c.op, alpha, beta, n, saved.data(), gradient_in_place.data(),
                          gradient_in_place.data());
        CHECK(in_place == y);
        CHECK(gradient_in_place == dx);
      }
    });
  }
}

TEMPLATE_TEST_CASE("functions of one value keep NaN and treat the ends of the range as <cmath> does",
                   "[elementwise]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  using Limits = std::numeric_limits<T>;
  const T inf = Limits::infinity();
  const std::vector<T> x{0,
                         T(-0.0),
                         1,
                         -1,
                         Limits::min(),
                         Limits::denorm_min(),
                         Limits::max(),
                         -Limits::max(),
                         T(1e-20),
                         T(-1e-20),
                         inf,
                         -inf,
                         Limits::quiet_NaN(),
                         700,
                         -700,
                         T(-87.5)};
  for (const UnaryCase& c : unary_cases) {
    on_each_isa([&] {
      INFO(c.name);
      const T alpha = static_cast<T>(c.alpha), beta = static_cast<T>(c.beta);
      std::vector<T> y(x.size());
      std::vector<W> want(x.size());
      const auto n = static_cast<Index>(x.size());
      unary_forward<T>(c.op, alpha, beta, n, x.data(), y.data());
      reference::unary_forward<W>(c.op, alpha, beta, n, converted<W>(x).data(), want.data());
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (x[i] == -inf &&
            (c.op == Unary::silu || c.op == Unary::hard_swish || c.op == Unary::gelu || c.op == Unary::mish))
          continue;  // -inf * 0
        const auto w = static_cast<T>(want[i]);
        INFO("x " << x[i] << ", y " << y[i] << ", expected " << w);
        const bool same =
            std::isnan(w) ? std::isnan(y[i])
                          : y[i] == w || std::abs(y[i] - w) <= 4 * std::max(std::abs(w) * Limits::epsilon(),
                                                                            Limits::denorm_min());
        CHECK(same);
      }
    });
  }
}

TEMPLATE_TEST_CASE("functions of two values broadcast over any strides", "[elementwise]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  struct Case {
    std::vector<Index> extents, strides_a, strides_b;
  };
  const Case cases[] = {
      {{}, {}, {}},
      {{0}, {1}, {1}},
      {{37}, {1}, {1}},
      {{50001}, {1}, {0}},
      {{37}, {0}, {1}},
      {{37}, {0}, {0}},
      {{37}, {2}, {-1}},                           // b walks backwards
      {{5, 7}, {7, 1}, {0, 1}},                    // a bias for each column
      {{5, 7}, {7, 1}, {1, 0}},                    // one value a row
      {{5, 7}, {1, 5}, {7, 1}},                    // a transposed
      {{3, 300, 70}, {21000, 70, 1}, {0, 70, 1}},  // many blocks
      {{2, 3, 4, 5}, {60, 20, 5, 1}, {0, 1, 0, 0}},
      {{2, 3, 4, 5}, {60, 20, 5, 1}, {60, 20, 5, 1}},  // joins to one dimension
      {{2, 1, 3, 1, 2, 2, 1, 3}, {36, 36, 12, 12, 6, 3, 3, 1}, {0, 1, 3, 7, 0, 3, 2, 1}},
  };
  const Binary ops[] = {Binary::add,     Binary::sub,           Binary::mul,  Binary::div,
                        Binary::max,     Binary::min,           Binary::pow,  Binary::keep_where,
                        Binary::greater, Binary::greater_equal, Binary::equal};
  for (const Case& c : cases) {
    Index n = 1;
    for (Index extent : c.extents) n *= extent;
    const auto a = random_values<T>(2 * n + 64, 3, .5, 2), b = random_values<T>(2 * n + 64, 4, -2, 2);
    const T* first_b = b.data() + 40;  // room for negative strides
    const auto wide_a = converted<W>(a), wide_b = converted<W>(b);
    for (const Binary op : ops) {
      on_each_isa([&] {
        INFO("op " << static_cast<int>(op) << ", n " << n);
        const int rank = static_cast<int>(c.extents.size());
        std::vector<T> y(size_of(n));
        std::vector<W> want(size_of(n));
        binary_broadcast<T>(op, rank, c.extents.data(), c.strides_a.data(), c.strides_b.data(), a.data(),
                            first_b, y.data());
        reference::binary_broadcast<W>(op, rank, c.extents.data(), c.strides_a.data(), c.strides_b.data(),
                                       wide_a.data(), wide_b.data() + 40, want.data());
        CHECK(worst_error(y, want, 1e-30) <= (op == Binary::pow ? 1 : .5));
      });
    }
  }
}

TEMPLATE_TEST_CASE("one row of a function of two values", "[elementwise]", float, double) {
  using T = TestType;
  on_each_isa([&] {
    for (const Index n : lengths) {
      const auto a = random_values<T>(n + 1, 5, .5, 2), b = random_values<T>(n + 1, 6);
      for (const Index stride_a : {0, 1}) {
        for (const Index stride_b : {0, 1}) {
          std::vector<T> y(size_of(n)), want(size_of(n));
          binary_row<T>(Binary::div, n, a.data(), stride_a, b.data(), stride_b, y.data());
          for (Index i = 0; i < n; ++i)
            want[size_of(i)] = a[size_of(i * stride_a)] / b[size_of(i * stride_b)];
          CHECK(y == want);
        }
      }
    }
    const T nan = std::numeric_limits<T>::quiet_NaN();
    const T left[] = {nan, 1, nan}, right[] = {1, nan, nan};
    T y[3];
    for (const Binary op : {Binary::max, Binary::min}) {
      binary_row<T>(op, 3, left, 1, right, 1, y);
      CHECK((std::isnan(y[0]) && std::isnan(y[1]) && std::isnan(y[2])));
    }
    for (const Binary op : {Binary::greater, Binary::greater_equal, Binary::equal}) {
      binary_row<T>(op, 3, left, 1, right, 1, y);
      CHECK((y[0] == 0 && y[1] == 0 && y[2] == 0));
    }
    const T values[] = {1, 2, 3}, equal[] = {2, 2, 2}, flags[] = {0, nan, -1};
    binary_row<T>(Binary::greater, 3, values, 1, equal, 1, y);
    CHECK((y[0] == 0 && y[1] == 0 && y[2] == 1));
    binary_row<T>(Binary::greater_equal, 3, values, 1, equal, 1, y);
    CHECK((y[0] == 0 && y[1] == 1 && y[2] == 1));
    binary_row<T>(Binary::equal, 3, values, 1, equal, 1, y);
    CHECK((y[0] == 0 && y[1] == 1 && y[2] == 0));
    binary_row<T>(Binary::keep_where, 3, left, 1, flags, 1, y);  // what is not kept may be NaN
    CHECK((y[0] == 0 && y[1] == 1 && std::isnan(y[2])));
  });
}

TEMPLATE_TEST_CASE("vector arithmetic", "[elementwise]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  on_each_isa([&] {
    for (const Index n : lengths) {
      INFO("n " << n);
      const auto a = random_values<T>(n, 7), b = random_values<T>(n, 8);
      const T alpha = T(0.3), beta = T(-1.7);
      const auto expect = [&](const std::vector<T>& got, auto formula) {
        std::vector<W> want(a.size());
        for (std::size_t i = 0; i < a.size(); ++i)
          want[i] = formula(static_cast<W>(a[i]), static_cast<W>(b[i]));
        CHECK(worst_error(got, want, 4) <= 1);
      };
      std::vector<T> y(a.size());
      fill(n, alpha, y.data());
      expect(y, [&](W, W) { return alpha; });
      scale(n, alpha, a.data(), y.data());
      expect(y, [&](W v, W) { return alpha * v; });
      weighted_sum(n, alpha, a.data(), beta, b.data(), y.data());
      expect(y, [&](W v, W w) { return alpha * v + beta * w; });
      y = b;
      add_in_place(n, a.data(), y.data());
      expect(y, [&](W v, W w) { return v + w; });
      y = b;
      axpy(n, alpha, a.data(), y.data());
      expect(y, [&](W v, W w) { return alpha * v + w; });
    }
  });
}

TEMPLATE_TEST_CASE("elementwise results have the same bits at any thread count", "[elementwise]", float,
                   double) {
  using T = TestType;
  const Index n = 70003, stride = 1;
  const auto a = random_values<T>(n, 9), b = random_values<T>(n, 10, 0.1, 2);
  on_each_isa([&] {
    check_same_bits_at_any_thread_count([&] {
      std::vector<T> all, y(a.size());
      for (const UnaryCase& c : unary_cases) {
        const auto alpha = static_cast<T>(c.alpha), beta = static_cast<T>(c.beta);
        unary_forward<T>(c.op, alpha, beta, n, b.data(), y.data());
        append(all, y);
        unary_backward<T>(c.op, alpha, beta, n, b.data(), a.data(), y.data());
        append(all, y);
      }
      for (const Binary op :
           {Binary::add, Binary::sub, Binary::mul, Binary::div, Binary::max, Binary::min, Binary::pow,
            Binary::greater, Binary::greater_equal, Binary::equal, Binary::keep_where}) {
        binary_broadcast<T>(op, 1, &n, &stride, &stride, b.data(), a.data(), y.data());
        append(all, y);
      }
      scale(n, T(0.7), a.data(), y.data());
      append(all, y);
      weighted_sum(n, T(0.7), a.data(), T(-0.3), b.data(), y.data());
      add_in_place(n, a.data(), y.data());
      axpy(n, T(0.9), b.data(), y.data());
      append(all, y);
      fill(n, T(3), y.data());
      append(all, y);
      return all;
    });
  });
}
