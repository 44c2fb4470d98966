// What the machine can do: multiply-adds a second on all threads, measured where a benchmark runs so that the
// two share the machine's moods.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include <benchmark/benchmark.h>

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

/// Floating-point operations a second, the best of three short runs on every thread.
template <class T>
double peak_flops() {
  constexpr Index steps = 25000;
  const Index tasks = 8 * tl::num_threads();
  std::atomic<T> sink{0};
  double best = 0;
  for (int run = 0; run < 3; ++run) {
    const auto start = std::chrono::steady_clock::now();
    tl::parallel_for(tasks, 1, [&](Index, Index) { sink = chains<T>(steps); });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(tasks * steps) * flops_a_step<T>() / time.count());
  }
  return best;
}

/// Adds GFLOP/s, the peak measured now and the share of it to a benchmark's line.
template <class T>
void report(benchmark::State& state, double multiply_adds) {
  const double flops = 2 * multiply_adds * static_cast<double>(state.iterations()), peak = peak_flops<T>();
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsRate);
  state.counters["peak"] = peak * 1e-9;
  state.counters["share"] = benchmark::Counter(flops / peak, benchmark::Counter::kIsRate);
}

}  // namespace tl_bench
