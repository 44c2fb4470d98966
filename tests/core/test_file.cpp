// Files: limits on reading, and writing whole or not at all.
#include <chrono>
#include <filesystem>
#include <iterator>
#include <string>

#include <tl/core/file.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using tl::test::contains;
using tl::test::TemporaryFolder;

namespace {
std::size_t entries(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}
}  // namespace

TEST_CASE("file: what was written is read, whole and in part", "[file]") {
  const TemporaryFolder folder;
  const std::string bytes("a\0b\n\xff", 5);
  tl::write_file_atomically(folder / "x", bytes);
  CHECK(tl::read_file(folder / "x") == bytes);
  CHECK(tl::read_file(folder / "x", 5) == bytes);
  CHECK(tl::file_size(folder / "x") == 5);
  std::string part(2, '\0');
  tl::read_file_part(folder / "x", 3, part.data(), 2);
  CHECK(part == "\n\xff");
  tl::write_file_atomically(folder / "x", "");
  CHECK(tl::read_file(folder / "x").empty());
}

TEST_CASE("file: one that stays open is read in parts, and notices that it was written to", "[file]") {
  const TemporaryFolder folder;
  tl::write_file_atomically(folder / "x", "12345");
  const tl::OpenFile file(folder / "x");
  char to[3] = {};
  file.read(1, to, 3);
  CHECK(std::string(to, 3) == "234");
  tl::write_file_atomically(folder / "x", "abcde");  // another file under its name
  file.read(1, to, 3);
  CHECK(std::string(to, 3) == "234");
  CHECK_THROWS_WITH(file.read(4, to, 3), contains("it ended after 5 bytes"));

  const tl::OpenFile other(folder / "x");
  std::filesystem::last_write_time(folder / "x",
                                   std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  CHECK_THROWS_WITH(other.read(1, to, 3), contains("changed since it was opened: load it again"));
}

TEST_CASE("file: messages say what is wrong and name the path", "[file]") {
  const TemporaryFolder folder;
  tl::write_file_atomically(folder / "x", "12345");
  CHECK_THROWS_WITH(tl::read_file(folder / "none"), contains("none': No such file"));
  CHECK_THROWS_WITH(tl::read_file(folder.path()), contains("expected a file, got a directory"));
  CHECK_THROWS_WITH(tl::read_file("/dev/zero"), contains("expected a regular file"));
  CHECK_THROWS_WITH(tl::read_file(folder / "x", 4), contains("expected at most 4 bytes, got 5"));
  char to[8];
  CHECK_THROWS_WITH(tl::read_file_part(folder / "x", 3, to, 3), contains("but it has 5"));
  CHECK_THROWS_AS(tl::read_file_part(folder / "x", tl::no_size_limit, to, 3), tl::Error);
  CHECK_THROWS_AS(tl::read_file_part(folder / "x", 3, to, tl::no_size_limit), tl::Error);
  CHECK_THROWS_WITH(tl::write_file_atomically(folder / "none" / "x", "1"), contains("No such file"));
  CHECK_THROWS_WITH(tl::write_file_atomically(folder.path(), "1"), contains("got a directory"));
}

TEST_CASE("file: without a commit the old file stays and nothing is left beside it", "[file]") {
  const TemporaryFolder folder;
  tl::write_file_atomically(folder / "x", "old");
  {
    tl::AtomicFile file(folder / "x");
    file.write("half of the new");
    CHECK(entries(folder.path()) == 2);
    CHECK(tl::read_file(folder / "x") == "old");
  }
  CHECK(entries(folder.path()) == 1);
  CHECK(tl::read_file(folder / "x") == "old");
  tl::AtomicFile file(folder / "x");
  file.write("new");
  file.write("er");
  file.commit();
  CHECK(tl::read_file(folder / "x") == "newer");
  CHECK(entries(folder.path()) == 1);
}
