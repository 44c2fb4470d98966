// Arithmetic, reductions and moves of tensors against loops over their elements, in every mixture of layouts.
#include <array>
#include <cmath>
#include <functional>
#include <vector>

#include <tl/tensor/math.hpp>
#include <tl/tensor/matmul.hpp>
#include <tl/tensor/move.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using Doubles = Tensor<double>;
using At = std::array<Index, Shape::max_rank>;

namespace {

/// Calls body(index) for every index of a shape, in row-major order.
void for_each_index(const Shape& shape, const std::function<void(const At&)>& body) {
  At at{};
  for (Index flat = 0; flat < shape.size(); ++flat) {
    Index rest = flat;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      at[static_cast<std::size_t>(axis)] = rest % shape[axis];
      rest /= shape[axis];
    }
    body(at);
  }
}

/// The element of x at an index of a shape it broadcasts to.
double element(const Doubles& x, const Shape& shape, const At& at) {
  const Strides strides = x.strides();
  Index offset = 0;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const Index i = at[static_cast<std::size_t>(axis + shape.rank() - x.rank())];
    offset += (x.shape(axis) == 1 ? 0 : i) * strides[static_cast<std::size_t>(axis)];
  }
  return x.data()[offset];
}

/// A plain tensor filled by a function of the index.
Doubles filled(const Shape& shape, const std::function<double(const At&)>& f) {
  Doubles y = Doubles::empty(shape);
  double* out = y.mutable_data();
  for_each_index(shape, [&](const At& at) { *out++ = f(at); });
  return y;
}

/// The tensor in each layout that its shape has.
std::vector<Doubles> layouts_of(const Doubles& x) {
  if (x.rank() != 4) return {x};
  return {x, x.to(Layout::channels_last)};
}

}  // namespace

TEST_CASE("binary operations broadcast as a loop over elements does, in every mixture of layouts") {
  const std::vector<std::pair<Shape, Shape>> shapes{{{2, 3, 4, 5}, {2, 3, 4, 5}},
                                                    {{2, 3, 4, 5}, {1, 3, 1, 1}},
                                                    {{1, 3, 4, 1}, {2, 1, 1, 5}},
                                                    {{3, 1, 1}, {2, 3, 4, 5}},
                                                    {{2, 3, 4, 5}, {5}},
                                                    {{2, 1, 4, 5}, {2, 3, 1, 1}},
                                                    {{2, 17, 3, 3}, {}},
                                                    {{4, 1}, {1, 6}},
                                                    {{2, 1, 3, 1, 5}, {7, 1, 4, 1}},
                                                    {{0, 3, 2, 2}, {3, 1, 1}},
                                                    {{1}, {0}}};
  for (const auto& [shape_a, shape_b] : shapes) {
    for (const Doubles& a : layouts_of(hash_tensor<double>("a", shape_a))) {
      for (const Doubles& b : layouts_of(hash_tensor<double>("b", shape_b, .5, 2))) {
        INFO(a.shape() << " " << a.layout() << ", " << b.shape() << " " << b.layout());
        const Shape shape = broadcast_shapes(a.shape(), b.shape(), "test");
        const auto loop = [&](double (*f)(double, double)) {
          return filled(shape, [&](const At& at) { return f(element(a, shape, at), element(b, shape, at)); });
        };
        CHECK(same_bits(add(a, b), loop([](double x, double y) { return x + y; })));
        CHECK(same_bits(sub(a, b), loop([](double x, double y) { return x - y; })));
        CHECK(same_bits(mul(a, b), loop([](double x, double y) { return x * y; })));
        CHECK(same_bits(div(a, b), loop([](double x, double y) { return x / y; })));
      }
    }
  }
}

TEST_CASE("a binary operation keeps images channels-last") {
  const Doubles last = hash_tensor<double>("x", {2, 3, 4, 5}, 1, 0, Layout::channels_last);
  const Doubles bias = Doubles::ones({1, 3, 1, 1});
  CHECK(add(last, bias).layout() == Layout::channels_last);
  CHECK(add(bias, last).layout() == Layout::channels_last);
  CHECK(add(last, Doubles::scalar(1)).layout() == Layout::channels_last);
  CHECK(add(Doubles::scalar(1), last).layout() == Layout::channels_last);
  CHECK(scale(last, 2.0).layout() == Layout::channels_last);
  CHECK(unary(kernels::Unary::relu, last).layout() == Layout::channels_last);
}

