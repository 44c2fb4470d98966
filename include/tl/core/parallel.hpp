// parallel_for: the one door to OpenMP.
//
// Work is cut into blocks whose limits depend on its size alone, never on the number of threads. A body that
// writes only results of its own block, or one partial sum a block that the caller combines in block order,
// therefore gives the same bits at any thread count.
#pragma once

#include <algorithm>
#include <atomic>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <tl/core/shape.hpp>

namespace tl {

/// Threads that parallel_for may use.
inline int num_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/// Sets the number of threads for parallel_for calls from this thread. Results do not depend on it.
inline void set_num_threads([[maybe_unused]] int threads) {
  TL_CHECK(threads >= 1, "[set_num_threads] expected at least 1, got ", threads);
#ifdef _OPENMP
  omp_set_num_threads(threads);
#endif
}

#ifdef _OPENMP
namespace internal {

/// Blocks [0,blocks) in one run of neighbours a thread, so that a thread finds in its caches what it wrote in
/// the calls before. Who has finished helps the others: processors are not equally fast when other programs
/// run beside.
class Shares {
 public:
  Shares(Index blocks, int threads) : count_(std::min(threads, most)) {
    for (int i = 0; i < count_; ++i) {
      shares_[i].next.store(blocks * i / count_, std::memory_order_relaxed);
      shares_[i].end = blocks * (i + 1) / count_;
    }
  }

  /// What one thread does: calls run(block) until no block is left.
  template <class Run>
  void work(int thread, const Run& run) {
    for (int i = 0; i < count_; ++i) {
      Share& share = shares_[(thread + i) % count_];
      for (Index block; (block = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;) run(block);
    }
  }

 private:
  static constexpr int most = 64;
  struct alignas(64) Share {  // a cache line of its own
    std::atomic<Index> next;
    Index end;
  };
  Share shares_[most];
  int count_;
};

}  // namespace internal
#endif

/// Calls body(begin, end) for the blocks [0,grain), [grain,2*grain), ... of [0,n), in parallel.
/// The body must not throw. Inside another parallel_for the blocks run one after the other.
template <class Body>
void parallel_for(Index n, Index grain, const Body& body) {
  assert(grain >= 1);
  const Index blocks = (n + grain - 1) / grain;
  const auto run = [&](Index block) { body(block * grain, std::min(n, (block + 1) * grain)); };
#ifdef _OPENMP
  if (blocks > 1 && omp_get_max_threads() > 1 && !omp_in_parallel()) {
    internal::Shares shares(blocks, omp_get_max_threads());
#pragma omp parallel
    shares.work(omp_get_thread_num(), run);
    return;
  }
#endif
  for (Index block = 0; block < blocks; ++block) run(block);
}

}  // namespace tl
