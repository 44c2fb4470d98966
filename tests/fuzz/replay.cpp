// Runs a fuzz target on every file of some folders, with any compiler: the seeds, and what was once found.
//
// usage: PROGRAM FOLDER...      status 0 when the target has come through all of them, and there was at least
// one
#include <algorithm>
#include <exception>
#include <vector>

#include <tl/core/file.hpp>

#include "fuzz/target.hpp"

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;  // nothing found yet for this target
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const std::filesystem::path& file : files) {
    std::cout << file.filename() << std::endl;  // the last one named is the one that crashed
    const std::string bytes = tl::read_file(file);
    try {
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    } catch (const std::exception& error) {
      std::cerr << file << ": " << error.what() << std::endl;
      return 1;
    }
  }
  std::cout << files.size() << " inputs" << std::endl;
  return files.empty() ? 1 : 0;
}
