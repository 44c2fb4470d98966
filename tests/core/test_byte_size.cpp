// Amounts of memory in words.
#include <tl/core/byte_size.hpp>

#include "support/catch.hpp"

using tl::byte_size_text;
using tl::parse_byte_size;

TEST_CASE("amounts of memory are read in powers of 1024") {
  CHECK(parse_byte_size("1") == 1);
  CHECK(parse_byte_size("2000") == 2000);
  CHECK(parse_byte_size("1k") == 1024);
  CHECK(parse_byte_size("512M") == std::size_t{512} << 20);
  CHECK(parse_byte_size("1.5G") == std::size_t{3} << 29);
  CHECK(parse_byte_size("2t") == std::size_t{2} << 40);
  for (const char* text : {"", "M", "0", "0.0G", "-1G", "+1G", "1e9", "1 G", " 1G", "1GB", "1Q", "0x10",
                           "nan", "inf", "99999999T"}) {
    INFO(text);
    CHECK_THROWS_WITH(parse_byte_size(text), tl::test::contains("an amount of memory such as 512M"));
  }
}

TEST_CASE("amounts of memory are written in at most four digits") {
  CHECK(byte_size_text(0) == "0 bytes");
  CHECK(byte_size_text(1023) == "1023 bytes");
  CHECK(byte_size_text(1536) == "1.5 KiB");
  CHECK(byte_size_text(std::size_t{512} << 20) == "512 MiB");
  CHECK(byte_size_text(std::size_t{5} << 29) == "2.5 GiB");
  CHECK(byte_size_text(std::size_t{4000} << 40) == "4000 TiB");
}
