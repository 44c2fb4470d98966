// Softmax and cross-entropy: rows x classes.
#include <cstdint>
#include <vector>

#include <tl/kernels/softmax.hpp>
#include "kernels/memory.hpp"

namespace {

using namespace tl::kernels;
using namespace tl_bench;

void softmax(benchmark::State& state) {
  const Index rows = state.range(0), columns = state.range(1);
  const Array x = filled(rows * columns, 1, -8, 8);
  Array y = filled(rows * columns, 2);
  measure(state, 2, rows * columns, [&] { softmax_forward(rows, columns, x.data(), y.data()); });
}
void log_softmax(benchmark::State& state) {
  const Index rows = state.range(0), columns = state.range(1);
  const Array x = filled(rows * columns, 1, -8, 8);
  Array y = filled(rows * columns, 2);
  measure(state, 2, rows * columns, [&] { log_softmax_forward(rows, columns, x.data(), y.data()); });
}
void loss_and_gradient(benchmark::State& state) {
  const Index rows = state.range(0), columns = state.range(1);
  const Array x = filled(rows * columns, 1, -8, 8);
  Array dx = filled(rows * columns, 2);
  std::vector<std::int64_t> labels(static_cast<std::size_t>(rows));
  for (std::size_t r = 0; r < labels.size(); ++r) labels[r] = static_cast<std::int64_t>(r) * 7 % columns;
  const float* no_weights = nullptr;
  float* no_losses = nullptr;
  measure(state, 2, rows * columns, [&] {
    benchmark::DoNotOptimize(
        cross_entropy(rows, columns, x.data(), labels.data(), .1f, no_weights, no_losses, dx.data()));
  });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "classes"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  bench->Args({16, 10})->Args({16, 1000})->Args({256, 1000})->Args({4096, 64})->Args({8, 50000});
}

BENCHMARK(softmax)->Apply(sizes);
BENCHMARK(log_softmax)->Apply(sizes);
BENCHMARK(loss_and_gradient)->Apply(sizes);

}  // namespace
