// Elementwise kernels: functions of one and of two arrays, their gradients, and plain vector arithmetic.
//
//   unary            y[i] = f(x[i])                       backward  dx[i] = dy[i] * f'(saved[i])
//   binary           y[i] = f(a[i], b[i])                 broadcast by strides of 0
//
// Arrays are dense unless strides are given; x, y, dy and dx may be the same array. Any n >= 0.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <type_traits>

#include <tl/core/parallel.hpp>
#include <tl/core/shape.hpp>
#include <tl/kernels/impl/strided.hpp>
#include <tl/kernels/isa.hpp>

namespace tl::kernels {

/// A function of one value. `s` is what unary_backward reads: the input x or the output y of the forward
/// pass.
///
///   name           f(x)                                   s   f'
///   relu           max(x, 0)                              y   y > 0
///   clip           min(max(x, alpha), beta)               x   alpha < x < beta (y serves as well)
///   leaky_relu     x > 0 ? x : alpha x                    x   x > 0 ? 1 : alpha
///   sigmoid        1 / (1 + exp(-x))                      y   y (1 - y)
///   tanh           tanh(x)                                y   1 - y^2
///   silu           x sigmoid(x)                           x   s (1 + x (1 - s)), s = sigmoid(x)
///   hard_swish     x min(max(x + 3, 0), 6) / 6            x   0 up to -3, x / 3 + 1/2 between, 1 from 3
///   hard_sigmoid   min(max(alpha x + beta, 0), 1)         y   0 < y < 1 ? alpha : 0
///   exp            exp(x)                                 y   y
///   log            log(x)                                 x   1 / x
///   sqrt           sqrt(x)                                y   1 / (2 y)
///   abs            |x|                                    x   sign(x), 0 at 0
///   neg            -x                                     -   -1 (s is not read)
///   reciprocal     1 / x                                  y   -y^2
///   gelu           x Phi(x), Phi the normal distribution  x   Phi(x) + x phi(x)
///   elu            beta (x > 0 ? x : alpha (exp(x) - 1))  x   beta (x > 0 ? 1 : alpha exp(x))
///   softplus       log(1 + exp(x))                        x   sigmoid(x)
///   mish           x tanh(softplus(x)) = x t              x   t + x (1 - t^2) sigmoid(x)
///   erf            2 Phi(sqrt(2) x) - 1                   x   2 / sqrt(pi) exp(-x^2)
///
/// NaN gives NaN. At the corners the gradients are those of PyTorch (clip: those of its relu6 and hardtanh).
enum class Unary {
  relu,
  clip,
  leaky_relu,
  sigmoid,
  tanh,
  silu,
  hard_swish,
  hard_sigmoid,
  exp,
  log,
  sqrt,
  abs,
  neg,
  reciprocal,
  gelu,
  elu,
  softplus,
  mish,
  erf
};

/// Whether unary_backward reads the output y of the forward pass (otherwise its input x).
constexpr bool saves_output(Unary op) {
  return op == Unary::relu || op == Unary::sigmoid || op == Unary::tanh || op == Unary::hard_sigmoid ||
         op == Unary::exp || op == Unary::sqrt || op == Unary::reciprocal;
}

/// y = f(x). alpha and beta are read by the functions whose formula names them.
template <class T>
void unary_forward(Unary op, std::type_identity_t<T> alpha, std::type_identity_t<T> beta, Index n, const T* x,
                   T* y);

/// dx = dy * f'(saved), saved being x or y as saves_output says.
template <class T>
void unary_backward(Unary op, std::type_identity_t<T> alpha, std::type_identity_t<T> beta, Index n,
                    const T* saved, const T* dy, T* dx);

/// A function of two values. max and min give NaN when either value is NaN. Comparisons give 1 or 0;
/// keep_where gives a where b is not 0, and 0 elsewhere.
enum class Binary { add, sub, mul, div, max, min, pow, greater, greater_equal, equal, keep_where };

/// y[i] = f(a[i * stride_a], b[i * stride_b]); strides are 0 (one value for all) or 1. One thread.
template <class T>
void binary_row(Binary op, Index n, const T* a, Index stride_a, const T* b, Index stride_b, T* y);

/// y = f(a, b) over rank <= 8 extents, outermost first; y is dense in that order. Strides are in elements, 0
/// where the array is broadcast. y may be a or b where that one is dense too. Parallel.
template <class T>
void binary_broadcast(Binary op, int rank, const Index* extents, const Index* strides_a,
                      const Index* strides_b, const T* a, const T* b, T* y);

/// y = value.
template <class T>
void fill(Index n, std::type_identity_t<T> value, T* y);

/// y = alpha * x.
template <class T>
void scale(Index n, std::type_identity_t<T> alpha, const T* x, T* y);

/// y += x.
template <class T>
void add_in_place(Index n, const T* x, T* y);

/// y += alpha * x.
template <class T>
void axpy(Index n, std::type_identity_t<T> alpha, const T* x, T* y);

/// y = alpha * a + beta * b, where b may be null (0).
template <class T>
void weighted_sum(Index n, std::type_identity_t<T> alpha, const T* a, std::type_identity_t<T> beta,
                  const T* b, T* y);

}  // namespace tl::kernels

