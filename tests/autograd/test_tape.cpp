// The tape: what is recorded, what is kept in memory, what is refused; and that gradcheck finds mistakes.
#include <vector>

#include <tl/autograd/gradcheck.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using V = Var<double>;

namespace {

V leaf(std::initializer_list<double> values) {
  return V(Tensor<double>::from(values, {static_cast<Index>(values.size())}), true);
}

std::vector<double> grad_of(const V& x) { return values_of(x.grad()); }

/// y = x^2 with a gradient that forgets the factor 2.
struct WrongSquare {
  static constexpr std::string_view name = "wrong_square";
  Shape infer(const Shape& x) const { return x; }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    return mul(x, x);
  }
  static constexpr Reads reads(int) { return {.inputs = 0b1u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    d.add(0, mul(dy, s.input(0)));
  }
};

/// The same with a gradient that reads what reads() does not name, or of a wrong shape.
struct Forgetful : WrongSquare {
  static constexpr std::string_view name = "forgetful";
  static constexpr Reads reads(int) { return {}; }
};
struct Misshapen : WrongSquare {
  static constexpr std::string_view name = "misshapen";
  template <class T>
  void backward(const Saved<T>&, const Tensor<T>&, GradSink<T>& d) const {
    d.add(0, Tensor<T>::scalar(1));
  }
};

/// An operation without a gradient.
struct Round {
  static constexpr std::string_view name = "round";
  Shape infer(const Shape& x) const { return x; }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    Tensor<T> y = x.clone();
    for (T *v = y.mutable_data(), *end = v + y.size(); v != end; ++v) *v = std::nearbyint(*v);
    return y;
  }
};

/// Bytes that f() leaves allocated while its result lives.
template <class F>
std::size_t bytes_kept(const F& f) {
  const std::size_t before = MemoryPool::instance().bytes_in_use();
  const auto result = f();
  return MemoryPool::instance().bytes_in_use() - before;
}

}  // namespace

TEST_CASE("gradients flow along every path and add up") {
  const V x = leaf({2, 3});
  const V square = x * x;
  sum(square * x + square).backward();  // x^3 + x^2
  CHECK(grad_of(x) == std::vector<double>{3 * 4 + 2 * 2, 3 * 9 + 2 * 3});
  sum(x).backward();
  CHECK(grad_of(x) == std::vector<double>{17, 34});
  V(x).zero_grad();
  CHECK(!x.grad().defined());
}

TEST_CASE("a gradient belongs to its leaf alone") {
  const V a = leaf({1, 2}), b = leaf({3, 4});
  const auto given = Tensor<double>::from({5, 6}, {2});
  (a + b).backward(given);
  Tensor<double> scaled = a.grad();
  scaled.mutable_data()[0] = 100;
  CHECK(grad_of(a) == std::vector<double>{100, 6});
  CHECK(grad_of(b) == std::vector<double>{5, 6});
  CHECK(values_of(given) == std::vector<double>{5, 6});
}

TEST_CASE("gradients have the layout of their leaf") {
  const V x(hash_tensor<double>("x", {2, 3, 4, 5}, 1, 0, Layout::channels_last), true);
  const V w(hash_tensor<double>("w", {2, 3, 4, 5}), true);
  sum(x * w).backward();
  CHECK(x.grad().layout() == Layout::channels_last);
  CHECK(w.grad().layout() == Layout::plain);
  CHECK(same_bits(x.grad(), w.value()));
}

TEST_CASE("only what a gradient can reach is recorded") {
  const V frozen = V(Tensor<double>::ones({3})), trained = leaf({1, 2, 3});
  const V before = exp(frozen * frozen);
  CHECK(!before.requires_grad());
  CHECK(before.record() == nullptr);
  const V y = before * trained;
  REQUIRE(y.record() != nullptr);
  CHECK(y.record()->wanted == std::vector<bool>{false, true});
  sum(y).backward();
  CHECK(!frozen.grad().defined());
  CHECK(trained.grad().defined());

  CHECK(exp(trained.detach()).record() == nullptr);
  {
    const NoGrad scope;
    CHECK(exp(trained).record() == nullptr);
  }
  CHECK(exp(trained).record() != nullptr);
}

TEST_CASE("freezing a leaf drops its gradient and keeps it from getting another") {
  V x = leaf({1, 2});
  sum(x * x).backward();
  CHECK(x.grad().defined());
  x.set_requires_grad(false);
  CHECK(!x.grad().defined());
  CHECK_THROWS_WITH(sum(x * x).backward(),
                    "[backward] nothing requires a gradient: is every parameter frozen?");
  x.set_requires_grad(true);
  const V recorded = sum(x * x);
  sum(x * x).backward();
  CHECK(grad_of(x) == std::vector<double>{2, 4});
  x.set_requires_grad(false);
  recorded.backward();  // frozen since
  CHECK(!x.grad().defined());
}

