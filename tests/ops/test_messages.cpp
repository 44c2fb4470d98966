// What a user reads after a mistake: every operation names itself, what it expected and what it got.
#include <functional>
#include <string>
#include <vector>

#include <tl/autograd/functions.hpp>
#include "support/tensors.hpp"

using namespace tl;
using V = Var<float>;

namespace {

/// A value of a shape; what it holds does not matter.
V of(const Shape& shape) { return V(Tensor<float>::zeros(shape)); }

Tensor<std::int64_t> integers(std::initializer_list<std::int64_t> values) {
  return Tensor<std::int64_t>::from(values, {static_cast<Index>(values.size())});
}

struct Mistake {
  std::function<V()> made;
  std::string message;
};

void check(const std::vector<Mistake>& mistakes) {
  for (const Mistake& mistake : mistakes) {
    INFO(mistake.message);
    CHECK_THROWS_WITH(mistake.made(), mistake.message);
    CHECK_THROWS_AS(mistake.made(), Error);
  }
}

}  // namespace

TEST_CASE("arithmetic refuses shapes that do not broadcast") {
  check({
      {[] {
         return of({2, 3}) + of({4});
       },
       "[add] expected shapes that broadcast together, got (2,3) and (4)"},
      {[] {
         return of({2, 3}) - of({3, 3});
       },
       "[sub] expected shapes that broadcast together, got (2,3) and (3,3)"},
      {[] {
         return of({5, 2}) * of({2, 3, 2, 5});
       },
       "[mul] expected shapes that broadcast together, got (5,2) and (2,3,2,5)"},
      {[] { return of({0}) / of({2}); }, "[div] expected shapes that broadcast together, got (0) and (2)"},
  });
}

TEST_CASE("products refuse shapes that do not fit") {
  check({
      {[] {
         return matmul(of({2, 3}), of({4, 5}));
       },
       "[matmul] expected a(..,M,K), b(..,K,N), got (2,3), (4,5)"},
      {[] {
         return matmul(of({3}), of({3, 5}));
       },
       "[matmul] expected a(..,M,K), b(..,K,N), got (3), (3,5)"},
      {[] {
         return matmul(of({2, 3, 4}), of({5, 4, 3}));
       },
       "[matmul] expected shapes that broadcast together, got (2) and (5)"},
      {[] {
         return linear(of({2, 3}), of({4, 5}));
       },
       "[linear] expected x(N,I), w(O,I), got (2,3), (4,5)"},
      {[] {
         return linear(of({2, 3}), of({4, 3}), of({3}));
       },
       "[linear] expected x(N,I), w(O,I), b(O), got (2,3), (4,3), (3)"},
      {[] {
         return linear(of({2, 3, 1}), of({4, 3}), of({4}));
       },
       "[linear] expected x(N,I), w(O,I), b(O), got (2,3,1), (4,3), (4)"},
  });
}

