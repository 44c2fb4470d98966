// Memory: 64-byte-aligned blocks, recycled between uses.
//
// A training step asks for the same large blocks again and again; fresh pages from the system cost more than
// the kernels that fill them. Blocks of 64 KB and more are therefore kept, by size class, for the next
// request.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include <tl/core/error.hpp>

#ifdef __linux__
#include <sys/mman.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define TL_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TL_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef TL_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace tl {

inline constexpr std::size_t memory_alignment = 64;

/// Tells the address sanitizer where a program has no business: blocks kept for reuse, and what lies beyond
/// the bytes that were asked for.
inline void forbid_access([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#ifdef TL_ADDRESS_SANITIZER
  __asan_poison_memory_region(block, bytes);
#endif
}
inline void allow_access([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#ifdef TL_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(block, bytes);
#endif
}

/// Keeps released blocks for reuse. One for the process; safe from any thread.
class MemoryPool {
 public:
  static MemoryPool& instance() {
    static MemoryPool* pool =
        new MemoryPool;  // never destroyed: static tensors may outlive any order of exit
    return *pool;
  }

  void* allocate(std::size_t bytes) {
    const std::size_t size = size_class(bytes);
    const std::size_t now = in_use_ += size;
    for (std::size_t peak = peak_; peak < now && !peak_.compare_exchange_weak(peak, now);) {
    }
    if (size >= smallest_kept) {
      const std::lock_guard lock(mutex_);
      if (auto it = free_.find(size); it != free_.end() && !it->second.empty()) {
        void* block = it->second.back();
        it->second.pop_back();
        kept_ -= size;
        allow_access(block, bytes);
        return block;
      }
    }
    const std::size_t alignment = size >= huge_page ? huge_page : memory_alignment;
    void* block = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (block == nullptr) {
      in_use_ -= size;
      throw std::bad_alloc();
    }
#ifdef __linux__
    if (size >= huge_page) madvise(block, size, MADV_HUGEPAGE);
#endif
    forbid_access(static_cast<char*>(block) + bytes, size - bytes);
    return block;
  }

  void release(void* block, std::size_t bytes) noexcept {
    const std::size_t size = size_class(bytes);
    in_use_ -= size;
    if (size >= smallest_kept) {
      const std::lock_guard lock(mutex_);
      if (kept_ + size <= most_kept) {
        try {
          free_[size].push_back(block);
          kept_ += size;
          forbid_access(block, size);
          return;
        } catch (...) {  // no room for the book-keeping: give the block back instead
        }
      }
    }
    std::free(block);
  }

  /// Bytes handed out now, and the most there ever were at one time.
  std::size_t bytes_in_use() const { return in_use_; }
  std::size_t peak_bytes() const { return peak_; }
  void reset_peak() { peak_ = in_use_.load(); }

  /// Gives every kept block back to the system.
  void trim() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : free_) {
      for (void* block : blocks) std::free(block);
    }
    free_.clear();
    kept_ = 0;
  }

 private:
  static constexpr std::size_t smallest_kept = std::size_t{64} << 10;
  static constexpr std::size_t most_kept = std::size_t{2} << 30;
  static constexpr std::size_t huge_page = std::size_t{2} << 20;

  /// Rounds up to one of four sizes for each power of two, so that similar requests share blocks.
  static std::size_t size_class(std::size_t bytes) {
    bytes = std::max(bytes, memory_alignment);
    const std::size_t step = std::max(memory_alignment, std::bit_floor(bytes) / 4);
    return (bytes + step - 1) / step * step;
  }

  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::size_t kept_ = 0;
  std::atomic<std::size_t> in_use_{0}, peak_{0};
};

/// An uninitialised, aligned array of a trivial type. Moves, does not copy.
template <class T>
class AlignedArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedArray() = default;
  explicit AlignedArray(std::size_t count) : count_(count) {
    if (count > static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T)) throw std::bad_alloc();
    if (count > 0) data_ = static_cast<T*>(MemoryPool::instance().allocate(count * sizeof(T)));
  }
  AlignedArray(AlignedArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  AlignedArray& operator=(AlignedArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~AlignedArray() {
    if (data_ != nullptr) MemoryPool::instance().release(data_, count_ * sizeof(T));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return count_; }

 private:
  T* data_ = nullptr;
  std::size_t count_ = 0;
};

/// Working memory of a kernel: at least `count` elements, one block for each thread, type and slot, which
/// grows and is used again by the next call. A kernel that calls another picks a slot the other does not use.
template <class T, int slot>
T* scratch(std::size_t count) {
  thread_local AlignedArray<T> block;
  if (block.size() < count) block = AlignedArray<T>(count);
  return block.data();
}

}  // namespace tl
