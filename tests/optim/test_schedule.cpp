// Schedules: ends, corners and warm-up by hand; one-cycle and cosine against PyTorch's schedulers.
#include <cmath>
#include <vector>

#include <tl/optim/schedule.hpp>
#include "support/catch.hpp"

using namespace tl;
using optim::Schedule;
using optim::ScheduleKind;

namespace {

void check(const Schedule& schedule, const std::vector<double>& want) {
  for (std::size_t t = 0; t < want.size(); ++t) {
    INFO("step " << t);
    CHECK(schedule(static_cast<Index>(t)) == Approx(want[t]).epsilon(1e-12).margin(1e-15));
  }
}

}  // namespace

TEST_CASE("constant and step schedules") {
  check({.kind = ScheduleKind::constant}, {1, 1, 1, 1, 1, 1});
  check({.kind = ScheduleKind::step, .every = 3, .gamma = .5}, {1, 1, 1, .5, .5, .5, .25, .25, .25, .125});
}

TEST_CASE("warm-up rises linearly and meets the schedule") {
  check({.warmup = 3}, {.25, .5, .75, 1, 1, 1});
  check({.kind = ScheduleKind::step, .warmup = 1, .every = 2}, {.5, 1, .1, .1});
}

TEST_CASE("a cosine schedule is PyTorch's CosineAnnealingLR with T_max = total - 1") {
  // torch.optim.lr_scheduler.CosineAnnealingLR(SGD(lr=1), T_max=8, eta_min=.1)
  check({.kind = ScheduleKind::cosine, .total = 9, .floor = .1},
        {1.0, 0.9657457896300791, 0.8681980515339464, 0.7222075445642905, 0.55, 0.3777924554357097,
         0.2318019484660537, 0.134254210369921, 0.1});
  const Schedule halves{.kind = ScheduleKind::cosine, .total = 5};
  check(halves, {1, .5 + std::sqrt(.125), .5, .5 - std::sqrt(.125), 0});
  CHECK(halves(4) == Approx(0).margin(1e-15));
  CHECK(halves(100) == halves(4));
}

TEST_CASE("one-cycle starts at 1/div, is 1 at the end of its rise and ends at 1/div_final") {
  const Schedule cycle{.kind = ScheduleKind::one_cycle, .total = 11, .rise = .3, .div = 5, .div_final = 100};
  CHECK(cycle(0) == Approx(.2));
  CHECK(cycle(3) == Approx(1));
  CHECK(cycle(10) == Approx(.01));
  CHECK(cycle(11) == Approx(.01));
  // Half a cosine up: at two thirds of it, 3/4 of the way.
  CHECK(cycle(2) == Approx(.2 + .8 * .75));
  for (Index t = 0; t < 3; ++t) CHECK(cycle(t) < cycle(t + 1));
  for (Index t = 3; t < 10; ++t) CHECK(cycle(t) > cycle(t + 1));
}

TEST_CASE("one-cycle is PyTorch's OneCycleLR when it peaks at the same step") {
  // OneCycleLR(SGD(lr=1), max_lr=1, total_steps=10, pct_start=.3, div_factor=25, final_div_factor=4) rises
  // for .3 * 10 - 1 = 2 of 9 steps; its final value is 1 / (25 * 4).
  check({.kind = ScheduleKind::one_cycle, .total = 10, .rise = 2. / 9, .div = 25, .div_final = 100},
        {0.040000000000000036, 0.52, 1.0, 0.9509795896116974, 0.8136274519200731, 0.6151478623083756,
         0.3948521376916244, 0.19637254807992693, 0.05902041038830258, 0.01});
}

TEST_CASE("schedules of one step, and rises of nothing and of everything") {
  CHECK(Schedule{.kind = ScheduleKind::cosine, .total = 1}(0) == Approx(0).margin(1e-15));
  CHECK(Schedule{.kind = ScheduleKind::one_cycle, .total = 1, .div_final = 10}(0) == Approx(.1));
  const Schedule falls{.kind = ScheduleKind::one_cycle, .total = 3, .rise = 0, .div_final = 10};
  CHECK(falls(0) == Approx(1));
  CHECK(falls(2) == Approx(.1));
  const Schedule rises{.kind = ScheduleKind::one_cycle, .total = 3, .rise = 1, .div = 4};
  CHECK(rises(0) == Approx(.25));
  CHECK(rises(1) == Approx(.625));
  CHECK(rises(2) == Approx(1));
}

TEST_CASE("impossible schedules are refused") {
  CHECK_THROWS_WITH(Schedule{.kind = ScheduleKind::cosine}(0),
                    "[schedule] expected total and every of at least 1 and t of at least 0, got 0, 1 and 0");
  CHECK_THROWS_WITH(Schedule{.total = 4}(-1),
                    "[schedule] expected total and every of at least 1 and t of at least 0, got 4, 1 and -1");
  CHECK_THROWS_WITH((Schedule{.kind = ScheduleKind::one_cycle, .total = 2, .rise = 1.5}(0)),
                    "[schedule] expected a rise in [0, 1] and divisors above 0, got 1.5, 25 and 100000");
}
