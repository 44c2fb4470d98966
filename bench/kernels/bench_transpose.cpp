// Images between planes and channels-last, and general copies.
#include <tl/kernels/transpose.hpp>
#include "kernels/memory.hpp"

namespace {

using namespace tl::kernels;
using namespace tl_bench;

void to_channels_last(benchmark::State& state) {
  const Index n = size_of(state), pixels = state.range(1) * state.range(1);
  const Array x = filled(n, 1);
  Array y = filled(n, 2);
  measure(state, 2, n, [&] { nchw_to_nhwc(state.range(0), state.range(2), pixels, x.data(), y.data()); });
}
void to_planes(benchmark::State& state) {
  const Index n = size_of(state), pixels = state.range(1) * state.range(1);
  const Array x = filled(n, 1);
  Array y = filled(n, 2);
  measure(state, 2, n, [&] { nhwc_to_nchw(state.range(0), state.range(2), pixels, x.data(), y.data()); });
}
/// The middle of an image, as a crop or the gradient of padding takes it.
void window(benchmark::State& state) {
  const Index n = size_of(state), size = state.range(1), c = state.range(2), inner = size - 2;
  const Array x = filled(n, 1);
  Array y = filled(n, 2);
  const Index extents[] = {state.range(0), inner, inner, c}, strides[] = {size * size * c, size * c, c, 1};
  measure(state, 2, n, [&] { copy_strided(4, extents, strides, x.data() + (size + 1) * c, y.data()); });
}

void images(benchmark::internal::Benchmark* bench) {
  activations(bench);
  bench->Args({16, 224, 3});
}

BENCHMARK(to_channels_last)->Apply(images);
BENCHMARK(to_planes)->Apply(images);
BENCHMARK(window)->Apply(images);

}  // namespace
