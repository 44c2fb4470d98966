// Ten steps of SGD in double on batches of which every process of a group has its part.
#pragma once

#include <tl/autograd/functions.hpp>
#include <tl/dist/gradients.hpp>
#include <tl/nn/layers.hpp>
#include <tl/ops/shared_statistics.hpp>
#include <tl/optim/sgd.hpp>

#include "support/hash_fill.hpp"

namespace tl::test {

enum class Norm { frozen, shared, local };

inline std::shared_ptr<nn::Module<double>> network_in_double() {
  const RandomScope scope(3, 0);
  const auto conv = [](Index in, Index out) {
    return std::make_shared<nn::Conv2d<double>>(
        nn::Conv2dOptions{.in = in, .out = out, .kernel = 3, .padding = 1});
  };
  const auto norm = [](Index channels) {
    return std::make_shared<nn::BatchNorm2d<double>>(nn::BatchNormOptions{.channels = channels});
  };
  return nn::sequential<double>({conv(3, 8), norm(8), std::make_shared<nn::Relu<double>>(), conv(8, 8),
                                 norm(8), std::make_shared<nn::Relu<double>>(),
                                 std::make_shared<nn::AdaptiveAveragePool2d<double>>(),
                                 std::make_shared<nn::Flatten<double>>(),
                                 std::make_shared<nn::Dense<double>>(nn::DenseOptions{.in = 8, .out = 3})});
}

/// Parameters and running statistics after the steps. A group of none: one process, the whole batch.
inline std::vector<double> after_ten_steps(ProcessGroup* group, Norm norm, std::size_t bucket_bytes = 1024) {
  constexpr Index batch = 8, side = 6;
  const auto network = network_in_double();
  network->train();
  if (norm == Norm::frozen) {
    for (const char* name : {"1.*", "4.*"}) network->freeze(name);
  }
  optim::Sgd<double> sgd({{.params = network->parameters(), .lr = 0.1}}, {.momentum = 0.9});
  std::optional<dist::GradientSum<double>> gradients;
  if (group != nullptr) gradients.emplace(*group, sgd, bucket_bytes);
  const Share share = Share::of(group);
  for (int step = 0; step < 10; ++step) {
    Tensor<double> images = Tensor<double>::empty({batch, 3, side, side});
    hash_fill(concat("images ", step), images.mutable_data(), images.size());
    const Index begin = share.begin(batch), mine = share.end(batch) - begin;
    Tensor<double> part = Tensor<double>::empty({mine, 3, side, side});
    std::copy_n(images.data() + begin * 3 * side * side, part.size(), part.mutable_data());
    Tensor<std::int64_t> labels = Tensor<std::int64_t>::empty({mine});
    for (Index i = 0; i < mine; ++i) labels.mutable_data()[i] = (begin + i + step) % 3;
    // [step]
    const ops::SharedStatistics statistics(norm == Norm::shared ? group : nullptr);
    const Var<double> loss = cross_entropy(network->forward(Var<double>(part)), labels);
    if (group != nullptr) {
      gradients->backward(loss, static_cast<double>(mine) / static_cast<double>(batch));
      if (norm == Norm::local) dist::average_buffers(*group, *network);
    } else {
      loss.backward();
    }
    sgd.step();
    sgd.zero_grad();
    // [/step]
  }
  std::vector<double> state;
  for (const auto& list : {network->parameters(), network->buffers()}) {
    for (const nn::Named<double>& entry : list) {
      const auto values = entry.var.value().span();
      state.insert(state.end(), values.begin(), values.end());
    }
  }
  return state;
}

inline double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  TL_CHECK(a.size() == b.size(), "expected ", a.size(), " values, got ", b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace tl::test
