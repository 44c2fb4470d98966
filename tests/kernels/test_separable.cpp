// Convolutions by bands give the bits of the same convolutions one after the other.
#include <vector>

#include <tl/kernels/separable.hpp>
#include "kernels/kernel_checks.hpp"

using namespace kernel_checks;
using namespace tl::kernels;
using tl::Index;

namespace {

struct Case {
  Index n, size, in, wide, multiplier, out;
  Index first_kernel, first_stride;  // 0: there is no first convolution
  Index kernel, stride, pad, dilation;
  bool adds;
};

ConvShape square(Index n, Index size, Index c, Index o, Index kernel, Index stride, Index pad, Index dilation,
                 Index groups) {
  const Index out = (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
  ConvShape s{.n = n, .h = size, .w = size, .c = c, .oh = out, .ow = out, .o = o, .kh = kernel, .kw = kernel};
  s.stride_h = s.stride_w = stride;
  s.pad_top = s.pad_left = pad;
  s.dilation_h = s.dilation_w = dilation;
  s.groups = groups;
  return s;
}

// Heights from one band to many: a band holds about 131,072 floats.
constexpr Case cases[] = {
    {2, 56, 24, 144, 1, 24, 1, 1, 3, 1, 1, 1, true},   // EfficientNet-Lite0
    {1, 28, 40, 240, 1, 80, 1, 1, 3, 2, 1, 1, false},  // the same, with a stride
    {1, 112, 3, 32, 1, 16, 3, 2, 3, 1, 1, 1, false},   // a stem in front
    {3, 61, 32, 32, 1, 13, 0, 0, 3, 1, 1, 1, true},    // MobileNet: no first convolution
    {1, 57, 9, 70, 2, 5, 1, 1, 5, 3, 2, 1, false},     // two filters a channel
    {1, 80, 8, 96, 1, 7, 1, 1, 3, 1, 4, 4, true},      // far taps: more is kept than made
    {1, 90, 4, 64, 1, 3, 1, 1, 3, 5, 0, 1, false},     // rows that nobody sees
    {1, 60, 5, 48, 1, 11, 5, 2, 7, 1, 5, 1, true},     // more padding than a band has rows
    {5, 1, 6, 12, 1, 6, 1, 1, 3, 1, 1, 1, true},       // one pixel
    {1, 40, 3, 512, 1, 4, 1, 1, 3, 2, 1, 1, false},    // a row is a band
    {0, 20, 3, 16, 1, 4, 1, 1, 3, 1, 1, 1, false},     // no image
};

template <class T>
struct Weights {
  std::vector<T> packed, bias;
  ConvStage<T> stage(const ConvShape& shape, Activation activation) const {
    return {shape, packed.data(), bias.data(), activation};
  }
  Weights(const ConvShape& shape, std::uint64_t key)
      : packed(size_of(conv_packed_size<T>(shape))), bias(random_values<T>(shape.o, key)) {
    const auto w = random_values<T>(shape.weight_size(), key + 1, -0.5, 0.5);
    conv_pack(shape, w.data(), packed.data());
  }
};

template <class T>
void check(const Case& c) {
  const bool expands = c.first_kernel > 0;
  ConvShape first = square(c.n, c.size, c.in, c.wide, std::max<Index>(1, c.first_kernel),
                           std::max<Index>(1, c.first_stride), c.first_kernel / 2, 1, 1);
  const Index middle = expands ? first.oh : c.size;
  const ConvShape depthwise =
      square(c.n, middle, c.wide, c.wide * c.multiplier, c.kernel, c.stride, c.pad, c.dilation, c.wide);
  const ConvShape pointwise = square(c.n, depthwise.oh, depthwise.o, c.out, 1, 1, 0, 1, 1);
  const auto x = random_values<T>(expands ? first.input_size() : depthwise.input_size(), 200);
  const auto residual = random_values<T>(pointwise.output_size(), 201);
  on_each_isa([&] {
    const Weights<T> w1(first, 202), w2(depthwise, 204), w3(pointwise, 206);
    SeparableConv<T> conv{.depthwise = w2.stage(depthwise, Activation::relu6),
                          .pointwise = w3.stage(pointwise, Activation::none)};
    if (expands) conv.first = w1.stage(first, Activation::relu);

    std::vector<T> wide = x, deep(size_of(depthwise.output_size())), want = residual;
    if (expands) {
      wide.assign(size_of(first.output_size()), T(0));
      conv_forward(first, x.data(), w1.packed.data(), w1.bias.data(), {.activation = Activation::relu},
                   wide.data());
    }
    conv_forward(depthwise, wide.data(), w2.packed.data(), w2.bias.data(), {.activation = Activation::relu6},
                 deep.data());
    conv_forward(pointwise, deep.data(), w3.packed.data(), w3.bias.data(),
                 {.residual = c.adds ? residual.data() : nullptr}, want.data());

    check_same_bits_at_any_thread_count([&] {
      std::vector<T> y = residual;  // which may be overwritten while it is added
      conv.residual = c.adds ? y.data() : nullptr;
      separable_forward(conv, x.data(), y.data());
      CHECK(y == want);
      return y;
    });
  });
}

}  // namespace

TEMPLATE_TEST_CASE("convolutions by bands have the bits of convolutions one after the other", "[separable]",
                   float, double) {
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    INFO("case " << i);
    check<TestType>(cases[i]);
  }
}

TEST_CASE("bands pay where the values between outweigh the weights", "[separable]") {
  const auto pays = [](Index n, Index size, Index in, Index wide, Index out) {
    const ConvShape first = square(n, size, in, wide, 1, 1, 0, 1, 1);
    return separable_pays(&first, square(n, size, wide, wide, 3, 1, 1, 1, wide),
                          square(n, size, wide, out, 1, 1, 0, 1, 1));
  };
  CHECK(pays(16, 112, 16, 96, 24));
  CHECK(pays(16, 14, 80, 480, 80));
  CHECK_FALSE(pays(16, 14, 112, 672, 112));
  CHECK(pays(1, 14, 112, 672, 112));
  CHECK_FALSE(pays(1, 7, 192, 1152, 192));
  const ConvShape depthwise = square(1, 14, 512, 512, 3, 1, 1, 1, 512);
  CHECK_FALSE(separable_pays(nullptr, depthwise, square(1, 14, 512, 512, 1, 1, 0, 1, 1)));
}
