// Depthwise convolution of channels-last images: every channel has its own filters.
//
//   x (N,H,W,C), w (O,1,KH,KW) -> y (N,OH,OW,O), O = C * multiplier, output o reads channel o / multiplier
//
// shape.groups == shape.c and shape.o is a multiple of shape.c; any kernel, stride, dilation and padding. The
// sums are direct, vectorised over channels: 9 or 25 products an output are too few for anything else to pay.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <limits>

#include <tl/core/memory.hpp>
#include <tl/core/parallel.hpp>
#include <tl/core/shape.hpp>
#include <tl/kernels/conv_shape.hpp>
#include <tl/kernels/elementwise.hpp>
#include <tl/kernels/impl/strided.hpp>
#include <tl/kernels/isa.hpp>
#include <tl/kernels/reduce.hpp>
#include <tl/kernels/transpose.hpp>

namespace tl::kernels {

/// Weights (O,1,KH,KW) as depthwise_forward reads them, (KH*KW,O).
template <class T>
void depthwise_pack(const ConvShape& shape, const T* w_oihw, T* packed);

/// y = activation(conv(x, w) + bias); bias (O) may be null.
template <class T>
void depthwise_forward(const ConvShape& shape, const T* x, const T* packed, const T* bias,
                       Activation activation, T* y);

/// Gradient with respect to x; overwrites dx.
template <class T>
void depthwise_backward_input(const ConvShape& shape, const T* dy, const T* w_oihw, T* dx);

/// Gradient with respect to w; overwrites dw.
template <class T>
void depthwise_backward_weight(const ConvShape& shape, const T* x, const T* dy, T* dw_oihw);

}  // namespace tl::kernels

#include <tl/kernels/impl/depthwise.hpp>
