// Softmax, log-softmax and cross-entropy against plain loops in a wider type, on each instruction set.
#include <cstdint>

#include <tl/kernels/reference/softmax.hpp>
#include <tl/kernels/softmax.hpp>
#include "kernels/kernel_checks.hpp"

using namespace tl::kernels;
using namespace kernel_checks;

namespace {

const Index sizes[][2] = {{0, 5}, {1, 1}, {3, 2}, {5, 10}, {7, 16}, {2, 33}, {90, 200}, {4, 1000}, {2, 5003}};

std::vector<std::int64_t> random_labels(Index rows, Index columns) {
  std::vector<std::int64_t> labels(size_of(rows));
  tl::Rng rng(21);
  for (std::int64_t& label : labels)
    label = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(columns)));
  return labels;
}

}  // namespace

TEMPLATE_TEST_CASE("softmax and log-softmax, forward and backward", "[softmax]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  on_each_isa([&] {
    for (const auto& [rows, columns] : sizes) {
      INFO(rows << " x " << columns);
      const Index n = rows * columns;
      const auto x = random_values<T>(n, 40, -10, 10), dy = random_values<T>(n, 41, -1, 1);
      const auto wide_x = converted<W>(x), wide_dy = converted<W>(dy);
      std::vector<T> y(x.size()), dx(x.size());
      std::vector<W> want(x.size());

      // x - m is rounded: up to 20/2 units of relative error in its exponential.
      softmax_forward(rows, columns, x.data(), y.data());
      reference::softmax_forward(rows, columns, wide_x.data(), want.data());
      CHECK(worst_error(y, want, 1e-30) <= 12);
      softmax_backward(rows, columns, y.data(), dy.data(), dx.data());
      reference::softmax_backward(rows, columns, converted<W>(y).data(), wide_dy.data(), want.data());
      CHECK(worst_error(dx, want, .2) <= 4);

      log_softmax_forward(rows, columns, x.data(), y.data());
      reference::log_softmax_forward(rows, columns, wide_x.data(), want.data());
      CHECK(worst_error(y, want, 20) <= 1);
      log_softmax_backward(rows, columns, y.data(), dy.data(), dx.data());
      reference::log_softmax_backward(rows, columns, converted<W>(y).data(), wide_dy.data(), want.data());
      CHECK(worst_error(dx, want, static_cast<double>(columns)) <= 2);

      std::vector<T> in_place = x;
      log_softmax_forward(rows, columns, in_place.data(), in_place.data());
      CHECK(in_place == y);
      in_place = dy;
      log_softmax_backward(rows, columns, y.data(), in_place.data(), in_place.data());
      CHECK(in_place == dx);
    }
  });
}

TEMPLATE_TEST_CASE("softmax stands large values, -infinity and NaN", "[softmax]", float, double) {
  using T = TestType;
  const T inf = std::numeric_limits<T>::infinity();
  on_each_isa([&] {
    const std::vector<T> x{T(1e30), T(1e30), -inf, 0, 3, -inf, std::numeric_limits<T>::quiet_NaN(), 1, 2};
    std::vector<T> y(9);
    softmax_forward(3, 3, x.data(), y.data());
    CHECK(y[0] == T(.5));
    CHECK(y[1] == T(.5));
    CHECK(y[2] == T(0));
    CHECK(y[5] == T(0));
    CHECK(y[4] == Approx(1 / (1 + std::exp(-3.0))));
    CHECK((std::isnan(y[6]) && std::isnan(y[7]) && std::isnan(y[8])));
    log_softmax_forward(2, 3, x.data(), y.data());
    CHECK(y[2] == -inf);
    CHECK(y[4] == Approx(-std::log(1 + std::exp(-3.0))));
  });
}

