// The SGD update of ResNet-18's largest weight (2.4M) and of a small one.
#include <tl/kernels/sgd.hpp>
#include "kernels/memory.hpp"

namespace {

using namespace tl::kernels;
using namespace tl_bench;

void momentum(benchmark::State& state) {
  const Index n = state.range(0);
  const Array dw = filled(n, 1);
  Array v = filled(n, 2), w = filled(n, 3);
  const SgdStep step{.lr = 1e-9, .momentum = .9, .weight_decay = 1e-4};
  measure(state, 5, n, [&] { sgd_update(step, n, dw.data(), v.data(), w.data()); });
}
void plain(benchmark::State& state) {
  const Index n = state.range(0);
  const Array dw = filled(n, 1);
  Array w = filled(n, 3);
  float* no_velocity = nullptr;
  measure(state, 3, n, [&] { sgd_update({.lr = 1e-9}, n, dw.data(), no_velocity, w.data()); });
}

BENCHMARK(momentum)->Arg(64)->Arg(36864)->Arg(2359296)->Arg(8 << 20)->UseRealTime()->Unit(
    benchmark::kMicrosecond);
BENCHMARK(plain)->Arg(64)->Arg(36864)->Arg(2359296)->Arg(8 << 20)->UseRealTime()->Unit(
    benchmark::kMicrosecond);

}  // namespace
