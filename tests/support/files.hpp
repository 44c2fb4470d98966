// Where tests find files: those of the repository, the shared photos and models, and a place to write.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "support/catch.hpp"

namespace tl::test {

/// A file of the repository: source_path("tests/fixtures/ops.json").
inline std::filesystem::path source_path(std::string_view relative) {
  const auto here = std::filesystem::absolute(__FILE__).lexically_normal();  // ROOT/tests/support/files.hpp
  return here.parent_path().parent_path().parent_path() / relative;
}

/// A real photo folder or model, shared_path("data/monkeys"), which may not be committed. It is looked for in
/// the folder that TL_SHARED names, or in `shared` beside the repository. Where it is absent the result is
/// empty and a line says which test goes without: the test then returns. TL_SHARED_REQUIRED=1 forbids that.
[[nodiscard]] inline std::filesystem::path shared_path(std::string_view relative) {
  const char* folder = std::getenv("TL_SHARED");
  const auto root =
      folder != nullptr ? std::filesystem::path(folder) : source_path("../shared").lexically_normal();
  if (std::filesystem::exists(root / relative)) return root / relative;
  const char* required = std::getenv("TL_SHARED_REQUIRED");
  if (required != nullptr && std::string_view(required) == "1") {
    FAIL("no " << relative << " in " << root << ", which TL_SHARED_REQUIRED=1 demands");
  }
  std::cout << "skipped: \"" << Catch::getResultCapture().getCurrentTestName() << "\" needs " << relative
            << " (set TL_SHARED to the folder that holds it)" << std::endl;
  SUCCEED();
  return {};
}

/// An empty folder of its own, removed with all it holds at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tl-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make the folder " + pattern);
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace tl::test
