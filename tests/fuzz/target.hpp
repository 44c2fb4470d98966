// What the fuzz targets share. A target hands bytes that nobody vouches for to one reader of the library,
// through the function LLVMFuzzerTestOneInput: libFuzzer calls it with ever new inputs, replay.cpp with those
// of a folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>

#include <sys/mman.h>
#include <unistd.h>

#include <tl/core/error.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tl::fuzz {

/// Runs `read`, which may refuse its input by tl::Error and by nothing else: another exception leaves the
/// target and ends the program, as does a crash. True when it was not refused.
template <class Read>
bool accepts(const Read& read) {
  try {
    read();
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// What must hold for every accepted input. An assert() would not be checked in a release build.
inline void require(bool holds, std::string_view what) {
  if (holds) return;
  std::cerr << "broken: " << what << std::endl;
  std::abort();
}

inline std::string_view text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A file in memory, for readers that take a path.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("input", 0)) { require(descriptor_ >= 0, "memfd_create"); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }

  /// The path of the file, which now holds these bytes.
  std::filesystem::path holding(std::string_view bytes) {
    const bool written =
        ::ftruncate(descriptor_, 0) == 0 &&
        ::pwrite(descriptor_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
    require(written, "writing a file in memory");
    return concat("/proc/self/fd/", descriptor_);
  }

 private:
  int descriptor_;
};

}  // namespace tl::fuzz
