// Numbers as text and back.
#include <cmath>
#include <cstdint>
#include <limits>

#include <tl/core/numbers.hpp>

#include "support/catch.hpp"

using namespace tl;

TEST_CASE("numbers: a whole word, or nothing") {
  CHECK(parse_number<int>("-12") == -12);
  CHECK(parse_number<double>("-1.5e3") == -1500);
  CHECK(parse_number<double>("1E2") == 100);
  CHECK(parse_number<double>("-inf") == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(parse_number<double>("nan").value()));
  for (const char* word : {"", " 1", "1 ", "+1", "0x10", "1.5.2", "1e", "one", "1e999", "1,5"}) {
    CAPTURE(word);
    CHECK_FALSE(parse_number<double>(word));
  }
  CHECK_FALSE(parse_number<int>("1.5"));
  CHECK_FALSE(parse_number<int>("99999999999"));
}

TEST_CASE("numbers: the shortest text gives the same number back") {
  CHECK(shortest(0.1) == "0.1");
  CHECK(shortest(0.1f) == "0.1");
  CHECK(shortest(1.0 / 3) == "0.3333333333333333");
  for (const double value :
       {0.0, -1.0, 1e-300, 123456789.125, std::nextafter(1.0, 2.0), 5e-324, 1.7976931348623157e308})
    CHECK(parse_number<double>(shortest(value)) == value);
  for (const float value : {1e-5f, 3.4028235e38f, 1e-45f})
    CHECK(parse_number<float>(shortest(value)) == value);
}

TEST_CASE("numbers: the same bits") {
  CHECK(same_bits<std::uint32_t>(1.0f) == 0x3f800000u);
  CHECK(same_bits<float>(0x80000000u) == 0);
}
