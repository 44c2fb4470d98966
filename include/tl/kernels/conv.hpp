// Two-dimensional convolution of channels-last images, forward and backward. Formula: conv_shape.hpp.
//
//   x (n,h,w,c)   weight (o, c/groups, kh, kw)   y (n,oh,ow,o)
//
// Implicit matrix product: the rows are output positions, k runs over kernel rows, kernel columns and
// channels. A block of rows is copied from the image as runs of contiguous memory (an image row under the
// kernel is one run) and multiplied by the packed weights in registers (gemm_tile.hpp), with bias, residual
// and activation applied there. The gradient of x is a convolution of dy with turned weights, one for each
// residue of the input position modulo the stride; that of the weights is a product over all output
// positions. Depthwise shapes go to depthwise.hpp. The bits do not depend on the number of threads.
#pragma once

#include <cstdint>
#include <type_traits>

#include <tl/kernels/conv_plan.hpp>
#include <tl/kernels/conv_shape.hpp>
#include <tl/kernels/isa.hpp>

namespace tl::kernels {

/// What follows the sum: y = activation(sum + bias + residual); residual (n,oh,ow,o) may be null, may be y.
template <class T>
struct ConvEpilogue {
  Activation activation = Activation::none;  ///< applied last
  const T* residual = nullptr;               ///< (n,oh,ow,o); null: none is added
};

/// Names the layout conv_pack gives the weights: equal for two shapes exactly when weights packed for one
/// serve the other. It differs between instruction sets and algorithms (conv_plan.hpp).
inline std::uint64_t conv_packing(const ConvShape& shape) {
  return static_cast<std::uint64_t>(active_isa()) |
         static_cast<std::uint64_t>(conv_plan<float>(shape).forward) << 4 |
         static_cast<std::uint64_t>(shape.groups) << 8;
}

/// Elements that conv_pack writes.
template <class T>
Index conv_packed_size(const ConvShape& shape);

/// Weights (o, c/groups, kh, kw) into the layout that conv_forward reads.
template <class T>
void conv_pack(const ConvShape& shape, const T* w_oihw, T* packed);

/// y = activation(conv(x, w) + bias + residual); bias (o) may be null.
template <class T>
void conv_forward(const ConvShape& shape, const T* x, const T* packed, const std::type_identity_t<T>* bias,
                  const ConvEpilogue<std::type_identity_t<T>>& epilogue, T* y);

/// Gradient with respect to x; overwrites dx.
template <class T>
void conv_backward_input(const ConvShape& shape, const T* dy, const T* w_oihw, T* dx);

/// Gradient with respect to the weights; overwrites dw.
template <class T>
void conv_backward_weight(const ConvShape& shape, const T* x, const T* dy, T* dw_oihw);

/// Gradient with respect to the bias: db (o), the sums of dy; overwrites db.
template <class T>
void conv_backward_bias(const ConvShape& shape, const T* dy, T* db);

}  // namespace tl::kernels

#if TL_KERNELS_DEFINE
#include <algorithm>
#include <numeric>

#include <tl/core/memory.hpp>
#include <tl/kernels/conv_winograd.hpp>
#include <tl/kernels/depthwise.hpp>
#include <tl/kernels/gemm.hpp>

#define TL_KERNELS_IMPL <tl/kernels/impl/conv.inl>
#include <tl/kernels/for_each_isa.hpp>

namespace tl::kernels {

namespace internal {

/// A depthwise convolution and what follows it.
template <class T>
void conv_forward_depthwise(const ConvShape& shape, const T* x, const T* packed, const T* bias,
                            const ConvEpilogue<T>& epilogue, T* y) {
  if (epilogue.residual == nullptr) return depthwise_forward(shape, x, packed, bias, epilogue.activation, y);
  const Index n = shape.output_size();
  T* sums = scratch<T, depthwise_slot + 5>(static_cast<std::size_t>(n));  // y may be the residual
  depthwise_forward(shape, x, packed, bias, Activation::none, sums);
  add_in_place(n, epilogue.residual, sums);
  switch (epilogue.activation) {
    case Activation::none:
      std::copy(sums, sums + n, y);
      break;
    case Activation::relu:
      unary_forward<T>(Unary::relu, 0, 0, n, sums, y);
      break;
    case Activation::relu6:
      unary_forward<T>(Unary::clip, 0, 6, n, sums, y);
      break;
  }
}

}  // namespace internal

template <class T>
Index conv_packed_size(const ConvShape& shape) {
  if (shape.depthwise()) return shape.weight_size();
  TL_KERNELS_DISPATCH(conv_packed_size<T>, shape);
}
template <class T>
void conv_pack(const ConvShape& shape, const T* w_oihw, T* packed) {
  if (shape.depthwise()) return depthwise_pack(shape, w_oihw, packed);
  TL_KERNELS_DISPATCH(conv_pack<T>, shape, w_oihw, packed);
}
template <class T>
void conv_forward(const ConvShape& shape, const T* x, const T* packed, const std::type_identity_t<T>* bias,
                  const ConvEpilogue<std::type_identity_t<T>>& epilogue, T* y) {
  if (shape.output_size() == 0) return;
  if (shape.depthwise()) return internal::conv_forward_depthwise(shape, x, packed, bias, epilogue, y);
  TL_KERNELS_DISPATCH(conv_forward<T>, shape, x, packed, bias, epilogue, y);
}
template <class T>
void conv_backward_input(const ConvShape& shape, const T* dy, const T* w_oihw, T* dx) {
  if (shape.output_size() == 0) return static_cast<void>(std::fill_n(dx, shape.input_size(), T(0)));
  if (shape.depthwise()) return depthwise_backward_input(shape, dy, w_oihw, dx);
  TL_KERNELS_DISPATCH(conv_backward_input<T>, shape, dy, w_oihw, dx);
}
template <class T>
void conv_backward_weight(const ConvShape& shape, const T* x, const T* dy, T* dw_oihw) {
  if (shape.output_size() == 0) return static_cast<void>(std::fill_n(dw_oihw, shape.weight_size(), T(0)));
  if (shape.depthwise()) return depthwise_backward_weight(shape, x, dy, dw_oihw);
  TL_KERNELS_DISPATCH(conv_backward_weight<T>, shape, x, dy, dw_oihw);
}
template <class T>
void conv_backward_bias(const ConvShape& shape, const T* dy, T* db) {
  TL_KERNELS_DISPATCH(conv_backward_bias<T>, shape, dy, db);
}

TL_KERNELS_INSTANTIATE(conv_packed_size)
TL_KERNELS_INSTANTIATE(conv_pack)
TL_KERNELS_INSTANTIATE(conv_forward)
TL_KERNELS_INSTANTIATE(conv_backward_input)
TL_KERNELS_INSTANTIATE(conv_backward_weight)
TL_KERNELS_INSTANTIATE(conv_backward_bias)

}  // namespace tl::kernels
#endif
