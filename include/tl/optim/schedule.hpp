// Learning-rate schedules: a factor for each step t of `total`, by which every group's rate is multiplied.
//
//   constant    1
//   step        gamma^floor(t / every)
//   cosine      floor + (1 - floor) (1 + cos(pi t / (total - 1))) / 2
//   one_cycle   half a cosine from 1/div up to 1 over `rise` of the steps, then one down to 1/div_final
//
// Warm-up multiplies the first `warmup` steps by (t + 1) / (warmup + 1). Sources: cosine Loshchilov, Hutter
// 2016, https://arxiv.org/abs/1608.03983; one-cycle Smith 2018, https://arxiv.org/abs/1803.09820, in fastai's
// form.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include <tl/core/shape.hpp>

namespace tl::optim {

/// The forms of a schedule; their formulas are in optim/schedule.hpp.
enum class ScheduleKind { constant, step, cosine, one_cycle };

/// A factor for each step, by which every group's rate is multiplied. Fields say which kinds read them.
struct Schedule {
  ScheduleKind kind = ScheduleKind::constant;  ///< its form
  Index total = 0;                             ///< cosine, one_cycle: steps of the whole training
  Index warmup = 0;                            ///< steps of linear warm-up
  Index every = 1;                             ///< step: length of a plateau
  double gamma = 0.1;                          ///< step: factor between plateaus
  double floor = 0;                            ///< cosine: the last value
  double rise = 0.3;                           ///< one_cycle: share of the steps that go up
  double div = 25;                             ///< one_cycle: the first value is 1 / div
  double div_final = 1e5;                      ///< one_cycle: the last value is 1 / div_final

  /// The factor of step t, counted from 0. Beyond the end, cosine and one_cycle stay at their last value.
  double operator()(Index t) const {
    const bool ends = kind == ScheduleKind::cosine || kind == ScheduleKind::one_cycle;
    TL_CHECK((total >= 1 || !ends) && t >= 0 && every >= 1,
             "[schedule] expected total and every of at least 1 and t of at least 0, got ", total, ", ",
             every, " and ", t);
    TL_CHECK(kind != ScheduleKind::one_cycle || (rise >= 0 && rise <= 1 && div > 0 && div_final > 0),
             "[schedule] expected a rise in [0, 1] and divisors above 0, got ", rise, ", ", div, " and ",
             div_final);
    const double progress =
        total <= 1 ? 1 : std::min(1.0, static_cast<double>(t) / static_cast<double>(total - 1));
    double factor = 1;
    switch (kind) {
      case ScheduleKind::constant:
        break;
      case ScheduleKind::step:
        factor = std::pow(gamma, static_cast<double>(t / every));
        break;
      case ScheduleKind::cosine:
        factor = blend(1, floor, progress);
        break;
      case ScheduleKind::one_cycle:
        factor = progress < rise ? blend(1 / div, 1, progress / rise)
                                 : blend(1, 1 / div_final, rise < 1 ? (progress - rise) / (1 - rise) : 0);
        break;
    }
    if (t < warmup) factor *= static_cast<double>(t + 1) / static_cast<double>(warmup + 1);
    return factor;
  }

 private:
  /// From a to b along half a cosine.
  static double blend(double a, double b, double share) {
    return b + (a - b) * (1 + std::cos(std::numbers::pi * share)) / 2;
  }
};

}  // namespace tl::optim
