// Points of a plane with noise: the data that chapters 2, 3 and 5 fit a plane to.
#pragma once

#include <tl/core/rng.hpp>
#include <tl/tensor/tensor.hpp>

namespace course {

struct Points {
  tl::Tensor<double> x;  ///< (N,3): a, b and 1
  tl::Tensor<double> y;  ///< (N,1)
};

/// y = 3 a - 2 b + 1 + noise, the noise normal with a deviation of 0.1.
inline Points plane(tl::Index n) {
  Points points{tl::Tensor<double>::empty({n, 3}), tl::Tensor<double>::empty({n, 1})};
  tl::Rng random(3);
  double* x = points.x.mutable_data();
  double* y = points.y.mutable_data();
  for (tl::Index i = 0; i < n; ++i, x += 3, ++y) {
    x[0] = random.uniform(-1, 1), x[1] = random.uniform(-1, 1), x[2] = 1;
    *y = 3 * x[0] - 2 * x[1] + 1 + 0.1 * random.normal();
  }
  return points;
}

}  // namespace course
