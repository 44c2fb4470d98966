// The depthwise layers of EfficientNet-Lite0 at 224x224, forward and backward, at batch 1 and 16.
#include <tl/kernels/depthwise.hpp>
#include "kernels/memory.hpp"
#include "kernels/report.hpp"

namespace {

using namespace tl::kernels;
using namespace tl_bench;

/// size: of the (square) input.
ConvShape layer(Index n, Index size, Index c, Index kernel, Index stride) {
  ConvShape s{.n = n, .h = size, .w = size, .c = c, .oh = size / stride, .ow = size / stride, .o = c};
  s.kh = s.kw = kernel;
  s.stride_h = s.stride_w = stride;
  s.pad_top = s.pad_left = stride == 1 ? kernel / 2 : (kernel - stride) / 2;
  s.groups = c;
  return s;
}

template <class Run>
void measure_layer(benchmark::State& state, const Run& run) {
  const ConvShape s = layer(state.range(0), state.range(1), state.range(2), state.range(3), state.range(4));
  Array x = filled(s.input_size(), 1), w = filled(s.weight_size(), 2), y = filled(s.output_size(), 3);
  for (auto _ : state) {
    run(s, x.data(), w.data(), y.data());
    benchmark::ClobberMemory();
  }
  report<float>(state, static_cast<double>(s.multiply_adds()));
}

void forward(benchmark::State& state) {
  measure_layer(state, [](const ConvShape& s, float* x, float* w, float* y) {
    depthwise_forward(s, x, w, static_cast<const float*>(nullptr), Activation::relu6, y);
  });
}
void backward_input(benchmark::State& state) {
  measure_layer(
      state, [](const ConvShape& s, float* x, float* w, float* y) { depthwise_backward_input(s, y, w, x); });
}
void backward_weight(benchmark::State& state) {
  measure_layer(
      state, [](const ConvShape& s, float* x, float* w, float* y) { depthwise_backward_weight(s, x, y, w); });
}

void layers(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"n", "size", "c", "k", "s"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const Index n : {1, 16}) {
    bench->Args({n, 112, 32, 3, 1})
        ->Args({n, 112, 96, 3, 2})
        ->Args({n, 56, 144, 3, 1})
        ->Args({n, 56, 144, 5, 2});
    bench->Args({n, 28, 240, 5, 1})
        ->Args({n, 28, 240, 3, 2})
        ->Args({n, 14, 480, 3, 1})
        ->Args({n, 14, 480, 5, 1});
    bench->Args({n, 14, 672, 5, 1})
        ->Args({n, 14, 672, 5, 2})
        ->Args({n, 7, 1152, 5, 1})
        ->Args({n, 7, 1152, 3, 1});
  }
}

BENCHMARK(forward)->Apply(layers);
BENCHMARK(backward_input)->Apply(layers);
BENCHMARK(backward_weight)->Apply(layers);

}  // namespace
