// Random numbers: golden values, independence of named streams, and the shape of the distributions.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <set>
#include <tl/core/rng.hpp>
#include <vector>

#include "support/catch.hpp"

using tl::Rng;

TEST_CASE("mix64 is SplitMix64: the published sequence of seed 0") {
  const std::uint64_t gamma = 0x9e3779b97f4a7c15u;
  static_assert(tl::mix64(0) == 0xe220a8397b1dcdafu);
  CHECK(tl::mix64(gamma) == 0x6e789e6aa1b965f4u);
  CHECK(tl::mix64(2 * gamma) == 0x06c45d188009454fu);
}

TEST_CASE("a stream depends on its name alone") {
  Rng first(1, 2, 3, 4), again(1, 2, 3, 4);
  const std::uint64_t bits = first.bits();
  CHECK(bits == again.bits());
  CHECK(first.bits() != bits);
  CHECK(first.bits() != again.bits());  // one draw ahead
}

TEST_CASE("streams of different names differ, also when the parts of a name change places") {
  std::set<std::uint64_t> seen;
  std::uint64_t names = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (std::uint64_t a = 0; a < 10; ++a) {
      for (std::uint64_t b = 0; b < 10; ++b) {
        for (std::uint64_t c = 0; c < 10; ++c, ++names) seen.insert(Rng(seed, a, b, c).bits());
      }
    }
  }
  CHECK(seen.size() == names);
}

TEST_CASE("the first numbers of neighbouring streams are uniform and not correlated") {
  const int n = 100'000;
  double sum = 0, squares = 0, products = 0, last = 0.5;
  for (int i = 0; i < n; ++i) {
    const double u = Rng(42, 0, static_cast<std::uint64_t>(i)).uniform() - 0.5;
    sum += u;
    squares += u * u;
    products += u * last;
    last = u;
  }
  // Five standard errors of each statistic of independent uniform numbers.
  CHECK(std::abs(sum / n) < 5 * std::sqrt(1.0 / 12 / n));
  CHECK(std::abs(squares / n - 1.0 / 12) < 5 * std::sqrt(1.0 / 180 / n));
  CHECK(std::abs(products / n) < 5 * (1.0 / 12) / std::sqrt(n));
}

TEST_CASE("uniform stays in its interval") {
  Rng rng(3);
  for (int i = 0; i < 100'000; ++i) {
    const double u = rng.uniform();
    REQUIRE((u >= 0 && u < 1));
    const double v = rng.uniform(-2, 5);
    REQUIRE((v >= -2 && v < 5));
  }
}

TEST_CASE("below(n) gives every integer in [0,n) equally often") {
  Rng rng(4);
  const int draws = 70'000;
  std::array<int, 7> counts{};
  for (int i = 0; i < draws; ++i) ++counts.at(rng.below(7));
  double chi_square = 0;
  for (const int count : counts) chi_square += std::pow(count - draws / 7.0, 2) / (draws / 7.0);
  CHECK(chi_square < 35);  // 6 degrees of freedom: exceeded by chance 4 times in a million
  CHECK(rng.below(1) == 0);
  CHECK(rng.below(std::uint64_t{1} << 63) < std::uint64_t{1} << 63);
}

TEST_CASE("chance(p) is true p of the time") {
  Rng rng(5);
  const int n = 100'000;
  int hits = 0;
  for (int i = 0; i < n; ++i) hits += rng.chance(0.2);
  CHECK(std::abs(hits - 0.2 * n) < 5 * std::sqrt(0.2 * 0.8 * n));
  CHECK_FALSE(rng.chance(0));
  CHECK(rng.chance(1));
}

TEST_CASE("normal has the moments of a standard normal") {
  Rng rng(6);
  const int n = 200'000;
  double sum = 0, squares = 0, fourth = 0;
  int beyond_two = 0;
  for (int i = 0; i < n; ++i) {
    const double z = rng.normal();
    sum += z;
    squares += z * z;
    fourth += z * z * z * z;
    beyond_two += std::abs(z) > 2;
  }
  CHECK(std::abs(sum / n) < 5 / std::sqrt(n));
  CHECK(std::abs(squares / n - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::abs(fourth / n - 3) < 5 * std::sqrt(96.0 / n));
  CHECK(std::abs(beyond_two - 0.0455 * n) < 5 * std::sqrt(0.0455 * n));
}

TEST_CASE("gamma has mean and variance equal to its shape") {
  const int n = 100'000;
  for (const double shape : {0.2, 0.9, 1.0, 3.5, 50.0}) {
    INFO("shape " << shape);
    Rng rng(7);
    double sum = 0, squares = 0;
    for (int i = 0; i < n; ++i) {
      const double x = rng.gamma(shape);
      REQUIRE(x >= 0);
      sum += x;
      squares += (x - shape) * (x - shape);
    }
    CHECK(std::abs(sum / n - shape) < 5 * std::sqrt(shape / n));
    // The fourth central moment is 3 shape^2 + 6 shape.
    CHECK(std::abs(squares / n - shape) < 5 * std::sqrt((2 * shape * shape + 6 * shape) / n));
  }
}

TEST_CASE("beta has its mean and variance, and stays in [0, 1] where its parts vanish") {
  const int n = 100'000;
  for (const auto& [a, b] : {std::pair(0.2, 0.2), {1.0, 1.0}, {2.0, 5.0}}) {
    INFO("a " << a << ", b " << b);
    const double mean = a / (a + b), variance = a * b / ((a + b) * (a + b) * (a + b + 1));
    Rng rng(8);
    double sum = 0, squares = 0;
    for (int i = 0; i < n; ++i) {
      const double x = rng.beta(a, b);
      REQUIRE((x >= 0 && x <= 1));
      sum += x;
      squares += (x - mean) * (x - mean);
    }
    CHECK(std::abs(sum / n - mean) < 5 * std::sqrt(variance / n));
    CHECK(std::abs(squares / n - variance) < 5 * std::sqrt(variance / n) * 0.5);
  }
  Rng rng(9);
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    const double x = rng.beta(1e-4, 3e-4);
    REQUIRE((x >= 0 && x <= 1));
    sum += x;
  }
  CHECK(std::abs(sum / n - 0.25) < 5 * std::sqrt(0.25 * 0.75 / n));
}

TEST_CASE("shuffle permutes, reaches every order equally often, and is repeatable") {
  std::map<std::vector<int>, int> counts;
  const int draws = 24'000;
  for (int i = 0; i < draws; ++i) {
    std::vector<int> order{0, 1, 2, 3};
    Rng(8, static_cast<std::uint64_t>(i)).shuffle(order);
    ++counts[order];
  }
  CHECK(counts.size() == 24);
  for (const auto& [order, count] : counts) CHECK(std::abs(count - 1000) < 5 * std::sqrt(1000.0));

  std::vector<int> once(100), twice(100), sorted(100);
  std::iota(sorted.begin(), sorted.end(), 0);
  once = twice = sorted;
  Rng(9).shuffle(once);
  Rng(9).shuffle(twice);
  CHECK(once == twice);
  CHECK(once != sorted);
  std::sort(once.begin(), once.end());
  CHECK(once == sorted);
  std::vector<int> empty;
  Rng(9).shuffle(empty);
  CHECK(empty.empty());
}
