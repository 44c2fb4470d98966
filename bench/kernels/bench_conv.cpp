// The convolutions of ResNet-18 at 224x224, forward and backward, at batch 1 and 16.
#include <vector>

#include <tl/core/memory.hpp>
#include <tl/core/rng.hpp>
#include <tl/kernels/conv.hpp>
#include "kernels/report.hpp"

namespace {

using tl::Index;
using tl::kernels::Activation;
using tl::kernels::ConvShape;

/// size: of the (square) output; kernels 3 and 7 keep the size but for the stride, as ResNet pads them.
ConvShape layer(Index n, Index size, Index c, Index o, Index kernel, Index stride) {
  ConvShape s{.n = n, .h = size * stride, .w = size * stride, .c = c, .oh = size, .ow = size, .o = o};
  s.kh = s.kw = kernel;
  s.stride_h = s.stride_w = stride;
  s.pad_top = s.pad_left = kernel / 2;
  return s;
}

struct Data {
  explicit Data(const ConvShape& s)
      : x(filled(s.input_size(), 1)),
        w(filled(s.weight_size(), 2)),
        y(filled(s.output_size(), 3)),
        packed(static_cast<std::size_t>(tl::kernels::conv_packed_size<float>(s))) {
    tl::kernels::conv_pack(s, w.data(), packed.data());
  }
  static tl::AlignedArray<float> filled(Index n, std::uint64_t key) {
    tl::AlignedArray<float> values(static_cast<std::size_t>(n));
    tl::Rng rng(key);
    for (Index i = 0; i < n; ++i) values.data()[i] = static_cast<float>(rng.uniform(-1, 1));
    return values;
  }
  tl::AlignedArray<float> x, w, y, packed;
};

template <class Run>
void measure(benchmark::State& state, const Run& run) {
  const ConvShape s =
      layer(state.range(0), state.range(1), state.range(2), state.range(3), state.range(4), state.range(5));
  Data d(s);
  for (auto _ : state) {
    run(s, d);
    benchmark::ClobberMemory();
  }
  tl_bench::report<float>(state, static_cast<double>(s.multiply_adds()));
}

void forward(benchmark::State& state) {
  measure(state, [](const ConvShape& s, Data& d) {
    tl::kernels::conv_forward(s, d.x.data(), d.packed.data(), nullptr, {Activation::relu}, d.y.data());
  });
}
void pack(benchmark::State& state) {
  measure(state, [](const ConvShape& s, Data& d) { tl::kernels::conv_pack(s, d.w.data(), d.packed.data()); });
}
void backward_input(benchmark::State& state) {
  measure(state, [](const ConvShape& s, Data& d) {
    tl::kernels::conv_backward_input(s, d.y.data(), d.w.data(), d.x.data());
  });
}
void backward_weight(benchmark::State& state) {
  measure(state, [](const ConvShape& s, Data& d) {
    tl::kernels::conv_backward_weight(s, d.x.data(), d.y.data(), d.w.data());
  });
}

void layers(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"n", "size", "c", "o", "k", "s"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const Index n : {1, 16}) {
    bench->Args({n, 112, 3, 64, 7, 2});
    bench->Args({n, 56, 64, 64, 3, 1});
    bench->Args({n, 28, 64, 128, 3, 2})->Args({n, 28, 64, 128, 1, 2})->Args({n, 28, 128, 128, 3, 1});
    bench->Args({n, 14, 128, 256, 3, 2})->Args({n, 14, 128, 256, 1, 2})->Args({n, 14, 256, 256, 3, 1});
    bench->Args({n, 7, 256, 512, 3, 2})->Args({n, 7, 256, 512, 1, 2})->Args({n, 7, 512, 512, 3, 1});
  }
}

/// The same with the algorithm given: m = 0 for direct sums, 2 and 4 for Winograd's output tiles.
template <void run(benchmark::State&)>
void forced(benchmark::State& state) {
  using enum tl::kernels::ConvAlgorithm;
  const Index m = state.range(6);
  const tl::kernels::ScopedConvPlan plan(m == 0 ? direct : m == 2 ? winograd_2x2 : winograd_4x4);
  run(state);
}
void each_algorithm(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"n", "size", "c", "o", "k", "s", "m"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const Index n : {1, 16}) {
    for (const Index size : {56, 28, 14, 7}) {
      for (const Index m : {0, 2, 4}) bench->Args({n, size, 3584 / size, 3584 / size, 3, 1, m});
    }
  }
}

BENCHMARK_TEMPLATE(forced, forward)->Apply(each_algorithm);
BENCHMARK_TEMPLATE(forced, backward_input)->Apply(each_algorithm);
BENCHMARK_TEMPLATE(forced, backward_weight)->Apply(each_algorithm);
BENCHMARK(forward)->Apply(layers);
BENCHMARK(pack)->Apply(layers);
BENCHMARK(backward_input)->Apply(layers);
BENCHMARK(backward_weight)->Apply(layers);

}  // namespace
