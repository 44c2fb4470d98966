// Initial values of weights.
//
//   kaiming_normal    N(0, 2 / fan)              He et al. 2015, https://arxiv.org/abs/1502.01852
//   kaiming_uniform   U(-b, b), b = 1 / sqrt(fan_in)      the usual default of fully connected layers
//   xavier_uniform    U(-b, b), b = sqrt(6 / (fan_in + fan_out))     Glorot, Bengio 2010
//
// fan_in of a weight (O,I) or (O,I,KH,KW) is I KH KW, fan_out is O KH KW. Values depend on the seed and the
// name given, not on the order of creation.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include <tl/core/rng.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::nn {

/// How many inputs and outputs of a layer one of its values meets.
struct Fan {
  Index in = 1;   ///< products that an output sums
  Index out = 1;  ///< outputs that an input reaches
};

/// Of a weight (O,I) or (O,I,KH,KW): I KH KW and O KH KW; throws below rank 2.
inline Fan fan_of(const Shape& weight) {
  TL_CHECK(weight.rank() >= 2, "[init] expected a weight (O,I,..), got ", weight);
  Index window = 1;
  for (int axis = 2; axis < weight.rank(); ++axis) window *= weight[axis];
  return {weight[1] * window, weight[0] * window};
}

/// Values of N(0, deviation^2).
template <class T>
Tensor<T> random_normal(const Shape& shape, double deviation, Rng stream) {
  Tensor<T> x = Tensor<T>::empty(shape);
  T* values = x.mutable_data();
  for (Index i = 0; i < x.size(); ++i) values[i] = static_cast<T>(deviation * stream.normal());
  return x;
}

/// Values of U(-bound, bound).
template <class T>
Tensor<T> random_uniform(const Shape& shape, double bound, Rng stream) {
  Tensor<T> x = Tensor<T>::empty(shape);
  T* values = x.mutable_data();
  for (Index i = 0; i < x.size(); ++i) values[i] = static_cast<T>(stream.uniform(-bound, bound));
  return x;
}

/// For layers followed by ReLU; by fan_out, so that gradients keep their size (torchvision's choice for
/// ResNets).
template <class T>
Tensor<T> kaiming_normal(const Shape& shape, Rng stream) {
  return random_normal<T>(shape, std::sqrt(2.0 / static_cast<double>(std::max<Index>(1, fan_of(shape).out))),
                          stream);
}

/// U(-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's default for Linear and Conv2d.
template <class T>
Tensor<T> kaiming_uniform(const Shape& shape, Rng stream) {
  return random_uniform<T>(shape, 1 / std::sqrt(static_cast<double>(std::max<Index>(1, fan_of(shape).in))),
                           stream);
}

/// U(-b, b), b = sqrt(6 / (fan_in + fan_out))  (Glorot, Bengio 2010)
template <class T>
Tensor<T> xavier_uniform(const Shape& shape, Rng stream) {
  const Fan fan = fan_of(shape);
  return random_uniform<T>(shape, std::sqrt(6.0 / static_cast<double>(fan.in + fan.out)), stream);
}

}  // namespace tl::nn
