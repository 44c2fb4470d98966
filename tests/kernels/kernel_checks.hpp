// What the tests of the kernels share: random arrays, comparison in units of rounding error, every
// instruction set, every thread count.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include <tl/core/parallel.hpp>
#include <tl/core/rng.hpp>
#include <tl/kernels/isa.hpp>
#include "support/catch.hpp"

namespace kernel_checks {

using tl::Index;

/// The type in which the reference computes: one with more digits than T.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

inline std::size_t size_of(Index n) { return static_cast<std::size_t>(n); }

template <class T>
std::vector<T> random_values(Index n, std::uint64_t key, double low = -2, double high = 2) {
  std::vector<T> values(size_of(n));
  tl::Rng rng(20, key);
  for (T& value : values) value = static_cast<T>(rng.uniform(low, high));
  return values;
}

template <class To, class From>
std::vector<To> converted(const std::vector<From>& values) {
  std::vector<To> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), [](From v) { return static_cast<To>(v); });
  return result;
}

/// The largest |got - want|, in units of epsilon * max(|want|, floor). NaN must meet NaN, and infinities each
/// other.
template <class T>
double worst_error(const std::vector<T>& got, const std::vector<Wide<T>>& want, double floor) {
  REQUIRE(got.size() == want.size());
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const Wide<T> w = want[i], g = got[i];
    if (std::isnan(w) || std::isnan(g) || std::isinf(g) || std::abs(w) > std::numeric_limits<T>::max()) {
      const bool same = std::isnan(w) ? std::isnan(g) : static_cast<T>(w) == got[i];
      if (!same) return std::numeric_limits<double>::infinity();
      continue;
    }
    const double scale = std::max(static_cast<double>(std::abs(w)), floor);
    worst = std::max(worst, static_cast<double>(std::abs(g - w)) / scale /
                                static_cast<double>(std::numeric_limits<T>::epsilon()));
  }
  return worst;
}

/// The largest value, for errors of sums: relative to the whole result rather than to a value that cancelled.
template <class T>
double largest(const std::vector<T>& values) {
  double most = std::numeric_limits<double>::min();
  for (T v : values) {
    if (std::isfinite(v)) most = std::max(most, static_cast<double>(std::abs(v)));
  }
  return most;
}

/// |got - want| <= units * epsilon * largest |want|.
template <class T>
void check_close(const std::vector<T>& got, const std::vector<Wide<T>>& want, double units) {
  CHECK(worst_error(got, want, largest(want)) <= units);
}

template <class Body>
void on_each_isa(const Body& body) {
  for (const tl::kernels::Isa isa : tl::kernels::available_isas()) {
    const tl::kernels::ScopedIsa scope(isa);
    INFO("instruction set " << tl::kernels::name_of(isa));
    body();
  }
}

/// For the results of several kernels in one vector.
template <class T>
void append(std::vector<T>& all, const std::vector<T>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

/// compute() returns a vector; its bits must not depend on the number of threads. (Eight are more than most
/// kernels here have blocks, and than many machines have processors.)
template <class Compute>
void check_same_bits_at_any_thread_count(const Compute& compute) {
  const int before = tl::num_threads();
  tl::set_num_threads(1);
  const auto one = compute();
  for (const int threads : {2, 3, 8}) {
    tl::set_num_threads(threads);
    const auto many = compute();
    INFO(threads << " threads");
    CHECK(one.size() == many.size());
    CHECK((one.empty() || std::memcmp(one.data(), many.data(), one.size() * sizeof(one[0])) == 0));
  }
  tl::set_num_threads(before);
}

}  // namespace kernel_checks
