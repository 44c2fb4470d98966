// The hash that fills fixtures gives the numbers that tests/fixtures/hash_fill.py prints when it is run.
#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "support/hash_fill.hpp"

using tl::test::fnv1a64;
using tl::test::hash_fill;
using tl::test::hash_value;

TEST_CASE("fnv1a64 gives its published values", "[core][hash_fill]") {
  CHECK(fnv1a64("") == 0xcbf29ce484222325u);
  CHECK(fnv1a64("a") == 0xaf63dc4c8601ec8cu);
  CHECK(fnv1a64("foobar") == 0x85944171f73967e8u);
}

TEST_CASE("hash_value agrees with Python", "[core][hash_fill]") {
  CHECK(hash_value("", 0) == 4424060 * 0x1p-23);
  CHECK(hash_value("x", 0) == -5012894 * 0x1p-23);
  CHECK(hash_value("x", 1) == 184025 * 0x1p-23);
  CHECK(hash_value("conv1.weight", 9407) == -3052230 * 0x1p-23);
  CHECK(hash_value("layer4.1.bn2.running_var", 511) == -4978771 * 0x1p-23);
}

TEST_CASE("hash_fill agrees with Python in float and double", "[core][hash_fill]") {
  const double scale = static_cast<float>(std::sqrt(3.0 / 512));
  CHECK(scale == 0.0765465572476387);
  std::vector<float> weight(4);
  hash_fill("fc.weight", weight.data(), 4, scale, 0.0);
  CHECK(weight[3] == -0.043240178376436234f);

  std::vector<double> variance(3);
  hash_fill("bn1.running_var", variance.data(), 3, 0.5, 1.0);
  CHECK(variance[2] == 0.5890496969223022);
}

TEST_CASE("a hundred thousand hashed elements lie in [-1, 1) and sum as in Python", "[core][hash_fill]") {
  std::vector<double> x(100000);
  hash_fill("x", x.data(), static_cast<tl::Index>(x.size()));
  double sum = 0;  // exact: multiples of 2^-23, far below 2^53 of them
  for (std::size_t i = 0; i < x.size(); ++i) {
    REQUIRE((x[i] >= -1 && x[i] < 1));
    REQUIRE(x[i] == hash_value("x", i));
    sum += x[i];
  }
  CHECK(sum == 890483164 * 0x1p-23);
}
