// Vec<T> for one instruction set; described in simd.hpp.

namespace tl::kernels::TL_ISA {

template <class T>
struct Registers;
template <>
struct Registers<float> {
  typedef float Value __attribute__((vector_size(TL_ISA_BYTES)));
  typedef std::int32_t Integer __attribute__((vector_size(TL_ISA_BYTES)));
  using Lane = std::int32_t;
  static constexpr int mantissa_bits = 23, exponent_bias = 127;
  static constexpr float round_magic = 0x1.8p23f;  // adding it leaves no fraction bits
};
template <>
struct Registers<double> {
  typedef double Value __attribute__((vector_size(TL_ISA_BYTES)));
  typedef std::int64_t Integer __attribute__((vector_size(TL_ISA_BYTES)));
  using Lane = std::int64_t;
  static constexpr int mantissa_bits = 52, exponent_bias = 1023;
  static constexpr double round_magic = 0x1.8p52;
};

// What the compilers' vector extensions do not offer, or not well.
namespace raw {
using F = Registers<float>::Value;
using D = Registers<double>::Value;
#if TL_ISA_LEVEL == 2

TL_INLINE F set1(float x) { return _mm512_set1_ps(x); }
TL_INLINE D set1(double x) { return _mm512_set1_pd(x); }
TL_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
TL_INLINE D load(const double* p) { return _mm512_loadu_pd(p); }
TL_INLINE void store(float* p, F v) { _mm512_storeu_ps(p, v); }
TL_INLINE void store(double* p, D v) { _mm512_storeu_pd(p, v); }
TL_INLINE __mmask16 lanes16(int n) { return static_cast<__mmask16>((1u << n) - 1); }
TL_INLINE __mmask8 lanes8(int n) { return static_cast<__mmask8>((1u << n) - 1); }
TL_INLINE F load(const float* p, int n) { return _mm512_maskz_loadu_ps(lanes16(n), p); }
TL_INLINE D load(const double* p, int n) { return _mm512_maskz_loadu_pd(lanes8(n), p); }
TL_INLINE void store(float* p, F v, int n) { _mm512_mask_storeu_ps(p, lanes16(n), v); }
TL_INLINE void store(double* p, D v, int n) { _mm512_mask_storeu_pd(p, lanes8(n), v); }
TL_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
TL_INLINE D fma(D a, D b, D c) { return _mm512_fmadd_pd(a, b, c); }
// With a full mask rather than none: g++ 12 warns of its own header's undefined register there.
TL_INLINE F min(F a, F b) { return _mm512_maskz_min_ps(lanes16(16), a, b); }
TL_INLINE D min(D a, D b) { return _mm512_maskz_min_pd(lanes8(8), a, b); }
TL_INLINE F max(F a, F b) { return _mm512_maskz_max_ps(lanes16(16), a, b); }
TL_INLINE D max(D a, D b) { return _mm512_maskz_max_pd(lanes8(8), a, b); }
TL_INLINE F sqrt(F a) { return _mm512_maskz_sqrt_ps(lanes16(16), a); }
TL_INLINE D sqrt(D a) { return _mm512_maskz_sqrt_pd(lanes8(8), a); }

#elif TL_ISA_LEVEL == 1

inline constexpr std::int32_t lane_table[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
TL_INLINE __m256i lanes8(int n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lane_table + 8 - n));
}
TL_INLINE __m256i lanes4(int n) { return lanes8(2 * n); }
TL_INLINE F set1(float x) { return _mm256_set1_ps(x); }
TL_INLINE D set1(double x) { return _mm256_set1_pd(x); }
TL_INLINE F load(const float* p) { return _mm256_loadu_ps(p); }
TL_INLINE D load(const double* p) { return _mm256_loadu_pd(p); }
TL_INLINE void store(float* p, F v) { _mm256_storeu_ps(p, v); }
TL_INLINE void store(double* p, D v) { _mm256_storeu_pd(p, v); }
TL_INLINE F load(const float* p, int n) { return _mm256_maskload_ps(p, lanes8(n)); }
TL_INLINE D load(const double* p, int n) { return _mm256_maskload_pd(p, lanes4(n)); }
TL_INLINE void store(float* p, F v, int n) { _mm256_maskstore_ps(p, lanes8(n), v); }
TL_INLINE void store(double* p, D v, int n) { _mm256_maskstore_pd(p, lanes4(n), v); }
TL_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
TL_INLINE D fma(D a, D b, D c) { return _mm256_fmadd_pd(a, b, c); }
TL_INLINE F min(F a, F b) { return _mm256_min_ps(a, b); }
TL_INLINE D min(D a, D b) { return _mm256_min_pd(a, b); }
TL_INLINE F max(F a, F b) { return _mm256_max_ps(a, b); }
TL_INLINE D max(D a, D b) { return _mm256_max_pd(a, b); }
TL_INLINE F sqrt(F a) { return _mm256_sqrt_ps(a); }
TL_INLINE D sqrt(D a) { return _mm256_sqrt_pd(a); }

#else

TL_INLINE F set1(float x) { return F{x, x, x, x}; }
TL_INLINE D set1(double x) { return D{x, x}; }
template <class T>
TL_INLINE typename Registers<T>::Value load(const T* p) {
  typename Registers<T>::Value v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
TL_INLINE typename Registers<T>::Value load(const T* p, int n) {
  T lanes[TL_ISA_BYTES / sizeof(T)] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
template <class T>
TL_INLINE void store(T* p, typename Registers<T>::Value v) {
  std::memcpy(p, &v, sizeof v);
}
template <class T>
TL_INLINE void store(T* p, typename Registers<T>::Value v, int n) {
  T lanes[TL_ISA_BYTES / sizeof(T)];
  store(lanes, v);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
template <class V>
TL_INLINE V fma(V a, V b, V c) {
  const V product = a * b;
  return product + c;
}
template <class V>
TL_INLINE V min(V a, V b) {
  return a < b ? a : b;
}
template <class V>
TL_INLINE V max(V a, V b) {
  return a > b ? a : b;
}
#if TL_KERNELS_X86
TL_INLINE F sqrt(F a) { return _mm_sqrt_ps(a); }
TL_INLINE D sqrt(D a) { return _mm_sqrt_pd(a); }
#else
TL_INLINE F sqrt(F a) { return F{std::sqrt(a[0]), std::sqrt(a[1]), std::sqrt(a[2]), std::sqrt(a[3])}; }
TL_INLINE D sqrt(D a) { return D{std::sqrt(a[0]), std::sqrt(a[1])}; }
#endif

#endif

// The lanes moved down by 8, 4, 2, 1: what a reduction by halves needs.
template <int by, class V>
TL_INLINE V lower(V v) {
  constexpr int width = static_cast<int>(sizeof(V) / sizeof(v[0]));
  if constexpr (width == 16) {
    return __builtin_shufflevector(v, v, (0 + by) % 16, (1 + by) % 16, (2 + by) % 16, (3 + by) % 16,
                                   (4 + by) % 16, (5 + by) % 16, (6 + by) % 16, (7 + by) % 16, (8 + by) % 16,
                                   (9 + by) % 16, (10 + by) % 16, (11 + by) % 16, (12 + by) % 16,
                                   (13 + by) % 16, (14 + by) % 16, (15 + by) % 16);
  } else if constexpr (width == 8) {
    return __builtin_shufflevector(v, v, (0 + by) % 8, (1 + by) % 8, (2 + by) % 8, (3 + by) % 8, (4 + by) % 8,
                                   (5 + by) % 8, (6 + by) % 8, (7 + by) % 8);
  } else if constexpr (width == 4) {
    return __builtin_shufflevector(v, v, (0 + by) % 4, (1 + by) % 4, (2 + by) % 4, (3 + by) % 4);
  } else {
    return __builtin_shufflevector(v, v, (0 + by) % 2, (1 + by) % 2);
  }
}

}  // namespace raw

template <class T>
struct Mask {
  typename Registers<T>::Integer v;  // all bits of a lane set or none

  friend TL_INLINE Mask operator&(Mask a, Mask b) { return {a.v & b.v}; }
  friend TL_INLINE Mask operator|(Mask a, Mask b) { return {a.v | b.v}; }
  friend TL_INLINE Mask operator!(Mask a) { return {~a.v}; }
  friend TL_INLINE bool any(Mask a) {
    typename Registers<T>::Lane joined = 0;
    for (unsigned i = 0; i < TL_ISA_BYTES / sizeof(T); ++i) joined |= a.v[i];
    return joined != 0;
  }
};

template <class T>
struct Bits {
  using Lane = typename Registers<T>::Lane;
  typename Registers<T>::Integer v;

  static TL_INLINE Bits set1(Lane x) {
    return {x - typename Registers<T>::Integer{}};  // one broadcast; setting lane by lane is many moves
  }
  friend TL_INLINE Bits operator+(Bits a, Bits b) { return {a.v + b.v}; }
  friend TL_INLINE Bits operator-(Bits a, Bits b) { return {a.v - b.v}; }
  friend TL_INLINE Bits operator&(Bits a, Bits b) { return {a.v & b.v}; }
  friend TL_INLINE Bits operator|(Bits a, Bits b) { return {a.v | b.v}; }
  friend TL_INLINE Bits operator^(Bits a, Bits b) { return {a.v ^ b.v}; }
  friend TL_INLINE Bits operator<<(Bits a, int by) { return {a.v << by}; }
  friend TL_INLINE Bits operator>>(Bits a, int by) { return {a.v >> by}; }
};

template <class T>
struct Vec;
template <class T>
Vec<T> from_bits(Bits<T> i);

template <class T>
struct Vec {
  using Value = typename Registers<T>::Value;
  using Integer = typename Registers<T>::Integer;
  using Lane = typename Registers<T>::Lane;
  static constexpr int width = static_cast<int>(TL_ISA_BYTES / sizeof(T));

  Value v;

  static TL_INLINE Vec zero() { return {Value{}}; }
  static TL_INLINE Vec set1(T x) { return {raw::set1(x)}; }
  static TL_INLINE Vec load(const T* p) { return {raw::load(p)}; }
  static TL_INLINE Vec load(const T* p, Index n) { return {raw::load(p, static_cast<int>(n))}; }
  TL_INLINE void store(T* p) const { raw::store(p, v); }
  TL_INLINE void store(T* p, Index n) const { raw::store(p, v, static_cast<int>(n)); }
  TL_INLINE T operator[](int lane) const { return v[lane]; }

  friend TL_INLINE Vec operator+(Vec a, Vec b) { return {a.v + b.v}; }
  friend TL_INLINE Vec operator-(Vec a, Vec b) { return {a.v - b.v}; }
  friend TL_INLINE Vec operator*(Vec a, Vec b) { return {a.v * b.v}; }
  friend TL_INLINE Vec operator/(Vec a, Vec b) { return {a.v / b.v}; }
  friend TL_INLINE Vec operator-(Vec a) { return {-a.v}; }
  friend TL_INLINE Vec& operator+=(Vec& a, Vec b) { return a = a + b; }
  friend TL_INLINE Vec& operator-=(Vec& a, Vec b) { return a = a - b; }
  friend TL_INLINE Vec& operator*=(Vec& a, Vec b) { return a = a * b; }
  friend TL_INLINE Vec fma(Vec a, Vec b, Vec c) { return {raw::fma(a.v, b.v, c.v)}; }
  friend TL_INLINE Vec min(Vec a, Vec b) { return {raw::min(a.v, b.v)}; }
  friend TL_INLINE Vec max(Vec a, Vec b) { return {raw::max(a.v, b.v)}; }
  friend TL_INLINE Vec sqrt(Vec a) { return {raw::sqrt(a.v)}; }

  friend TL_INLINE Mask<T> operator<(Vec a, Vec b) { return {a.v < b.v}; }
  friend TL_INLINE Mask<T> operator<=(Vec a, Vec b) { return {a.v <= b.v}; }
  friend TL_INLINE Mask<T> operator>(Vec a, Vec b) { return {a.v > b.v}; }
  friend TL_INLINE Mask<T> operator>=(Vec a, Vec b) { return {a.v >= b.v}; }
  friend TL_INLINE Mask<T> operator==(Vec a, Vec b) { return {a.v == b.v}; }
  friend TL_INLINE Mask<T> operator!=(Vec a, Vec b) { return {a.v != b.v}; }
  friend TL_INLINE Vec select(Mask<T> m, Vec a, Vec b) { return {m.v != 0 ? a.v : b.v}; }

  friend TL_INLINE Bits<T> bits(Vec a) {
    Integer i;
    std::memcpy(&i, &a.v, sizeof i);
    return {i};
  }
  friend TL_INLINE Vec abs(Vec a) {
    return from_bits(bits(a) & Bits<T>::set1(std::is_same_v<T, float> ? INT32_MAX : INT64_MAX));
  }
  friend TL_INLINE Vec round_even(Vec a) {
    const Vec magic = set1(Registers<T>::round_magic);
    return (a + magic) - magic;
  }
  friend TL_INLINE Vec pow2(Vec a) {
    const Vec biased = a + set1(Registers<T>::round_magic + Registers<T>::exponent_bias);
    return from_bits(bits(biased) << Registers<T>::mantissa_bits);
  }
  friend TL_INLINE Vec exponent(Vec a) {
    const Vec magic = set1(Registers<T>::round_magic);
    const Bits<T> biased = bits(a) >> Registers<T>::mantissa_bits;
    return from_bits(biased + bits(magic)) - set1(Registers<T>::round_magic + Registers<T>::exponent_bias);
  }
  friend TL_INLINE Vec mantissa(Vec a) {
    const Lane fraction = (Lane{1} << Registers<T>::mantissa_bits) - 1;
    return from_bits((bits(a) & Bits<T>::set1(fraction)) | bits(set1(1)));
  }

  friend TL_INLINE T sum(Vec a) {
    return fold(
        a, [](Vec x, Vec y) __attribute__((always_inline)) { return x + y; });
  }
  friend TL_INLINE T max_lane(Vec a) {
    return fold(
        a, [](Vec x, Vec y) __attribute__((always_inline)) { return max(x, y); });
  }
  friend TL_INLINE T min_lane(Vec a) {
    return fold(
        a, [](Vec x, Vec y) __attribute__((always_inline)) { return min(x, y); });
  }

 private:
  template <class Join>
  static TL_INLINE T fold(Vec a, Join join) {
    if constexpr (width >= 16) a = join(a, Vec{raw::lower<8>(a.v)});
    if constexpr (width >= 8) a = join(a, Vec{raw::lower<4>(a.v)});
    if constexpr (width >= 4) a = join(a, Vec{raw::lower<2>(a.v)});
    return join(a, Vec{raw::lower<1>(a.v)})[0];
  }
};

template <class T>
TL_INLINE Vec<T> from_bits(Bits<T> i) {
  Vec<T> a;
  std::memcpy(&a.v, &i.v, sizeof i.v);
  return a;
}

}  // namespace tl::kernels::TL_ISA
