// Matrix products: square ones, and those of ResNet-18's and EfficientNet-Lite0's heads.
#include <vector>

#include <tl/core/rng.hpp>
#include <tl/kernels/gemm.hpp>
#include "kernels/report.hpp"

namespace {

using tl::Index;
using tl::kernels::Trans;

template <class T, Trans trans_a, Trans trans_b>
void product(benchmark::State& state) {
  const Index m = state.range(0), n = state.range(1), k = state.range(2);
  std::vector<T> a(static_cast<std::size_t>(m * k)), b(static_cast<std::size_t>(k * n)),
      c(static_cast<std::size_t>(m * n));
  tl::Rng rng(1);
  for (T& x : a) x = static_cast<T>(rng.uniform(-1, 1));
  for (T& x : b) x = static_cast<T>(rng.uniform(-1, 1));
  for (auto _ : state) {
    tl::kernels::gemm(trans_a, trans_b, m, n, k, a.data(), trans_a == Trans::no ? k : m, b.data(),
                      trans_b == Trans::no ? n : k, c.data(), n, false);
    benchmark::ClobberMemory();
  }
  tl_bench::report<T>(state, static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k));
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"m", "n", "k"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const Index size : {256, 1024, 2048}) bench->Args({size, size, size});
  for (const Index batch : {1, 16, 64}) {
    bench->Args({batch, 1000, 512});
    bench->Args({batch, 512, 1000});
    bench->Args({batch, 1000, 1280});
  }
  bench->Args({1000, 512, 16})->Args({49, 512, 2048})->Args({3136, 64, 256})->Args({784, 5, 512});
}

constexpr Trans no = Trans::no, yes = Trans::yes;
BENCHMARK_TEMPLATE(product, float, no, no)->Apply(shapes);
BENCHMARK_TEMPLATE(product, float, no, yes)->Apply(shapes);
BENCHMARK_TEMPLATE(product, float, yes, no)->Apply(shapes);
BENCHMARK_TEMPLATE(product, double, no, no)->Apply(shapes);

}  // namespace
