// Pooling against plain loops, on each instruction set.
#include <cstdint>

#include <tl/kernels/pool.hpp>
#include <tl/kernels/reference/pool.hpp>
#include "kernels/kernel_checks.hpp"

using namespace tl::kernels;
using namespace kernel_checks;

namespace {

/// n, h, w, c, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w
const PoolShape shapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1},
    {2, 11, 13, 17, 6, 7, 3, 3, 2, 2, 1, 1, 1, 1},  // ResNet's stem
    {1, 56, 56, 64, 28, 28, 3, 3, 2, 2, 1, 1, 1, 1},
    {1, 8, 9, 3, 4, 4, 2, 2, 2, 2, 0, 0, 1, 1},  // a column left over
    {1, 8, 9, 3, 4, 5, 2, 2, 2, 2, 0, 0, 1, 1},  // ceil mode: windows across the border
    {2, 7, 5, 33, 7, 5, 3, 5, 1, 1, 1, 2, 1, 1},
    {1, 9, 10, 5, 3, 4, 3, 2, 3, 3, 1, 0, 1, 1},    // gaps that no window sees, asymmetric
    {1, 12, 12, 20, 8, 8, 3, 3, 1, 1, 0, 0, 2, 2},  // dilation
    {1, 10, 7, 4, 4, 3, 3, 2, 2, 3, 2, 1, 2, 3},
    {3, 5, 5, 130, 1, 1, 5, 5, 1, 1, 0, 0, 1, 1},
    {1, 3, 3, 7, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1},
    {1, 2, 2, 3, 3, 3, 1, 1, 2, 2, 1, 1, 1, 1},  // windows without pixels
    {0, 4, 4, 3, 2, 2, 2, 2, 2, 2, 0, 0, 1, 1},
};

Index input_size(const PoolShape& s) { return s.n * s.h * s.w * s.c; }
Index output_size(const PoolShape& s) { return s.n * s.oh * s.ow * s.c; }

}  // namespace

TEMPLATE_TEST_CASE("max pooling, its positions and its gradient", "[pool]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  on_each_isa([&] {
    for (std::size_t i = 0; i < std::size(shapes); ++i) {
      const PoolShape& s = shapes[i];
      INFO("shape " << i);
      std::vector<T> x = random_values<T>(input_size(s), 70, -9, -1);  // negative: padding must not win
      for (std::size_t k = 0; k < x.size(); ++k) {
        if (k % 3 == 0) x[k] = T(-2);  // equal values: the first of them counts
      }
      const auto dy = random_values<T>(output_size(s), 71);
      std::vector<T> y(dy.size()), want(dy.size()), plain(dy.size()), dx(x.size(), T(5));
      std::vector<std::int32_t> argmax(dy.size()), want_argmax(dy.size());
      max_pool_forward(s, x.data(), y.data(), argmax.data());
      reference::max_pool_forward(s, x.data(), want.data(), want_argmax.data());
      CHECK(y == want);
      CHECK(argmax == want_argmax);
      max_pool_forward(s, x.data(), plain.data(), static_cast<std::int32_t*>(nullptr));
      CHECK(plain == want);

      std::vector<W> want_dx(x.size());
      max_pool_backward(s, dy.data(), argmax.data(), dx.data());
      reference::max_pool_backward(s, converted<W>(dy).data(), argmax.data(), want_dx.data());
      CHECK(worst_error(dx, want_dx, 4) <= 4);
    }
  });
}

TEMPLATE_TEST_CASE("NaN and -infinity in max pooling", "[pool]", float, double) {
  using T = TestType;
  const PoolShape s{1, 6, 6, 19, 3, 3, 3, 3, 2, 2, 1, 1, 1, 1};
  std::vector<T> x = random_values<T>(input_size(s), 72);
  x[size_of((2 * 6 + 3) * 19 + 18)] = x[size_of((0 * 6 + 0) * 19 + 2)] = std::numeric_limits<T>::quiet_NaN();
  for (Index p = 0; p < 36; ++p) x[size_of(p * 19 + 5)] = -std::numeric_limits<T>::infinity();
  on_each_isa([&] {
    std::vector<T> y(size_of(output_size(s))), want(y);
    std::vector<std::int32_t> argmax(y.size()), want_argmax(y.size());
    reference::max_pool_forward(s, x.data(), want.data(), want_argmax.data());
    for (const bool positions : {false, true}) {
      max_pool_forward(s, x.data(), y.data(), positions ? argmax.data() : nullptr);
      for (std::size_t i = 0; i < y.size(); ++i)
        CHECK((y[i] == want[i] || (std::isnan(y[i]) && std::isnan(want[i]))));
    }
    CHECK(argmax == want_argmax);
    CHECK(std::count_if(y.begin(), y.end(), [](T v) { return std::isnan(v); }) == 3);
  });
}

