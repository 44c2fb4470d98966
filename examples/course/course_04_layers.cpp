// The layers of an image network as plain loops, forward and backward, each compared with the library's.
//
//   dense          y[n,o] = b[o] + sum_i x[n,i] w[o,i]
//   convolution    y[n,o,p,q] = b[o] + sum_{c,r,t} x[n, c, p s + r - pad, q s + t - pad] w[o,c,r,t]
//   max pooling    y = the largest of a window
//   batch norm     y = gamma (x - mean) / sqrt(var + eps) + beta, mean and var of the batch, one a channel
//   cross-entropy  L = mean_n -log softmax(x[n])[label n]              dx = (softmax(x) - 1{label}) / N
//
// Sources: LeCun et al. 1998, http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf; Ioffe, Szegedy 2015,
// https://arxiv.org/abs/1502.03167. The library's own plain loops are in include/tl/kernels/reference/.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <utility>
#include <vector>

#include <tl/nn/layers.hpp>

#include "drawn.hpp"
#include "figure.hpp"

namespace {

using tl::Index, tl::Shape, tl::Tensor, tl::Var;
using Doubles = Tensor<double>;

Doubles random(const Shape& shape, std::uint64_t stream) {
  return tl::nn::random_normal<double>(shape, 1, tl::Rng(4, stream));
}
/// Adds to one element; `at` are its indices.
template <class... At>
void add_to(Doubles& x, double term, At... at) {
  x.set(x.at(at...) + term, at...);
}
bool close(const Doubles& a, const Doubles& b) {
  const Doubles difference = tl::sub(a, b).plain();
  double largest = 0;
  for (const double d : difference.span()) largest = std::max(largest, std::abs(d));
  return largest < 1e-12;
}
void report(const char* name, bool y, bool dx, bool dw) {
  const auto word = [](bool agrees) { return agrees ? "agrees" : "DIFFERS"; };
  std::printf("%-14s y %s, dx %s, dw %s\n", name, word(y), word(dx), word(dw));
}

void dense() {
  const Doubles x = random({4, 5}, 1), w = random({3, 5}, 2), dy = random({4, 3}, 3);
  Doubles y = Doubles::zeros({4, 3}), dx = Doubles::zeros(x.shape()), dw = Doubles::zeros(w.shape());
  // [dense]
  for (Index n = 0; n < 4; ++n)
    for (Index o = 0; o < 3; ++o)
      for (Index i = 0; i < 5; ++i) {
        add_to(y, x.at(n, i) * w.at(o, i), n, o);    // forward
        add_to(dx, dy.at(n, o) * w.at(o, i), n, i);  // backward
        add_to(dw, dy.at(n, o) * x.at(n, i), o, i);
      }
  // [/dense]
  const Var<double> x_var(x, true), w_var(w, true), y_var = tl::linear(x_var, w_var);
  y_var.backward(dy);
  report("dense", close(y, y_var.value()), close(dx, x_var.grad()), close(dw, w_var.grad()));
}

void convolution() {
  constexpr Index stride = 2, pad = 1, side = 7, kernel = 3;
  const Index out = (side + 2 * pad - kernel) / stride + 1;
  const Doubles x = random({2, 3, side, side}, 4), w = random({4, 3, kernel, kernel}, 5),
                dy = random({2, 4, out, out}, 6);
  Doubles y = Doubles::zeros(dy.shape()), dx = Doubles::zeros(x.shape()), dw = Doubles::zeros(w.shape());
  // [convolution]
  const auto product = [&](Index n, Index o, Index p, Index q, Index c, Index r, Index t) {
    const Index i = p * stride + r - pad, j = q * stride + t - pad;  // the pixel under weight (r,t)
    if (i < 0 || i >= side || j < 0 || j >= side) return;            // the padding is 0
    add_to(y, x.at(n, c, i, j) * w.at(o, c, r, t), n, o, p, q);      // forward
    add_to(dx, dy.at(n, o, p, q) * w.at(o, c, r, t), n, c, i, j);    // backward
    add_to(dw, dy.at(n, o, p, q) * x.at(n, c, i, j), o, c, r, t);
  };
  for (Index n = 0; n < 2; ++n)
    for (Index o = 0; o < 4; ++o)
      for (Index p = 0; p < out; ++p)
        for (Index q = 0; q < out; ++q)
          for (Index c = 0; c < 3; ++c)
            for (Index r = 0; r < kernel; ++r)
              for (Index t = 0; t < kernel; ++t) product(n, o, p, q, c, r, t);
  // [/convolution]
  const Var<double> x_var(x, true), w_var(w, true),
      y_var = tl::conv2d(x_var, w_var, {.stride = {stride, stride}, .padding = {pad, pad, pad, pad}});
  y_var.backward(dy);
  report("convolution", close(y, y_var.value()), close(dx, x_var.grad()), close(dw, w_var.grad()));
}

void max_pool() {
  const Doubles x = random({2, 3, 6, 6}, 7), dy = random({2, 3, 3, 3}, 8);
  Doubles y = Doubles::zeros(dy.shape()), dx = Doubles::zeros(x.shape());
  // [pool]
  for (Index n = 0; n < 2; ++n)
    for (Index c = 0; c < 3; ++c)
      for (Index p = 0; p < 3; ++p)
        for (Index q = 0; q < 3; ++q) {
          Index best_i = 2 * p, best_j = 2 * q;
          for (Index i = 2 * p; i < 2 * p + 2; ++i)
            for (Index j = 2 * q; j < 2 * q + 2; ++j)
              if (x.at(n, c, i, j) > x.at(n, c, best_i, best_j)) best_i = i, best_j = j;
          y.set(x.at(n, c, best_i, best_j), n, c, p, q);
          add_to(dx, dy.at(n, c, p, q), n, c, best_i, best_j);  // all of it, to the pixel that won
        }
  // [/pool]
  const Var<double> x_var(x, true), y_var = tl::max_pool2d(x_var, {.kernel = {2, 2}, .stride = {2, 2}});
  y_var.backward(dy);
  std::printf("%-14s y %s, dx %s\n", "max pooling", close(y, y_var.value()) ? "agrees" : "DIFFERS",
              close(dx, x_var.grad()) ? "agrees" : "DIFFERS");
}

void batch_norm() {
  constexpr Index rows = 8, channels = 2;
  const Doubles x = random({rows, channels}, 9), gamma = random({channels}, 10),
                dy = random({rows, channels}, 11);
  Doubles y = Doubles::zeros(x.shape()), dx = Doubles::zeros(x.shape()), dgamma = Doubles::zeros({channels});
  double sum_dx = 0, sum_dx_u = 0;
  // [norm]
  for (Index c = 0; c < channels; ++c) {
    double mean = 0, var = 0, dbeta = 0;
    for (Index n = 0; n < rows; ++n) mean += x.at(n, c) / rows;
    for (Index n = 0; n < rows; ++n) var += (x.at(n, c) - mean) * (x.at(n, c) - mean) / rows;
    const double inv_std = 1 / std::sqrt(var + 1e-5);
    const auto u = [&](Index n) { return (x.at(n, c) - mean) * inv_std; };
    for (Index n = 0; n < rows; ++n) {
      y.set(gamma.at(c) * u(n), n, c);  // beta is 0
      dbeta += dy.at(n, c);
      add_to(dgamma, dy.at(n, c) * u(n), c);
    }
    for (Index n = 0; n < rows; ++n) {
      const double through_statistics = (dbeta + u(n) * dgamma.at(c)) / rows;
      dx.set(gamma.at(c) * inv_std * (dy.at(n, c) - through_statistics), n, c);
      sum_dx += dx.at(n, c), sum_dx_u += dx.at(n, c) * u(n);
    }
  }
  // [/norm]
  const Var<double> x_var(x, true), gamma_var(gamma, true), beta(Doubles::zeros({channels}), true);
  const Var<double> running_mean(Doubles::zeros({channels})), running_var(Doubles::ones({channels}));
  const Var<double> y_var =
      tl::batch_norm(x_var, gamma_var, beta, running_mean, running_var, {.training = true});
  y_var.backward(dy);
  report("batch norm", close(y, y_var.value()), close(dx, x_var.grad()), close(dgamma, gamma_var.grad()));
  std::printf("%-14s sum of dx %.3f, of dx u %.3f\n", "", std::abs(sum_dx), std::abs(sum_dx_u));
}

void cross_entropy() {
  const Doubles x = random({4, 3}, 12);
  const auto labels = Tensor<std::int64_t>::from({0, 2, 1, 1}, {4});
  double loss = 0;
  Doubles dx = Doubles::zeros(x.shape());
  // [cross_entropy]
  for (Index n = 0; n < 4; ++n) {
    double sum = 0;
    for (Index c = 0; c < 3; ++c) sum += std::exp(x.at(n, c));
    for (Index c = 0; c < 3; ++c) {
      const double p = std::exp(x.at(n, c)) / sum;
      if (c == labels.at(n)) loss += -std::log(p) / 4;
      dx.set((p - (c == labels.at(n) ? 1 : 0)) / 4, n, c);
    }
  }
  // [/cross_entropy]
  const Var<double> x_var(x, true), loss_var = tl::cross_entropy(x_var, labels);
  loss_var.backward();
  std::printf("%-14s L %s, dx %s\n\n", "cross-entropy",
              std::abs(loss - loss_var.item()) < 1e-12 ? "agrees" : "DIFFERS",
              close(dx, x_var.grad()) ? "agrees" : "DIFFERS");
}

void small_example() {
  // [edge]
  const Var<double> image(Doubles::from({0, 0, 9, 9,  //
                                         0, 0, 9, 9,  //
                                         0, 0, 9, 9,  //
                                         0, 0, 9, 9},
                                        {1, 1, 4, 4}));
  const Var<double> sobel(Doubles::from({-1, 0, 1, -2, 0, 2, -1, 0, 1}, {1, 1, 3, 3}));
  const Doubles edge = tl::conv2d(image, sobel).value();
  // [/edge]
  std::printf("edge: %.0f %.0f / %.0f %.0f\n\n", edge.at(0, 0, 0, 0), edge.at(0, 0, 0, 1),
              edge.at(0, 0, 1, 0), edge.at(0, 0, 1, 1));
}

/// Output size, parameters and multiply-adds of the convolutions of a network like chapter 1's.
void count() {
  // [count]
  Index side = 32, in = 3;
  std::printf("%-24s%9s%12s%14s\n", "layer", "output", "parameters", "multiply-adds");
  for (const Index out : {16, 32, 64}) {
    const Index kernel = in == 3 ? 5 : 3;
    side = (side + 2 * (kernel / 2) - kernel) / 2 + 1;
    const Index parameters = out * in * kernel * kernel;
    std::printf("%dx%d, %2d to %2d, stride 2  %2dx%2dx%2d%12d%14d\n", static_cast<int>(kernel),
                static_cast<int>(kernel), static_cast<int>(in), static_cast<int>(out), static_cast<int>(out),
                static_cast<int>(side), static_cast<int>(side), static_cast<int>(parameters),
                static_cast<int>(parameters * side * side));
    in = out;
  }
  // [/count]
}

/// A row of pixels of a daisy, and what two kernels make of it.
void row_of_pixels() {
  const tl::data::Image daisy = course::draw(1, 0);
  std::vector<std::pair<double, double>> pixels, smooth, edge;
  const auto grey = [&](Index x) {
    const std::uint8_t* pixel = daisy.row(32) + 3 * std::clamp<Index>(x, 0, 63);
    return (pixel[0] + pixel[1] + pixel[2]) / 3.0;
  };
  for (Index x = 0; x < 64; ++x) {
    const auto place = static_cast<double>(x);
    double mean = 0;
    for (Index t = -2; t <= 2; ++t) mean += grey(x + t) / 5;
    pixels.emplace_back(place, grey(x));
    smooth.emplace_back(place, mean);
    edge.emplace_back(place, (grey(x + 1) + grey(x + 2) - grey(x - 1) - grey(x - 2)) / 2);
  }
  course::Figure figure("A row of pixels of a daisy, and two kernels of five weights", "pixel", "value");
  figure.add("pixels", pixels);
  figure.add("(1 1 1 1 1) / 5", smooth);
  figure.add("(-1 -1 0 1 1) / 2", edge);
  figure.write("layers.svg");
}

}  // namespace

int main() try {
  dense();
  convolution();
  max_pool();
  batch_norm();
  cross_entropy();
  small_example();
  count();
  row_of_pixels();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
