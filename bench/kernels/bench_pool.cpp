// Pooling: ResNet's 3x3 stride 2 maximum, 2x2 averages and the global average.
#include <cstdint>
#include <vector>

#include <tl/kernels/pool.hpp>
#include "kernels/memory.hpp"

namespace {

using namespace tl::kernels;
using namespace tl_bench;

PoolShape shape_of(const benchmark::State& state, Index kernel, Index stride, Index pad) {
  PoolShape s{.n = state.range(0), .h = state.range(1), .w = state.range(1), .c = state.range(2)};
  s.oh = s.ow = (s.h + 2 * pad - kernel) / stride + 1;
  s.kh = s.kw = kernel;
  s.stride_h = s.stride_w = stride;
  s.pad_top = s.pad_left = pad;
  return s;
}
Index outputs(const PoolShape& s) { return s.n * s.oh * s.ow * s.c; }

void max(benchmark::State& state) {
  const PoolShape s = shape_of(state, 3, 2, 1);
  const Array x = filled(size_of(state), 1);
  Array y = filled(outputs(s), 2);
  measure(state, 1, size_of(state) + outputs(s),
          [&] { max_pool_forward(s, x.data(), y.data(), static_cast<std::int32_t*>(nullptr)); });
}
void max_with_positions(benchmark::State& state) {
  const PoolShape s = shape_of(state, 3, 2, 1);
  const Array x = filled(size_of(state), 1);
  Array y = filled(outputs(s), 2);
  std::vector<std::int32_t> argmax(static_cast<std::size_t>(outputs(s)));
  measure(state, 1, size_of(state) + 2 * outputs(s),
          [&] { max_pool_forward(s, x.data(), y.data(), argmax.data()); });
}
void max_backward(benchmark::State& state) {
  const PoolShape s = shape_of(state, 3, 2, 1);
  const Array x = filled(size_of(state), 1);
  Array y = filled(outputs(s), 2), dx = filled(size_of(state), 3);
  std::vector<std::int32_t> argmax(static_cast<std::size_t>(outputs(s)));
  max_pool_forward(s, x.data(), y.data(), argmax.data());
  measure(state, 1, size_of(state) + 2 * outputs(s),
          [&] { max_pool_backward(s, y.data(), argmax.data(), dx.data()); });
}
void average(benchmark::State& state) {
  const PoolShape s = shape_of(state, 2, 2, 0);
  const Array x = filled(size_of(state), 1);
  Array y = filled(outputs(s), 2);
  measure(state, 1, size_of(state) + outputs(s), [&] { average_pool_forward(s, {}, x.data(), y.data()); });
}
void average_backward(benchmark::State& state) {
  const PoolShape s = shape_of(state, 2, 2, 0);
  const Array dy = filled(outputs(s), 1);
  Array dx = filled(size_of(state), 2);
  measure(state, 1, size_of(state) + outputs(s), [&] { average_pool_backward(s, {}, dy.data(), dx.data()); });
}
void global_average(benchmark::State& state) {
  const PoolShape s = shape_of(state, state.range(1), 1, 0);
  const Array x = filled(size_of(state), 1);
  Array y = filled(outputs(s), 2);
  measure(state, 1, size_of(state), [&] { adaptive_average_pool_forward(s, x.data(), y.data()); });
}
void global_average_backward(benchmark::State& state) {
  const PoolShape s = shape_of(state, state.range(1), 1, 0);
  const Array dy = filled(outputs(s), 1);
  Array dx = filled(size_of(state), 2);
  measure(state, 1, size_of(state), [&] { adaptive_average_pool_backward(s, dy.data(), dx.data()); });
}

BENCHMARK(max)->Apply(activations);
BENCHMARK(max_with_positions)->Apply(activations);
BENCHMARK(max_backward)->Apply(activations);
BENCHMARK(average)->Apply(activations);
BENCHMARK(average_backward)->Apply(activations);
BENCHMARK(global_average)->Apply(activations);
BENCHMARK(global_average_backward)->Apply(activations);

}  // namespace
