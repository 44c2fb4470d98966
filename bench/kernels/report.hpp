// What a benchmark of a kernel prints beside its time.
#pragma once

#include <benchmark/benchmark.h>

#include "kernels/peak.hpp"

namespace tl_bench {

/// Adds GFLOP/s, the peak and the share of it to a benchmark's line. The peak is measured here so that the
/// two share the machine's moods.
template <class T>
void report(benchmark::State& state, double multiply_adds) {
  const double flops = 2 * multiply_adds * static_cast<double>(state.iterations()), peak = peak_flops<T>();
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsRate);
  state.counters["peak"] = peak * 1e-9;
  state.counters["share"] = benchmark::Counter(flops / peak, benchmark::Counter::kIsRate);
}

}  // namespace tl_bench
