// Each family of operations on numbers small enough to follow with a pencil: result and gradients.
#include <cmath>
#include <limits>
#include <vector>

#include <tl/autograd/functions.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using V = Var<double>;
using List = std::vector<double>;

namespace {

V leaf(std::initializer_list<double> values, const Shape& shape) {
  return V(Tensor<double>::from(values, shape), true);
}

/// Element by element, to rounding.
void check(const Tensor<double>& got, const List& want) {
  const List values = values_of(got);
  REQUIRE(values.size() == want.size());
  for (std::size_t i = 0; i < want.size(); ++i) CHECK(values[i] == Approx(want[i]).margin(1e-12));
}

/// Runs backward from the given gradient of y.
void backward(const V& y, std::initializer_list<double> dy) {
  y.backward(Tensor<double>::from(dy, y.shape()));
}

}  // namespace

TEST_CASE("arithmetic by hand: a row added to, and dividing, a matrix") {
  const V a = leaf({1, 2, 3, 4}, {2, 2}), b = leaf({10, 20}, {2});
  const V sum = a + b, quotient = a / b;
  check(sum.value(), {11, 22, 13, 24});
  check(quotient.value(), {.1, .1, .3, .2});
  backward(sum, {1, 2, 3, 4});
  check(a.grad(), {1, 2, 3, 4});
  check(b.grad(), {4, 6});  // the columns of dy
  backward(quotient, {10, 20, 30, 40});
  check(a.grad(), {1 + 1, 2 + 1, 3 + 3, 4 + 2});  // gradients of two backward passes add up; 1 / b
  check(b.grad(), {4 - (10 * 1 + 30 * 3) / 100., 6 - (20 * 2 + 40 * 4) / 400.});  // -a / b^2
}

TEST_CASE("functions of one value by hand") {
  const V x = leaf({-2, -.5, 0, .5, 7}, {5});
  const auto run = [&](const V& y, const List& values, const List& slopes) {
    check(y.value(), values);
    V(x).zero_grad();  // a copy is a handle to the same leaf
    backward(y, {1, 1, 1, 1, 1});
    check(x.grad(), slopes);
  };
  run(relu(x), {0, 0, 0, .5, 7}, {0, 0, 0, 1, 1});
  run(relu6(x), {0, 0, 0, .5, 6}, {0, 0, 0, 1, 0});
  run(clip(x, -1, 1), {-1, -.5, 0, .5, 1}, {0, 1, 1, 1, 0});
  run(leaky_relu(x, .1), {-.2, -.05, 0, .5, 7}, {.1, .1, .1, 1, 1});
  run(hard_sigmoid(x), {1 / 6., 5 / 12., .5, 7 / 12., 1}, {1 / 6., 1 / 6., 1 / 6., 1 / 6., 0});
  run(hard_swish(x), {-1 / 3., -5 / 24., 0, 7 / 24., 7}, {-1 / 6., 1 / 3., .5, 2 / 3., 1});
  run(abs(x), {2, .5, 0, .5, 7}, {-1, -1, 0, 1, 1});
  run(power(x, 2), {4, .25, 0, .25, 49}, {-4, -1, 0, 1, 14});
  const double s = 1 / (1 + std::exp(-7.));
  run(sigmoid(x * 0 + 7), {s, s, s, s, s}, {0, 0, 0, 0, 0});
}

TEST_CASE("exponential functions by hand") {
  const double e = std::exp(1.);
  const V x = leaf({0, 1}, {2});
  check(exp(x).value(), {1, e});
  check(log(exp(x)).value(), {0, 1});
  check(tanh(x).value(), {0, (e - 1 / e) / (e + 1 / e)});
  check(silu(x).value(), {0, 1 / (1 + 1 / e)});
  check(softmax(x).value(), {1 / (1 + e), e / (1 + e)});
  check(log_softmax(x).value(), {-std::log(1 + e), 1 - std::log(1 + e)});
  const V y = softmax(x);
  backward(y, {1, 0});  // y0 (1 - y0), -y0 y1
  const double p = e / ((1 + e) * (1 + e));
  check(x.grad(), {p, -p});
}