TEST_CASE("convolution and pooling refuse what does not fit") {
  check({
      {[] {
         return conv2d(of({1, 3, 8, 8}), of({4, 2, 3, 3}));
       },
       "[conv2d] expected x(N,C,H,W), w(O,C/1,KH,KW), got (1,3,8,8), (4,2,3,3)"},
      {[] {
         return conv2d(of({1, 4, 8, 8}), of({5, 2, 3, 3}), {.groups = 2});
       },
       "[conv2d] expected x(N,C,H,W), w(O,C/2,KH,KW), got (1,4,8,8), (5,2,3,3)"},
      {[] {
         return conv2d(of({3, 8, 8}), of({4, 3, 3, 3}));
       },
       "[conv2d] expected x(N,C,H,W), w(O,C/1,KH,KW), got (3,8,8), (4,3,3,3)"},
      {[] {
         return conv2d(of({1, 3, 8, 8}), of({4, 3, 3, 3}), of({5}));
       },
       "[conv2d] expected w(O,C/1,KH,KW), b(O), got (4,3,3,3), (5)"},
      {[] {
         return conv2d(of({1, 3, 4, 8}), of({4, 3, 5, 5}));
       },
       "[conv2d] expected an image of at least 5 with its padding, got 4"},
      {[] {
         return conv2d(of({1, 3, 8, 8}), of({4, 3, 3, 3}), {.padding = {0, 0, 0, 0}, .dilation = {4, 4}});
       },
       "[conv2d] expected an image of at least 9 with its padding, got 8"},
      {[] {
         return conv2d(of({1, 3, 8, 8}), of({4, 3, 3, 3}), {.stride = {1, 0}});
       },
       "[conv2d] expected kernel, stride and dilation of at least 1 and padding of at least 0, got kernel 3, "
       "stride 0, dilation 1, padding 0 and 0"},
      {[] {
         return max_pool2d(of({3, 8, 8}), {.kernel = {2, 2}});
       },
       "[max_pool2d] expected x(N,C,H,W), got (3,8,8)"},
      {[] {
         return max_pool2d(of({1, 3, 8, 2}), {.kernel = {3, 3}});
       },
       "[max_pool2d] expected an image of at least 3 with its padding, got 2"},
      {[] {
         return average_pool2d(of({3, 8}), {.kernel = {2, 2}});
       },
       "[average_pool2d] expected x(N,C,H,W), got (3,8)"},
      {[] {
         return average_pool2d(of({1, 3, 8, 8}), {.kernel = {0, 2}});
       },
       "[average_pool2d] expected kernel, stride and dilation of at least 1 and padding of at least 0, got "
       "kernel "
       "0, stride 1, dilation 1, padding 0 and 0"},
      {[] {
         return adaptive_average_pool2d(of({2, 3, 8, 8}), {0, 2});
       },
       "[adaptive_average_pool2d] expected x(N,C,H,W) and an output of at least 1 x 1, got (2,3,8,8) and 0 x "
       "2"},
      {[] {
         return adaptive_max_pool2d(of({2, 3, 0, 8}), {1, 2});
       },
       "[adaptive_max_pool2d] expected x(N,C,H,W) and an output of at least 1 x 1, got (2,3,0,8) and 1 x 2"},
      {[] {
         return global_average_pool2d(of({2, 3}));
       },
       "[adaptive_average_pool2d] expected x(N,C,H,W) and an output of at least 1 x 1, got (2,3) and 1 x 1"},
      {[] {
         return global_max_pool2d(of({2, 3}));
       },
       "[global_max_pool2d] expected x(N,C,H,W) and an output of at least 1 x 1, got (2,3) and 1 x 1"},
  });
}

TEST_CASE("normalisation, softmax, dropout and clip refuse what does not fit") {
  const auto normalise = [](const Shape& x, const Shape& gamma, const Shape& mean, bool training) {
    return batch_norm(of(x), of(gamma), of(gamma), of(mean), of(mean), {.training = training});
  };
  check({
      {[=] {
         return normalise({2, 3, 4}, {3}, {3}, false);
       },
       "[batch_norm] expected x(N,C,H,W) or x(N,C), gamma(C), beta(C), mean(C), var(C), got (2,3,4), (3), "
       "(3), "
       "(3), (3)"},
      {[=] {
         return normalise({2, 3, 4, 4}, {3}, {4}, false);
       },
       "[batch_norm] expected x(N,C,H,W) or x(N,C), gamma(C), beta(C), mean(C), var(C), got (2,3,4,4), (3), "
       "(3), "
       "(4), (4)"},
      {[=] {
         return normalise({2, 0, 4, 4}, {0}, {0}, true);
       },
       "[batch_norm] expected x(N,C,H,W) or x(N,C), gamma(C), beta(C), mean(C), var(C), got (2,0,4,4), (0), "
       "(0), (0), (0)"},
      {[=] {
         return normalise({1, 3, 1, 1}, {3}, {3}, true);
       },
       "[batch_norm] expected more than one value a channel in training, got (1,3,1,1)"},
      {[] {
         return softmax(of({2, 3}), 2);
       },
       "[softmax] expected an axis in [-2, 2), got 2 for (2,3)"},
      {[] {
         return log_softmax(of({2, 3}), -3);
       },
       "[log_softmax] expected an axis in [-2, 2), got -3 for (2,3)"},
      {[] { return softmax(of({})); }, "[softmax] expected an axis in [0, 0), got -1 for ()"},
      {[] { return dropout(of({2}), 1, {.training = true}); },
       "[dropout] expected a probability in [0, 1), got 1"},
      {[] { return dropout(of({2}), -.5, {}); }, "[dropout] expected a probability in [0, 1), got -0.5"},
      {[] { return clip(of({2}), 6, 0); }, "[clip] expected low <= high, got 6 and 0"},
  });
}

