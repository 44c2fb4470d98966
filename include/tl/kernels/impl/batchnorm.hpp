// Definitions of batchnorm.hpp: rows in chunks, whose sums are joined pairwise.
#pragma once

#include <tl/kernels/batchnorm.hpp>

#if TL_KERNELS_DEFINE
#include <tl/kernels/simd_rows.hpp>

namespace tl::kernels::internal {

template <class T>
struct BatchnormBlocks {
  void (*moments)(Index rows, Index channels, const T* x, T* mean, T* squares);
  void (*join_moments)(Index channels, Index rows_a, T* mean_a, T* squares_a, Index rows_b, const T* mean_b,
                       const T* squares_b);
  void (*apply)(Index rows, Index channels, const T* x, const T* scale, const T* shift, const T* residual,
                T* y);
  void (*sums)(Index rows, Index channels, const BatchnormGradient<T>& in, Index first, T* sum_g, T* sum_gd);
  void (*gradient)(Index rows, Index channels, const BatchnormGradient<T>& in, Index first, const T* factor,
                   const T* slope, const T* offset, T* dx);
};

}  // namespace tl::kernels::internal

#define TL_KERNELS_IMPL <tl/kernels/impl/batchnorm.inl>
#include <tl/kernels/for_each_isa.hpp>

