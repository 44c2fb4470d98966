// From plain loops to the final kernel, step by step, on one convolution of ResNet: the table of
// docs/kernels.md.
#include <string>
#include <vector>

#include <tl/core/memory.hpp>
#include <tl/core/rng.hpp>
#include <tl/kernels/conv.hpp>
#include <tl/kernels/reference/conv.hpp>
#include "kernels/report.hpp"

namespace {

using tl::Index;
using tl::kernels::ConvAlgorithm;
using tl::kernels::ConvShape;
using tl::kernels::Isa;

constexpr ConvShape shape{.n = 4,
                          .h = 56,
                          .w = 56,
                          .c = 64,
                          .oh = 56,
                          .ow = 56,
                          .o = 64,
                          .kh = 3,
                          .kw = 3,
                          .pad_top = 1,
                          .pad_left = 1};

std::vector<float> filled(Index n, std::uint64_t key) {
  std::vector<float> values(static_cast<std::size_t>(n));
  tl::Rng rng(key);
  for (float& value : values) value = static_cast<float>(rng.uniform(-1, 1));
  return values;
}

void plain_loops(benchmark::State& state) {
  const std::vector<float> x = filled(shape.input_size(), 1), w = filled(shape.weight_size(), 2);
  std::vector<float> y(static_cast<std::size_t>(shape.output_size()));
  for (auto _ : state) {
    tl::kernels::reference::conv_forward<float>(shape, x.data(), w.data(), nullptr, {}, y.data());
    benchmark::ClobberMemory();
  }
  tl_bench::report<float>(state, static_cast<double>(shape.multiply_adds()));
}

void kernel(benchmark::State& state, Isa isa, int threads, ConvAlgorithm algorithm) {
  const int all = tl::num_threads();
  tl::set_num_threads(threads > 0 ? threads : all);
  {
    const tl::kernels::ScopedIsa instruction_set(isa);
    const tl::kernels::ScopedConvPlan plan(algorithm);
    const std::vector<float> x = filled(shape.input_size(), 1), w = filled(shape.weight_size(), 2);
    std::vector<float> y(static_cast<std::size_t>(shape.output_size()));
    tl::AlignedArray<float> packed(static_cast<std::size_t>(tl::kernels::conv_packed_size<float>(shape)));
    tl::kernels::conv_pack(shape, w.data(), packed.data());
    for (auto _ : state) {
      tl::kernels::conv_forward(shape, x.data(), packed.data(), nullptr, {}, y.data());
      benchmark::ClobberMemory();
    }
    tl_bench::report<float>(state, static_cast<double>(shape.multiply_adds()));
  }
  tl::set_num_threads(all);
}

const bool registered = [] {
  const auto add = [](const std::string& name, auto... arguments) {
    benchmark::RegisterBenchmark(("ladder/" + name).c_str(), arguments...)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  };
  add("plain loops", plain_loops);
  for (const Isa isa : tl::kernels::available_isas()) {
    add("direct, " + std::string(tl::kernels::name_of(isa)) + ", one thread", kernel, isa, 1,
        ConvAlgorithm::direct);
  }
  const Isa best = tl::kernels::available_isas().back();
  for (const auto algorithm :
       {ConvAlgorithm::direct, ConvAlgorithm::winograd_2x2, ConvAlgorithm::winograd_4x4}) {
    add(std::string(tl::kernels::name_of(algorithm)) + ", " + std::string(tl::kernels::name_of(best)) +
            ", all threads",
        kernel, best, 0, algorithm);
  }
  return true;
}();

}  // namespace
