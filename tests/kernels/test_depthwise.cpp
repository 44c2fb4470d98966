// Depthwise convolution and its gradients against the plain loops of a grouped convolution, on each
// instruction set.
#include <tl/kernels/depthwise.hpp>
#include <tl/kernels/reference/conv.hpp>
#include "kernels/kernel_checks.hpp"

using namespace tl::kernels;
using namespace kernel_checks;

namespace {

struct Case {
  Index n, h, w, c, multiplier, kh, kw, stride_h, stride_w, top, left, bottom, right, dilation_h, dilation_w;

  ConvShape shape() const {
    ConvShape s{.n = n,
                .h = h,
                .w = w,
                .c = c,
                .o = c * multiplier,
                .kh = kh,
                .kw = kw,
                .stride_h = stride_h,
                .stride_w = stride_w,
                .pad_top = top,
                .pad_left = left,
                .dilation_h = dilation_h,
                .dilation_w = dilation_w,
                .groups = c};
    s.oh = (h + top + bottom - dilation_h * (kh - 1) - 1) / stride_h + 1;
    s.ow = (w + left + right - dilation_w * (kw - 1) - 1) / stride_w + 1;
    return s;
  }
};

const Case cases[] = {
    // EfficientNet-Lite0's kinds of layers, with fewer channels
    {1, 28, 28, 70, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 30, 30, 24, 1, 3, 3, 2, 2, 0, 0, 1, 1, 1, 1},
    {1, 28, 28, 66, 1, 5, 5, 1, 1, 2, 2, 2, 2, 1, 1},
    {1, 28, 28, 33, 1, 5, 5, 2, 2, 1, 1, 2, 2, 1, 1},
    {2, 7, 7, 130, 1, 5, 5, 1, 1, 2, 2, 2, 2, 1, 1},
    {3, 7, 7, 65, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    // odd sizes, tails, one-sided padding, long and short kernels, strides, dilations, multipliers
    {1, 1, 1, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1},
    {1, 5, 3, 3, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 9, 40, 17, 1, 3, 3, 1, 1, 0, 2, 1, 0, 1, 1},
    {1, 13, 19, 9, 1, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
    {1, 12, 23, 31, 1, 5, 5, 2, 2, 2, 2, 2, 2, 1, 1},
    {1, 6, 33, 16, 1, 1, 7, 1, 1, 0, 3, 0, 3, 1, 1},
    {1, 33, 6, 5, 1, 7, 1, 1, 1, 3, 0, 3, 0, 1, 1},
    {1, 14, 15, 8, 1, 2, 4, 1, 1, 1, 1, 0, 2, 1, 1},
    {1, 17, 18, 12, 1, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1},
    {1, 17, 18, 12, 1, 2, 2, 3, 3, 0, 0, 0, 0, 1, 1},
    {1, 16, 20, 21, 1, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2},
    {1, 16, 21, 7, 1, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2},
    {1, 20, 21, 7, 1, 3, 3, 2, 2, 3, 3, 3, 3, 3, 3},
    {1, 20, 25, 4, 1, 4, 5, 4, 6, 2, 3, 1, 2, 2, 3},
    {1, 11, 12, 6, 1, 1, 1, 2, 2, 0, 0, 0, 0, 1, 1},
    {1, 8, 8, 4, 1, 3, 3, 1, 2, 1, 1, 1, 1, 1, 1},
    {1, 6, 6, 3, 1, 3, 3, 1, 1, 4, 4, 4, 4, 1, 1},
    {2, 10, 11, 5, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 10, 11, 7, 3, 5, 5, 2, 2, 2, 2, 2, 2, 1, 1},
    {0, 7, 7, 8, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
};

}  // namespace

TEMPLATE_TEST_CASE("depthwise convolution, with bias and activation", "[depthwise]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const ConvShape s = cases[i].shape();
    const auto x = random_values<T>(s.input_size(), 100), w = random_values<T>(s.weight_size(), 101);
    const auto bias = random_values<T>(s.o, 102);
    const auto wide_x = converted<W>(x), wide_w = converted<W>(w), wide_bias = converted<W>(bias);
    for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6}) {
      const bool with_bias = activation != Activation::none;
      ConvEpilogue<W> epilogue;
      epilogue.activation = activation;
      std::vector<W> want(size_of(s.output_size()));
      reference::conv_forward(s, wide_x.data(), wide_w.data(), with_bias ? wide_bias.data() : nullptr,
                              epilogue, want.data());
      on_each_isa([&] {
        INFO("case " << i << ", activation " << static_cast<int>(activation));
        std::vector<T> packed(w.size()), y(want.size(), std::numeric_limits<T>::quiet_NaN());
        depthwise_pack(s, w.data(), packed.data());
        depthwise_forward(s, x.data(), packed.data(), with_bias ? bias.data() : nullptr, activation,
                          y.data());
        CHECK(worst_error(y, want, static_cast<double>(s.kh * s.kw)) <= 4);
      });
    }
  }
}

TEMPLATE_TEST_CASE("gradients of depthwise convolution", "[depthwise]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const ConvShape s = cases[i].shape();
    const auto x = random_values<T>(s.input_size(), 103), w = random_values<T>(s.weight_size(), 104);
    const auto dy = random_values<T>(s.output_size(), 105);
    const auto wide_x = converted<W>(x), wide_w = converted<W>(w), wide_dy = converted<W>(dy);
    std::vector<W> want_dx(x.size()), want_dw(w.size());
    reference::conv_backward_input(s, wide_dy.data(), wide_w.data(), want_dx.data());
    reference::conv_backward_weight(s, wide_x.data(), wide_dy.data(), want_dw.data());
    on_each_isa([&] {
      INFO("case " << i);
      std::vector<T> dx(x.size(), std::numeric_limits<T>::quiet_NaN()),
          dw(w.size(), std::numeric_limits<T>::quiet_NaN());
      depthwise_backward_input(s, dy.data(), w.data(), dx.data());
      CHECK(worst_error(dx, want_dx, static_cast<double>(s.kh * s.kw)) <= 4);
      depthwise_backward_weight(s, x.data(), dy.data(), dw.data());
      CHECK(worst_error(dw, want_dw, static_cast<double>(std::max<Index>(1, s.n * s.oh * s.ow))) <= 2);
    });
  }
}

TEMPLATE_TEST_CASE("depthwise convolution has the same bits at any thread count", "[depthwise]", float,
                   double) {
  using T = TestType;
  const ConvShape shapes[] = {Case{1, 56, 56, 40, 1, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1}.shape(),
                              Case{2, 14, 14, 200, 1, 5, 5, 1, 1, 2, 2, 2, 2, 1, 1}.shape()};
  for (const ConvShape& s : shapes) {
    const auto x = random_values<T>(s.input_size(), 106), w = random_values<T>(s.weight_size(), 107);
    on_each_isa([&] {
      check_same_bits_at_any_thread_count([&] {
        std::vector<T> out(size_of(s.output_size() + s.input_size() + s.weight_size()));
        T *y = out.data(), *dx = y + s.output_size(), *dw = dx + s.input_size();
        std::vector<T> packed(w.size());
        depthwise_pack(s, w.data(), packed.data());
        depthwise_forward(s, x.data(), packed.data(), static_cast<const T*>(nullptr), Activation::none, y);
        depthwise_backward_input(s, y, w.data(), dx);
        depthwise_backward_weight(s, x.data(), y, dw);
        return out;
      });
    });
  }
}
