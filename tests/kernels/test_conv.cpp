// Convolution and its gradients against plain loops.
#include <cstdlib>
#include <set>
#include <utility>
#include <vector>

#include <tl/kernels/reference/conv.hpp>
#include "kernels/kernel_checks.hpp"

using namespace kernel_checks;
using tl::kernels::Activation;
using tl::kernels::ConvAlgorithm;
using tl::kernels::ConvShape;
namespace kernels = tl::kernels;

namespace {

/// The shape with the largest output that fits; bottom and right padding are at most `more`.
ConvShape fitted(ConvShape s, Index more_h = 0, Index more_w = 0) {
  s.oh = (s.h + s.pad_top + more_h - s.dilation_h * (s.kh - 1) - 1) / s.stride_h + 1;
  s.ow = (s.w + s.pad_left + more_w - s.dilation_w * (s.kw - 1) - 1) / s.stride_w + 1;
  return s;
}

ConvShape random_shape(std::uint64_t key) {
  tl::Rng rng(5, key);
  const auto any = [&](Index low, Index high) {
    return low + static_cast<Index>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
  };
  ConvShape s;
  s.groups = rng.chance(.7) ? 1 : any(2, 4);
  const bool wide = rng.chance(.3);
  s.n = any(1, 3);
  s.c = s.groups * any(1, wide ? 300 / s.groups : 20);
  s.o = s.groups * any(1, wide ? 80 / s.groups : 40);
  s.kh = any(1, wide ? 3 : 5), s.kw = any(1, wide ? 3 : 5);
  s.stride_h = any(1, 3), s.stride_w = rng.chance(.7) ? s.stride_h : any(1, 3);
  s.dilation_h = rng.chance(.7) ? 1 : any(1, 3), s.dilation_w = rng.chance(.7) ? 1 : any(1, 3);
  const Index reach_h = s.dilation_h * (s.kh - 1), reach_w = s.dilation_w * (s.kw - 1);
  s.pad_top = any(0, reach_h), s.pad_left = any(0, reach_w);
  s.h = reach_h + any(1, wide ? 4 : 12), s.w = reach_w + any(1, wide ? 6 : 12);
  return fitted(s, any(0, reach_h), any(0, reach_w));
}

template <class T>
struct Data {
  std::vector<T> x, w, bias, residual, dy;
};

/// The same values for every T: they are exact in float.
template <class T>
Data<T> data(const ConvShape& s) {
  const auto values = [](Index n, std::uint64_t key) {
    return converted<T>(random_values<float>(n, key, -1, 1));
  };
  return {values(s.input_size(), 1), values(s.weight_size(), 2), values(s.o, 3), values(s.output_size(), 4),
          values(s.output_size(), 5)};
}

template <class T>
struct Results {
  std::vector<T> plain, relu, relu6, dx, dw, db;
};

template <class T>
Results<T> computed(const ConvShape& s) {
  const Data<T> d = data<T>(s);
  const T nan = std::numeric_limits<T>::quiet_NaN();  // every element must be written
  std::vector<T> packed(size_of(kernels::conv_packed_size<T>(s)), nan), y(size_of(s.output_size()), nan);
  kernels::conv_pack(s, d.w.data(), packed.data());
  Results<T> r{y,
               y,
               d.residual,
               std::vector<T>(d.x.size(), nan),
               std::vector<T>(d.w.size(), nan),
               std::vector<T>(d.bias.size(), nan)};
  kernels::conv_forward(s, d.x.data(), packed.data(), nullptr, {}, r.plain.data());
  kernels::conv_forward(s, d.x.data(), packed.data(), d.bias.data(), {Activation::relu}, r.relu.data());
  kernels::conv_forward(s, d.x.data(), packed.data(), d.bias.data(), {Activation::relu6, r.relu6.data()},
                        r.relu6.data());
  kernels::conv_backward_input(s, d.dy.data(), d.w.data(), r.dx.data());
  kernels::conv_backward_weight(s, d.x.data(), d.dy.data(), r.dw.data());
  kernels::conv_backward_bias(s, d.dy.data(), r.db.data());
  return r;
}

template <class T>
Results<T> expected_results(const ConvShape& s) {
  namespace reference = kernels::reference;
  const Data<T> d = data<T>(s);
  Results<T> r{d.residual, d.residual, d.residual, d.x, d.w, d.bias};
  reference::conv_forward<T>(s, d.x.data(), d.w.data(), nullptr, {}, r.plain.data());
  reference::conv_forward<T>(s, d.x.data(), d.w.data(), d.bias.data(), {Activation::relu}, r.relu.data());
  reference::conv_forward<T>(s, d.x.data(), d.w.data(), d.bias.data(), {Activation::relu6, d.residual.data()},
                             r.relu6.data());
  reference::conv_backward_input(s, d.dy.data(), d.w.data(), r.dx.data());
  reference::conv_backward_weight(s, d.x.data(), d.dy.data(), r.dw.data());
  reference::conv_backward_bias(s, d.dy.data(), r.db.data());
  return r;
}

/// Rounding errors of a sum of `length` products, relative to the largest sum (an activation may hide it),
/// grow at most like length, in fact like its square root; Winograd's transforms add a few.
template <class T>
void check_sums(const std::vector<T>& got, const std::vector<Wide<T>>& want, double largest_sum,
                Index length) {
  const auto wish = static_cast<ConvAlgorithm>(kernels::internal::conv_wish().load());
  const double least = wish == ConvAlgorithm::winograd_4x4 ? 16 : wish == ConvAlgorithm::winograd_2x2 ? 6 : 4;
  CHECK(worst_error(got, want, largest_sum) <= least + std::sqrt(static_cast<double>(length)));
}

template <class T>
void check(const ConvShape& s) {
  CAPTURE(s.n, s.h, s.w, s.c, s.oh, s.ow, s.o, s.kh, s.kw, s.stride_h, s.stride_w, s.pad_top, s.pad_left,
          s.dilation_h, s.dilation_w, s.groups);
  const Results<Wide<T>> want = expected_results<Wide<T>>(s);
  on_each_isa([&] {
    const Results<T> got = computed<T>(s);
    const Index k = s.kh * s.kw * s.c / s.groups, positions = s.n * s.oh * s.ow;
    check_sums(got.plain, want.plain, largest(want.plain), k);
    check_sums(got.relu, want.relu, largest(want.plain), k);
    check_sums(got.relu6, want.relu6, largest(want.plain), k);
    check_sums(got.dx, want.dx, largest(want.dx), s.kh * s.kw * s.o / s.groups);
    check_sums(got.dw, want.dw, largest(want.dw), positions);
    check_sums(got.db, want.db, largest(want.db), positions);
  });
}

template <class T>
std::vector<T> joined(Results<T> r) {
  for (const auto* part : {&r.relu, &r.relu6, &r.dx, &r.dw, &r.db}) append(r.plain, *part);
  return std::move(r.plain);
}

}  // namespace

