// Batch normalisation against plain loops in a wider type, on each instruction set.
#include <tl/kernels/batchnorm.hpp>
#include <tl/kernels/reference/batchnorm.hpp>
#include "kernels/kernel_checks.hpp"

using namespace tl::kernels;
using namespace kernel_checks;

namespace {

const Index sizes[][2] = {{1, 1},     {2, 3},    {7, 16},   {100, 1},   {513, 5},
                          {1500, 17}, {300, 64}, {97, 130}, {3100, 33}, {40, 2049}};
const Activation activations[] = {Activation::none, Activation::relu, Activation::relu6};

}  // namespace

TEMPLATE_TEST_CASE("statistics of channels", "[batchnorm]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  on_each_isa([&] {
    for (const auto& [rows, channels] : sizes) {
      INFO(rows << " x " << channels);
      const auto x = random_values<T>(rows * channels, 50);
      std::vector<T> mean(size_of(channels)), var(mean);
      std::vector<W> want_mean(mean.size()), want_var(mean.size());
      batchnorm_statistics(rows, channels, x.data(), mean.data(), var.data());
      reference::batchnorm_statistics(rows, channels, converted<W>(x).data(), want_mean.data(),
                                      want_var.data());
      CHECK(worst_error(mean, want_mean, 1) <= 3);
      CHECK(worst_error(var, want_var, 1) <= 6);
    }
  });
}

TEMPLATE_TEST_CASE("the variance is accurate beside a large mean", "[batchnorm]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  const Index rows = 20000, channels = 3;
  const W offset = std::is_same_v<T, float> ? W(4000) : W(1e11);  // the deviations have 12 bits left
  std::vector<T> x = random_values<T>(rows * channels, 51);
  for (T& v : x) v += static_cast<T>(offset);
  std::vector<W> want_mean(3), want_var(3);
  reference::batchnorm_statistics(rows, channels, converted<W>(x).data(), want_mean.data(), want_var.data());
  on_each_isa([&] {
    std::vector<T> mean(3), var(3);
    batchnorm_statistics(rows, channels, x.data(), mean.data(), var.data());
    CHECK(worst_error(mean, want_mean, 1e-30) <= 2);
    for (std::size_t c = 0; c < 3; ++c) CHECK(std::abs(static_cast<double>(var[c] / want_var[c]) - 1) < 1e-5);
  });
}

TEMPLATE_TEST_CASE("normalisation with an activation", "[batchnorm]", float, double) {
  using T = TestType;
  using W = Wide<T>;
  on_each_isa([&] {
    for (const auto& [rows, channels] : sizes) {
      const auto x = random_values<T>(rows * channels, 52, -4, 8), mean = random_values<T>(channels, 53);
      const auto var = random_values<T>(channels, 54, .1, 3), gamma = random_values<T>(channels, 55),
                 beta = random_values<T>(channels, 56);
      const auto residual = random_values<T>(rows * channels, 65, -2, 2);
      const auto wide_residual = converted<W>(residual);
      std::vector<T> inv_std(mean.size()), scale(mean), shift(mean), y(x.size());
      for (const bool affine : {true, false}) {
        batchnorm_scale_shift(channels, mean.data(), var.data(), T(1e-3), affine ? gamma.data() : nullptr,
                              affine ? beta.data() : nullptr, inv_std.data(), scale.data(), shift.data());
        std::vector<W> want_inv(mean.size()), want_scale(mean.size()), want_shift(mean.size());
        for (std::size_t c = 0; c < mean.size(); ++c) {
          want_inv[c] = 1 / std::sqrt(static_cast<W>(var[c]) + static_cast<W>(T(1e-3)));
          want_scale[c] = affine ? gamma[c] * want_inv[c] : want_inv[c];
          want_shift[c] = (affine ? beta[c] : W(0)) - mean[c] * want_scale[c];
        }
        CHECK(worst_error(inv_std, want_inv, 1e-30) <= 2);
        CHECK(worst_error(scale, want_scale, 1e-30) <= 3);
        CHECK(worst_error(shift, want_shift, 4) <= 4);
      }
      for (const Activation activation : activations) {
        INFO(rows << " x " << channels << ", activation " << static_cast<int>(activation));
        std::vector<W> want(x.size());
        for (const bool adds : {false, true}) {
          const T* added = adds ? residual.data() : nullptr;
          const W* wide_added = adds ? wide_residual.data() : nullptr;
          batchnorm_apply(rows, channels, x.data(), scale.data(), shift.data(), added, activation, y.data());
          reference::batchnorm_apply(rows, channels, converted<W>(x).data(), converted<W>(scale).data(),
                                     converted<W>(shift).data(), wide_added, activation, want.data());
          CHECK(worst_error(y, want, 16) <= 1.5);
          std::vector<T> in_place = x;
          batchnorm_apply(rows, channels, in_place.data(), scale.data(), shift.data(), added, activation,
                          in_place.data());
          CHECK(in_place == y);
        }
        std::vector<T> on_residual = residual;
        batchnorm_apply(rows, channels, x.data(), scale.data(), shift.data(), on_residual.data(), activation,
                        on_residual.data());
        CHECK(on_residual == y);
      }
    }
  });
}