TEST_CASE("products by hand") {
  const V a = leaf({1, 2, 3, 4}, {2, 2}), b = leaf({5, 6, 7, 8}, {2, 2});
  const V y = matmul(a, b);
  check(y.value(), {19, 22, 43, 50});
  backward(y, {1, 0, 0, 1});
  check(a.grad(), {5, 7, 6, 8});  // dy b^T = b^T
  check(b.grad(), {1, 3, 2, 4});  // a^T dy = a^T

  const V x = leaf({1, 2}, {1, 2}), w = leaf({3, 4, 5, 6, 7, 8}, {3, 2}), bias = leaf({.1, .2, .3}, {3});
  const V z = linear(x, w, bias);
  check(z.value(), {11.1, 17.2, 23.3});
  backward(z, {1, 10, 100});
  check(x.grad(), {753, 864});
  check(w.grad(), {1, 2, 10, 20, 100, 200});
  check(bias.grad(), {1, 10, 100});
}

TEST_CASE("convolution by hand: a 2x2 kernel on a 3x3 image, and what padding and groups do") {
  const V x = leaf({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 1, 3, 3});
  const V w = leaf({1, 0, 0, -1}, {1, 1, 2, 2}), b = leaf({.5}, {1});
  const V y = conv2d(x, w, b);
  check(y.value(), {-3.5, -3.5, -3.5, -3.5});  // x(i,j) - x(i+1,j+1) + 1/2
  backward(y, {1, 2, 3, 4});
  check(x.grad(), {1, 2, 0, 3, 4 - 1, -2, 0, -3, -4});
  check(w.grad(), {1 + 4 + 12 + 20, 2 + 6 + 15 + 24, 4 + 10 + 21 + 32, 5 + 12 + 24 + 36});
  check(b.grad(), {10});

  // One row above, stride 2: the kernel's lower row sees 1 2 | 3 0.
  const V padded = conv2d(x, w, {.stride = {2, 2}, .padding = {1, 0, 0, 1}});
  CHECK(padded.shape() == Shape{1, 1, 2, 2});
  check(padded.value(), {-2, 0, 4 - 8, 6});

  // Two groups: the first output sees the first channel only.
  const V two = leaf({1, 2, 10, 20}, {1, 2, 1, 2}), each = leaf({3, 5}, {2, 1, 1, 1});
  check(conv2d(two, each, {.groups = 2}).value(), {3, 6, 50, 100});
}

TEST_CASE("pooling by hand") {
  const V x = leaf({1, 5, 2, 7, 3, 4, 6, 0, 8}, {1, 1, 3, 3});
  const V top = max_pool2d(x, {.kernel = {2, 2}});
  check(top.value(), {7, 5, 7, 8});
  backward(top, {1, 10, 100, 1000});
  check(x.grad(), {0, 10, 0, 101, 0, 0, 0, 0, 1000});

  const ops::PoolWindow corner{.kernel = {2, 2}, .stride = {2, 2}, .padding = {1, 1, 0, 0}};
  check(average_pool2d(x, corner).value(), {1, 3.5, 6.5, 3.75});            // means of what lies inside
  check(average_pool2d(x, corner, true).value(), {.25, 1.75, 3.25, 3.75});  // padding counts as zeros
  // A last window reaches beyond the image.
  check(max_pool2d(x, {.kernel = {2, 2}, .stride = {2, 2}, .ceil = true}).value(), {7, 4, 6, 8});
  check(adaptive_average_pool2d(x, {1, 2}).value(), {22 / 6., 22 / 6.});  // columns 0-1 and 1-2
  check(adaptive_max_pool2d(x, {1, 2}).value(), {7, 8});
  check(global_average_pool2d(x).value(), {4});
  check(global_max_pool2d(x).value(), {8});
}

