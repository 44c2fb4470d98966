// Batch normalisation of ResNet-18's activations; GB/s count what a single pass must move.
#include <vector>

#include <tl/kernels/batchnorm.hpp>
#include "kernels/memory.hpp"

namespace {

using namespace tl::kernels;
using namespace tl_bench;

struct Data {
  explicit Data(const benchmark::State& state)
      : n(size_of(state)),
        c(state.range(2)),
        x(filled(n, 1)),
        y(filled(n, 2)),
        dy(filled(n, 3)),
        dx(filled(n, 4)),
        a(filled(c, 5, .5, 2)),
        b(filled(c, 6)),
        d(filled(c, 7)) {}
  BatchnormGradient<float> gradient() const {
    return {x.data(), b.data(), a.data(), a.data(), dy.data(), y.data(), Activation::relu};
  }
  Index n, c;
  Array x, y, dy, dx, a, b, d;
};

void statistics(benchmark::State& state) {
  Data d(state);
  measure(state, 1, d.n, [&] { batchnorm_statistics(d.n / d.c, d.c, d.x.data(), d.b.data(), d.d.data()); });
}
void apply(benchmark::State& state) {
  Data d(state);
  measure(state, 2, d.n, [&] {
    batchnorm_apply(d.n / d.c, d.c, d.x.data(), d.a.data(), d.b.data(), nullptr, Activation::relu,
                    d.y.data());
  });
}
/// Two passes: x, dy and y are read twice, dx is written once.
void backward(benchmark::State& state) {
  Data d(state);
  std::vector<float> dgamma(static_cast<std::size_t>(d.c)), dbeta(dgamma);
  measure(state, 7, d.n, [&] {
    batchnorm_backward(d.n / d.c, d.c, d.gradient(), dgamma.data(), dbeta.data(), d.dx.data());
  });
}
void backward_frozen(benchmark::State& state) {
  Data d(state);
  float* none = nullptr;
  measure(state, 3, d.n,
          [&] { batchnorm_backward_inference(d.n / d.c, d.c, d.gradient(), none, none, d.dx.data()); });
}

BENCHMARK(statistics)->Apply(activations);
BENCHMARK(apply)->Apply(activations);
BENCHMARK(backward)->Apply(activations);
BENCHMARK(backward_frozen)->Apply(activations);

}  // namespace
