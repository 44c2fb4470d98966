// Memory: alignment, recycling, accounting, scratch space for each thread.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <thread>
#include <tl/core/memory.hpp>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using tl::AlignedArray;
using tl::MemoryPool;

namespace {

template <class T>
bool aligned(const T* pointer, std::size_t alignment = tl::memory_alignment) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignment == 0;
}

}  // namespace

TEST_CASE("arrays of every size are aligned and hold what is written") {
  for (const std::size_t count : {1u, 7u, 16u, 17u, 1000u, 16383u, 16384u, 100001u, 3000001u}) {
    AlignedArray<float> array(count);
    REQUIRE(array.size() == count);
    REQUIRE(aligned(array.data()));
    array.data()[0] = 1;
    array.data()[count - 1] = 2;
    CHECK(array.data()[count - 1] == 2);
  }
}

TEST_CASE("an empty array owns nothing") {
  CHECK(AlignedArray<int>().data() == nullptr);
  CHECK(AlignedArray<int>(0).data() == nullptr);
}

TEST_CASE("arrays move and do not copy") {
  static_assert(!std::is_copy_constructible_v<AlignedArray<int>>);
  static_assert(std::is_nothrow_move_constructible_v<AlignedArray<int>>);
  AlignedArray<int> first(10), second(20);
  const int* block = first.data();
  AlignedArray<int> moved(std::move(first));
  CHECK(moved.data() == block);
  CHECK(moved.size() == 10);
  second = std::move(moved);
  CHECK(second.data() == block);
  CHECK(second.size() == 10);
}

TEST_CASE("a request takes the lowest free range that is long enough") {
  constexpr std::size_t part = 100'000;
  AlignedArray<char> whole(4 * part);
  const char* begin = whole.data();
  whole = AlignedArray<char>();
  AlignedArray<char> a(part), b(part), c(part), fence(part);
  CHECK(a.data() == begin);
  CHECK(b.data() > a.data());
  CHECK(c.data() > b.data());
  const char *of_a = a.data(), *of_b = b.data();
  a = AlignedArray<char>();
  b = AlignedArray<char>();  // neighbours become one range, whichever goes first
  CHECK(AlignedArray<char>(2 * part).data() == of_a);
  AlignedArray<char> short_one(part);
  CHECK(short_one.data() == of_a);
  CHECK(AlignedArray<char>(part).data() == of_b);
  AlignedArray<char> long_one(3 * part);
  CHECK(long_one.data() > fence.data());
}

TEST_CASE("a request longer than every free range gets a chunk of its own, which serves later ones") {
  const char* large = AlignedArray<char>(200 << 20).data();
  AlignedArray<char> same(200 << 20);
  CHECK(same.data() == large);
  AlignedArray<char> other(200 << 20);
  CHECK((other.data() + (200 << 20) <= large || other.data() >= large + (200 << 20)));
}

TEST_CASE("a block longer than all that the pool keeps goes back to the system when it is released") {
  constexpr std::size_t length = std::size_t{3} << 30;  // no page of which is touched but the first and last
  tl::MemoryPool pool;
  for (int i = 0; i < 2; ++i) {
    auto* block = static_cast<char*>(pool.allocate(length));
    REQUIRE(block != nullptr);
    block[0] = block[length - 1] = 1;
    pool.release(block, length);
    CHECK(pool.bytes_in_use() == 0);
  }
}

