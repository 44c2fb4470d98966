// What the tests of the models share: the bits of a network at one, two, three and eight threads.
#pragma once

#include <vector>

#include <tl/nn/model.hpp>
#include "support/tensors.hpp"

namespace tl::test {

/// make() returns a new network with the same weights each time. A training step on `images` (its logits,
/// every gradient, the running statistics) and, after it, inference with fused operations.
template <class Make>
void check_same_bits_at_any_thread_count(const Make& make, const Tensor<float>& images) {
  std::vector<std::int64_t> labels(static_cast<std::size_t>(images.shape()[0]));
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int64_t>(i);
  std::vector<Tensor<float>> one;
  for (const int threads : {1, 2, 3, 8}) {
    const ScopedThreads scope(threads);
    INFO(threads << " threads");
    const auto network = make();
    const Var<float> logits = network->forward(Var<float>(images));
    cross_entropy(logits, Tensor<std::int64_t>::from(labels, {images.shape()[0]})).backward();
    std::vector<Tensor<float>> results{logits.value()};
    for (const auto& p : network->parameters()) results.push_back(p.var.grad());
    for (const auto& b : network->buffers()) results.push_back(b.var.value());
    results.push_back(nn::trace<float>(*network, images)->predict(images));
    if (threads == 1) one = results;
    REQUIRE(results.size() == one.size());
    for (std::size_t i = 0; i < one.size(); ++i) CHECK(same_bits(results[i], one[i]));
  }
}

}  // namespace tl::test