TEST_CASE("reductions over any axes agree with a loop, in both layouts") {
  for (const Shape& shape :
       {Shape{2, 3, 4, 5}, Shape{3, 19, 1, 2}, Shape{7, 133}, Shape{5}, Shape{2, 1, 3, 2, 2}}) {
    for (const Doubles& x : layouts_of(hash_tensor<double>("x", shape))) {
      for (unsigned mask = 1; mask < 1u << shape.rank(); ++mask) {
        std::vector<Index> axes;
        for (int axis = 0; axis < shape.rank(); ++axis) {
          if ((mask >> axis & 1u) != 0) axes.push_back(axis % 2 == 0 ? axis : axis - shape.rank());
        }
        INFO(shape << " " << x.layout() << ", axes (bits) " << mask);
        const Shape kept = reduced_shape(shape, axis_flags(shape, axes), true);
        Doubles sums = Doubles::zeros(kept), most = Doubles::full(kept, -1e9);
        double *sum = sums.mutable_data(), *top = most.mutable_data();
        const Strides strides = broadcast_strides(sums, shape);
        for_each_index(shape, [&](const At& at) {
          Index offset = 0;
          for (std::size_t axis = 0; axis < at.size(); ++axis) offset += at[axis] * strides[axis];
          sum[offset] += element(x, shape, at);
          top[offset] = std::max(top[offset], element(x, shape, at));
        });
        const double count = static_cast<double>(shape.size()) / static_cast<double>(kept.size());
        CHECK(relative_difference(reduce(kernels::Reduce::sum, x, axes, true), sums) < 1e-14);
        CHECK(relative_difference(reduce(kernels::Reduce::mean, x, axes, true), scale(sums, 1 / count)) <
              1e-14);
        CHECK(same_bits(reduce(kernels::Reduce::max, x, axes, true), most));
        CHECK(relative_difference(sum_to(x, kept), sums) < 1e-14);
        const Doubles dropped = reduce(kernels::Reduce::sum, x, axes, false);
        CHECK(dropped.rank() == shape.rank() - static_cast<int>(axes.size()));
        CHECK(relative_difference(dropped.reshape(kept), sums) < 1e-14);
      }
      CHECK(reduce<double>(kernels::Reduce::sum, x, {}, false).shape() == Shape{});
    }
  }
}

TEST_CASE("expand repeats, sum_to takes it back") {
  const Doubles x = hash_tensor<double>("x", {3, 1, 5});
  const Doubles wide = expand(x, {2, 3, 4, 5}, Layout::channels_last);
  CHECK(wide.layout() == Layout::channels_last);
  CHECK(same_bits(wide, filled({2, 3, 4, 5}, [&](const At& at) { return x.at(at[1], 0, at[3]); })));
  CHECK(relative_difference(sum_to(wide, x.shape()), scale(x, 8.0)) < 1e-15);
}

TEST_CASE("permute agrees with a loop from both layouts") {
  const Shape shape{2, 3, 4, 5};
  for (const Doubles& x : layouts_of(hash_tensor<double>("x", shape))) {
    std::array<int, 4> axes{0, 1, 2, 3};
    do {
      const Doubles y = permute<double>(x, axes);
      const Doubles want = filled(y.shape(), [&](const At& at) {
        At from{};
        for (std::size_t k = 0; k < 4; ++k) from[static_cast<std::size_t>(axes[k])] = at[k];
        return element(x, shape, from);
      });
      INFO(axes[0] << axes[1] << axes[2] << axes[3]);
      CHECK(same_bits(y, want));
    } while (std::next_permutation(axes.begin(), axes.end()));
  }
  CHECK_THROWS_WITH(permute<double>(Doubles::zeros({2, 3}), std::array{0, 0}),
                    "[transpose] expected each axis once, got axis 0 twice");
}

TEST_CASE("a slice of a tensor without elements has none") {
  const Doubles nothing = Doubles::empty({0, 3});
  CHECK(slice(nothing, window_along(nothing.shape(), 1, 2, 1)).shape() == Shape{0, 1});
}

TEST_CASE("a slice with positive and negative steps agrees with a loop, and unslice puts it back") {
  const Shape shape{3, 5, 6, 7};
  const std::vector<Window> windows{{{0, 0, 0, 0}, {1, 1, 1, 1}, {3, 5, 6, 7}},
                                    {{1, 4, 0, 6}, {1, -1, 2, -2}, {2, 5, 3, 4}},
                                    {{2, 1, 5, 3}, {-2, 3, -5, 1}, {2, 2, 2, 1}},
                                    {{0, 0, 2, 0}, {1, 1, 1, 1}, {3, 5, 0, 7}}};
  for (const Doubles& x : layouts_of(hash_tensor<double>("x", shape))) {
    for (const Window& window : windows) {
      const auto source = [&](const At& at) {
        At from{};
        for (std::size_t k = 0; k < 4; ++k) from[k] = window.start[k] + at[k] * window.step[k];
        return from;
      };
      const Doubles y = slice(x, window);
      CHECK(y.layout() == x.layout());
      CHECK(same_bits(y, filled(window.shape, [&](const At& at) { return element(x, shape, source(at)); })));
      Doubles back = Doubles::zeros(shape);
      for_each_index(window.shape, [&](const At& at) {
        const At to = source(at);
        back.set(element(y, window.shape, at), to[0], to[1], to[2], to[3]);
      });
      CHECK(same_bits(unslice(y, window, shape), back));
    }
  }
}

