// What kernels bound by memory are measured by: bytes they must read and write a second, beside what a plain
// copy of 100 MB reaches in the same moment.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>

#include <benchmark/benchmark.h>

#include <tl/core/memory.hpp>
#include <tl/core/parallel.hpp>
#include <tl/core/rng.hpp>

namespace tl_bench {

using tl::Index;
using Array = tl::AlignedArray<float>;

inline Array filled(Index n, std::uint64_t key, double low = -1, double high = 1) {
  Array values(static_cast<std::size_t>(n));
  tl::Rng rng(key);
  for (Index i = 0; i < n; ++i) values.data()[i] = static_cast<float>(rng.uniform(low, high));
  return values;
}

/// Bytes read and written a second, the best of three copies on every thread.
inline double copy_speed() {
  constexpr Index n = Index{24} << 20;
  static const Array from = filled(n, 1);
  static Array to = filled(n, 2);
  double best = 0;
  for (int run = 0; run < 3; ++run) {
    const auto start = std::chrono::steady_clock::now();
    tl::parallel_for(n, 65536, [&](Index begin, Index end) {
      std::memcpy(to.data() + begin, from.data() + begin,
                  static_cast<std::size_t>(end - begin) * sizeof(float));
    });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * sizeof(float) * n / time.count());
  }
  return best;
}

/// Runs the kernel, which moves `arrays` arrays of n floats, and reports GB/s.
template <class Run>
void measure(benchmark::State& state, Index arrays, Index n, const Run& run) {
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  const double bytes = static_cast<double>(arrays * n * 4) * static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsRate);
  state.counters["copy"] = copy_speed() * 1e-9;
}

/// Batch 1 and 16 of ResNet-18's first stages: pixels and channels.
inline void activations(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"n", "size", "c"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const Index n : {1, 16})
    bench->Args({n, 112, 64})->Args({n, 56, 64})->Args({n, 14, 256})->Args({n, 7, 512});
}
inline Index size_of(const benchmark::State& state) {
  return state.range(0) * state.range(1) * state.range(1) * state.range(2);
}

}  // namespace tl_bench
