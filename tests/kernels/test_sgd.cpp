// The SGD update against the plain loop over several steps, on each instruction set.
#include <tl/kernels/reference/sgd.hpp>
#include <tl/kernels/sgd.hpp>
#include "kernels/kernel_checks.hpp"

using namespace tl::kernels;
using namespace kernel_checks;

namespace {

const SgdStep steps[] = {
    {.lr = 0.1},
    {.lr = 0.1, .weight_decay = 0.01},
    {.lr = 0.1, .momentum = 0.9},
    {.lr = 0.1, .momentum = 0.9, .dampening = 0.25, .weight_decay = 0.01},
    {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true},
};

}  // namespace

TEMPLATE_TEST_CASE("SGD with momentum, dampening, weight decay and Nesterov's rule", "[sgd]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  on_each_isa([&] {
    for (SgdStep step : steps) {
      for (const Index n : {0, 1, 15, 33, 1000, 40001}) {
        INFO("n " << n << ", momentum " << step.momentum << ", nesterov " << step.nesterov);
        std::vector<T> w = random_values<T>(n, 80), v(w.size(), std::numeric_limits<T>::quiet_NaN());
        std::vector<W> want_w = converted<W>(w), want_v(w.size());
        T* velocity = step.momentum == 0 ? nullptr : v.data();
        for (std::uint64_t i = 0; i < 4; ++i) {
          step.first = i == 0;
          const auto dw = random_values<T>(n, 81 + i);
          sgd_update(step, n, dw.data(), velocity, w.data());
          reference::sgd_update(step, n, converted<W>(dw).data(), want_v.data(), want_w.data());
        }
        CHECK(worst_error(w, want_w, 2) <= 6);
        if (velocity != nullptr) CHECK(worst_error(v, want_v, 4) <= 6);
      }
    }
  });
}

TEST_CASE("two steps of Nesterov's SGD worked by hand", "[sgd]") {
  SgdStep step{.lr = 0.5, .momentum = 0.5, .weight_decay = 0.25, .nesterov = true, .first = true};
  double w = 4, v = 0;
  const double dw[] = {1, -1};
  sgd_update(step, 1, dw, &v, &w);  // g = 1 + 1 = 2, v = 2, w = 4 - 0.5 (2 + 1)
  CHECK(v == 2);
  CHECK(w == 2.5);
  step.first = false;
  sgd_update(step, 1, dw + 1, &v, &w);  // g = -1 + 0.625, v = 1 - 0.375, w = 2.5 - 0.5 (-0.375 + 0.3125)
  CHECK(v == 0.625);
  CHECK(w == 2.53125);
}

TEST_CASE("SGD has the same bits at any thread count", "[sgd]") {
  const Index n = 70001;
  const auto dw = random_values<float>(n, 90);
  on_each_isa([&] {
    check_same_bits_at_any_thread_count([&] {
      std::vector<float> w = random_values<float>(n, 91), v = random_values<float>(n, 92);
      sgd_update(steps[4], n, dw.data(), v.data(), w.data());
      append(w, v);
      return w;
    });
  });
}