TEST_CASE("pad adds with positive amounts and crops with negative ones") {
  const Shape shape{2, 3, 4, 5};
  const std::vector<std::pair<std::vector<Index>, std::vector<Index>>> amounts{
      {{0, 0, 0, 0}, {0, 0, 0, 0}},    {{1, 2, 3, 4}, {4, 3, 2, 1}},  {{0, 0, -1, -2}, {0, 0, -1, 0}},
      {{0, -1, 2, -3}, {1, 0, -3, 5}}, {{0, 0, 7, 0}, {0, 0, -9, 0}}, {{0, 0, -9, 0}, {0, 0, 7, 0}},
      {{0, 0, -4, 0}, {0, 0, 0, 0}}};
  for (const Doubles& x : layouts_of(hash_tensor<double>("x", shape))) {
    for (const auto& [before, after] : amounts) {
      const Doubles y = pad(x, before, after, .5);
      INFO(y.shape() << " from " << x.layout());
      CHECK(y.layout() == x.layout());
      const Doubles want = filled(y.shape(), [&, &first = before](const At& at) {
        At from{};
        for (std::size_t k = 0; k < 4; ++k) {
          from[k] = at[k] - first[k];
          if (from[k] < 0 || from[k] >= shape[static_cast<int>(k)]) return .5;
        }
        return element(x, shape, from);
      });
      CHECK(same_bits(y, want));
    }
  }
}

TEST_CASE("concat joins tensors of both layouts along any axis") {
  for (int axis = 0; axis < 4; ++axis) {
    Shape shape{2, 3, 4, 5}, other = shape, whole = shape;
    other[axis] = 7;
    whole[axis] += 7;
    for (const Doubles& a : layouts_of(hash_tensor<double>("a", shape))) {
      for (const Doubles& b : layouts_of(hash_tensor<double>("b", other))) {
        const Doubles parts[] = {a, b};
        const Doubles y = concat<double>(parts, axis, whole);
        CHECK(y.layout() == a.layout());
        CHECK(same_bits(slice(y, window_along(whole, axis, 0, shape[axis])), a));
        CHECK(same_bits(slice(y, window_along(whole, axis, shape[axis], 7)), b));
      }
    }
  }
}

TEST_CASE("batched products broadcast their leading axes and transpose the last two") {
  const auto naive = [](const Doubles& a, const Doubles& b, const Shape& shape, Index inner) {
    return filled(shape, [&](const At& at) {
      const auto row = static_cast<std::size_t>(shape.rank() - 2), column = row + 1;
      Shape left = shape, right = shape;  // what a and b broadcast to
      left[shape.rank() - 1] = right[shape.rank() - 2] = inner;
      double sum = 0;
      for (Index k = 0; k < inner; ++k) {
        At from_a = at, from_b = at;
        from_a[column] = from_b[row] = k;
        sum += element(a, left, from_a) * element(b, right, from_b);
      }
      return sum;
    });
  };
  const std::vector<std::array<Shape, 3>> cases{{Shape{3, 4}, {4, 5}, {3, 5}},
                                                {Shape{2, 3, 4}, {2, 4, 5}, {2, 3, 5}},
                                                {Shape{2, 1, 3, 4}, {7, 4, 5}, {2, 7, 3, 5}},
                                                {Shape{4, 6}, {2, 3, 6, 2}, {2, 3, 4, 2}},
                                                {Shape{2, 3, 0}, {2, 0, 5}, {2, 3, 5}},
                                                {Shape{0, 3, 4}, {4, 5}, {0, 3, 5}}};
  for (const auto& [shape_a, shape_b, shape] : cases) {
    const Doubles a = hash_tensor<double>("a", shape_a), b = hash_tensor<double>("b", shape_b);
    const Doubles want = naive(a, b, shape, shape_a.back());
    const auto turned = [](const Doubles& x) {
      std::vector<int> axes;
      for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
      std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
      return permute<double>(x, axes);
    };
    INFO(shape_a << " " << shape_b);
    CHECK(relative_difference(matmul_batched(a, Trans::no, b, Trans::no), want) < 1e-14);
    CHECK(relative_difference(matmul_batched(turned(a), Trans::yes, b, Trans::no), want) < 1e-14);
    CHECK(relative_difference(matmul_batched(a, Trans::no, turned(b), Trans::yes), want) < 1e-14);
  }
}

TEST_CASE("products of two matrices, either one transposed") {
  const Doubles a = hash_tensor<double>("a", {5, 7}), b = hash_tensor<double>("b", {7, 3});
  const Doubles at = permute<double>(a, std::array{1, 0}), bt = permute<double>(b, std::array{1, 0});
  const Doubles y = matmul_nn(a, b);
  CHECK(relative_difference(y, matmul_batched(a, Trans::no, b, Trans::no)) < 1e-15);
  CHECK(relative_difference(matmul_nt(a, bt), y) < 1e-15);
  CHECK(relative_difference(matmul_tn(at, b), y) < 1e-15);
  CHECK_THROWS_WITH(matmul_nt(a, b), "[matmul] expected matching inner extents, got (5,7) and (7,3)");
}
