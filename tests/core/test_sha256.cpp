// SHA-256 against the examples of FIPS 180-4 and the Secure Hash Standard's long message.
#include <tl/core/sha256.hpp>

#include "support/catch.hpp"

using namespace tl;

TEST_CASE("SHA-256 of the standard's messages", "[core]") {
  CHECK(hex(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(hex(sha256(std::string(1'000'000, 'a'))) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 does not depend on how the bytes are cut", "[core]") {
  const std::string text(300, 'x');
  for (std::size_t length = 0; length <= 200; ++length) {
    const std::string_view message(text.data(), length);
    for (std::size_t piece : {1u, 7u, 63u, 64u, 65u}) {
      Sha256 hash;
      for (std::size_t at = 0; at < length; at += piece) hash.add(message.substr(at, piece));
      REQUIRE(hash.finish() == sha256(message));
    }
  }
}
