// exp, log, tanh and others of Vec<T> for one instruction set; described in simd_math.hpp.

namespace tl::kernels::TL_ISA {

/// c[0] + c[1] x + c[2] x^2 + ...
template <class T, std::size_t terms>
TL_INLINE Vec<T> polynomial(const std::array<T, terms>& c, Vec<T> x) {
  Vec<T> sum = Vec<T>::set1(c[terms - 1]);
  TL_UNROLL for (std::size_t i = terms - 1; i > 0; --i) sum = fma(sum, x, Vec<T>::set1(c[i - 1]));
  return sum;
}

/// x = k ln 2 + r with integral k; `tail` is e^r - 1 - r.
template <class T>
struct ReducedExp {
  Vec<T> k, r, tail;
};

template <class T>
TL_INLINE ReducedExp<T> reduce_exp(Vec<T> x) {
  using Constants = internal::MathConstants<T>;
  static constexpr auto series = internal::exp_series<T>();
  const Vec<T> k = round_even(x * Vec<T>::set1(static_cast<T>(1.44269504088896340736)));
  const Vec<T> high = fma(k, Vec<T>::set1(-Constants::ln2_high), x);
  const Vec<T> r = fma(k, Vec<T>::set1(-Constants::ln2_low), high);
  return {k, r, r * r * polynomial<T>(series, r)};
}

template <class T>
TL_INLINE Vec<T> exp(Vec<T> x) {
  using Constants = internal::MathConstants<T>;
  x = max(Vec<T>::set1(Constants::exp_lowest), min(Vec<T>::set1(Constants::exp_highest), x));
  const ReducedExp<T> e = reduce_exp(x);
  const Vec<T> half = round_even(e.k * Vec<T>::set1(T(0.5)));  // 2^k itself may be out of range
  return (Vec<T>::set1(1) + (e.r + e.tail)) * pow2(half) * pow2(e.k - half);
}

template <class T>
TL_INLINE Vec<T> expm1(Vec<T> x) {
  const ReducedExp<T> e = reduce_exp(x);
  const Vec<T> power = pow2(e.k);
  return fma(power, e.r + e.tail, power - Vec<T>::set1(1));
}

template <class T>
TL_INLINE Vec<T> log(Vec<T> x) {
  using V = Vec<T>;
  using Constants = internal::MathConstants<T>;
  using Limits = std::numeric_limits<T>;
  static constexpr auto series = internal::log_series<T>();
  const V one = V::set1(1);
  const Mask<T> subnormal = x < V::set1(Limits::min());
  const V normal = select(subnormal, x * V::set1(2 / Limits::epsilon()), x);
  V e = exponent(normal) - select(subnormal, V::set1(T(Limits::digits)), V::zero());
  V m = mantissa(normal);
  const Mask<T> upper = m > V::set1(static_cast<T>(1.41421356237309504880));
  m = select(upper, m * V::set1(T(0.5)), m);
  e = select(upper, e + one, e);

  const V f = m - one;
  const V s = f / (V::set1(2) + f);
  const V z = s * s;
  const V rest = z * polynomial<T>(series, z);  // log(1+f) = 2s + s rest = f - s (f - rest)
  const V low = s * (f - rest) - e * V::set1(Constants::ln2_low);
  V y = e * V::set1(Constants::ln2_high) - (low - f);

  y = select(x == V::zero(), V::set1(-Limits::infinity()), y);
  y = select(x == V::set1(Limits::infinity()), x, y);
  return select(x >= V::zero(), y, V::set1(Limits::quiet_NaN()));
}

template <class T>
TL_INLINE Vec<T> log1p(Vec<T> x) {
  const Vec<T> u = Vec<T>::set1(1) + x, rounded = u - Vec<T>::set1(1);
  return select(rounded == Vec<T>::zero(), x, log(u) * (x / rounded));
}

template <class T>
TL_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> one = Vec<T>::set1(1);
  const Vec<T> e = exp(-abs(x));
  return select(x >= Vec<T>::zero(), one, e) / (one + e);
}

template <class T>
TL_INLINE Vec<T> tanh(Vec<T> x) {
  using Constants = internal::MathConstants<T>;
  const Vec<T> size = abs(x);
  const Vec<T> bounded = min(Vec<T>::set1(Constants::tanh_saturates), size);
  const Vec<T> e = expm1(bounded + bounded);
  const Vec<T> y = e / (e + Vec<T>::set1(2));
  return from_bits(bits(y) | (bits(x) ^ bits(size)));  // the sign of x
}

template <class T>
struct Normal {
  Vec<T> distribution, density;
};

template <class T>
TL_INLINE Normal<T> normal(Vec<T> x) {
  using V = Vec<T>;
  using Constants = internal::MathConstants<T>;
  const V size = min(V::set1(Constants::normal_highest), abs(x));
  const V c = V::set1(Constants::normal_center);
  const V inverse = V::set1(1) / (size + c);
  const V e = exp(size * size * V::set1(T(-0.5)));
  const V tail = e * inverse * polynomial<T>(Constants::normal_polynomial, (size - c) * inverse);
  return {select(x < V::zero(), tail, V::set1(1) - tail),
          e * V::set1(static_cast<T>(0.39894228040143267794))};
}

template <class T>
TL_INLINE Vec<T> erf(Vec<T> x) {
  using V = Vec<T>;
  static constexpr auto series = internal::erf_series<T>();
  const V size = abs(x), one = V::set1(1);
  const V tail = normal(-(size * V::set1(static_cast<T>(1.41421356237309504880)))).distribution;
  const V large = one - (tail + tail);
  return select(size < V::set1(T(0.5)), x * polynomial<T>(series, x * x),
                from_bits(bits(large) | (bits(x) ^ bits(size))));
}

}  // namespace tl::kernels::TL_ISA
