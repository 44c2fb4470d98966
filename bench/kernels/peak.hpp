// What the machine can do: multiply-adds a second on all threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include <tl/core/parallel.hpp>
#include <tl/kernels/simd.hpp>

#define TL_KERNELS_IMPL "kernels/peak.inl"
#include <tl/kernels/for_each_isa.hpp>

namespace tl_bench {

using tl::Index;

template <class T>
T chains(Index steps) {
  TL_KERNELS_DISPATCH(multiply_add_chains<T>, steps);
}
template <class T>
double flops_a_step() {
  TL_KERNELS_DISPATCH(chain_flops<T>);
}

/// Keeps every thread multiplying and adding in registers for a moment; the floating-point operations done.
template <class T>
double multiply_in_registers() {
  constexpr Index steps = 25000;
  const Index tasks = 8 * tl::num_threads();
  std::atomic<T> sink{0};
  tl::parallel_for(tasks, 1, [&](Index, Index) { sink = chains<T>(steps); });
  return static_cast<double>(tasks * steps) * flops_a_step<T>();
}

/// Floating-point operations a second, the best of three short runs.
template <class T>
double peak_flops() {
  double best = 0;
  for (int run = 0; run < 3; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const double flops = multiply_in_registers<T>();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::max(best, flops / time.count());
  }
  return best;
}

}  // namespace tl_bench
