// Batch normalisation for one instruction set; described in batchnorm.hpp.

namespace tl::kernels::TL_ISA {

template <Activation activation, class T>
TL_INLINE Vec<T> activated(Vec<T> v) {
  if constexpr (activation != Activation::none) v = max(Vec<T>::zero(), v);
  if constexpr (activation == Activation::relu6) v = min(Vec<T>::set1(6), v);
  return v;
}

/// The gradient before the activation, whose output is y.
template <Activation activation, class T>
TL_INLINE Vec<T> load_gradient(const T* dy, const T* y, Index at, Index some) {
  const Vec<T> g = load_some(dy + at, some);
  if constexpr (activation == Activation::none) return g;
  const Vec<T> out = load_some(y + at, some);
  Mask<T> passes = out > Vec<T>::zero();
  if constexpr (activation == Activation::relu6) passes = passes & (out < Vec<T>::set1(6));
  return select(passes, g, Vec<T>::zero());
}

/// Mean and summed squared deviation of the rows of one chunk, which stays in the cache for the second pass.
template <class T>
void batchnorm_moments(Index rows, Index channels, const T* x, T* mean, T* squares) {
  using V = Vec<T>;
  constexpr Index together = 8;
  reduce_column_block<Sum<T>, T>(rows, channels, x, nullptr, channels, mean);
  const V inverse = V::set1(T(1) / static_cast<T>(rows));
  each_vector<T>(
      channels, [&](Index c, Index some) __attribute__((always_inline)) {
        store_some(load_some(mean + c, some) * inverse, mean + c, some);
        store_some(V::zero(), squares + c, some);
      });
  Index r = 0;
  for (; r + together <= rows; r += together) {
    each_vector<T>(
        channels, [&](Index c, Index some) __attribute__((always_inline)) {
          const V m = load_some(mean + c, some);
          V partial[2] = {load_some(squares + c, some), V::zero()};
          TL_UNROLL for (Index k = 0; k < together; ++k) {
            const V deviation = load_some(x + (r + k) * channels + c, some) - m;
            partial[k % 2] = fma(deviation, deviation, partial[k % 2]);
          }
          store_some(partial[0] + partial[1], squares + c, some);
        });
  }
  for (; r < rows; ++r) {
    each_vector<T>(
        channels, [&](Index c, Index some) __attribute__((always_inline)) {
          const V deviation = load_some(x + r * channels + c, some) - load_some(mean + c, some);
          store_some(fma(deviation, deviation, load_some(squares + c, some)), squares + c, some);
        });
  }
}

/// Joins the moments of rows_b rows to those of rows_a rows (Chan, Golub and LeVeque 1979).
template <class T>
void batchnorm_join_moments(Index channels, Index rows_a, T* mean_a, T* squares_a, Index rows_b,
                            const T* mean_b, const T* squares_b) {
  using V = Vec<T>;
  const T a = static_cast<T>(rows_a), b = static_cast<T>(rows_b);
  const V share = V::set1(b / (a + b)), weight = V::set1(a * (b / (a + b)));
  each_vector<T>(
      channels, [&](Index c, Index some) __attribute__((always_inline)) {
        const V mean = load_some(mean_a + c, some), difference = load_some(mean_b + c, some) - mean;
        const V squares = load_some(squares_a + c, some) + load_some(squares_b + c, some);
        store_some(fma(difference, share, mean), mean_a + c, some);
        store_some(fma(difference * difference, weight, squares), squares_a + c, some);
      });
}

template <Activation activation, class T>
void batchnorm_apply_rows(Index rows, Index channels, const T* x, const T* scale, const T* shift,
                          const T* residual, T* y) {
  for (Index r = 0; r < rows; ++r, x += channels, y += channels) {
    each_vector<T>(
        channels, [&](Index c, Index some) __attribute__((always_inline)) {
          Vec<T> v = fma(load_some(x + c, some), load_some(scale + c, some), load_some(shift + c, some));
          if (residual != nullptr) v += load_some(residual + r * channels + c, some);
          store_some(activated<activation>(v), y + c, some);
        });
  }
}

/// sum_g = sum of g, sum_gd = sum of g (x - mean) over the rows of one chunk.
template <Activation activation, class T>
void batchnorm_gradient_sums(Index rows, Index channels, const BatchnormGradient<T>& in, Index first,
                             T* sum_g, T* sum_gd) {
  using V = Vec<T>;
  constexpr Index together = 4;
  std::fill(sum_g, sum_g + channels, T(0));
  std::fill(sum_gd, sum_gd + channels, T(0));
  const auto add = [&](Index r, Index count, Index c, Index some) __attribute__((always_inline)) {
    const V mean = load_some(in.mean + c, some);
    V g_total = V::zero(), gd_total = V::zero();
    for (Index k = 0; k < count; ++k) {
      const Index at = (first + r + k) * channels + c;
      const V g = load_gradient<activation>(in.dy, in.y, at, some);
      if (in.residual_gradient != nullptr) store_some(g, in.residual_gradient + at, some);
      g_total += g;
      gd_total = fma(g, load_some(in.x + at, some) - mean, gd_total);
    }
    store_some(load_some(sum_g + c, some) + g_total, sum_g + c, some);
    store_some(load_some(sum_gd + c, some) + gd_total, sum_gd + c, some);
  };
  Index r = 0;
  for (; r + together <= rows; r += together) {
    each_vector<T>(
        channels, [&](Index c, Index some) __attribute__((always_inline)) { add(r, together, c, some); });
  }
  for (; r < rows; ++r) {
    each_vector<T>(
        channels, [&](Index c, Index some) __attribute__((always_inline)) { add(r, 1, c, some); });
  }
}

/// dx = g factor + (x - mean) slope + offset; without slope (null) g factor.
template <Activation activation, class T>
void batchnorm_gradient_rows(Index rows, Index channels, const BatchnormGradient<T>& in, Index first,
                             const T* factor, const T* slope, const T* offset, T* dx) {
  using V = Vec<T>;
  for (Index r = first; r < first + rows; ++r) {
    each_vector<T>(
        channels, [&](Index c, Index some) __attribute__((always_inline)) {
          const Index at = r * channels + c;
          const V g = load_gradient<activation>(in.dy, in.y, at, some), f = load_some(factor + c, some);
          if (in.residual_gradient != nullptr) store_some(g, in.residual_gradient + at, some);
          if (dx == nullptr) return;
          if (slope == nullptr) {
            store_some(g * f, dx + at, some);
          } else {
            const V deviation = load_some(in.x + at, some) - load_some(in.mean + c, some);
            store_some(fma(g, f, fma(deviation, load_some(slope + c, some), load_some(offset + c, some))),
                       dx + at, some);
          }
        });
  }
}

template <Activation activation, class T>
internal::BatchnormBlocks<T> batchnorm_blocks_of() {
  return {&batchnorm_moments<T>, &batchnorm_join_moments<T>, &batchnorm_apply_rows<activation, T>,
          &batchnorm_gradient_sums<activation, T>, &batchnorm_gradient_rows<activation, T>};
}

template <class T>
internal::BatchnormBlocks<T> batchnorm_blocks(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return batchnorm_blocks_of<Activation::relu, T>();
    case Activation::relu6:
      return batchnorm_blocks_of<Activation::relu6, T>();
    case Activation::none:
      break;
  }
  return batchnorm_blocks_of<Activation::none, T>();
}

}  // namespace tl::kernels::TL_ISA