TEST_CASE("trim gives kept blocks back, and the pool works on") {
  const std::size_t before = MemoryPool::instance().bytes_in_use();
  { AlignedArray<double> array(100'000); }
  MemoryPool::instance().trim();
  CHECK(MemoryPool::instance().bytes_in_use() == before);
  AlignedArray<double> array(100'000);
  array.data()[99'999] = 4;
  CHECK(array.data()[99'999] == 4);
}

TEST_CASE("the pool counts the bytes in use and their peak") {
  MemoryPool& pool = MemoryPool::instance();
  const std::size_t before = pool.bytes_in_use();
  pool.reset_peak();
  {
    AlignedArray<char> one(1'000'000), two(2'000'000);
    CHECK(pool.bytes_in_use() - before >= 3'000'000);
    CHECK(pool.bytes_in_use() - before <= 3'000'000 + 2 * tl::memory_alignment);
  }
  CHECK(pool.bytes_in_use() == before);
  CHECK(pool.peak_bytes() - before >= 3'000'000);
  pool.reset_peak();
  CHECK(pool.peak_bytes() == before);
}

TEST_CASE("a size that cannot be had is std::bad_alloc and leaves the accounts right") {
  const std::size_t before = MemoryPool::instance().bytes_in_use();
  CHECK_THROWS_AS(AlignedArray<double>(std::numeric_limits<std::size_t>::max() / 4), std::bad_alloc);
  CHECK_THROWS_AS(AlignedArray<char>(std::size_t{1} << 60), std::bad_alloc);
  CHECK(MemoryPool::instance().bytes_in_use() == before);
}

TEST_CASE("threads may allocate and release at the same time") {
  MemoryPool& pool = MemoryPool::instance();
  const std::size_t before = pool.bytes_in_use();
  pool.reset_peak();
  std::vector<int> damaged(4, 0);
  std::vector<std::size_t> seen(4, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &damaged, &seen, &pool] {
      for (int i = 0; i < 500; ++i) {
        AlignedArray<int> a(20'000 + static_cast<std::size_t>(i % 3) * 5'000), b(100);
        a.data()[19'999] = t;
        b.data()[99] = i;
        std::size_t& most = seen[static_cast<std::size_t>(t)];
        most = std::max(most, pool.bytes_in_use());
        std::this_thread::yield();
        damaged[static_cast<std::size_t>(t)] += a.data()[19'999] != t || b.data()[99] != i;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(damaged == std::vector<int>(4, 0));
  for (const std::size_t most : seen) CHECK(pool.peak_bytes() >= most);
  CHECK(pool.bytes_in_use() == before);
}

TEST_CASE("scratch space grows, is kept, and is one block for each thread, type and slot") {
  float* small = tl::scratch<float, 900>(100);
  CHECK(aligned(small));
  CHECK(tl::scratch<float, 900>(50) == small);
  CHECK(tl::scratch<float, 901>(100) != small);
  float* large = tl::scratch<float, 900>(100'000);
  large[99'999] = 1;
  CHECK(tl::scratch<float, 900>(100'000) == large);
  float* elsewhere = nullptr;
  std::thread([&] { elsewhere = tl::scratch<float, 900>(100'000); }).join();
  CHECK(elsewhere != large);
}

TEST_CASE("older chunks are used before newer ones, wherever the system put them") {
  constexpr std::size_t most_of_a_chunk = std::size_t{60} << 20;
  tl::MemoryPool pool;
  std::vector<void*> blocks;
  for (int i = 0; i < 4; ++i) blocks.push_back(pool.allocate(most_of_a_chunk));
  for (const int i : {2, 0, 3, 1}) pool.release(blocks[static_cast<std::size_t>(i)], most_of_a_chunk);
  for (void* block : blocks) CHECK(pool.allocate(most_of_a_chunk) == block);
  for (void* block : blocks) pool.release(block, most_of_a_chunk);
  pool.trim();
}

TEST_CASE("beyond the limit a request is refused before memory is taken") {
  tl::MemoryPool pool;
  pool.set_limit(1'000'000);
  void* first = pool.allocate(900'000);
  const std::size_t before = pool.bytes_in_use(), peak = pool.peak_bytes();
  CHECK_THROWS_AS(pool.allocate(200'000), tl::MemoryLimitError);
  CHECK_THROWS_AS(pool.allocate(200'000), std::bad_alloc);
  CHECK_THROWS_AS(pool.allocate(std::size_t{1} << 60), tl::MemoryLimitError);
  CHECK_THROWS_WITH(
      pool.allocate(200'000),
      "memory: 195 KiB more beside the 879 KiB in use would exceed the limit of 977 KiB: choose "
      "a smaller batch or size, or a higher limit");
  CHECK(pool.bytes_in_use() == before);
  CHECK(pool.peak_bytes() == peak);
  void* second = pool.allocate(90'000);
  CHECK(pool.peak_bytes() <= pool.limit());
  pool.release(first, 900'000);
  first = pool.allocate(800'000);
  pool.release(first, 800'000);
  pool.release(second, 90'000);
  pool.set_limit(tl::MemoryPool::no_limit);
  pool.release(pool.allocate(2'000'000), 2'000'000);
}

TEST_CASE("the environment sets the limit") {
  const auto with = [](const char* value) {
    ::setenv("TL_MAX_MEMORY", value, 1);
    try {
      const std::size_t limit = tl::MemoryPool().limit();
      ::unsetenv("TL_MAX_MEMORY");
      return limit;
    } catch (...) {
      ::unsetenv("TL_MAX_MEMORY");
      throw;
    }
  };
  CHECK(with("512M") == std::size_t{512} << 20);
  CHECK(with("") == tl::MemoryPool::no_limit);
  CHECK_THROWS_WITH(with("much"),
                    "TL_MAX_MEMORY: expected an amount of memory such as 512M, 1.5G or a number of "
                    "bytes, got 'much'");
  CHECK(tl::MemoryPool().limit() == tl::MemoryPool::no_limit);
}

TEST_CASE("working memory of kernels counts, but is not refused") {
  MemoryPool& pool = MemoryPool::instance();
  const std::size_t before = pool.limit();
  pool.set_limit(pool.bytes_in_use() + 1000);
  float* block = tl::scratch<float, 902>(10'000);
  block[9'999] = 1;
  CHECK_THROWS_AS(AlignedArray<float>(1), tl::MemoryLimitError);
  pool.set_limit(before);
}

TEST_CASE("claims count while they live, and wait for each other where they do not fit together") {
  tl::MemoryPool pool;
  pool.set_limit(1'000'000);
  CHECK_THROWS_AS(pool.claim(1'000'001), tl::MemoryLimitError);
  pool.claim(600'000);
  CHECK(pool.bytes_in_use() == 600'000);
  CHECK_NOTHROW(pool.release(pool.allocate(800'000), 800'000));  // what it was claimed for
  pool.end_claim(600'000);

  std::vector<int> done(4, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &pool, &done] {
      for (int i = 0; i < 50; ++i) {
        pool.claim(400'000 + static_cast<std::size_t>(t) * 100'000);
        std::this_thread::yield();
        pool.end_claim(400'000 + static_cast<std::size_t>(t) * 100'000);
        ++done[static_cast<std::size_t>(t)];
      }
    });
  }
  pool.reset_peak();
  for (std::thread& thread : threads) thread.join();
  CHECK(done == std::vector<int>(4, 50));
  CHECK(pool.peak_bytes() <= 1'000'000);
  CHECK(pool.bytes_in_use() == 0);
}
