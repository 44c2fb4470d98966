// Winograd's minimal filtering: m outputs of a kernel of three weights by m + 2 products, for any m.
//
//   y = A^T [ (G g) . (B^T d) ]        d: m + 2 inputs, g: 3 weights, y: m outputs, . element by element
//
// The transforms come from m + 1 points p_i and infinity (Toom and Cook):
//
//   A^T[k][i] = p_i^k                                     last column: 0 ... 0 1
//   G[i][k]   = p_i^k / product over j != i of (p_i-p_j)  last row:    0 0 1
//   B^T[i]    = coefficients of the product over j != i of (x-p_j), last row: over all j
//
// Images take it both ways: Y = A^T [ (G g G^T) . (B^T d B) ] A. Sources: Lavin and Gray 2016,
// https://arxiv.org/abs/1509.09308; Barabasz et al. 2020, https://arxiv.org/abs/1803.10986, on points.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <vector>

#include <tl/core/rng.hpp>
#include <tl/core/shape.hpp>

namespace {

/// Rows of numbers.
template <class T>
struct Matrix {
  std::size_t rows, columns;
  std::vector<T> values = std::vector<T>(rows * columns);
  T& operator()(std::size_t r, std::size_t c) { return values[r * columns + c]; }
  T operator()(std::size_t r, std::size_t c) const { return values[r * columns + c]; }
};

// [transforms]
template <class T>
struct Winograd {
  std::size_t m;
  Matrix<T> a, g, b;  ///< A^T (m,m+2), G (m+2,3), B^T (m+2,m+2)

  explicit Winograd(const std::vector<double>& points)
      : m(points.size() - 1), a{m, m + 2}, g{m + 2, 3}, b{m + 2, m + 2} {
    const std::size_t last = m + 1;
    for (std::size_t i = 0; i <= last; ++i) {
      std::vector<double> polynomial{1};
      double differences = 1;
      for (std::size_t j = 0; j < last; ++j) {
        if (j == i) continue;
        polynomial.insert(polynomial.begin(), 0);  // times x, and minus p_j times what it was
        for (std::size_t k = 0; k + 1 < polynomial.size(); ++k)
          polynomial[k] -= points[j] * polynomial[k + 1];
        if (i < last) differences *= points[i] - points[j];
      }
      for (std::size_t k = 0; k < polynomial.size(); ++k) b(i, k) = static_cast<T>(polynomial[k]);
      const auto power = [&](std::size_t k) { return std::pow(points[i], static_cast<double>(k)); };
      for (std::size_t k = 0; k < m; ++k) a(k, i) = static_cast<T>(i < last ? power(k) : k + 1 == m ? 1 : 0);
      for (std::size_t k = 0; k < 3; ++k)
        g(i, k) = static_cast<T>(i < last ? power(k) / differences : k == 2 ? 1 : 0);
    }
  }
};
// [/transforms]

/// f x f^T
template <class T>
Matrix<T> both_ways(const Matrix<T>& f, const Matrix<T>& x) {
  Matrix<T> by_row{f.rows, x.columns}, result{f.rows, f.rows};
  for (std::size_t r = 0; r < f.rows; ++r)
    for (std::size_t c = 0; c < x.columns; ++c)
      for (std::size_t k = 0; k < f.columns; ++k) by_row(r, c) += f(r, k) * x(k, c);
  for (std::size_t r = 0; r < f.rows; ++r)
    for (std::size_t c = 0; c < f.rows; ++c)
      for (std::size_t k = 0; k < f.columns; ++k) result(r, c) += by_row(r, k) * f(c, k);
  return result;
}

// [tile]
/// One tile of m x m outputs: the sum over channels is made of transformed values, and transformed once.
Matrix<float> outputs(const Winograd<float>& f, const std::vector<Matrix<float>>& inputs,
                      const std::vector<Matrix<float>>& kernels) {
  Matrix<float> sum{f.m + 2, f.m + 2};
  for (std::size_t channel = 0; channel < inputs.size(); ++channel) {
    const Matrix<float> u = both_ways(f.g, kernels[channel]), v = both_ways(f.b, inputs[channel]);
    for (std::size_t e = 0; e < sum.values.size(); ++e) sum.values[e] += u.values[e] * v.values[e];
  }
  return both_ways(f.a, sum);
}
// [/tile]

/// Of many tiles of random values: the largest difference from sums in double, over the largest sum.
template <class Compute>
double error_of(std::size_t m, const Compute& compute) {
  tl::Rng random(12);
  double difference = 0, largest = 0;
  for (int tile = 0; tile < 200; ++tile) {
    constexpr std::size_t channels = 64;
    std::vector<Matrix<float>> inputs(channels, {m + 2, m + 2}), kernels(channels, {3, 3});
    for (auto* list : {&inputs, &kernels})
      for (Matrix<float>& x : *list)
        for (float& value : x.values) value = static_cast<float>(random.uniform(-1, 1));
    const Matrix<float> y = compute(inputs, kernels);
    for (std::size_t p = 0; p < m; ++p)
      for (std::size_t q = 0; q < m; ++q) {
        double sum = 0;
        for (std::size_t i = 0; i < channels; ++i)
          for (std::size_t e = 0; e < 9; ++e)
            sum += static_cast<double>(inputs[i](p + e / 3, q + e % 3)) *
                   static_cast<double>(kernels[i].values[e]);
        difference = std::max(difference, std::abs(sum - static_cast<double>(y(p, q))));
        largest = std::max(largest, std::abs(sum));
      }
  }
  return difference / largest;
}

Matrix<float> direct_sums(const std::vector<Matrix<float>>& inputs,
                          const std::vector<Matrix<float>>& kernels) {
  const std::size_t m = inputs[0].rows - 2;
  Matrix<float> y{m, m};
  for (std::size_t i = 0; i < inputs.size(); ++i)
    for (std::size_t e = 0; e < 9; ++e)
      for (std::size_t o = 0; o < m * m; ++o)
        y.values[o] += inputs[i](o / m + e / 3, o % m + e % 3) * kernels[i].values[e];
  return y;
}

void print(const char* name, const Matrix<double>& x) {
  for (std::size_t r = 0; r < x.rows; ++r) {
    std::printf("%-5s", r == 0 ? name : "");
    for (std::size_t c = 0; c < x.columns; ++c) std::printf("%6.1f", x(r, c) + 0.0);
    std::printf("\n");
  }
}

}  // namespace

