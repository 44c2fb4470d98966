// Lane by lane checks of Vec<T>, compiled for each instruction set by test_isa.cpp.

namespace tl::kernels::TL_ISA {

template <class T>
void check_vec() {
  using V = Vec<T>;
  constexpr int width = V::width;
  static_assert(width * sizeof(T) == TL_ISA_BYTES);
  std::vector<T> a(width), b(width), c(width), y(width + 1);
  Rng rng(7, sizeof(T));
  for (std::size_t i = 0; i < width; ++i) {
    a[i] = static_cast<T>(rng.uniform(-9, 9));
    b[i] = static_cast<T>(rng.uniform(.5, 9));
    c[i] = static_cast<T>(rng.uniform(-9, 9));
  }
  a[0] = b[0];
  const V va = V::load(a.data()), vb = V::load(b.data()), vc = V::load(c.data());
  const auto each = [&](V result, auto expected) {
    for (int i = 0; i < width; ++i) {
      const auto at = static_cast<std::size_t>(i);
      CHECK(result[i] == static_cast<T>(expected(a[at], b[at], c[at])));
    }
  };
  each(va + vb, [](T x, T y_, T) { return x + y_; });
  each(va - vb, [](T x, T y_, T) { return x - y_; });
  each(va * vb, [](T x, T y_, T) { return x * y_; });
  each(va / vb, [](T x, T y_, T) { return x / y_; });
  each(-va, [](T x, T, T) { return -x; });
  if (TL_ISA_LEVEL > 0) {
    each(fma(va, vb, vc), [](T x, T y_, T z) { return std::fma(x, y_, z); });
  } else {
    each(fma(va, vb, vc), [](T x, T y_, T z) {
      const volatile T product = x * y_;
      return product + z;
    });
  }
  each(min(va, vb), [](T x, T y_, T) { return x < y_ ? x : y_; });
  each(max(va, vb), [](T x, T y_, T) { return x > y_ ? x : y_; });
  each(sqrt(vb), [](T, T y_, T) { return std::sqrt(y_); });
  each(abs(va), [](T x, T, T) { return std::abs(x); });
  each(round_even(va), [](T x, T, T) { return std::nearbyint(x); });
  each(round_even(V::set1(T(2.5))), [](T, T, T) { return 2; });
  each(select(va < vc, va, vb), [](T x, T y_, T z) { return x < z ? x : y_; });
  each(select(va <= vb, va, vc), [](T x, T y_, T z) { return x <= y_ ? x : z; });
  each(select(va > vc, va, vb), [](T x, T y_, T z) { return x > z ? x : y_; });
  each(select(va >= vb, va, vc), [](T x, T y_, T z) { return x >= y_ ? x : z; });
  each(select(va == vb, V::set1(1), V::zero()), [](T x, T y_, T) { return x == y_ ? 1 : 0; });
  each(select(va != vb, V::set1(1), V::zero()), [](T x, T y_, T) { return x != y_ ? 1 : 0; });
  each(select(!(va < vc) & (va > vb), va, vb), [](T x, T y_, T z) { return !(x < z) && x > y_ ? x : y_; });
  each(select((va < vc) | (va > vb), va, vb), [](T x, T y_, T z) { return x < z || x > y_ ? x : y_; });
  CHECK(any(va == vb));
  CHECK_FALSE(any(va != va));

  const T nan = std::numeric_limits<T>::quiet_NaN();
  CHECK(max(V::set1(nan), V::set1(1))[0] == T(1));
  CHECK(std::isnan(max(V::zero(), V::set1(nan))[width - 1]));
  CHECK(std::isnan(min(V::zero(), V::set1(nan))[width - 1]));
  CHECK(any(V::set1(nan) != V::set1(nan)));

  for (const int e : {-126, -1, 0, 3, 127}) {
    const V power = pow2(V::set1(static_cast<T>(e)));
    each(power, [&](T, T, T) { return std::ldexp(T(1), e); });
    each(exponent(power * V::set1(T(1.75))), [&](T, T, T) { return e; });
    each(mantissa(power * V::set1(T(1.75))), [&](T, T, T) { return 1.75; });
  }
  each(from_bits((bits(va) ^ bits(vb)) ^ bits(vb)), [](T x, T, T) { return x; });

  for (int n = 0; n <= width; ++n) {  // the vector's memory ends where a page might
    const V head = V::load(a.data() + (width - n), n);
    for (int i = 0; i < width; ++i) {
      CHECK(head[i] == (i < n ? a[static_cast<std::size_t>(width - n + i)] : T(0)));
    }
    std::fill(y.begin(), y.end(), T(-1));
    va.store(y.data(), n);
    for (int i = 0; i <= width; ++i) {
      const auto at = static_cast<std::size_t>(i);
      CHECK(y[at] == (i < n ? a[at] : T(-1)));
    }
  }

  std::vector<T> folded = a;
  for (std::size_t half = width / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) folded[i] += folded[i + half];
  }
  CHECK(sum(va) == folded[0]);
  CHECK(max_lane(va) == *std::max_element(a.begin(), a.end()));
  CHECK(min_lane(va) == *std::min_element(a.begin(), a.end()));

  // Contraction would round once: (1+e)^2 - 1 - 2e is e^2 with it and 0 without.
  const volatile T e = std::numeric_limits<T>::epsilon();
  const T x = T(1) + e, minus = -(T(1) + 2 * e);
  CHECK(x * x + minus == T(0));

  // A lambda handed to parallel_for keeps the target.
  std::vector<T> sums(64, T(0));
  parallel_for(64, 8, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) sums[static_cast<std::size_t>(i)] = sum(va + vb);
  });
  CHECK(std::count(sums.begin(), sums.end(), sum(va + vb)) == 64);
}

inline std::string_view own_name() {
  return TL_ISA_LEVEL == 0 ? "portable" : TL_ISA_LEVEL == 1 ? "avx2" : "avx512";
}

}  // namespace tl::kernels::TL_ISA