#if TL_KERNELS_DEFINE
#include <tl/kernels/simd_math.hpp>

namespace tl::kernels::internal {

template <class T>
struct UnaryBlocks {
  void (*forward)(T alpha, T beta, Index n, const T* x, T* y);
  void (*backward)(T alpha, T beta, Index n, const T* saved, const T* dy, T* dx);
};

template <class T>
using BinaryBlock = void (*)(Index n, const T* a, Index stride_a, const T* b, Index stride_b, T* y);

}  // namespace tl::kernels::internal

#define TL_KERNELS_IMPL <tl/kernels/impl/elementwise.inl>
#include <tl/kernels/for_each_isa.hpp>

namespace tl::kernels {
namespace internal {

// Elements a task: about 10 microseconds, so that small arrays do not wake other threads.
inline constexpr Index cheap_grain = 16384, costly_grain = 4096;

constexpr Index grain_of(Unary op, bool forward) {
  switch (op) {
    case Unary::sigmoid:
    case Unary::tanh:
    case Unary::exp:
    case Unary::log:
      return forward ? costly_grain : cheap_grain;
    case Unary::silu:
    case Unary::gelu:
    case Unary::elu:
    case Unary::softplus:
    case Unary::mish:
    case Unary::erf:
      return costly_grain;
    default:
      return cheap_grain;
  }
}

template <class T>
UnaryBlocks<T> unary_blocks(Unary op) {
  TL_KERNELS_DISPATCH(unary_blocks<T>, op);
}
template <class T>
BinaryBlock<T> binary_block_of(Binary op) {
  TL_KERNELS_DISPATCH(binary_block_of<T>, op);
}
template <class T>
void weighted_sum_block(Index n, T alpha, const T* a, T beta, const T* b, T* y) {
  TL_KERNELS_DISPATCH(weighted_sum_block<T>, n, alpha, a, beta, b, y);
}
template <class T>
void fill_block(Index n, T value, T* y) {
  TL_KERNELS_DISPATCH(fill_block<T>, n, value, y);
}

/// One row of a broadcast whose inner strides may be any: what is not dense is gathered first.
template <class T>
void binary_gathered_row(BinaryBlock<T> block, Index n, const T* a, Index stride_a, const T* b,
                         Index stride_b, T* y) {
  constexpr Index most = 256;
  std::array<T, most> dense_a, dense_b;
  const auto gather = [](Index count, const T* from, Index stride, T* to) {
    for (Index i = 0; i < count; ++i) to[i] = from[i * stride];
  };
  for (Index i = 0; i < n; i += most) {
    const Index count = std::min(most, n - i);
    const T *row_a = a + i * stride_a, *row_b = b + i * stride_b;
    if (stride_a > 1 || stride_a < 0) gather(count, row_a, stride_a, dense_a.data()), row_a = dense_a.data();
    if (stride_b > 1 || stride_b < 0) gather(count, row_b, stride_b, dense_b.data()), row_b = dense_b.data();
    block(count, row_a, stride_a == 0 ? 0 : 1, row_b, stride_b == 0 ? 0 : 1, y + i);
  }
}

}  // namespace internal

template <class T>
void unary_forward(Unary op, std::type_identity_t<T> alpha, std::type_identity_t<T> beta, Index n, const T* x,
                   T* y) {
  const auto block = internal::unary_blocks<T>(op).forward;
  parallel_for(n, internal::grain_of(op, true),
               [&](Index begin, Index end) { block(alpha, beta, end - begin, x + begin, y + begin); });
}

template <class T>
void unary_backward(Unary op, std::type_identity_t<T> alpha, std::type_identity_t<T> beta, Index n,
                    const T* saved, const T* dy, T* dx) {
  if (op == Unary::neg) saved = dy;  // read but of no account
  const auto block = internal::unary_blocks<T>(op).backward;
  parallel_for(n, internal::grain_of(op, false), [&](Index begin, Index end) {
    block(alpha, beta, end - begin, saved + begin, dy + begin, dx + begin);
  });
}

template <class T>
void binary_row(Binary op, Index n, const T* a, Index stride_a, const T* b, Index stride_b, T* y) {
  internal::binary_block_of<T>(op)(n, a, stride_a, b, stride_b, y);
}

template <class T>
void binary_broadcast(Binary op, int rank, const Index* extents, const Index* strides_a,
                      const Index* strides_b, const T* a, const T* b, T* y) {
  const internal::StridedLoop<2> loop(rank, extents, {strides_a, strides_b});
  const auto block = internal::binary_block_of<T>(op);
  const auto [inner_a, inner_b] = loop.inner_strides();
  const Index stride_a = inner_a, stride_b = inner_b;
  const Index grain = op == Binary::pow ? internal::costly_grain / 8 : internal::cheap_grain;
  parallel_for(loop.size(), grain, [&](Index begin, Index end) {
    loop.rows(begin, end, [&](const auto& offsets, Index dense, Index count) {
      internal::binary_gathered_row(block, count, a + offsets[0], stride_a, b + offsets[1], stride_b,
                                    y + dense);
    });
  });
}

template <class T>
void fill(Index n, std::type_identity_t<T> value, T* y) {
  parallel_for(n, internal::cheap_grain,
               [&](Index begin, Index end) { internal::fill_block(end - begin, value, y + begin); });
}

template <class T>
void weighted_sum(Index n, std::type_identity_t<T> alpha, const T* a, std::type_identity_t<T> beta,
                  const T* b, T* y) {
  parallel_for(n, internal::cheap_grain, [&](Index begin, Index end) {
    internal::weighted_sum_block(end - begin, alpha, a + begin, beta, b == nullptr ? b : b + begin,
                                 y + begin);
  });
}

template <class T>
void scale(Index n, std::type_identity_t<T> alpha, const T* x, T* y) {
  weighted_sum<T>(n, alpha, x, 0, nullptr, y);
}

template <class T>
void add_in_place(Index n, const T* x, T* y) {
  const auto block = internal::binary_block_of<T>(Binary::add);
  parallel_for(n, internal::cheap_grain,
               [&](Index begin, Index end) { block(end - begin, y + begin, 1, x + begin, 1, y + begin); });
}

template <class T>
void axpy(Index n, std::type_identity_t<T> alpha, const T* x, T* y) {
  weighted_sum<T>(n, alpha, x, 1, y, y);
}

TL_KERNELS_INSTANTIATE(unary_forward)
TL_KERNELS_INSTANTIATE(unary_backward)
TL_KERNELS_INSTANTIATE(binary_row)
TL_KERNELS_INSTANTIATE(binary_broadcast)
TL_KERNELS_INSTANTIATE(fill)
TL_KERNELS_INSTANTIATE(scale)
TL_KERNELS_INSTANTIATE(add_in_place)
TL_KERNELS_INSTANTIATE(axpy)
TL_KERNELS_INSTANTIATE(weighted_sum)

}  // namespace tl::kernels
#endif  // TL_KERNELS_DEFINE
