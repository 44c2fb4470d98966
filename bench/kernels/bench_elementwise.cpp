// Elementwise functions over arrays that fit the cache (16K) and that do not (8M).
#include <tl/kernels/elementwise.hpp>
#include "kernels/memory.hpp"

namespace {

using namespace tl::kernels;
using namespace tl_bench;

void forward(benchmark::State& state, Unary op) {
  const Index n = state.range(0);
  const Array x = filled(n, 1, .1, 4);
  Array y = filled(n, 2);
  measure(state, 2, n, [&] { unary_forward<float>(op, .1f, 2, n, x.data(), y.data()); });
}
void backward(benchmark::State& state, Unary op) {
  const Index n = state.range(0);
  const Array saved = filled(n, 1, .1, 4), dy = filled(n, 2);
  Array dx = filled(n, 3);
  measure(state, 3, n, [&] { unary_backward<float>(op, .1f, 2, n, saved.data(), dy.data(), dx.data()); });
}
void add_bias(benchmark::State& state) {
  const Index extents[] = {state.range(0) / 64, 64}, dense[] = {64, 1}, row[] = {0, 1}, n = state.range(0);
  const Array x = filled(n, 1), bias = filled(64, 2);
  Array y = filled(n, 3);
  measure(state, 2, n, [&] {
    binary_broadcast<float>(Binary::add, 2, extents, dense, row, x.data(), bias.data(), y.data());
  });
}
void axpy(benchmark::State& state) {
  const Index n = state.range(0);
  const Array x = filled(n, 1);
  Array y = filled(n, 2);
  measure(state, 3, n, [&] { tl::kernels::axpy(n, 1e-9f, x.data(), y.data()); });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->Arg(1000)->Arg(16384)->Arg(8 << 20)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

#define TL_BENCH_UNARY(op)                                 \
  BENCHMARK_CAPTURE(forward, op, Unary::op)->Apply(sizes); \
  BENCHMARK_CAPTURE(backward, op, Unary::op)->Apply(sizes);
TL_BENCH_UNARY(relu)
TL_BENCH_UNARY(sigmoid)
TL_BENCH_UNARY(tanh)
TL_BENCH_UNARY(silu)
TL_BENCH_UNARY(hard_swish)
TL_BENCH_UNARY(exp)
TL_BENCH_UNARY(log)
TL_BENCH_UNARY(gelu)
TL_BENCH_UNARY(elu)
TL_BENCH_UNARY(mish)
BENCHMARK(add_bias)->Apply(sizes);
BENCHMARK(axpy)->Apply(sizes);

}  // namespace