TEMPLATE_TEST_CASE("average pooling with and without padding in the count, and its gradient", "[pool]", float,
                   double) {
  using T = TestType;
  using W = Wide<T>;
  on_each_isa([&] {
    for (std::size_t i = 0; i < std::size(shapes); ++i) {
      const PoolShape& s = shapes[i];
      for (const AverageCount count :
           {AverageCount{}, AverageCount{true, s.pad_top, s.pad_left}, AverageCount{true, 0, 2}}) {
        INFO("shape " << i << ", padding counted " << count.include_pad << ' ' << count.pad_right);
        const auto x = random_values<T>(input_size(s), 73), dy = random_values<T>(output_size(s), 74);
        std::vector<T> y(dy.size()), dx(x.size(), T(5));
        std::vector<W> want(dy.size()), want_dx(x.size());
        average_pool_forward(s, count, x.data(), y.data());
        reference::average_pool_forward(s, count, converted<W>(x).data(), want.data());
        CHECK(worst_error(y, want, 2) <= 4);
        average_pool_backward(s, count, dy.data(), dx.data());
        reference::average_pool_backward(s, count, converted<W>(dy).data(), want_dx.data());
        CHECK(worst_error(dx, want_dx, 2) <= 4);
      }
    }
  });
}

TEMPLATE_TEST_CASE("adaptive and global pooling, and their gradients", "[pool]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  const Index cases[][6] = {{2, 7, 7, 33, 1, 1},   {1, 112, 112, 3, 1, 1}, {2, 10, 7, 5, 3, 4},
                            {1, 6, 6, 70, 6, 6},   {1, 3, 2, 9, 5, 7},     {3, 1, 1, 2, 1, 1},
                            {1, 13, 11, 16, 1, 2}, {0, 5, 5, 2, 1, 1}};
  on_each_isa([&] {
    for (const auto& [n, h, w, c, oh, ow] : cases) {
      INFO(n << ',' << h << ',' << w << ',' << c << " to " << oh << ',' << ow);
      PoolShape s;
      s.n = n, s.h = h, s.w = w, s.c = c, s.oh = oh, s.ow = ow;
      const auto x = random_values<T>(input_size(s), 75), dy = random_values<T>(output_size(s), 76);
      std::vector<T> y(dy.size()), dx(x.size(), T(5));
      std::vector<W> want(dy.size()), want_dx(x.size());
      adaptive_average_pool_forward(s, x.data(), y.data());
      reference::adaptive_average_pool_forward(s, converted<W>(x).data(), want.data());
      CHECK(worst_error(y, want, 2) <= 4);
      adaptive_average_pool_backward(s, dy.data(), dx.data());
      reference::adaptive_average_pool_backward(s, converted<W>(dy).data(), want_dx.data());
      CHECK(worst_error(dx, want_dx, 2) <= 4);

      std::vector<T> want_y(dy.size());
      std::vector<std::int32_t> argmax(dy.size()), want_argmax(dy.size());
      adaptive_max_pool_forward(s, x.data(), y.data(), argmax.data());
      reference::adaptive_max_pool_forward(s, x.data(), want_y.data(), want_argmax.data());
      CHECK(y == want_y);
      CHECK(argmax == want_argmax);
      adaptive_max_pool_forward(s, x.data(), y.data(), static_cast<std::int32_t*>(nullptr));
      CHECK(y == want_y);
      adaptive_max_pool_backward(s, dy.data(), argmax.data(), dx.data());
      reference::max_pool_backward(s, converted<W>(dy).data(), argmax.data(), want_dx.data());
      CHECK(worst_error(dx, want_dx, 4) <= 4);
    }
  });
}

TEMPLATE_TEST_CASE("pooling has the same bits at any thread count", "[pool]", float, double) {
  using T = TestType;
  const PoolShape s{2, 60, 60, 40, 30, 30, 3, 3, 2, 2, 1, 1, 1, 1};
  PoolShape global = s, regions = s;
  global.oh = global.ow = 1;
  regions.oh = 7, regions.ow = 9;
  const auto x = random_values<T>(input_size(s), 77);
  on_each_isa([&] {
    check_same_bits_at_any_thread_count([&] {
      std::vector<T> all, y(size_of(output_size(s))), dx(x.size());
      std::vector<std::int32_t> argmax(y.size());
      const auto keep = [&](Index outputs) {
        all.insert(all.end(), y.begin(), y.begin() + outputs);
        append(all, dx);
      };
      max_pool_forward(s, x.data(), y.data(), argmax.data());
      max_pool_backward(s, y.data(), argmax.data(), dx.data());
      keep(output_size(s));
      const AverageCount count{true, 1, 1};
      average_pool_forward(s, count, x.data(), y.data());
      average_pool_backward(s, count, y.data(), dx.data());
      keep(output_size(s));
      for (const PoolShape& shape : {global, regions}) {
        adaptive_average_pool_forward(shape, x.data(), y.data());
        adaptive_average_pool_backward(shape, y.data(), dx.data());
        keep(output_size(shape));
        adaptive_max_pool_forward(shape, x.data(), y.data(), argmax.data());
        adaptive_max_pool_backward(shape, y.data(), argmax.data(), dx.data());
        keep(output_size(shape));
      }
      return all;
    });
  });
}
