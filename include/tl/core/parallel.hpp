// parallel_for: the one door to OpenMP.
//
// Work is cut into blocks whose limits depend on its size alone, never on the number of threads. A body that
// writes only results of its own block, or one partial sum a block that the caller combines in block order,
// therefore gives the same bits at any thread count.
#pragma once

#include <algorithm>

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

/// Calls body(begin, end) for the blocks [0,grain), [grain,2*grain), ... of [0,n), in parallel.
/// The body must not throw. Inside another parallel_for the blocks run one after the other.
template <class Body>
void parallel_for(Index n, Index grain, const Body& body) {
  assert(grain >= 1);
  const Index blocks = (n + grain - 1) / grain;
#ifdef _OPENMP
  if (blocks > 1 && omp_get_max_threads() > 1 && !omp_in_parallel()) {
#pragma omp parallel for schedule(static)
    for (Index block = 0; block < blocks; ++block) body(block * grain, std::min(n, (block + 1) * grain));
    return;
  }
#endif
  for (Index block = 0; block < blocks; ++block) body(block * grain, std::min(n, (block + 1) * grain));
}

}  // namespace tl
