// The one door to Eigen: tensors as Eigen matrices and vectors without a copy, and back.
//
//   as_matrix(x) * as_vector(v)      x:(M,N) plain, v of any shape, N elements
//
// A map points into the tensor's buffer and is valid as long as that lives. A map of a non-const tensor is
// for writing: it advances the tensor's version, as mutable_data() does, so take a map of a const tensor to
// read.
#pragma once

#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include <tl/core/parallel.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl {

/// What as_matrix maps to: row-major, as tensors lie in memory.
template <class T>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// A column.
template <class T>
using EigenVector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

/// The matrix (M,N).
template <class T>
Eigen::Map<EigenMatrix<T>> as_matrix(Tensor<T>& x) {
  TL_CHECK(x.rank() == 2, "[as_matrix] expected a tensor of rank 2, got shape ", x.shape());
  return {x.mutable_data(), x.shape(0), x.shape(1)};
}
/// The same for reading.
template <class T>
Eigen::Map<const EigenMatrix<T>> as_matrix(const Tensor<T>& x) {
  TL_CHECK(x.rank() == 2, "[as_matrix] expected a tensor of rank 2, got shape ", x.shape());
  return {x.data(), x.shape(0), x.shape(1)};
}

/// All elements of a plain tensor, in row-major order.
template <class T>
Eigen::Map<EigenVector<T>> as_vector(Tensor<T>& x) {
  TL_CHECK(x.layout() == Layout::plain, "[as_vector] expected a plain tensor, got one of layout ",
           x.layout());
  return {x.mutable_data(), x.size()};
}
/// The same for reading.
template <class T>
Eigen::Map<const EigenVector<T>> as_vector(const Tensor<T>& x) {
  TL_CHECK(x.layout() == Layout::plain, "[as_vector] expected a plain tensor, got one of layout ",
           x.layout());
  return {x.data(), x.size()};
}

/// A tensor (rows,columns), or (size) of a column vector type, that holds the value of an Eigen expression.
/// The expression is evaluated straight into the tensor: a product needs no temporary.
template <class Derived>
Tensor<typename Derived::Scalar> from_eigen(const Eigen::EigenBase<Derived>& expression) {
  using T = typename Derived::Scalar;
  if constexpr (Derived::ColsAtCompileTime == 1) {
    Tensor<T> x = Tensor<T>::empty({expression.rows()});
    as_vector(x).noalias() = expression.derived();
    return x;
  } else {
    Tensor<T> x = Tensor<T>::empty({expression.rows(), expression.cols()});
    as_matrix(x).noalias() = expression.derived();
    return x;
  }
}

/// The eigenvalues of a symmetric matrix and their vectors.
template <class T>
struct EigenPairs {
  Tensor<T> values;   ///< (N), ascending
  Tensor<T> vectors;  ///< (N,N), a column each, of length 1
};

/// Eigenvalues and eigenvectors of a symmetric matrix (N,N), of which the lower triangle is read.
template <class T>
EigenPairs<T> eigen_pairs(const Tensor<T>& symmetric) {
  TL_CHECK(symmetric.rank() == 2 && symmetric.shape(0) == symmetric.shape(1) && symmetric.size() > 0,
           "[eigen_pairs] expected a symmetric matrix (N,N), got ", symmetric.shape());
  const struct OneThread {  // Eigen cuts its products by the number of threads, which shows in the bits
    int before = num_threads();
    OneThread() { set_num_threads(1); }
    ~OneThread() { set_num_threads(before); }
  } one_thread;
  const Eigen::SelfAdjointEigenSolver<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>> solver(
      as_matrix(symmetric));
  TL_CHECK(solver.info() == Eigen::Success, "[eigen_pairs] expected a matrix of finite elements");
  return {from_eigen(solver.eigenvalues()), from_eigen(solver.eigenvectors())};
}

}  // namespace tl