TEMPLATE_TEST_CASE("convolutions of random shapes agree with plain loops", "[conv]", float, double) {
  for (std::uint64_t key = 0; key < 60; ++key) check<TestType>(random_shape(key));
}

TEMPLATE_TEST_CASE("convolutions as networks have them agree with plain loops", "[conv]", float, double) {
  const ConvShape three{
      .n = 2, .h = 9, .w = 9, .c = 64, .o = 64, .kh = 3, .kw = 3, .pad_top = 1, .pad_left = 1};
  check<TestType>(fitted(three, 1, 1));
  ConvShape strided = three;
  strided.stride_h = strided.stride_w = 2;
  check<TestType>(fitted(strided, 1, 1));
  check<TestType>(fitted(strided, 0, 0));
  ConvShape dilated = three;
  dilated.dilation_h = dilated.dilation_w = dilated.pad_top = dilated.pad_left = 2;
  check<TestType>(fitted(dilated, 2, 2));
  const ConvShape stem{.n = 2,
                       .h = 32,
                       .w = 31,
                       .c = 3,
                       .o = 64,
                       .kh = 7,
                       .kw = 7,
                       .stride_h = 2,
                       .stride_w = 2,
                       .pad_top = 3,
                       .pad_left = 3};
  check<TestType>(fitted(stem, 3, 3));
  const ConvShape point{.n = 3, .h = 7, .w = 5, .c = 70, .o = 33};
  check<TestType>(fitted(point));
  ConvShape skip = point;
  skip.stride_h = skip.stride_w = 2;
  check<TestType>(fitted(skip));
  const ConvShape deep{
      .n = 1, .h = 3, .w = 4, .c = 300, .o = 130, .kh = 3, .kw = 3, .pad_top = 1, .pad_left = 1};
  check<TestType>(fitted(deep, 1, 1));
  const ConvShape grouped{
      .n = 2, .h = 6, .w = 7, .c = 32, .o = 48, .kh = 3, .kw = 3, .pad_top = 1, .pad_left = 1, .groups = 4};
  check<TestType>(fitted(grouped, 1, 1));
  const ConvShape depthwise{
      .n = 2, .h = 6, .w = 7, .c = 18, .o = 18, .kh = 3, .kw = 3, .pad_top = 1, .pad_left = 1, .groups = 18};
  check<TestType>(fitted(depthwise, 1, 1));
}