TEMPLATE_TEST_CASE("gradients of batch normalisation in training and inference mode", "[batchnorm]", float,
                   double) {
  using T = TestType;
  using W = Wide<T>;
  on_each_isa([&] {
    for (const auto& [rows, channels] : sizes) {
      const auto x = random_values<T>(rows * channels, 57), dy = random_values<T>(rows * channels, 58);
      const auto y = random_values<T>(rows * channels, 59, -3, 9);
      const auto mean = random_values<T>(channels, 60, -1, 1),
                 inv_std = random_values<T>(channels, 61, .5, 2);
      const auto gamma = random_values<T>(channels, 62);
      const auto wide_x = converted<W>(x), wide_dy = converted<W>(dy), wide_y = converted<W>(y),
                 wide_mean = converted<W>(mean), wide_inv_std = converted<W>(inv_std),
                 wide_gamma = converted<W>(gamma);
      for (const Activation activation : activations) {
        for (const bool affine : {true, false}) {
          for (const bool training : {true, false}) {
            INFO(rows << " x " << channels << ", activation " << static_cast<int>(activation)
                      << (training ? ", training" : ", inference"));
            const T* no_y = nullptr;
            const BatchnormGradient<T> in{x.data(),       mean.data(),
                                          inv_std.data(), affine ? gamma.data() : nullptr,
                                          dy.data(),      activation == Activation::none ? no_y : y.data(),
                                          activation};
            const BatchnormGradient<W> wide{
                wide_x.data(),  wide_mean.data(), wide_inv_std.data(), affine ? wide_gamma.data() : nullptr,
                wide_dy.data(), wide_y.data(),    activation};
            const auto backward = training ? batchnorm_backward<T> : batchnorm_backward_inference<T>;
            std::vector<T> dgamma(mean.size()), dbeta(mean.size()), dx(x.size());
            std::vector<W> want_dgamma(mean.size()), want_dbeta(mean.size()), want_dx(x.size());
            backward(rows, channels, in, dgamma.data(), dbeta.data(), dx.data());
            reference::batchnorm_backward(rows, channels, wide, training, want_dgamma.data(),
                                          want_dbeta.data(), want_dx.data());
            CHECK(worst_error(dbeta, want_dbeta, static_cast<double>(rows)) <= 2);
            CHECK(worst_error(dgamma, want_dgamma, 6 * static_cast<double>(rows)) <= 2);
            CHECK(worst_error(dx, want_dx, 16) <= 4);

            std::vector<T> masked(x.size()), of_dgamma(dgamma), of_dx(x.size());
            BatchnormGradient<T> with_residual = in;
            with_residual.residual_gradient = masked.data();
            backward(rows, channels, with_residual, of_dgamma.data(), dbeta.data(), of_dx.data());
            CHECK(of_dgamma == dgamma);
            CHECK(of_dx == dx);
            for (std::size_t i = 0; i < x.size(); ++i)
              of_dx[i] = reference::activation_gradient(activation, y[i], dy[i]);
            CHECK(masked == of_dx);
            backward(rows, channels, with_residual, of_dgamma.data(), dbeta.data(), nullptr);
            CHECK(masked == of_dx);

            std::vector<T> again(dgamma), in_place = dy;
            BatchnormGradient<T> own = in;
            own.dy = in_place.data();
            backward(rows, channels, own, again.data(), dbeta.data(), in_place.data());
            CHECK(in_place == dx);
            backward(rows, channels, in, again.data(), dbeta.data(), nullptr);
            CHECK(again == dgamma);
            if (!training) {
              BatchnormGradient<T> frozen = in;
              frozen.x = frozen.mean = nullptr;
              std::vector<T> only(x.size());
              backward(rows, channels, frozen, nullptr, nullptr, only.data());
              CHECK(only == dx);
              frozen.residual_gradient = masked.data();
              std::fill(masked.begin(), masked.end(), T(7));
              backward(rows, channels, frozen, nullptr, nullptr, only.data());
              CHECK(only == dx);
              CHECK(masked == of_dx);
            }
          }
        }
      }
    }
  });
}

TEMPLATE_TEST_CASE("batch normalisation has the same bits at any thread count", "[batchnorm]", float,
                   double) {
  using T = TestType;
  const Index rows = 3000, channels = 48;
  const auto x = random_values<T>(rows * channels, 63), dy = random_values<T>(rows * channels, 64);
  const std::vector<T> ones(48, T(1));
  on_each_isa([&] {
    check_same_bits_at_any_thread_count([&] {
      std::vector<T> all, y(x.size()), dx(x.size()), masked(x.size()), of_channels(7 * 48);
      T *mean = of_channels.data(), *var = mean + 48, *inv_std = var + 48, *scale = inv_std + 48,
        *shift = scale + 48, *dgamma = shift + 48, *dbeta = dgamma + 48;
      batchnorm_statistics(rows, channels, x.data(), mean, var);
      batchnorm_scale_shift(channels, mean, var, T(1e-5), ones.data(), ones.data(), inv_std, scale, shift);
      batchnorm_apply(rows, channels, x.data(), scale, shift, dy.data(), Activation::relu, y.data());
      append(all, y);
      const BatchnormGradient<T> in{x.data(),  mean,     inv_std,          ones.data(),
                                    dy.data(), y.data(), Activation::relu, masked.data()};
      for (const auto backward : {batchnorm_backward<T>, batchnorm_backward_inference<T>}) {
        backward(rows, channels, in, dgamma, dbeta, dx.data());
        for (const auto* part : {&of_channels, &masked, &dx}) append(all, *part);
      }
      return all;
    });
  });
}
