// A limit of memory for a scope.
#pragma once

#include <cstddef>

#include <tl/core/memory.hpp>

namespace tl::test {

class ScopedLimit {
 public:
  explicit ScopedLimit(std::size_t bytes) : before_(MemoryPool::instance().limit()) {
    MemoryPool::instance().set_limit(bytes);
  }
  ScopedLimit(const ScopedLimit&) = delete;
  ScopedLimit& operator=(const ScopedLimit&) = delete;
  ~ScopedLimit() { MemoryPool::instance().set_limit(before_); }

  /// So many bytes above what is in use.
  static std::size_t above(std::size_t bytes) { return MemoryPool::instance().bytes_in_use() + bytes; }

 private:
  std::size_t before_;
};

}  // namespace tl::test