TEMPLATE_TEST_CASE("convolutions of no images give empty results and gradients of zero", "[conv]", float,
                   double) {
  check<TestType>({.n = 0,
                   .h = 9,
                   .w = 9,
                   .c = 32,
                   .oh = 9,
                   .ow = 9,
                   .o = 32,
                   .kh = 3,
                   .kw = 3,
                   .pad_top = 1,
                   .pad_left = 1});
  check<TestType>({.n = 0, .h = 9, .w = 9, .c = 5, .oh = 5, .ow = 5, .o = 6, .stride_h = 2, .stride_w = 2});
  check<TestType>({.n = 0, .h = 9, .w = 9, .c = 5, .oh = 9, .ow = 9, .o = 5, .groups = 5});
}

TEST_CASE("Winograd convolutions of random shapes agree with plain loops", "[conv][winograd]") {
  const auto algorithm = GENERATE(ConvAlgorithm::winograd_2x2, ConvAlgorithm::winograd_4x4);
  const kernels::ScopedConvPlan plan(algorithm);
  for (std::uint64_t key = 0; key < 40; ++key) {
    tl::Rng rng(6, key);
    const auto any = [&](Index low, Index high) {
      return low + static_cast<Index>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
    };
    const bool wide = rng.chance(.3);
    ConvShape s{.n = any(1, 3), .c = any(1, wide ? 300 : 40), .o = any(1, wide ? 80 : 40), .kh = 3, .kw = 3};
    s.pad_top = any(0, 3), s.pad_left = any(0, 3);
    s.h = any(3, wide ? 6 : 17), s.w = any(3, wide ? 6 : 17);
    s = fitted(s, any(0, 3), any(0, 3));
    REQUIRE(kernels::conv_plan<float>(s).backward_weight == algorithm);
    check<float>(s);
  }
}

TEST_CASE("Winograd convolutions agree with plain loops whether blocks are shared or private",
          "[conv][winograd]") {
  const kernels::ScopedConvPlan plan(GENERATE(ConvAlgorithm::winograd_2x2, ConvAlgorithm::winograd_4x4));
  const auto square = [](Index n, Index size, Index c, Index o) {
    return fitted(
        {.n = n, .h = size, .w = size, .c = c, .o = o, .kh = 3, .kw = 3, .pad_top = 1, .pad_left = 1}, 1, 1);
  };
  check<float>(square(2, 23, 64, 50));   // private, several blocks
  check<float>(square(1, 6, 140, 130));  // shared for the number of tiles
  check<float>(square(1, 5, 270, 260));  // shared for the weights, two blocks of k
  check<float>(square(2, 45, 9, 7));     // several blocks of the weights' gradient
}

TEST_CASE("the planner takes the algorithm with the fewest products and weights", "[conv][winograd]") {
  if (std::getenv("TL_WINOGRAD") != nullptr) return;  // then that decides, see below
  const auto direct = ConvAlgorithm::direct, two = ConvAlgorithm::winograd_2x2,
             four = ConvAlgorithm::winograd_4x4;
  const auto forward = [](Index n, Index size, Index channels) {
    const ConvShape s{.n = n,
                      .h = size,
                      .w = size,
                      .c = channels,
                      .o = channels,
                      .kh = 3,
                      .kw = 3,
                      .pad_top = 1,
                      .pad_left = 1};
    return kernels::conv_plan<float>(fitted(s, 1, 1)).forward;
  };
  // ResNet's stages at 224 pixels.
  CHECK(forward(1, 56, 64) == four);
  CHECK(forward(1, 28, 128) == four);
  CHECK(forward(1, 14, 256) == two);  // one image does not pay for the weights of F(4x4)
  CHECK(forward(1, 7, 512) == direct);
  CHECK(forward(16, 14, 256) == four);
  CHECK(forward(16, 7, 512) == four);
  // Small images, where tiles of 4x4 are half empty.
  CHECK(forward(16, 5, 256) == two);
  CHECK(forward(16, 2, 256) == two);
  CHECK(forward(1, 2, 256) == direct);
  CHECK(forward(16, 56, 16) == direct);  // few channels
}

