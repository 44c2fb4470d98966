// Tensors as Eigen matrices and vectors, without a copy, and back.
#include <Eigen/Dense>

#include <tl/tensor/eigen.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

TEST_CASE("a matrix of a tensor is its memory") {
  Tensor<float> x = Tensor<float>::from({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor<float>& fixed = x;
  CHECK(as_matrix(fixed).data() == x.data());
  CHECK(as_matrix(fixed)(1, 0) == 4);
  CHECK(as_vector(fixed).sum() == 21);

  const std::uint64_t before = x.version();
  as_matrix(x).row(1) *= 10;
  CHECK(x.version() == before + 1);
  CHECK(values_of(x) == std::vector<float>{1, 2, 3, 40, 50, 60});
  as_vector(x).setConstant(7);
  CHECK(x.at(1, 2) == 7);
}

TEST_CASE("an Eigen expression becomes a tensor") {
  const auto a = hash_tensor<double>("a", {4, 3}), b = hash_tensor<double>("b", {3, 5});
  const Tensor<double> y = from_eigen(as_matrix(a) * as_matrix(b));
  CHECK(y.shape() == Shape{4, 5});
  CHECK(y.at(2, 4) == Approx(a.at(2, 0) * b.at(0, 4) + a.at(2, 1) * b.at(1, 4) + a.at(2, 2) * b.at(2, 4)));

  const Eigen::MatrixXf columns = Eigen::MatrixXf::Random(3, 2);  // column-major
  const Tensor<float> rows = from_eigen(columns);
  CHECK(rows.at(2, 1) == columns(2, 1));
  CHECK(as_matrix(rows).isApprox(columns));

  const Eigen::VectorXd v = Eigen::VectorXd::LinSpaced(5, 0, 4);
  CHECK(from_eigen(v).shape() == Shape{5});
  CHECK(values_of(from_eigen(2 * v)) == std::vector<double>{0, 2, 4, 6, 8});
  CHECK(from_eigen(v.transpose()).shape() == Shape{1, 5});
  CHECK(from_eigen(Eigen::MatrixXd(0, 3)).shape() == Shape{0, 3});
}

TEST_CASE("a solver of Eigen works on tensors") {
  const auto a = Tensor<double>::from({4, 1, 1, 3}, {2, 2}), b = Tensor<double>::from({1, 2}, {2});
  const Tensor<double> x = from_eigen(as_matrix(a).llt().solve(as_vector(b)));
  CHECK(x.at(0) == Approx(1. / 11));
  CHECK(x.at(1) == Approx(7. / 11));
}

TEST_CASE("eigen_pairs takes a symmetric matrix apart, in the same bits at any number of threads") {
  const auto a = hash_tensor<double>("a", {150, 150});
  const Tensor<double> symmetric = from_eigen(as_matrix(a) + as_matrix(a).transpose());
  const EigenPairs<double> pairs = eigen_pairs(symmetric);
  const auto v = as_matrix(pairs.vectors);
  const auto values = as_vector(pairs.values);
  CHECK((as_matrix(symmetric) * v - v * values.asDiagonal()).norm() < 1e-10);
  CHECK((v.transpose() * v).isIdentity(1e-10));
  CHECK(std::is_sorted(values.begin(), values.end()));
  for (const int threads : {1, 2, 3, 8}) {
    const ScopedThreads scope(threads);
    const EigenPairs<double> again = eigen_pairs(symmetric);
    CHECK((same_bits(again.values, pairs.values) && same_bits(again.vectors, pairs.vectors)));
    CHECK(num_threads() == threads);
  }
  CHECK_THROWS_WITH(eigen_pairs(Tensor<double>::ones({2, 3})), contains("(N,N), got (2,3)"));
  CHECK_THROWS_WITH(eigen_pairs(Tensor<double>::full({3, 3}, NAN)), contains("finite elements"));
}

TEST_CASE("what is not a matrix, or not in row-major order, is refused") {
  Tensor<float> image = hash_tensor<float>("x", {1, 3, 2, 2}, 1, 0, Layout::channels_last);
  CHECK_THROWS_WITH(as_matrix(image), "[as_matrix] expected a tensor of rank 2, got shape (1,3,2,2)");
  CHECK_THROWS_WITH(as_vector(image), "[as_vector] expected a plain tensor, got one of layout channels_last");
}