int main() try {
  const Winograd<double> two({0, 1, -1});
  std::printf("two outputs of three weights, points 0, 1, -1\n");
  print("B^T", two.b);
  print("G", two.g);
  print("A^T", two.a);

  const double half = std::sqrt(0.5), root = std::sqrt(2.0);
  const struct {
    const char* points;
    std::vector<double> list;
  } tries[] = {{"0 1 -1", {0, 1, -1}},
               {"0 1 -1 2 -2", {0, 1, -1, 2, -2}},
               {"0, +- 1/sqrt 2, +- sqrt 2", {0, half, -half, root, -root}},
               {"0 1 -1 2 -2 1/2 -1/2", {0, 1, -1, 2, -2, 0.5, -0.5}},
               {"0 1 -1 2 -2 1/2 -1/2 4 -4", {0, 1, -1, 2, -2, 0.5, -0.5, 4, -4}}};
  std::printf("\n%-8s%-28s%-20s%s\n", "tile", "points", "products an output", "error, 64 channels");
  std::printf("%-8s%-28s%-20.2f%.0e\n", "", "direct sums", 9.0, error_of(4, direct_sums));
  for (const auto& [points, list] : tries) {
    const Winograd<float> f(list);
    const double error = error_of(f.m, [&f](const auto& x, const auto& g) { return outputs(f, x, g); });
    const auto m = static_cast<double>(f.m);
    std::printf("%zux%-6zu%-28s%-20.2f%.0e\n", f.m, f.m, points, (m + 2) * (m + 2) / (m * m), error);
  }
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