TEST_CASE("batch normalisation by hand") {
  // Channel 0 holds 1 and 3: mean 2, variance 1 (unbiased 2). Channel 1 holds 0 and 4: mean 2, variance 4
  // (8).
  const V x = leaf({1, 0, 3, 4}, {2, 2}), gamma = leaf({1, 10}, {2}), beta = leaf({0, 5}, {2});
  const V mean(Tensor<double>::zeros({2})), var(Tensor<double>::ones({2}));
  const ops::BatchNorm options{.epsilon = 0, .momentum = .25};
  const V y = batch_norm(x, gamma, beta, mean, var, {.training = true}, options);
  check(y.value(), {-1, -5, 1, 15});
  check(mean.value(), {.5, .5});
  check(var.value(), {.75 + .25 * 2, .75 + .25 * 8});
  backward(y, {1, 1, 0, 0});
  check(beta.grad(), {1, 1});
  check(gamma.grad(), {-1, -1});
  check(x.grad(), {0, 0, 0, 0});  // two values, normalised, are always -1 and 1

  const V frozen =
      batch_norm(x, gamma, beta, V(Tensor<double>::ones({2})), V(Tensor<double>::full({2}, 4)), {}, options);
  check(frozen.value(), {0, 0, 1, 20});
}

TEST_CASE("dropout by hand: what it keeps is divided by the share that stays") {
  const V x(Tensor<double>::ones({1000}), true);
  const RandomScope scope(1, 2);
  const V y = dropout(x, .2, {.training = true});
  y.backward(Tensor<double>::ones({1000}));
  Index dropped = 0;
  for (double v : y.value().span()) {
    CHECK((v == 0 || v == 1.25));
    dropped += v == 0;
  }
  CHECK(std::abs(static_cast<double>(dropped) - 200) < 50);  // four standard deviations
  CHECK(same_bits(x.grad(), y.value()));
  CHECK(same_bits(dropout(x, .2, {}).value(), x.value()));
}

TEST_CASE("shapes by hand") {
  const V x = leaf({1, 2, 3, 4, 5, 6}, {2, 3});
  check(transpose(x, {1, 0}).value(), {1, 4, 2, 5, 3, 6});
  check(slice(x, {{1, -1, -4, -1}}).value(), {3, 2, 1, 6, 5, 4});  // backwards through the first
  check(slice(x, {{0, 1, 100, 1}, {1, 0, 3, 2}}).value(), {4, 6});
  CHECK(slice(x, {{1, 2, 1, 1}}).shape() == Shape{2, 0});
  check(concat({x, x}, 1).value(), {1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6});
  check(pad(x, {0, 1}, {0, -1}, 9).value(), {9, 1, 2, 9, 4, 5});
  CHECK(reshape(x, {0, 1, -1}).shape() == Shape{2, 1, 3});
  CHECK(flatten(leaf({1, 2}, {2, 1, 1, 1})).shape() == Shape{2, 1});
  CHECK(flatten(x, 0).shape() == Shape{1, 6});
  check(sum(x, {0}).value(), {5, 7, 9});
  check(mean(x, {-1}, true).value(), {2, 5});
  CHECK(mean(x).item() == 3.5);

  const V cut = slice(x, {{1, 2, 0, -1}});
  backward(cut, {1, 2, 3, 4});
  check(x.grad(), {0, 2, 1, 0, 4, 3});
}

TEST_CASE("slices follow NumPy at and beyond the ends") {
  const V x = leaf({0, 1, 2, 3, 4}, {5});
  constexpr Index far = std::numeric_limits<Index>::max(), near = std::numeric_limits<Index>::min();
  const auto cut = [&](Index start, Index end, Index step) {
    return values_of(slice(x, {{0, start, end, step}}).value());
  };
  CHECK(cut(0, far, far) == List{0});
  CHECK(cut(near, far, 2) == List{0, 2, 4});
  CHECK(cut(far, near, -3) == List{4, 1});
  CHECK(cut(far, near, near) == List{4});
  CHECK(cut(-1, 0, -1) == List{4, 3, 2, 1});
  CHECK(cut(3, 3, 1).empty());
  CHECK(cut(3, 3, -1).empty());
  CHECK(cut(-2, -4, 1).empty());
}

