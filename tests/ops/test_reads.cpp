// What the tape keeps for each operation's gradients: no value that the formula does not need.
#include <tl/ops/activation.hpp>
#include <tl/ops/arithmetic.hpp>
#include <tl/ops/compare.hpp>
#include <tl/ops/conv.hpp>
#include <tl/ops/dropout.hpp>
#include <tl/ops/embedding.hpp>
#include <tl/ops/linear.hpp>
#include <tl/ops/loss.hpp>
#include <tl/ops/norm.hpp>
#include <tl/ops/pool.hpp>
#include <tl/ops/reduce.hpp>
#include <tl/ops/shape.hpp>
#include <tl/ops/softmax.hpp>
#include "support/catch.hpp"

using namespace tl;
using namespace tl::ops;

namespace {

constexpr bool equal(Reads a, Reads b) {
  return a.inputs == b.inputs && a.output == b.output && a.context == b.context;
}

/// Every one of the first `inputs` gradients of an operation reads the same.
template <class Op>
constexpr bool reads(Reads want, int inputs = 1) {
  for (int i = 0; i < inputs; ++i) {
    if (!equal(Op::reads(i), want)) return false;
  }
  return true;
}

constexpr Reads nothing{}, the_input{.inputs = 0b1u}, the_result{.output = true},
    what_was_kept{.context = true};

template <class... Ops>
constexpr bool all_read(Reads want) {
  return (reads<Ops>(want) && ...);
}

}  // namespace

TEST_CASE("operations that only move or add values keep none") {
  STATIC_REQUIRE(
      all_read<Neg, Reshape, Flatten, Transpose, Slice, Pad, Sum, Mean, AveragePool2d, AdaptiveAveragePool2d>(
          nothing));
  STATIC_REQUIRE(all_read<Greater, GreaterEqual, Equal>(nothing));
  STATIC_REQUIRE(reads<Add>(nothing, 2));
  STATIC_REQUIRE(reads<Sub>(nothing, 2));
  STATIC_REQUIRE(reads<Concat>(nothing, 5));
}

TEST_CASE("functions keep their input or their result, whichever the derivative is written in") {
  STATIC_REQUIRE(
      all_read<Relu, Sigmoid, Tanh, HardSigmoid, Exp, Sqrt, Reciprocal, Softmax, LogSoftmax>(the_result));
  STATIC_REQUIRE(
      all_read<Clip, LeakyRelu, Silu, HardSwish, Gelu, Elu, Selu, Softplus, Mish, Erf, Log, Abs, Power>(
          the_input));
  STATIC_REQUIRE(
      all_read<MaxPool2d, AdaptiveMaxPool2d, GlobalMaxPool2d, Dropout, CrossEntropy>(what_was_kept));
}

TEST_CASE("the gradient of a factor reads the other one") {
  STATIC_REQUIRE(equal(Mul::reads(0), {.inputs = 0b10u}));
  STATIC_REQUIRE(equal(Mul::reads(1), {.inputs = 0b01u}));
  STATIC_REQUIRE(equal(MatMul::reads(0), {.inputs = 0b10u}));
  STATIC_REQUIRE(equal(MatMul::reads(1), {.inputs = 0b01u}));
  STATIC_REQUIRE(equal(Div::reads(0), {.inputs = 0b10u}));
  STATIC_REQUIRE(equal(Div::reads(1), {.inputs = 0b10u, .output = true}));
  STATIC_REQUIRE(equal(Pow::reads(0), {.inputs = 0b11u}));
  STATIC_REQUIRE(equal(Pow::reads(1), {.inputs = 0b01u, .output = true}));
  STATIC_REQUIRE(equal(Where::reads(1), {.inputs = 0b001u}));  // a choice keeps the condition alone
  STATIC_REQUIRE(equal(Embedding::reads(0), {.inputs = 0b10u}));
  STATIC_REQUIRE(equal(Linear::reads(0), {.inputs = 0b10u}));  // a frozen layer does not keep its images
  STATIC_REQUIRE(equal(Linear::reads(1), {.inputs = 0b01u}));
  STATIC_REQUIRE(equal(Linear::reads(2), {}));
  STATIC_REQUIRE(equal(Conv2d::reads(0), {.inputs = 0b10u}));
  STATIC_REQUIRE(equal(Conv2d::reads(1), {.inputs = 0b01u}));
  STATIC_REQUIRE(equal(Conv2d::reads(2), {}));
  STATIC_REQUIRE(reads<MeanSquaredError>({.inputs = 0b11u}, 2));
  STATIC_REQUIRE(equal(BinaryCrossEntropy::reads(0), {.inputs = 0b11u}));
  STATIC_REQUIRE(equal(BinaryCrossEntropy::reads(1), {.inputs = 0b01u}));
}

TEST_CASE("a frozen batch normalisation keeps two vectors of channels") {
  constexpr Mode training{.training = true}, inference{};
  STATIC_REQUIRE(equal(BatchNorm::reads(0, inference), {.inputs = 0b10010u}));  // gamma and variance
  STATIC_REQUIRE(equal(BatchNorm::reads(0, training), {.inputs = 0b00011u, .context = true}));
  STATIC_REQUIRE(equal(BatchNorm::reads(1, training), {.inputs = 0b00011u, .context = true}));
}
