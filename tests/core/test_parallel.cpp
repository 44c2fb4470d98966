// parallel_for: every element once, in blocks that depend on the size alone.
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <tl/core/parallel.hpp>
#include <tl/core/rng.hpp>
#include "support/catch.hpp"

using tl::Index;

namespace {

/// Restores the number of threads at the end of a test.
struct ScopedThreads {
  explicit ScopedThreads(int threads) { tl::set_num_threads(threads); }
  ~ScopedThreads() { tl::set_num_threads(before); }
  int before = tl::num_threads();
};

std::set<std::pair<Index, Index>> blocks_of(Index n, Index grain) {
  std::set<std::pair<Index, Index>> blocks;
  std::mutex mutex;
  tl::parallel_for(n, grain, [&](Index begin, Index end) {
    const std::lock_guard lock(mutex);
    blocks.emplace(begin, end);
  });
  return blocks;
}

}  // namespace

TEST_CASE("every element is visited exactly once") {
  for (const int threads : {1, 2, 3, 7}) {
    const ScopedThreads scope(threads);
    for (const Index n : {1, 2, 5, 64, 1000, 1001}) {
      for (const Index grain : {1, 3, 64, 2000}) {
        std::vector<std::atomic<int>> visits(static_cast<std::size_t>(n));
        tl::parallel_for(n, grain, [&](Index begin, Index end) {
          for (Index i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
        });
        Index once = 0;
        for (const auto& count : visits) once += count == 1;
        REQUIRE(once == n);
      }
    }
  }
}

TEST_CASE("blocks are [0,grain), [grain,2*grain), ... at any number of threads") {
  const std::set<std::pair<Index, Index>> expected{{0, 4}, {4, 8}, {8, 10}};
  for (const int threads : {1, 2, 3}) {
    const ScopedThreads scope(threads);
    CHECK(blocks_of(10, 4) == expected);
    CHECK(blocks_of(3, 4) == std::set<std::pair<Index, Index>>{{0, 3}});
    CHECK(blocks_of(0, 4).empty());
  }
}

TEST_CASE("a parallel_for inside another runs its blocks in the thread that calls it") {
  const ScopedThreads scope(3);
  std::atomic<int> wrong{0}, visited{0};
  tl::parallel_for(6, 1, [&](Index, Index) {
    std::vector<Index> order;  // would be a race if the inner blocks ran in parallel
    tl::parallel_for(10, 2, [&](Index begin, Index) { order.push_back(begin); });
    wrong += order != std::vector<Index>{0, 2, 4, 6, 8};
    ++visited;
  });
  CHECK(wrong == 0);
  CHECK(visited == 6);
}

TEST_CASE("partial sums in block order give the same bits at any number of threads") {
  const Index n = 100'003, grain = 1024;
  std::vector<float> values(static_cast<std::size_t>(n));
  tl::Rng rng(7);
  for (float& value : values) value = static_cast<float>(rng.normal());
  const auto sum = [&] {
    std::vector<float> partial(static_cast<std::size_t>((n + grain - 1) / grain));
    tl::parallel_for(n, grain, [&](Index begin, Index end) {
      float part = 0;
      for (Index i = begin; i < end; ++i) part += values[static_cast<std::size_t>(i)];
      partial[static_cast<std::size_t>(begin / grain)] = part;
    });
    float total = 0;
    for (const float part : partial) total += part;
    return total;
  };
  std::vector<float> sums;
  for (const int threads : {1, 2, 3, 5}) {
    const ScopedThreads scope(threads);
    sums.push_back(sum());
  }
  CHECK(sums == std::vector<float>(sums.size(), sums[0]));
}

TEST_CASE("a thread that has finished takes the blocks of one that is slow") {
  const ScopedThreads scope(2);
  constexpr Index blocks = 8;
  std::atomic<Index> done{0};
  bool all_others_done = false;
  tl::parallel_for(blocks, 1, [&](Index begin, Index) {
    if (begin != 0) {
      ++done;
      return;
    }
    // The first block lasts until the others are done, those that were to follow it on its thread among them.
    const auto start = std::chrono::steady_clock::now();
    while (done < blocks - 1 && std::chrono::steady_clock::now() - start < std::chrono::seconds(20)) {
      std::this_thread::yield();
    }
    all_others_done = done == blocks - 1;
  });
  CHECK(all_others_done);
}

TEST_CASE("the number of threads can be set, to at least 1") {
  const int before = tl::num_threads();
  {
    const ScopedThreads scope(3);
    CHECK(tl::num_threads() == 3);
  }
  CHECK(tl::num_threads() == before);
  CHECK_THROWS_WITH(tl::set_num_threads(0), "[set_num_threads] expected at least 1, got 0");
  CHECK_THROWS_AS(tl::set_num_threads(-2), tl::Error);
}
