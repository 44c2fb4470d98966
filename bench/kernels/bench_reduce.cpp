// Reductions of activations: to one value, over the pixels, and each pixel over its channels.
#include <tl/kernels/reduce.hpp>
#include "kernels/memory.hpp"

namespace {

using namespace tl::kernels;
using namespace tl_bench;

void all(benchmark::State& state) {
  const Index n = size_of(state);
  const Array x = filled(n, 1);
  measure(state, 1, n, [&] { benchmark::DoNotOptimize(reduce_all(Reduce::sum, n, x.data())); });
}
void inner_product(benchmark::State& state) {
  const Index n = size_of(state);
  const Array a = filled(n, 1), b = filled(n, 2);
  measure(state, 2, n, [&] { benchmark::DoNotOptimize(dot(n, a.data(), b.data())); });
}
void columns(benchmark::State& state) {
  const Index n = size_of(state), c = state.range(2);
  const Array x = filled(n, 1);
  Array y = filled(c, 2);
  measure(state, 1, n, [&] { reduce_columns(Reduce::sum, n / c, c, x.data(), y.data()); });
}
void rows(benchmark::State& state) {
  const Index n = size_of(state), c = state.range(2);
  const Array x = filled(n, 1);
  Array y = filled(n / c, 2);
  measure(state, 1, n, [&] { reduce_rows(Reduce::max, n / c, c, x.data(), y.data()); });
}

BENCHMARK(all)->Apply(activations);
BENCHMARK(inner_product)->Apply(activations);
BENCHMARK(columns)->Apply(activations);
BENCHMARK(rows)->Apply(activations);

}  // namespace
