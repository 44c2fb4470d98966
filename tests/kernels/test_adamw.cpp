// The AdamW update against the plain loop over several steps, on each instruction set.
#include <tl/kernels/adamw.hpp>
#include <tl/kernels/reference/adamw.hpp>
#include "kernels/kernel_checks.hpp"

using namespace tl::kernels;
using namespace kernel_checks;

namespace {

const AdamWStep steps[] = {
    {.lr = 0.1},
    {.lr = 0.1, .beta1 = 0.5, .beta2 = 0.75, .weight_decay = 0.25},
    {.lr = 0.1, .beta1 = 0, .beta2 = 0, .eps = 0.5},
};

}  // namespace

TEMPLATE_TEST_CASE("AdamW with other means, weight decay and eps", "[adamw]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  on_each_isa([&] {
    for (AdamWStep step : steps) {
      for (const Index n : {0, 1, 15, 33, 1000, 40001}) {
        INFO("n " << n << ", beta1 " << step.beta1);
        std::vector<T> w = random_values<T>(n, 80), m(w.size()), v(w.size());
        std::vector<W> want_w = converted<W>(w), want_m(w.size()), want_v(w.size());
        for (int t = 1; t <= 4; ++t) {
          step.t = t;
          const auto dw = random_values<T>(n, 80 + static_cast<std::uint64_t>(t));
          adamw_update(step, n, dw.data(), m.data(), v.data(), w.data());
          reference::adamw_update(step, n, converted<W>(dw).data(), want_m.data(), want_v.data(),
                                  want_w.data());
        }
        CHECK(worst_error(m, want_m, 2) <= 6);
        CHECK(worst_error(v, want_v, 2) <= 6);
        CHECK(worst_error(w, want_w, 2) <= 12);
      }
    }
  });
}

TEST_CASE("two steps of AdamW worked by hand", "[adamw]") {
  AdamWStep step{.lr = 0.5, .beta1 = 0.5, .beta2 = 0.75, .eps = 1, .weight_decay = 0.5};
  double w = 4, m = 0, v = 0;
  const double dw[] = {2, -1};
  adamw_update(step, 1, dw, &m, &v, &w);  // m = 1, v = 1, means 2 and 4: w = 3 - 0.5 * 2 / (2 + 1)
  CHECK(m == 1);
  CHECK(v == 1);
  CHECK(w == Approx(3 - 1 / 3.).epsilon(1e-15));
  step.t = 2;
  w = 4;
  adamw_update(step, 1, dw + 1, &m, &v, &w);  // m = 0, v = 0.75 + 0.25: only the decay moves w
  CHECK(m == 0);
  CHECK(v == 1);
  CHECK(w == 3);
}

TEST_CASE("AdamW has the same bits at any thread count", "[adamw]") {
  const Index n = 70001;
  const auto dw = random_values<float>(n, 90);
  on_each_isa([&] {
    check_same_bits_at_any_thread_count([&] {
      std::vector<float> w = random_values<float>(n, 91), m = random_values<float>(n, 92);
      std::vector<float> v(w.size(), 0.5F);
      adamw_update(steps[1], n, dw.data(), m.data(), v.data(), w.data());
      append(w, m);
      append(w, v);
      return w;
    });
  });
}