TEST_CASE("equal values share the gradient, and what is not chosen gets none") {
  V a = leaf({1, 2, 3}, {3}), b = leaf({2, 2, 2}, {3});
  backward(maximum(a, b), {1, 1, 1});
  check(a.grad(), {0, .5, 1});
  check(b.grad(), {1, .5, 0});

  V x = leaf({5, 1, 5, 2}, {2, 2});
  const V largest = max(x);
  CHECK(largest.item() == 5);
  largest.backward();
  check(x.grad(), {.5, 0, .5, 0});

  const double nan = std::numeric_limits<double>::quiet_NaN();
  V left = leaf({1, nan}, {2}), right = leaf({nan, 4}, {2});
  const V y = where(V(Tensor<double>::from({1, 0}, {2})), left, right);
  check(y.value(), {1, 4});
  backward(y, {7, 8});
  check(left.grad(), {7, 0});
  check(right.grad(), {0, 8});
}

TEST_CASE("the norm of zeros, a power of zero and a sum of infinities have gradients, too") {
  V x = leaf({0, 0, 3, 4}, {2, 2});
  const V norms = euclidean_norm(x, {1});
  check(norms.value(), {0, 5});
  backward(norms, {1, 1});
  check(x.grad(), {0, 0, .6, .8});

  V base = leaf({0, 2}, {2}), exponent = leaf({3, 3}, {2});
  backward(pow(base, exponent), {1, 1});
  check(base.grad(), {0, 12});
  check(exponent.grad(), {0, 8 * std::log(2.)});

  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(log_sum_exp(leaf({-infinity, -infinity}, {2})).item() == -infinity);
  CHECK(log_sum_exp(leaf({1000, 1000}, {2})).item() == Approx(1000 + std::log(2.)));
}

TEST_CASE("embedding by hand: a row looked up twice gets both gradients") {
  const V table = leaf({1, 2, 3, 4}, {2, 2});
  const V y = embedding(table, Tensor<std::int64_t>::from({1, 0, 1}, {3}));
  check(y.value(), {3, 4, 1, 2, 3, 4});
  backward(y, {1, 2, 3, 4, 5, 6});
  check(table.grad(), {3, 4, 6, 8});
}

TEST_CASE("losses by hand") {
  // Logits log 1, log 3: probabilities 1/4, 3/4.
  const V x = leaf({0, std::log(3.), 0, std::log(3.)}, {2, 2});
  const auto labels = Tensor<std::int64_t>::from({0, 1}, {2});
  const V loss = cross_entropy(x, labels);
  CHECK(loss.item() == Approx((std::log(4.) + std::log(4 / 3.)) / 2));
  loss.backward();
  check(x.grad(), {-3 / 8., 3 / 8., 1 / 8., -1 / 8.});  // (p - onehot) / 2
  // Smoothing .5 mixes the label with the mean of both classes' losses.
  const double even = (std::log(4.) + std::log(4 / 3.)) / 2;
  CHECK(cross_entropy(x, labels, {.smoothing = .5}).item() == Approx(even));
  // Weights 1 and 3: (1 log 4 + 3 log 4/3) / (1 + 3).
  const CrossEntropyOptions weighted{.class_weights = Tensor<double>::from({1, 3}, {2})};
  CHECK(cross_entropy(x, labels, weighted).item() == Approx((std::log(4.) + 3 * std::log(4 / 3.)) / 4));

  const V a = leaf({1, 2}, {2}), b = leaf({4, 2}, {2});
  const V error = mean_squared_error(a, b);
  CHECK(error.item() == 4.5);
  error.backward();
  check(a.grad(), {-3, 0});
  check(b.grad(), {3, 0});

  // Logits 0 and log 3: probabilities 1/2 and 3/4; the first is to be 1, the second 0.
  const V logits = leaf({0, std::log(3.)}, {2}), targets = leaf({1, 0}, {2});
  const V binary = binary_cross_entropy(logits, targets);
  CHECK(binary.item() == Approx((std::log(2.) + std::log(4.)) / 2));
  binary.backward();
  check(logits.grad(), {-1 / 4., 3 / 8.});  // (p - t) / 2
  check(targets.grad(), {0, -std::log(3.) / 2});
  // Far from zero nothing overflows: -log(1 - sigmoid(1000)) is 1000.
  CHECK(binary_cross_entropy(leaf({1000, -1000}, {2}), leaf({0, 0}, {2})).item() == 500);
}