TEST_CASE("a frozen prefix keeps no activations") {
  constexpr Index n = 1 << 16;
  constexpr std::size_t bytes = n * sizeof(double);
  const auto deep = [](const V& x) { return silu(silu(silu(silu(x)))); };
  const V frozen(Tensor<double>::ones({n})), trained(Tensor<double>::ones({n}), true);
  CHECK(bytes_kept([&] { return deep(frozen); }) == bytes);       // the result
  CHECK(bytes_kept([&] { return deep(trained); }) == 4 * bytes);  // it and the inputs of three layers
  const V scale = leaf({2});
  // The product keeps what its trained factor's gradient reads: its result and the frozen input.
  CHECK(bytes_kept([&] { return deep(frozen) * scale; }) == 2 * bytes);
}

TEST_CASE("an operation keeps only the values that the wanted gradients read") {
  constexpr Index n = 1 << 16;
  constexpr std::size_t bytes = n * sizeof(double);
  const V a(Tensor<double>::ones({n}), true), b(Tensor<double>::ones({n}));
  const auto fresh = [&] { return V(Tensor<double>::ones({n}), false) * b; };  // a value nobody else keeps
  CHECK(bytes_kept([&] { return a + fresh(); }) == bytes);
  CHECK(bytes_kept([&] { return a * fresh(); }) == 2 * bytes);    // da reads b
  CHECK(bytes_kept([&] { return sum(a + fresh()); }) < bytes);    // sum reads nothing
  CHECK(bytes_kept([&] { return relu(a + fresh()); }) == bytes);  // relu reads its result, not its input
  CHECK(bytes_kept([&] { return mean(dropout(a + fresh(), .5, {.training = true})); }) <
        2 * bytes);  // the mask
}

TEST_CASE("backward frees the tape as it goes") {
  constexpr Index n = 1 << 16;
  const V x(Tensor<double>::ones({n}), true);
  V y = x;
  for (int i = 0; i < 20; ++i) y = silu(y);
  const V loss = sum(y);
  y = {};
  const std::size_t before = MemoryPool::instance().bytes_in_use();
  MemoryPool::instance().reset_peak();
  loss.backward();
  // 19 values between the layers are freed, the gradient of x is new.
  CHECK(before - MemoryPool::instance().bytes_in_use() == 18 * n * sizeof(double));
  CHECK(MemoryPool::instance().peak_bytes() <= before + 3 * n * sizeof(double));
}

TEST_CASE("batch normalisation keeps its input in training, nothing when frozen") {
  constexpr Index n = 1 << 14, channels = 4;
  constexpr std::size_t bytes = n * channels * sizeof(double);
  const V x(Tensor<double>::ones({n, channels}), true);
  const auto run = [&](bool trained, bool training) {
    return bytes_kept([&] {
      const V gamma(Tensor<double>::ones({channels}), trained),
          beta(Tensor<double>::zeros({channels}), trained);
      const V mean(Tensor<double>::zeros({channels})), var(Tensor<double>::ones({channels}));
      return batch_norm(x * 2, gamma, beta, mean, var, {.training = training});
    });
  };
  constexpr std::size_t small = 4096;  // vectors of channels
  CHECK(run(true, true) - 2 * bytes < small);
  CHECK(run(true, false) - 2 * bytes < small);
  CHECK(run(false, false) - bytes < small);
}

TEST_CASE("a value overwritten before backward is noticed") {
  V w = leaf({1, 2}), x = leaf({3, 4});
  const V y = sum(w * x);
  w.mutable_value().mutable_data()[0] = 5;
  CHECK_THROWS_WITH(
      y.backward(),
      "[mul] expected its saved value of shape (2) unchanged until backward, got one written to "
      "since: write to a clone() instead");
  // What no gradient reads may be overwritten.
  const V z = sum(w + x);
  w.mutable_value().mutable_data()[0] = 7;
  CHECK_NOTHROW(z.backward());
  // Running statistics moved by another pass in training mode count as overwritten.
  const V rows(Tensor<double>::from({1, 2, 3, 4}, {2, 2}), true);
  const V one(Tensor<double>::ones({2}), true), zero(Tensor<double>::zeros({2}), true);
  const V mean(Tensor<double>::zeros({2})), var(Tensor<double>::ones({2}));
  const V first = batch_norm(rows, one, zero, mean, var, {});
  batch_norm(rows, one, zero, mean, var, {.training = true});
  CHECK_THROWS_WITH(sum(first).backward(), contains("[batch_norm] expected its saved value of shape (2)"));
}