TEST_CASE("the planner takes Winograd for 3x3 kernels of stride 1 alone, and never for double",
          "[conv][winograd]") {
  const kernels::ConvPlan direct{};
  const auto plan_of = [](ConvAlgorithm algorithm) {
    return kernels::ConvPlan{algorithm, algorithm, algorithm};
  };
  const ConvShape s = fitted(
      {.n = 2, .h = 56, .w = 56, .c = 64, .o = 64, .kh = 3, .kw = 3, .pad_top = 1, .pad_left = 1}, 1, 1);
  const auto changed = [&](auto member, Index value) {
    ConvShape other = s;
    other.*member = value;
    return other;
  };
  CHECK(tl::concat(plan_of(ConvAlgorithm::winograd_4x4)) ==
        "forward winograd 4x4, backward input winograd 4x4, backward weight winograd 4x4");
  for (const auto algorithm :
       {ConvAlgorithm::direct, ConvAlgorithm::winograd_2x2, ConvAlgorithm::winograd_4x4}) {
    const kernels::ScopedConvPlan scope(algorithm);
    CHECK(kernels::conv_plan<float>(s) == plan_of(algorithm));
    CHECK(kernels::conv_plan<float>(changed(&ConvShape::c, 3)) == plan_of(algorithm));
    CHECK(kernels::conv_plan<double>(s) == direct);
    CHECK(kernels::conv_plan<float>(changed(&ConvShape::stride_h, 2)) == direct);
    CHECK(kernels::conv_plan<float>(changed(&ConvShape::dilation_w, 2)) == direct);
    CHECK(kernels::conv_plan<float>(changed(&ConvShape::groups, 2)) == direct);
    CHECK(kernels::conv_plan<float>(changed(&ConvShape::kw, 5)) == direct);
  }
}

TEST_CASE("TL_WINOGRAD names an algorithm", "[conv][winograd]") {
  using kernels::internal::parse_winograd;
  CHECK(parse_winograd(nullptr) == kernels::internal::no_wish);
  CHECK(parse_winograd("") == kernels::internal::no_wish);
  CHECK(parse_winograd("0") == static_cast<int>(ConvAlgorithm::direct));
  CHECK(parse_winograd("2") == static_cast<int>(ConvAlgorithm::winograd_2x2));
  CHECK(parse_winograd("4") == static_cast<int>(ConvAlgorithm::winograd_4x4));
  CHECK_THROWS_WITH(parse_winograd("1"), tl::test::contains("0 (direct sums), 2 or 4"));
}

TEMPLATE_TEST_CASE("convolutions give the same bits at any thread count", "[conv]", float, double) {
  const ConvShape shapes[] = {
      fitted({.n = 3, .h = 14, .w = 14, .c = 24, .o = 40, .kh = 3, .kw = 3, .pad_top = 1, .pad_left = 1}, 1,
             1),
      fitted({.n = 2, .h = 30, .w = 30, .c = 3, .o = 20, .kh = 7, .kw = 7, .stride_h = 2, .stride_w = 2}),
      fitted({.n = 1, .h = 7, .w = 7, .c = 200, .o = 130, .stride_h = 2, .stride_w = 2})};
  for (const ConvShape& s : shapes) {
    on_each_isa([&] { check_same_bits_at_any_thread_count([&] { return joined(computed<TestType>(s)); }); });
  }
}

TEST_CASE("Winograd convolutions give the same bits at any thread count", "[conv][winograd]") {
  const kernels::ScopedConvPlan plan(GENERATE(ConvAlgorithm::winograd_2x2, ConvAlgorithm::winograd_4x4));
  const ConvShape shapes[] = {
      fitted({.n = 3, .h = 30, .w = 29, .c = 24, .o = 40, .kh = 3, .kw = 3, .pad_top = 1, .pad_left = 1}, 1,
             1),
      fitted({.n = 1, .h = 7, .w = 7, .c = 300, .o = 230, .kh = 3, .kw = 3, .pad_top = 1, .pad_left = 1}, 1,
             1)};
  for (const ConvShape& s : shapes) {
    on_each_isa([&] { check_same_bits_at_any_thread_count([&] { return joined(computed<float>(s)); }); });
  }
}

TEST_CASE("a packing is named by instruction set, groups and algorithm", "[conv]") {
  const ConvShape s = fitted({.n = 1, .h = 8, .w = 8, .c = 16, .o = 16, .kh = 3, .kw = 3});
  ConvShape batch = s, grouped = s;
  batch.n = 7;
  grouped.groups = 2;
  CHECK(kernels::conv_packing(s) == kernels::conv_packing(batch));
  CHECK(kernels::conv_packing(s) != kernels::conv_packing(grouped));
  std::set<std::uint64_t> names;
  for (const auto algorithm :
       {ConvAlgorithm::direct, ConvAlgorithm::winograd_2x2, ConvAlgorithm::winograd_4x4}) {
    const kernels::ScopedConvPlan plan(algorithm);
    on_each_isa([&] { names.insert(kernels::conv_packing(s)); });
  }
  CHECK(names.size() == 3 * kernels::available_isas().size());
}
