// The blocks of EfficientNet-Lite0 at 224x224: by bands of rows, and one convolution after the other.
#include <vector>

#include <tl/core/memory.hpp>
#include <tl/core/rng.hpp>
#include <tl/kernels/separable.hpp>
#include "kernels/report.hpp"

namespace {

using tl::Index;
using tl::kernels::Activation;
using tl::kernels::ConvShape;
using Array = tl::AlignedArray<float>;

Array filled(Index n, std::uint64_t key) {
  Array values(static_cast<std::size_t>(n));
  tl::Rng rng(key);
  for (Index i = 0; i < n; ++i) values.data()[i] = static_cast<float>(rng.uniform(-1, 1));
  return values;
}

ConvShape layer(Index n, Index size, Index c, Index o, Index kernel, Index stride, Index groups) {
  const Index out = (size + stride - 1) / stride;
  ConvShape s{.n = n, .h = size, .w = size, .c = c, .oh = out, .ow = out, .o = o, .kh = kernel, .kw = kernel};
  s.stride_h = s.stride_w = stride;
  s.pad_top = s.pad_left = kernel / 2;
  s.groups = groups;
  return s;
}

struct Block {
  explicit Block(const benchmark::State& state)
      : shapes{
            layer(state.range(0), state.range(1), state.range(2), state.range(3), 1, 1, 1),
            layer(state.range(0), state.range(1), state.range(3), state.range(3), state.range(5),
                  state.range(6), state.range(3)),
            layer(state.range(0), state.range(1) / state.range(6), state.range(3), state.range(4), 1, 1, 1)} {
    for (const ConvShape& s : shapes) {
      packed.emplace_back(static_cast<std::size_t>(tl::kernels::conv_packed_size<float>(s)));
      tl::kernels::conv_pack(s, filled(s.weight_size(), 1).data(), packed.back().data());
      values.push_back(filled(s.input_size(), 2));
    }
    values.push_back(filled(shapes.back().output_size(), 3));
  }
  double multiply_adds() const {
    double sum = 0;
    for (const ConvShape& s : shapes) sum += static_cast<double>(s.multiply_adds());
    return sum;
  }
  std::vector<ConvShape> shapes;
  std::vector<Array> packed, values;
};

void by_bands(benchmark::State& state) {
  Block b(state);
  const auto stage = [&](std::size_t i, Activation activation) {
    return tl::kernels::ConvStage<float>{b.shapes[i], b.packed[i].data(), nullptr, activation};
  };
  for (auto _ : state) {
    tl::kernels::separable_forward<float>({.first = stage(0, Activation::relu6),
                                           .depthwise = stage(1, Activation::relu6),
                                           .pointwise = stage(2, Activation::none)},
                                          b.values[0].data(), b.values[3].data());
    benchmark::ClobberMemory();
  }
  tl_bench::report<float>(state, b.multiply_adds());
}

void one_by_one(benchmark::State& state) {
  Block b(state);
  for (auto _ : state) {
    for (std::size_t i = 0; i < 3; ++i) {
      tl::kernels::conv_forward<float>(b.shapes[i], b.values[i].data(), b.packed[i].data(), nullptr,
                                       {i < 2 ? Activation::relu6 : Activation::none},
                                       b.values[i + 1].data());
    }
    benchmark::ClobberMemory();
  }
  tl_bench::report<float>(state, b.multiply_adds());
}

void blocks(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"n", "size", "c", "wide", "o", "k", "s"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const Index n : {1, 16}) {
    bench->Args({n, 112, 16, 96, 24, 3, 2})->Args({n, 56, 24, 144, 24, 3, 1});
    bench->Args({n, 28, 40, 240, 40, 5, 1})->Args({n, 14, 80, 480, 80, 3, 1});
    bench->Args({n, 14, 112, 672, 112, 5, 1})->Args({n, 7, 192, 1152, 192, 5, 1});
  }
}

BENCHMARK(by_bands)->Apply(blocks);
BENCHMARK(one_by_one)->Apply(blocks);

}  // namespace
