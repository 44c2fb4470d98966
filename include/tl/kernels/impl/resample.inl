// Implementation of kernels/resample.hpp; included once for each instruction set.
//
// AVX2: a weight w is cut into high * 2^11 + low with 0 <= low < 2^11, both of which fit 16 bits, so that
// pmaddwd multiplies and adds two taps at once. Sums wrap modulo 2^32, of which the true sum is in range.

namespace tl::kernels::TL_ISA {

#if TL_ISA_LEVEL > 0

/// (low of even, low of odd) of two taps in 32 bits, and the same of the high parts.
struct TapPair {
  std::int32_t low, high;
};
TL_INLINE TapPair tap_pair(std::int32_t even, std::int32_t odd) {
  return {(even & 0x7FF) | (odd & 0x7FF) << 16, (even >> 11 & 0xFFFF) | (odd >> 11) * 0x10000};
}

/// Eight sums of both parts to bytes, in 16 bits each: rounds, shifts, and leaves clipping to the packing.
TL_INLINE __m256i rounded(__m256i low, __m256i high) {
  const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high, 11), low);
  return _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << (resample_bits - 1))), resample_bits);
}

inline void resample_horizontal(Index rows, Index row_bytes, const ResampleTaps& taps, const std::uint8_t* x,
                                std::uint8_t* y) {
  const Index width = taps.size(), pairs = taps.stride / 2;
  auto* packed = scratch<TapPair, 0>(static_cast<std::size_t>(width * pairs));
  for (Index i = 0; i < width * pairs; ++i) {
    const std::int32_t* w = taps.weights.data() + 2 * i;
    packed[i] = tap_pair(w[0], w[1]);
  }
  // Of four pixels R G B: 0 and 1 side by side as 16-bit (R0 R1 G0 G1 B0 B1 - -), and 2 and 3.
  const __m256i gather = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                                          6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const __m256i spread_low = _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2);
  const __m256i spread_high = _mm256_setr_epi32(1, 1, 1, 1, 3, 3, 3, 3);
  const __m128i half = _mm_set1_epi32(1 << (resample_bits - 1));
  for (Index row = 0; row < rows; ++row, x += row_bytes) {
    for (Index i = 0; i < width; ++i, y += 3) {
      const std::uint8_t* from = x + 3 * taps.first[static_cast<std::size_t>(i)];
      const TapPair* w = packed + i * pairs;
      const Index count = taps.count[static_cast<std::size_t>(i)];
      __m256i low = _mm256_setzero_si256(), high = low;
      for (Index k = 0; k < count; k += 4, from += 12, w += 2) {
        const __m256i pixels = _mm256_shuffle_epi8(
            _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))), gather);
        const __m256i weights = _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w)));
        low = _mm256_add_epi32(low,
                               _mm256_madd_epi16(pixels, _mm256_permutevar8x32_epi32(weights, spread_low)));
        high = _mm256_add_epi32(high,
                                _mm256_madd_epi16(pixels, _mm256_permutevar8x32_epi32(weights, spread_high)));
      }
      const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(high, 11), low);
      const __m128i sum =
          _mm_add_epi32(_mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)), half);
      const __m128i words = _mm_srai_epi32(sum, resample_bits);
      const __m128i shorts = _mm_packs_epi32(words, words);
      const std::int32_t pixel = _mm_cvtsi128_si32(_mm_packus_epi16(shorts, shorts));
      std::memcpy(y, &pixel, 4);  // the fourth byte is the next pixel's first, written after it
    }
  }
}