TEMPLATE_TEST_CASE("cross-entropy with smoothing and class weights, and its gradient", "[softmax]", float,
                   double) {
  using T = TestType;
  using W = Wide<T>;
  on_each_isa([&] {
    for (const auto& [rows, columns] : sizes) {
      const Index n = rows * columns;
      const auto x = random_values<T>(n, 42, -10, 10), weights = random_values<T>(columns, 43, .2, 3);
      const auto wide_x = converted<W>(x), wide_weights = converted<W>(weights);
      const auto labels = random_labels(rows, columns);
      for (const bool weighted : {false, true}) {
        for (const T smoothing : {T(0), T(0.125)}) {
          INFO(rows << " x " << columns << (weighted ? ", weighted" : "") << ", smoothing " << smoothing);
          std::vector<T> losses(size_of(rows)), dx(x.size());
          std::vector<W> want_losses(losses.size()), want_dx(x.size());
          const T mean = cross_entropy(rows, columns, x.data(), labels.data(), smoothing,
                                       weighted ? weights.data() : nullptr, losses.data(), dx.data());
          const W want = reference::cross_entropy(rows, columns, wide_x.data(), labels.data(), smoothing,
                                                  weighted ? wide_weights.data() : nullptr,
                                                  want_losses.data(), want_dx.data());
          CHECK(worst_error<T>({mean}, {want}, 10) <= 4);
          CHECK(worst_error(losses, want_losses, 20) <= 4);
          CHECK(worst_error(dx, want_dx, 1 / static_cast<double>(std::max<Index>(1, rows))) <= 12);

          std::vector<T> in_place = x;
          const T again =
              cross_entropy(rows, columns, in_place.data(), labels.data(), smoothing,
                            weighted ? weights.data() : nullptr, static_cast<T*>(nullptr), in_place.data());
          CHECK((again == mean || (std::isnan(again) && std::isnan(mean))));
          CHECK(in_place == dx);
          const T loss_only = cross_entropy(rows, columns, x.data(), labels.data(), smoothing,
                                            weighted ? weights.data() : nullptr, static_cast<T*>(nullptr),
                                            static_cast<T*>(nullptr));
          CHECK((loss_only == mean || (std::isnan(loss_only) && std::isnan(mean))));
        }
      }
    }
  });
}

TEST_CASE("cross-entropy of a case worked by hand", "[softmax]") {
  // p = (1/4, 3/4); class weights (1, 2), smoothing 0.2, label 1: q = (0.1 * 1, 0.9 * 2).
  const std::vector<double> x{0, std::log(3.0)}, weights{1, 2};
  const std::int64_t label = 1;
  std::vector<double> dx(2);
  double loss = 0;
  const double mean = cross_entropy(1, 2, x.data(), &label, 0.2, weights.data(), &loss, dx.data());
  CHECK(loss == Approx(0.1 * std::log(4.0) + 1.8 * std::log(4.0 / 3)));
  CHECK(mean == Approx(loss / 2));
  CHECK(dx[0] == Approx((1.9 / 4 - 0.1) / 2));
  CHECK(dx[1] == Approx((1.9 * 3 / 4 - 1.8) / 2));
}

TEMPLATE_TEST_CASE("softmax and cross-entropy have the same bits at any thread count", "[softmax]", float,
                   double) {
  using T = TestType;
  const Index rows = 301, columns = 200;
  const auto x = random_values<T>(rows * columns, 44), dy = random_values<T>(rows * columns, 45);
  const auto weights = random_values<T>(columns, 46, .2, 3);
  const auto labels = random_labels(rows, columns);
  on_each_isa([&] {
    check_same_bits_at_any_thread_count([&] {
      std::vector<T> all, y(x.size()), dx(x.size()), losses(size_of(rows));
      softmax_forward(rows, columns, x.data(), y.data());
      softmax_backward(rows, columns, y.data(), dy.data(), dx.data());
      append(all, y);
      append(all, dx);
      log_softmax_forward(rows, columns, x.data(), y.data());
      log_softmax_backward(rows, columns, y.data(), dy.data(), dx.data());
      append(all, y);
      append(all, dx);
      for (const T* of_classes : {static_cast<const T*>(nullptr), weights.data()}) {
        all.push_back(cross_entropy(rows, columns, x.data(), labels.data(), T(0.1), of_classes, losses.data(),
                                    dx.data()));
        append(all, losses);
        append(all, dx);
      }
      return all;
    });
  });
}