TEST_CASE("operations on shapes refuse what does not fit") {
  check({
      {[] {
         return reshape(of({2, 3}), {4, 2});
       },
       "[reshape] expected 6 elements as in (2,3), got (4,2)"},
      {[] {
         return reshape(of({2, 3}), {4, -1});
       },
       "[reshape] expected a size divisible by 4, got (2,3)"},
      {[] {
         return reshape(of({2, 3}), {-1, -1});
       },
       "[reshape] expected at most one extent of -1, got two"},
      {[] {
         return reshape(of({2, 3}), {-2, 3});
       },
       "[reshape] expected extents of at least -1, got -2"},
      {[] {
         return reshape(of({6}), {6, 0});
       },
       "[reshape] expected an input of at least 2 axes, got (6)"},
      {[] {
         return flatten(of({2, 3}), 3);
       },
       "[flatten] expected an axis in [-2, 2), got 3 for (2,3)"},
      {[] {
         return transpose(of({2, 3}), {0});
       },
       "[transpose] expected 2 axes for (2,3), got 1"},
      {[] {
         return transpose(of({2, 3}), {1, -1});
       },
       "[transpose] expected each axis once, got axis 1 twice"},
      {[] {
         return transpose(of({2, 3}), {0, 2});
       },
       "[transpose] expected an axis in [-2, 2), got 2 for (2,3)"},
      {[] {
         return slice(of({2, 3}), {{1, 0, 3, 0}});
       },
       "[slice] expected a step other than 0 on axis 1"},
      {[] {
         return slice(of({2, 3}), {{2, 0, 3, 1}});
       },
       "[slice] expected an axis in [-2, 2), got 2 for (2,3)"},
      {[] {
         return concat({of({2, 3}), of({2, 3, 1})}, 0);
       },
       "[concat] expected inputs of equal rank, got (2,3) and (2,3,1)"},
      {[] {
         return concat({of({2, 3}), of({3, 3})}, 1);
       },
       "[concat] expected equal extents but for axis 1, got (2,3) and (3,3)"},
      {[] { return concat(std::vector<V>{}, 1); }, "[concat] expected at least one input, got none"},
      {[] {
         return pad(of({2, 3}), {1}, {1});
       },
       "[pad] expected 2 amounts before and after for (2,3), got 1 and 1"},
      {[] {
         return pad(of({2, 3}), {-1, 0}, {-2, 0});
       },
       "[pad] expected extents of at least 0, got -1 on axis 0 of (2,3)"},
      {[] {
         return sum(of({2, 3}), {2});
       },
       "[sum] expected an axis in [-2, 2), got 2 for (2,3)"},
      {[] {
         return mean(of({2, 3}), {0, -3});
       },
       "[mean] expected an axis in [-2, 2), got -3 for (2,3)"},
  });
}