inline void resample_vertical(Index bytes, Index row_bytes, const ResampleTaps& taps, const std::uint8_t* x,
                              std::uint8_t* y) {
  const Index pairs = taps.stride / 2;
  auto* packed = scratch<TapPair, 0>(static_cast<std::size_t>(pairs));
  for (Index i = 0; i < taps.size(); ++i, y += bytes) {
    const std::int32_t* w = taps.weights.data() + i * taps.stride;
    const Index count = taps.count[static_cast<std::size_t>(i)];
    for (Index k = 0; k < count; k += 2) packed[k / 2] = tap_pair(w[k], w[k + 1]);
    const std::uint8_t* top = x + taps.first[static_cast<std::size_t>(i)] * row_bytes;
    for (Index at = 0; at < bytes; at += 16) {
      __m256i low0 = _mm256_setzero_si256(), low1 = low0, high0 = low0, high1 = low0;
      const std::uint8_t* from = top + at;
      for (Index k = 0; k < count; k += 2, from += 2 * row_bytes) {
        // The row of a last odd tap's partner, of weight 0, may not exist: take the same one twice.
        const std::uint8_t* next = k + 1 < count ? from + row_bytes : from;
        const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
        const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(next));
        const __m256i ab0 = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
        const __m256i ab1 = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
        const __m256i wl = _mm256_set1_epi32(packed[k / 2].low), wh = _mm256_set1_epi32(packed[k / 2].high);
        low0 = _mm256_add_epi32(low0, _mm256_madd_epi16(ab0, wl));
        low1 = _mm256_add_epi32(low1, _mm256_madd_epi16(ab1, wl));
        high0 = _mm256_add_epi32(high0, _mm256_madd_epi16(ab0, wh));
        high1 = _mm256_add_epi32(high1, _mm256_madd_epi16(ab1, wh));
      }
      // Packing works within halves of 128 bits: bring the bytes back into order.
      const __m256i shorts = _mm256_permute4x64_epi64(
          _mm256_packs_epi32(rounded(low0, high0), rounded(low1, high1)), 0b11011000);
      const __m128i packed_bytes =
          _mm_packus_epi16(_mm256_castsi256_si128(shorts), _mm256_extracti128_si256(shorts, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(y + at), packed_bytes);
    }
  }
}

#else

TL_INLINE std::uint8_t resampled(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> resample_bits, 0, 255));
}

inline void resample_horizontal(Index rows, Index row_bytes, const ResampleTaps& taps, const std::uint8_t* x,
                                std::uint8_t* y) {
  for (Index row = 0; row < rows; ++row, x += row_bytes) {
    for (Index i = 0; i < taps.size(); ++i, y += 3) {
      const std::uint8_t* from = x + 3 * taps.first[static_cast<std::size_t>(i)];
      const std::int32_t* w = taps.weights.data() + i * taps.stride;
      const Index count = taps.count[static_cast<std::size_t>(i)];
      std::int32_t red = 1 << (resample_bits - 1), green = red, blue = red;
      for (Index k = 0; k < count; ++k, from += 3) {
        red += w[k] * from[0];
        green += w[k] * from[1];
        blue += w[k] * from[2];
      }
      y[0] = resampled(red);
      y[1] = resampled(green);
      y[2] = resampled(blue);
    }
  }
}

inline void resample_vertical(Index bytes, Index row_bytes, const ResampleTaps& taps, const std::uint8_t* x,
                              std::uint8_t* y) {
  std::int32_t* sums = scratch<std::int32_t, 0>(static_cast<std::size_t>(bytes));
  for (Index i = 0; i < taps.size(); ++i, y += bytes) {
    const std::int32_t* w = taps.weights.data() + i * taps.stride;
    const std::uint8_t* from = x + taps.first[static_cast<std::size_t>(i)] * row_bytes;
    std::fill_n(sums, bytes, 1 << (resample_bits - 1));
    for (Index k = 0; k < taps.count[static_cast<std::size_t>(i)]; ++k, from += row_bytes) {
      for (Index at = 0; at < bytes; ++at) sums[at] += w[k] * from[at];
    }
    for (Index at = 0; at < bytes; ++at) y[at] = resampled(sums[at]);
  }
}

#endif

}  // namespace tl::kernels::TL_ISA
