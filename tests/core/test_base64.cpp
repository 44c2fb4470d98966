// Base64: the examples of RFC 4648, and all bytes there and back.
#include <tl/core/base64.hpp>

#include <utility>

#include "support/catch.hpp"

using namespace tl;
using tl::test::contains;

TEST_CASE("the examples of RFC 4648") {
  const std::pair<std::string, std::string> examples[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : examples) {
    CHECK(to_base64(bytes) == text);
    CHECK(from_base64(text) == bytes);
  }
}

TEST_CASE("all bytes come back, and other text is refused") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  CHECK(from_base64(to_base64(bytes)) == bytes);
  CHECK_THROWS_WITH(from_base64("Zg="), contains("3 characters"));
  CHECK_THROWS_WITH(from_base64("Zg-="), contains("damaged"));
}
