// Matrix products of tensors.
//
//   (M,K)(K,N) -> (M,N), either factor transposed;  batched over equal or repeated leading axes.
#pragma once

#include <tl/kernels/gemm.hpp>
#include <tl/tensor/math.hpp>

namespace tl {

using kernels::Trans;

/// op(a) op(b) of two matrices.
template <class T>
Tensor<T> matmul_2d(const Tensor<T>& a, Trans trans_a, const Tensor<T>& b, Trans trans_b) {
  const Index m = a.shape(trans_a == Trans::no ? 0 : 1), k = a.shape(trans_a == Trans::no ? 1 : 0);
  const Index n = b.shape(trans_b == Trans::no ? 1 : 0);
  TL_CHECK(k == b.shape(trans_b == Trans::no ? 0 : 1), "[matmul] expected matching inner extents, got ",
           a.shape(), " and ", b.shape());
  Tensor<T> c = Tensor<T>::empty(Shape{m, n});
  kernels::gemm(trans_a, trans_b, m, n, k, a.data(), std::max<Index>(1, a.shape(1)), b.data(),
                std::max<Index>(1, b.shape(1)), c.mutable_data(), std::max<Index>(1, n), false);
  return c;
}

/// A b: (M,K)(K,N) -> (M,N)
template <class T>
Tensor<T> matmul_nn(const Tensor<T>& a, const Tensor<T>& b) {
  return matmul_2d(a, Trans::no, b, Trans::no);
}
/// A b^T: (M,K)(N,K) -> (M,N)
template <class T>
Tensor<T> matmul_nt(const Tensor<T>& a, const Tensor<T>& b) {
  return matmul_2d(a, Trans::no, b, Trans::yes);
}
/// a^T b: (K,M)(K,N) -> (M,N)
template <class T>
Tensor<T> matmul_tn(const Tensor<T>& a, const Tensor<T>& b) {
  return matmul_2d(a, Trans::yes, b, Trans::no);
}

/// Batched product: (..,M,K)(..,K,N) -> (..,M,N), leading axes broadcast. Transposes are of the last two
/// axes.
template <class T>
Tensor<T> matmul_batched(const Tensor<T>& a, Trans trans_a, const Tensor<T>& b, Trans trans_b) {
  const Tensor<T> left = a.plain(), right = b.plain();
  const auto batch_of = [](const Shape& s) {
    return Shape(std::span(s.begin(), static_cast<std::size_t>(s.rank() - 2)));
  };
  Shape batch = broadcast_shapes(batch_of(a.shape()), batch_of(b.shape()), "matmul");
  const Index rows_a = a.shape(a.rank() - 2), columns_a = a.shape(a.rank() - 1);
  const Index rows_b = b.shape(b.rank() - 2), columns_b = b.shape(b.rank() - 1);
  const Index m = trans_a == Trans::no ? rows_a : columns_a, k = trans_a == Trans::no ? columns_a : rows_a;
  const Index n = trans_b == Trans::no ? columns_b : rows_b;
  Shape shape = batch;
  shape.push_back(m);
  shape.push_back(n);
  Tensor<T> c = Tensor<T>::empty(shape);
  T* out = c.mutable_data();
  // The matrix of either factor that belongs to a batch index, found by walking the index in row-major order.
  const auto matrix_at = [&batch](const Shape& s, Index flat) {
    Index offset = 0, step = 1;
    for (int i = 1; i <= batch.rank(); ++i) {
      const Index index = flat % batch[batch.rank() - i];
      flat /= batch[batch.rank() - i];
      const int axis = s.rank() - 2 - i;
      if (axis < 0) continue;
      if (s[axis] != 1) offset += index * step;
      step *= s[axis];
    }
    return offset;
  };
  for (Index i = 0; i < batch.size(); ++i) {
    kernels::gemm(trans_a, trans_b, m, n, k, left.data() + matrix_at(a.shape(), i) * rows_a * columns_a,
                  std::max<Index>(1, columns_a), right.data() + matrix_at(b.shape(), i) * rows_b * columns_b,
                  std::max<Index>(1, columns_b), out + i * m * n, std::max<Index>(1, n), false);
  }
  return c;
}

}  // namespace tl
