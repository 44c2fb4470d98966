// The smallest user of tl: trains one layer for one step.
#include <cstdio>
#include <tl/tl.hpp>

int main() {
  const tl::Var<float> x(tl::Tensor<float>::ones({4, 3}));
  tl::Var<float> w(tl::Tensor<float>::zeros({2, 3}), true);
  const auto loss = tl::cross_entropy(tl::linear(x, w), tl::Tensor<std::int64_t>::from({0, 0, 0, 0}, {4}));
  loss.backward();
  std::printf("loss %.4f, gradient %.1f\n", static_cast<double>(loss.item()),
              static_cast<double>(w.grad().at(0, 0)));
}
