// Functions of vectors: exp, log, expm1, log1p, tanh, sigmoid, erf and the normal distribution, for
// Vec<float> and Vec<double> on each instruction set. For use in impl/*.inl files.
//
//   exp(x)             2^k e^r, k = round(x / ln 2), |r| <= ln(2)/2, e^r by its power series
//   expm1(x)           e^x - 1 for |x| <= 80, without cancellation near 0
//   log(x)             e ln 2 + log(m), m in [sqrt(1/2), sqrt(2)), log(m) = 2 artanh((m-1)/(m+1))
//   sigmoid(x)         from exp(-|x|), so that neither end overflows
//   tanh(x)            expm1(2|x|) / (expm1(2|x|) + 2)
//   log1p(x)           log(1 + x) for 0 <= x <= 1: log(u) x / (u - 1) undoes the rounding of u = 1 + x
//   normal(x)          Phi(x) and phi(x), distribution and density of the standard normal
//   erf(x)             its power series up to 1/2, 1 - 2 Phi(-sqrt(2) x) beyond
//
// Errors in units in the last place: exp and log below 1, expm1 2, sigmoid and tanh 2.5, Phi 5 + x^2/4. NaN
// gives NaN; overflow, underflow and subnormal numbers as in <cmath>. The reductions follow Cody and Waite
// 1980, "Software Manual for the Elementary Functions".
#pragma once

#include <array>
#include <cstddef>
#include <limits>

#include <tl/kernels/simd.hpp>

namespace tl::kernels::internal {

template <class T>
struct MathConstants;

template <>
struct MathConstants<float> {
  static constexpr float ln2_high = 0x1.63p-1f;  // 9 bits, so that k * ln2_high is exact
  static constexpr float ln2_low = -2.12194440e-4f;
  static constexpr float exp_lowest = -104.0f, exp_highest = 89.0f;
  static constexpr float tanh_saturates = 10.0f;
  static constexpr int exp_degree = 7, log_terms = 4, erf_terms = 7;
  // exp(x^2/2) Phi(-x) (x + c) as a polynomial in (x-c)/(x+c), interpolated at Chebyshev's points of [0,15].
  static constexpr float normal_center = 4.0f, normal_highest = 15.0f;
  static constexpr std::array normal_polynomial{
      7.552851386e-1f,  -6.078965941e-1f, 3.871366831e-1f, -1.865233068e-1f, 6.040618551e-2f,
      -7.525402418e-3f, -3.520972824e-3f, 1.566881688e-3f, 1.889965194e-4f,  -1.255583856e-4f};
};

template <>
struct MathConstants<double> {
  static constexpr double ln2_high = 6.93145751953125e-1;  // 20 bits
  static constexpr double ln2_low = 1.42860682030941723212e-6;
  static constexpr double exp_lowest = -746.0, exp_highest = 710.0;
  static constexpr double tanh_saturates = 22.0;
  static constexpr int exp_degree = 13, log_terms = 11, erf_terms = 13;
  static constexpr double normal_center = 6.0, normal_highest = 40.0;
  static constexpr std::array normal_polynomial{
      7.77351771893362174e-1,  -7.01009029590865525e-1, 5.68968891814789236e-1, -4.13903585775592664e-1,
      2.67974245841355142e-1,  -1.52680232064472745e-1, 7.51719156753218431e-2, -3.09853155064862378e-2,
      1.00298205711239414e-2,  -2.13160523618629576e-3, 3.28704572900531207e-5, 1.81360657341464736e-4,
      -6.47536961202941844e-5, 1.07441238205911918e-6,  6.80045157779861814e-6, -1.79629291688064992e-6,
      -4.35534213216657667e-7, 3.04596480536068656e-7,  1.24650612702751983e-8, -3.77816564629587916e-8,
      2.27871102717622372e-10, 2.74939182610010595e-9};
};

/// 1/2!, 1/3!, ... 1/degree!
template <class T>
constexpr auto exp_series() {
  std::array<T, MathConstants<T>::exp_degree - 1> c{};
  double factorial = 1;
  for (std::size_t i = 0; i < c.size(); ++i) {
    factorial *= static_cast<double>(i + 2);
    c[i] = static_cast<T>(1 / factorial);
  }
  return c;
}

/// 2/3, 2/5, ...
template <class T>
constexpr auto log_series() {
  std::array<T, MathConstants<T>::log_terms> c{};
  for (std::size_t i = 0; i < c.size(); ++i) c[i] = static_cast<T>(2.0 / static_cast<double>(2 * i + 3));
  return c;
}

/// erf(x) / x as a series in x^2: 2/sqrt(pi) times 1, -1/(1! 3), 1/(2! 5), ...
template <class T>
constexpr auto erf_series() {
  std::array<T, MathConstants<T>::erf_terms> c{};
  double term = 1.12837916709551257390;
  for (std::size_t i = 0; i < c.size(); ++i) {
    c[i] = static_cast<T>(term / static_cast<double>(2 * i + 1));
    term = -term / static_cast<double>(i + 1);
  }
  return c;
}

}  // namespace tl::kernels::internal

#define TL_KERNELS_IMPL <tl/kernels/impl/simd_math.inl>
#include <tl/kernels/for_each_isa.hpp>