TEST_CASE("the second backward of one tape is refused") {
  const V x = leaf({1, 2});
  const V square = x * x;
  const V y = sum(square);
  y.backward();
  CHECK_THROWS_WITH(y.backward(), "[backward] the tape of this value was used already: run forward again");
  CHECK_THROWS_WITH(sum(square).backward(),
                    "[backward] the tape of this value was used already: run forward again");
}

TEST_CASE("backward wants one element, or a gradient of the value's shape") {
  const V x = leaf({1, 2});
  CHECK_THROWS_WITH((x * x).backward(), "[backward] expected one element, or a gradient of the shape (2)");
  CHECK_THROWS_WITH((x * x).backward(Tensor<double>::ones({3})),
                    "[backward] expected a gradient of shape (2), got (3)");
  CHECK_THROWS_WITH(sum(V(Tensor<double>::ones({2}))).backward(),
                    "[backward] nothing requires a gradient: is every parameter frozen?");
  V y = x * x;
  CHECK_THROWS_WITH(y.mutable_value(), "[var] expected a leaf to write to, got a result of [mul]");
  CHECK_THROWS_WITH(y.set_requires_grad(false), "[var] expected a leaf, got a result of [mul]");
}

TEST_CASE("operations without a gradient are refused where one is wanted") {
  const V x = leaf({1.4, 2.6});
  CHECK(values_of(apply(Round{}, x.detach()).value()) == std::vector<double>{1, 3});
  CHECK_THROWS_WITH(apply(Round{}, x),
                    "[round] has no gradient: freeze what lies before it, or detach() its input");
}

TEST_CASE("mistakes in a gradient are named") {
  const V x = leaf({1, 2});
  CHECK_THROWS_WITH(sum(apply(Forgetful{}, x)).backward(),
                    "[forgetful] the gradient asks for a value that reads() did not name");
  CHECK_THROWS_WITH(sum(apply(Misshapen{}, x)).backward(),
                    "[misshapen] expected a gradient of shape (2) for input 0, got ()");
}

TEST_CASE("gradcheck finds a wrong gradient and says where") {
  const auto x = hash_tensor<double>("x", {3, 4}), w = hash_tensor<double>("w", {4});
  const auto wrong = [](const std::vector<V>& v) { return v[0] * apply(WrongSquare{}, v[1]); };
  const GradcheckResult result = gradcheck(wrong, {x, w});
  CHECK(!result);
  CHECK(result.worst_leaf == 1);
  CHECK(result.error == Approx(.5).epsilon(.01));

  // Small gradients are compared on their own scale, large inputs by a sample.
  const auto small = [](const std::vector<V>& v) { return mean(apply(WrongSquare{}, v[0])); };
  CHECK(!gradcheck(small, {hash_tensor<double>("large", {1000})}));
  const auto right = [](const std::vector<V>& v) { return mean(v[0] * v[0]); };
  CHECK(gradcheck(right, {hash_tensor<double>("large", {1000})}));
  // A value that is cut off has gradient 0, which is wrong where the result depends on it.
  CHECK(!gradcheck([](const std::vector<V>& v) { return v[0].detach() * v[1]; }, {w, w}));
}

TEST_CASE("gradcheck leaves values as they were") {
  V x(hash_tensor<double>("x", {3, 4}), true);
  const Tensor<double> before = x.value().clone();
  CHECK(gradcheck([&] { return exp(x); }, {x}));
  CHECK(same_bits(x.value(), before));
}

TEST_CASE("a tape of 200,000 operations is walked, and freed unwalked, without recursion") {
  const V x = leaf({1});
  const auto chain = [&] {
    V y = x;
    for (int i = 0; i < 200000; ++i) y = -y;
    return y;
  };
  chain();
  chain().backward();
  CHECK(grad_of(x) == std::vector<double>{1});
}

TEST_CASE("a user's handle into a tape survives the rest of it") {
  const V x = leaf({2});
  V middle;
  {
    const V a = x * x;
    middle = a * x;
    const V end = middle * a;  // dropped without a backward pass
  }
  middle.backward();
  CHECK(grad_of(x) == std::vector<double>{12});
}

TEST_CASE("each leaf is told of once, when its gradient is complete and others are not") {
  const V first = leaf({2}), second = leaf({3}), unreached = leaf({5});
  const V loss = (first * first + first) * second * unreached.detach();
  std::vector<std::pair<const void*, std::vector<double>>> told;
  bool first_was_there = true;
  loss.backward(Tensor<double>::full({1}, 1), [&](const V& parameter) {
    told.emplace_back(parameter.identity(), values_of(parameter.grad()));
    if (parameter.same(second)) first_was_there = first.grad().defined();
  });
  REQUIRE(told.size() == 2);
  CHECK(told[0] == std::pair(second.identity(), std::vector<double>{30}));
  CHECK(told[1] == std::pair(first.identity(), std::vector<double>{75}));
  CHECK(!first_was_there);
}
