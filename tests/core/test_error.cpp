// Errors: what a message says, and when it is made.
#include <string>
#include <tl/core/error.hpp>
#include <tl/core/shape.hpp>

#include "support/catch.hpp"

using tl::Shape;

namespace {

std::string message_of_check(bool condition) {
  try {
    TL_CHECK(condition, "[linear] expected x", Shape{2, 3}, ", got ", 7, " and ", 0.5);
  } catch (const tl::Error& error) {
    return error.what();
  }
  return "nothing thrown";
}

}  // namespace

TEST_CASE("TL_CHECK throws tl::Error with the joined message when the condition does not hold") {
  CHECK(message_of_check(true) == "nothing thrown");
  CHECK(message_of_check(false) == "[linear] expected x(2,3), got 7 and 0.5");
}

TEST_CASE("TL_CHECK evaluates its message only for an error") {
  int evaluated = 0;
  const auto part = [&] { return ++evaluated; };
  TL_CHECK(true, "part ", part());
  CHECK(evaluated == 0);
  CHECK_THROWS_AS([&] { TL_CHECK(false, "part ", part()); }(), tl::Error);
  CHECK(evaluated == 1);
}

TEST_CASE("TL_CHECK is one statement, also between if and else") {
  bool reached_else = false;
  if (reached_else)
    TL_CHECK(false, "never");
  else
    reached_else = true;
  CHECK(reached_else);
}

TEST_CASE("tl::Error is a std::runtime_error; fail and concat join their arguments") {
  CHECK(tl::concat("a", 1, 'b', std::string("c")) == "a1bc");
  CHECK_THROWS_AS(tl::fail("gone"), std::runtime_error);
  CHECK_THROWS_WITH(tl::fail("expected ", 2, ", got ", 3), "expected 2, got 3");
}
