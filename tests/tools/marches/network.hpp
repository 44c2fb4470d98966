// A small computation whose result is known: compiled into two files for different processors.
#pragma once

#include <tl/tl.hpp>

#include "result.hpp"

namespace {

inline Result run_network() {
  const auto integers = [](const tl::Shape& shape, tl::Index modulus) {
    auto tensor = tl::Tensor<float>::empty(shape);
    float* values = tensor.mutable_data();
    for (tl::Index i = 0; i < tensor.size(); ++i) values[i] = static_cast<float>(i % modulus - 2);
    return tensor;
  };
  const tl::Var<float> x(integers({2, 5, 9, 7}, 11));
  const tl::Var<float> w(integers({6, 5, 3, 3}, 7), true);
  const tl::Var<float> y = tl::conv2d(x, w);
  const tl::Var<float> total = tl::sum(y);
  total.backward();
  Result result{.conv = total.item()};
  for (const float g : w.grad().span()) result.gradient += g;

  const tl::Var<float> head(integers({3, 6}, 5));
  const tl::Var<float> logits = tl::linear(tl::flatten(tl::global_average_pool2d(tl::relu(y))), head);
  result.loss = tl::cross_entropy(logits * 0.01f, tl::Tensor<std::int64_t>::from({0, 2}, {2})).item();
  return result;
}

}  // namespace