namespace tl::kernels {
namespace internal {

inline constexpr int batchnorm_slot = 42;  // of scratch memory, and the next

template <class T>
BatchnormBlocks<T> batchnorm_blocks(Activation activation) {
  TL_KERNELS_DISPATCH(batchnorm_blocks<T>, activation);
}

/// Rows a chunk: a chunk stays in the second cache, and has enough rows for few partial sums.
constexpr Index chunk_rows_of(Index channels) {
  return std::clamp<Index>(reduce_grain / std::max<Index>(1, channels), 32, 512);
}

/// What the second pass reads when the first has written the masked gradient.
template <class T>
BatchnormGradient<T> after_sums(BatchnormGradient<T> in) {
  if (in.residual_gradient == nullptr) return in;
  in.dy = in.residual_gradient;
  in.residual_gradient = nullptr;
  in.activation = Activation::none;
  return in;
}

/// dbeta = sum of g, sum_gd = sum of g (x - mean); g goes to in.residual_gradient where that is not null.
template <class T>
void batchnorm_sums(Index rows, Index channels, const BatchnormGradient<T>& in, T* dbeta, T* sum_gd) {
  const auto blocks = batchnorm_blocks<T>(in.activation);
  const auto add = binary_block_of<T>(Binary::add);
  const Index chunk_rows = chunk_rows_of(channels), chunks = (rows + chunk_rows - 1) / chunk_rows;
  T* partial = scratch<T, batchnorm_slot>(static_cast<std::size_t>(2 * chunks * channels));
  parallel_for(rows, chunk_rows, [&](Index begin, Index end) {
    T* own = partial + begin / chunk_rows * 2 * channels;
    blocks.sums(end - begin, channels, in, begin, own, own + channels);
  });
  for (Index step = 1; step < chunks; step *= 2) {
    for (Index chunk = 0; chunk + step < chunks; chunk += 2 * step) {
      T* own = partial + chunk * 2 * channels;
      add(2 * channels, own, 1, own + step * 2 * channels, 1, own);
    }
  }
  if (chunks == 0) std::fill(partial, partial + 2 * channels, T(0));
  std::copy(partial, partial + channels, dbeta);
  std::copy(partial + channels, partial + 2 * channels, sum_gd);
}

}  // namespace internal

template <class T>
void batchnorm_statistics(Index rows, Index channels, const T* x, T* mean, T* var) {
  assert(rows >= 1);
  const auto blocks = internal::batchnorm_blocks<T>(Activation::none);
  const Index chunk_rows = internal::chunk_rows_of(channels), chunks = (rows + chunk_rows - 1) / chunk_rows;
  T* partial = scratch<T, internal::batchnorm_slot>(static_cast<std::size_t>(2 * chunks * channels));
  parallel_for(rows, chunk_rows, [&](Index begin, Index end) {
    T* own = partial + begin / chunk_rows * 2 * channels;
    blocks.moments(end - begin, channels, x + begin * channels, own, own + channels);
  });
  for (Index step = 1; step < chunks; step *= 2) {
    for (Index chunk = 0; chunk + step < chunks; chunk += 2 * step) {
      T *a = partial + chunk * 2 * channels, *b = a + step * 2 * channels;
      const Index rows_b = std::min(step * chunk_rows, rows - (chunk + step) * chunk_rows);
      blocks.join_moments(channels, step * chunk_rows, a, a + channels, rows_b, b, b + channels);
    }
  }
  std::copy(partial, partial + channels, mean);
  for (Index c = 0; c < channels; ++c) var[c] = partial[channels + c] / static_cast<T>(rows);
}

template <class T>
void batchnorm_scale_shift(Index channels, const T* mean, const T* var, std::type_identity_t<T> eps,
                           const T* gamma, const T* beta, T* inv_std, T* scale, T* shift) {
  for (Index c = 0; c < channels; ++c) {
    const T inverse = 1 / std::sqrt(var[c] + eps);
    const T factor = gamma == nullptr ? inverse : gamma[c] * inverse;
    const T offset = (beta == nullptr ? T(0) : beta[c]) - mean[c] * factor;
    inv_std[c] = inverse;
    scale[c] = factor;
    shift[c] = offset;
  }
}

template <class T>
void batchnorm_apply(Index rows, Index channels, const T* x, const T* scale, const T* shift,
                     const std::type_identity_t<T>* residual, Activation activation, T* y) {
  const auto apply = internal::batchnorm_blocks<T>(activation).apply;
  const Index grain = std::max<Index>(1, internal::reduce_grain / std::max<Index>(1, channels));
  parallel_for(rows, grain, [&](Index begin, Index end) {
    const Index at = begin * channels;
    apply(end - begin, channels, x + at, scale, shift, residual == nullptr ? nullptr : residual + at, y + at);
  });
}

template <class T>
void batchnorm_backward(Index rows, Index channels, const BatchnormGradient<T>& in, T* dgamma, T* dbeta,
                        T* dx) {
  batchnorm_backward_parameters(rows, channels, in, dgamma, dbeta);
  if (dx != nullptr) batchnorm_backward_input(rows, channels, in, rows, dgamma, dbeta, dx);
}

template <class T>
void batchnorm_backward_parameters(Index rows, Index channels, const BatchnormGradient<T>& in, T* dgamma,
                                   T* dbeta) {
  internal::batchnorm_sums(rows, channels, in, dbeta, dgamma);
  for (Index c = 0; c < channels; ++c) dgamma[c] *= in.inv_std[c];
}

template <class T>
void batchnorm_backward_input(Index rows, Index channels, const BatchnormGradient<T>& in, Index all_rows,
                              const T* dgamma, const T* dbeta, T* dx) {
  T* factor = scratch<T, internal::batchnorm_slot + 1>(static_cast<std::size_t>(3 * channels));
  T *slope = factor + channels, *offset = slope + channels;
  const T share = 1 / static_cast<T>(all_rows);
  for (Index c = 0; c < channels; ++c) {
    factor[c] = in.gamma == nullptr ? in.inv_std[c] : in.gamma[c] * in.inv_std[c];
    slope[c] = -factor[c] * in.inv_std[c] * dgamma[c] * share;
    offset[c] = -factor[c] * dbeta[c] * share;
  }
  const BatchnormGradient<T> second = internal::after_sums(in);
  const auto gradient = internal::batchnorm_blocks<T>(second.activation).gradient;
  const Index grain = std::max<Index>(1, internal::reduce_grain / std::max<Index>(1, channels));
  parallel_for(rows, grain, [&](Index begin, Index end) {
    gradient(end - begin, channels, second, begin, factor, slope, offset, dx);
  });
}

template <class T>
void batchnorm_backward_inference(Index rows, Index channels, const BatchnormGradient<T>& in, T* dgamma,
                                  T* dbeta, T* dx) {
  assert((dgamma == nullptr) == (dbeta == nullptr));
  BatchnormGradient<T> second = in;
  if (dgamma != nullptr) {
    internal::batchnorm_sums(rows, channels, in, dbeta, dgamma);
    for (Index c = 0; c < channels; ++c) dgamma[c] *= in.inv_std[c];
    second = internal::after_sums(in);
  }
  if (dx == nullptr && second.residual_gradient == nullptr) return;
  T* factor = scratch<T, internal::batchnorm_slot + 1>(static_cast<std::size_t>(channels));
  for (Index c = 0; c < channels; ++c) {
    factor[c] = in.gamma == nullptr ? in.inv_std[c] : in.gamma[c] * in.inv_std[c];
  }
  const auto gradient = internal::batchnorm_blocks<T>(second.activation).gradient;
  const Index grain = std::max<Index>(1, internal::reduce_grain / std::max<Index>(1, channels));
  parallel_for(rows, grain, [&](Index begin, Index end) {
    gradient(end - begin, channels, second, begin, factor, nullptr, nullptr, dx);
  });
}

TL_KERNELS_INSTANTIATE(batchnorm_statistics)
TL_KERNELS_INSTANTIATE(batchnorm_scale_shift)
TL_KERNELS_INSTANTIATE(batchnorm_apply)
TL_KERNELS_INSTANTIATE(batchnorm_backward)
TL_KERNELS_INSTANTIATE(batchnorm_backward_parameters)
TL_KERNELS_INSTANTIATE(batchnorm_backward_input)
TL_KERNELS_INSTANTIATE(batchnorm_backward_inference)

}  // namespace tl::kernels
#endif  // TL_KERNELS_DEFINE
