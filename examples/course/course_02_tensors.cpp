// What a tensor is: a buffer, a shape and a layout; sharing, broadcasting, reducing; and the door to Eigen.
//
//   offset of x[i0,i1,..]   i0 s0 + i1 s1 + ..                  with the strides s of the layout
//   broadcasting            an extent of 1 is repeated          its stride is 0
//   least squares           w = (X^T X)^-1 X^T y                solved by Eigen in the tensors' own memory
#include <cstdio>
#include <exception>
#include <iostream>
#include <span>

#include <Eigen/Cholesky>

#include <tl/tensor/eigen.hpp>
#include <tl/tensor/math.hpp>
#include <tl/tensor/matmul.hpp>

#include "flowers.hpp"
#include "plane.hpp"

namespace {

using tl::Index, tl::Layout, tl::Tensor;

void show(const char* name, const Tensor<float>& x) {
  std::printf("%-14s strides", name);
  for (int axis = 0; axis < x.rank(); ++axis)
    std::printf(" %d", static_cast<int>(x.strides()[static_cast<std::size_t>(axis)]));
  std::printf("   memory");
  for (const float value : x.span()) std::printf(" %03.0f", static_cast<double>(value));
  std::printf("\n");
}

// [offset]
/// Where the element (n,c,y,x) lies in the buffer.
Index offset(const Tensor<float>& image, Index n, Index c, Index y, Index x) {
  const tl::Strides s = image.strides();
  return n * s[0] + c * s[1] + y * s[2] + x * s[3];
}
// [/offset]

void layouts() {
  // [layouts]
  auto plain = Tensor<float>::empty({1, 3, 2, 2});  // one image, three channels, 2 x 2 pixels
  for (Index c = 0; c < 3; ++c)
    for (Index y = 0; y < 2; ++y)
      for (Index x = 0; x < 2; ++x) plain.set(static_cast<float>(100 * c + 10 * y + x), 0, c, y, x);
  const Tensor<float> last = plain.to(Layout::channels_last);
  show("plain", plain);
  show("channels_last", last);
  // [/layouts]
  std::printf("x[0,2,1,0] is %.0f at offset %d, and %.0f at offset %d\n\n",
              static_cast<double>(plain.at(0, 2, 1, 0)), static_cast<int>(offset(plain, 0, 2, 1, 0)),
              static_cast<double>(last.data()[offset(last, 0, 2, 1, 0)]),
              static_cast<int>(offset(last, 0, 2, 1, 0)));
}

void sharing() {
  // [sharing]
  auto a = Tensor<float>::from({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor<float> same = a, rows = a.reshape({3, 2}), own = a.clone();
  const auto before = a.version();
  a.set(9, 0, 1);
  // [/sharing]
  std::printf("a[0,1] = 9; a copy has %.0f, a reshaped one %.0f, a clone %.0f\n",
              static_cast<double>(same.at(0, 1)), static_cast<double>(rows.at(0, 1)),
              static_cast<double>(own.at(0, 1)));
  std::printf("version of a %+d, of the copy the same: %s\n\n", static_cast<int>(a.version() - before),
              same.version() == a.version() ? "yes" : "no");
}

/// Takes mean and deviation of each channel out of a batch, with two reductions and three broadcasts.
void normalise() {
  const Tensor<float> x = course::flowers({0, 1, 2, 3}, 25, 0, 32).images;
  // [normalise]
  using tl::kernels::Reduce;
  const Index over[] = {0, 2, 3};                                             // all axes but the channels'
  const Tensor<float> mean = tl::reduce<float>(Reduce::mean, x, over, true);  // (1,3,1,1)
  const Tensor<float> centred = tl::sub(x, mean);                             // (100,3,32,32)
  const Tensor<float> variance = tl::reduce<float>(Reduce::mean, tl::mul(centred, centred), over, true);
  const Tensor<float> y = tl::div(centred, tl::unary(tl::kernels::Unary::sqrt, variance));
  // [/normalise]
  const auto after = tl::reduce<float>(Reduce::mean, tl::mul(y, y), over, true);
  std::cout << "images " << x.shape() << ' ' << x.layout() << ", means " << mean.shape() << '\n';
  for (Index c = 0; c < 3; ++c)
    std::printf("channel %d: mean %6.3f, variance %.3f; afterwards variance %.3f\n", static_cast<int>(c),
                static_cast<double>(mean.at(0, c, 0, 0)), static_cast<double>(variance.at(0, c, 0, 0)),
                static_cast<double>(after.at(0, c, 0, 0)));
  try {
    tl::add(Tensor<float>::zeros({2, 3}), Tensor<float>::zeros({2, 4}));
  } catch (const tl::Error& error) {
    std::cout << error.what() << "\n\n";
  }
}

void least_squares() {
  // [eigen]
  const course::Points points = course::plane(50);
  const auto x = tl::as_matrix(points.x);  // an Eigen map: no copy
  const auto y = tl::as_matrix(points.y);
  const Tensor<double> w = tl::from_eigen((x.transpose() * x).ldlt().solve(x.transpose() * y));
  const Tensor<double> fitted = tl::matmul_nn(points.x, w);  // (50,3)(3,1): the kernels' product
  // [/eigen]
  const double error = (tl::as_matrix(fitted) - y).squaredNorm() / 50;
  std::printf("least squares: y = %.3f a %+.3f b %+.3f, mean squared error %.4f\n", w.at(0, 0), w.at(1, 0),
              w.at(2, 0), error);
  const bool agree = (tl::as_matrix(fitted) - x * tl::as_matrix(w)).norm() < 1e-12;
  std::printf("Eigen's product and the kernels' agree: %s\n", agree ? "yes" : "no");
}

}  // namespace

int main() try {
  layouts();
  sharing();
  normalise();
  least_squares();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