TEST_CASE("look-ups and losses refuse what does not fit") {
  const auto weights = Tensor<double>::ones({4});
  check({
      {[] {
         return embedding(of({3, 2}), integers({0, 3}));
       },
       "[embedding] expected indices in [0, 3), got 3"},
      {[] {
         return embedding(of({3, 2}), integers({-1}));
       },
       "[embedding] expected indices in [0, 3), got -1"},
      {[] { return embedding(of({}), integers({0})); },
       "[embedding] expected table(V,D...) and indices, got () and (1)"},
      {[] {
         return embedding(of({3, 2}), V(Tensor<float>::full({1}, 0.5f)));
       },
       "[embedding] expected whole numbers, got 0.5"},
      {[] {
         return cross_entropy(of({2, 3}), integers({0}));
       },
       "[cross_entropy] expected logits(N,C), labels(N), N >= 1, got (2,3), (1)"},
      {[] {
         return cross_entropy(of({0, 3}), integers({}));
       },
       "[cross_entropy] expected logits(N,C), labels(N), N >= 1, got (0,3), (0)"},
      {[] {
         return cross_entropy(of({2, 3}), integers({0, 3}));
       },
       "[cross_entropy] expected labels in [0, 3), got 3"},
      {[] {
         return cross_entropy(of({1, 3}), integers({0}), {.smoothing = 1.5});
       },
       "[cross_entropy] expected smoothing in [0, 1], got 1.5"},
      {[=] {
         return cross_entropy(of({1, 3}), integers({0}), {.class_weights = weights});
       },
       "[cross_entropy] expected class weights(C) for logits (1,3), got (4)"},
      {[] {
         return mean_squared_error(of({2, 3}), of({3}));
       },
       "[mean_squared_error] expected two equal shapes, got (2,3) and (3)"},
      {[] {
         return binary_cross_entropy(of({2, 3}), of({3}));
       },
       "[binary_cross_entropy] expected two equal shapes, got (2,3) and (3)"},
  });
}

TEST_CASE("an operation given another number of inputs, or none, says so") {
  const auto apply_to = [](auto op, std::vector<V> inputs) {
    return [=] { return apply<float>(make_operation<float>(op), std::span<const V>(inputs), Mode{}); };
  };
  const V x = of({2, 3});
  check({
      {apply_to(ops::Relu{}, {x, x}), "[relu] expected another number of inputs, got 2"},
      {apply_to(ops::Add{}, {x}), "[add] expected another number of inputs, got 1"},
      {apply_to(ops::Linear{}, {x, x, x, x}), "[linear] expected another number of inputs, got 4"},
      {apply_to(ops::Add{}, {}), "[add] expected another number of inputs, got 0"},
      {apply_to(ops::Add{}, {x, V{}}), "[add] expected a value as input 1, got none"},
  });
}

TEST_CASE("shapes are inferred without values, with the same checks") {
  const auto infer = [](auto op, std::vector<Shape> shapes) {
    return make_operation<double>(std::move(op))->infer(shapes);
  };
  CHECK(infer(ops::Conv2d{.stride = {2, 2}, .padding = {1, 1, 1, 1}}, {{2, 3, 9, 8}, {5, 3, 3, 3}, {5}}) ==
        Shape{2, 5, 5, 4});
  CHECK(infer(ops::Concat{-1}, {{2, 3}, {2, 4}, {2, 0}}) == Shape{2, 7});
  CHECK(infer(ops::MatMul{}, {{7, 1, 2, 3}, {4, 3, 5}}) == Shape{7, 4, 2, 5});
  CHECK(infer(ops::BatchNorm{}, {{2, 3}, {3}, {3}, {3}, {3}}) == Shape{2, 3});
  CHECK(infer(ops::MeanSquaredError{}, {{2, 3}, {2, 3}}) == Shape{});
  CHECK_THROWS_WITH(infer(ops::Transpose{{0, 0}}, {{2, 3}}),
                    "[transpose] expected each axis once, got axis 0 twice");
  CHECK_THROWS_WITH(infer(ops::Linear{}, {{2, 3}}), "[linear] expected another number of inputs, got 1");
}
