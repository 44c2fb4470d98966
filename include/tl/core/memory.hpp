// Memory: 64-byte-aligned blocks, recycled between uses.
//
// A training step asks for the same large blocks again and again; fresh pages from the system cost more than
// the kernels that fill them. Blocks of 64 KB and more are therefore cut from large chunks that are kept. A
// request takes the first free range that is long enough, in the order of the chunks' age and then of
// addresses, and neighbouring free ranges become one: so the layers of a network work in the same few
// megabytes one after the other, which stay in the caches, and pages that nothing has touched yet are taken
// last.
//
// A limit (TL_MAX_MEMORY, or set_limit) refuses what would go beyond it before memory is taken.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <tl/core/byte_size.hpp>
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
#else
#define TL_ADDRESS_SANITIZER 0
#endif
#ifdef TL_VALGRIND  // defined by programs that are to run under valgrind (tests/tools/memcheck.sh)
#include <valgrind/memcheck.h>
#else
#define TL_VALGRIND 0
#endif

namespace tl {

inline constexpr std::size_t memory_alignment = 64;  ///< bytes: a cache line, and the widest vector

/// Tells the address sanitizer and valgrind where a program has no business: blocks kept for reuse, and what
/// lies beyond the bytes that were asked for; valgrind also that a block handed out again has no values yet.
inline void forbid_access([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#if TL_ADDRESS_SANITIZER
  __asan_poison_memory_region(block, bytes);
#elif TL_VALGRIND
  VALGRIND_MAKE_MEM_NOACCESS(block, bytes);
#endif
}
/// Undoes forbid_access().
inline void allow_access([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#if TL_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(block, bytes);
#elif TL_VALGRIND
  VALGRIND_MAKE_MEM_UNDEFINED(block, bytes);
#endif
}

/// Thrown where more memory would be in use than MemoryPool's limit. No tl::Error: those of a photo are
/// answered by leaving it out.
class MemoryLimitError : public std::bad_alloc {
 public:
  /// `message` says how much was asked for and what the limit is.
  explicit MemoryLimitError(std::string message)
      : message_(std::make_shared<const std::string>(std::move(message))) {}
  const char* what() const noexcept override { return message_->c_str(); }  ///< the message

 private:
  std::shared_ptr<const std::string> message_;  // copies of an exception must not throw
};

/// Keeps released blocks for reuse. One for the process; safe from any thread.
class MemoryPool {
 public:
  static constexpr std::size_t no_limit = static_cast<std::size_t>(-1);  ///< every request is met
  /// Whether a request may be refused.
  enum class Limit { holds, ignored };

  /// Its limit is what the environment variable TL_MAX_MEMORY says. Throws tl::Error where that is no size.
  MemoryPool() {
    const char* wish = std::getenv("TL_MAX_MEMORY");
    if (wish == nullptr || *wish == '\0') return;
    try {
      limit_ = parse_byte_size(wish);
    } catch (const Error& error) {
      fail("TL_MAX_MEMORY: ", error.what());
    }
  }
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;
  /// Nothing may be in use any more.
  ~MemoryPool() {
    for (const Chunk& chunk : chunks_) {
      allow_access(chunk.begin, chunk.size);
      std::free(chunk.begin);
    }
  }

  /// The pool of the process, which lives until the process ends.
  static MemoryPool& instance() {
    static MemoryPool* pool =
        new MemoryPool;  // never destroyed: static tensors may outlive any order of exit
    return *pool;
  }

  /// Throws MemoryLimitError beyond the limit, std::bad_alloc where the system has no more.
  void* allocate(std::size_t bytes, Limit limit = Limit::holds) {
    const std::size_t size = rounded(bytes);
    count(size, limit);
    void* block = size < smallest_pooled ? std::aligned_alloc(memory_alignment, size) : take(size + fence);
    if (block == nullptr) {
      in_use_ -= size;
      throw std::bad_alloc();
    }
    allow_access(block, bytes);
    forbid_access(static_cast<char*>(block) + bytes, size - bytes + (size < smallest_pooled ? 0 : fence));
    return block;
  }

  /// Takes a block back that allocate() gave; `bytes` as they were asked for.
  void release(void* block, std::size_t bytes) noexcept {
    const std::size_t size = rounded(bytes);
    in_use_ -= size;
    if (size < smallest_pooled) {
      allow_access(block, size);
      std::free(block);
      return;
    }
    const std::lock_guard lock(mutex_);
    give_back(static_cast<char*>(block), size + fence);
  }

  /// Bytes handed out now, and the most there ever were at one time.
  std::size_t bytes_in_use() const { return in_use_; }
  std::size_t peak_bytes() const { return peak_; }  ///< since the start or reset_peak()
  void reset_peak() { peak_ = in_use_.load(); }     ///< to the bytes in use now

  /// The most bytes in use that a request may lead to; no_limit without one. What is in use already stays.
  std::size_t limit() const { return limit_.load(std::memory_order_relaxed); }
  void set_limit(std::size_t bytes) { limit_ = bytes; }  ///< bytes; no_limit for none

  /// Counts memory that is about to be taken, here or elsewhere, by a decoder of images. Claims wait for each
  /// other where they do not fit together; one that does not fit alone throws MemoryLimitError. Until it ends
  /// nothing is refused to its thread.
  void claim(std::size_t bytes) {
    std::unique_lock lock(claim_mutex_);
    claim_ended_.wait(lock, [&] {
      return claimed_ == 0 ||
             (claimed_ + bytes <= most_claimed && bytes <= limit() - std::min(limit(), in_use_.load()));
    });
    count(bytes, Limit::holds);
    claimed_ += bytes;
    ++claims_here();
  }
  /// Ends a claim of that many bytes, on the thread that made it.
  void end_claim(std::size_t bytes) noexcept {
    const std::lock_guard lock(claim_mutex_);
    claimed_ -= bytes;
    in_use_ -= bytes;
    --claims_here();
    claim_ended_.notify_all();
  }

  /// Gives every chunk of which nothing is in use back to the system.
  void trim() {
    const std::lock_guard lock(mutex_);
    for (Free** link = &first_; *link != nullptr;) {
      if (!free_chunk(link)) link = &(*link)->next;
    }
  }

 private:
  static constexpr std::size_t smallest_pooled = std::size_t{64} << 10;
  static constexpr std::size_t smallest_chunk = std::size_t{64} << 20, largest_growth = std::size_t{1} << 30;
  static constexpr std::size_t most_kept = std::size_t{2} << 30;
  static constexpr std::size_t huge_page = std::size_t{2} << 20;
  static constexpr std::size_t most_claimed = std::size_t{1} << 30;  ///< by several at one time

  /// Between blocks, where the address sanitizer or valgrind watches it.
  static constexpr std::size_t fence = TL_ADDRESS_SANITIZER || TL_VALGRIND ? memory_alignment : 0;

  /// A free range begins with this; ranges are linked in the order of their chunks and addresses.
  struct Free {
    Free* next;
    std::size_t size;
    std::size_t chunk;  ///< its number: older chunks have smaller ones
    char* begin() { return reinterpret_cast<char*>(this); }
    char* end() { return begin() + size; }
  };
  struct Chunk {
    char* begin;
    std::size_t size;
    std::size_t number;
    bool holds(const char* at) const {
      return std::less_equal<>()(begin, at) && std::less<>()(at, begin + size);
    }
  };

  static std::size_t rounded(std::size_t bytes) {
    return (std::max<std::size_t>(bytes, 1) + memory_alignment - 1) / memory_alignment * memory_alignment;
  }

  /// Adds to what is in use, unless that is refused.
  void count(std::size_t size, Limit limit) {
    const std::size_t now = in_use_ += size;
    if (now > limit_.load(std::memory_order_relaxed) && limit == Limit::holds && claims_here() == 0)
        [[unlikely]]
      refuse(size);
    for (std::size_t peak = peak_; peak < now && !peak_.compare_exchange_weak(peak, now);) {
    }
  }
  static int& claims_here() {
    thread_local int claims = 0;
    return claims;
  }
  [[noreturn, gnu::cold]] void refuse(std::size_t size) {
    const std::size_t before = in_use_ -= size;
    throw MemoryLimitError(concat("memory: ", byte_size_text(size), " more beside the ",
                                  byte_size_text(before), " in use would exceed the limit of ",
                                  byte_size_text(limit()),
                                  ": choose a smaller batch or size, or a higher limit"));
  }

  /// Makes [begin, begin + size) a free range in front of `next`.
  static Free* make_free(char* begin, std::size_t size, std::size_t chunk, Free* next) {
    allow_access(begin, memory_alignment);
    forbid_access(begin + memory_alignment, size - memory_alignment);
    return new (begin) Free{next, size, chunk};
  }

  void* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    Free** link = find(size);
    if (*link == nullptr) {
      if (!grow(size)) return nullptr;
      link = find(size);
    }
    Free* range = *link;
    *link = range->size == size
                ? range->next
                : make_free(range->begin() + size, range->size - size, range->chunk, range->next);
    kept_ -= size;
    return range;
  }

  /// The link to the first range of at least `size` bytes, or the last link, which is null.
  Free** find(std::size_t size) {
    Free** link = &first_;
    while (*link != nullptr && (*link)->size < size) link = &(*link)->next;
    return link;
  }

  void give_back(char* begin, std::size_t size) noexcept {
    Free** link = insert(begin, size);
    if (kept_ > most_kept) free_chunk(link);
  }

  /// Adds a free range, one with its neighbours; returns the link to it.
  Free** insert(char* begin, std::size_t size) noexcept {
    const std::size_t chunk = std::find_if(chunks_.begin(), chunks_.end(), [begin](const Chunk& c) {
                                return c.holds(begin);
                              })->number;
    Free *previous = nullptr, **link = &first_;
    while (*link != nullptr && std::pair((*link)->chunk, (*link)->begin()) < std::pair(chunk, begin)) {
      previous = *link;
      link = &previous->next;
    }
    kept_ += size;
    Free* next = *link;
    if (next != nullptr && begin + size == next->begin()) {
      size += next->size;
      next = next->next;
    }
    if (previous != nullptr && previous->end() == begin) {
      begin = previous->begin();
      size += previous->size;
      link = link_of(previous);
    }
    *link = make_free(begin, size, chunk, next);
    return link;
  }
  Free** link_of(const Free* range) {
    Free** link = &first_;
    while (*link != range) link = &(*link)->next;
    return link;
  }

  /// Takes a chunk from the system, larger the more there is already; its untouched pages cost nothing.
  bool grow(std::size_t size) {
    std::size_t held = 0;
    for (const Chunk& chunk : chunks_) held += chunk.size;
    for (const std::size_t wanted :
         {std::max({size, smallest_chunk, std::min(held / 2, largest_growth)}), size}) {
      // A line beyond the end is never used, so that ranges of two chunks are not taken for neighbours.
      const std::size_t total = (wanted + memory_alignment + huge_page - 1) / huge_page * huge_page;
      auto* begin = static_cast<char*>(std::aligned_alloc(huge_page, total));
      if (begin == nullptr) continue;
#ifdef __linux__
      madvise(begin, total, MADV_HUGEPAGE);
#endif
      chunks_.push_back({begin, total - memory_alignment, chunks_.empty() ? 0 : chunks_.back().number + 1});
      insert(begin, total - memory_alignment);
      return true;
    }
    return false;
  }

  /// Gives the linked range back to the system if it is a whole chunk.
  bool free_chunk(Free** link) noexcept {
    Free* range = *link;
    const auto chunk = std::find_if(chunks_.begin(), chunks_.end(), [range](const Chunk& c) {
      return c.begin == range->begin() && c.size == range->size;
    });
    if (chunk == chunks_.end()) return false;
    *link = range->next;
    kept_ -= chunk->size;
    allow_access(chunk->begin, chunk->size);
    std::free(chunk->begin);
    chunks_.erase(chunk);
    return true;
  }

  std::mutex mutex_;
  Free* first_ = nullptr;
  std::vector<Chunk> chunks_;
  std::size_t kept_ = 0;
  std::atomic<std::size_t> in_use_{0}, peak_{0}, limit_{no_limit};

  std::mutex claim_mutex_;
  std::condition_variable claim_ended_;
  std::size_t claimed_ = 0;
};

/// MemoryPool::claim for a scope, on one thread.
class MemoryClaim {
 public:
  /// Throws MemoryLimitError where that many bytes do not fit below the limit.
  explicit MemoryClaim(std::size_t bytes) : bytes_(bytes) { MemoryPool::instance().claim(bytes); }
  MemoryClaim(const MemoryClaim&) = delete;
  MemoryClaim& operator=(const MemoryClaim&) = delete;
  ~MemoryClaim() { MemoryPool::instance().end_claim(bytes_); }

 private:
  std::size_t bytes_;
};

/// An uninitialised, aligned array of a trivial type. Moves, does not copy.
template <class T>
class AlignedArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedArray() = default;
  /// Uninitialised; throws as MemoryPool::allocate does.
  explicit AlignedArray(std::size_t count, MemoryPool::Limit limit = MemoryPool::Limit::holds)
      : count_(count) {
    if (count > static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T)) throw std::bad_alloc();
    if (count > 0) data_ = static_cast<T*>(MemoryPool::instance().allocate(count * sizeof(T), limit));
  }
  /// Leaves the other one empty.
  AlignedArray(AlignedArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  /// Swaps.
  AlignedArray& operator=(AlignedArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~AlignedArray() {
    if (data_ != nullptr) MemoryPool::instance().release(data_, count_ * sizeof(T));
  }

  T* data() { return data_; }                  ///< null without elements
  const T* data() const { return data_; }      ///< null without elements
  std::size_t size() const { return count_; }  ///< elements

 private:
  T* data_ = nullptr;
  std::size_t count_ = 0;
};

/// Working memory of a kernel: at least `count` elements, one block for each thread, type and slot, which
/// grows and is used again by the next call. A kernel that calls another picks a slot the other does not use.
/// No limit refuses it, lest an exception leave a parallel region: it counts for the next request of others.
template <class T, int slot>
T* scratch(std::size_t count) {
  thread_local AlignedArray<T> block;
  if (block.size() < count) block = AlignedArray<T>(count, MemoryPool::Limit::ignored);
  return block.data();
}

}  // namespace tl
