// Method: what the command line may say, and the same text back.
#include <tl/core/error.hpp>
#include <tl/transfer/method.hpp>
#include "support/catch.hpp"

using namespace tl;
using namespace tl::test;
using transfer::Method;
using transfer::MethodKind;

TEST_CASE("methods are read and written") {
  for (const char* text : {"features", "head", "last:1", "last:12", "full", "two-stage", "gradual"})
    CHECK(concat(Method::parse(text)) == text);
  CHECK(Method::parse("features").kind == MethodKind::features);
  CHECK(Method::parse("head").kind == MethodKind::head);
  CHECK(Method::parse("full").kind == MethodKind::full);
  CHECK(Method::parse("last:3").kind == MethodKind::last);
  CHECK(Method::parse("last:3").layers == 3);
  CHECK(Method{}.kind == MethodKind::two_stage);
}

TEST_CASE("unknown methods are errors that name what there is") {
  for (const char* text : {"", "Head", "head ", "last", "last:", "last:0", "last:-1", "last:+1", "last:2.5",
                           "last:3x", "last: 3", "last:99999999999999999999", "two_stage", "feature"}) {
    INFO(text);
    CHECK_THROWS_WITH(
        Method::parse(text),
        contains(concat("unknown method '", text, "'")) &&
            contains("expected features, head, last:N (such as last:3), full, two-stage or gradual"));
  }
}
