// Pooling of channels-last images: (N,H,W,C) -> (N,OH,OW,C).
//
// Output (i,j) sees the rows i*stride_h - pad_top + k*dilation_h, k in [0,kh), and columns alike; windows are
// clipped at the borders. The caller chooses OH and OW (floor or ceil mode); padding at the bottom and right
// is what the last window needs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include <tl/core/memory.hpp>
#include <tl/core/parallel.hpp>
#include <tl/core/shape.hpp>
#include <tl/kernels/impl/strided.hpp>
#include <tl/kernels/isa.hpp>
#include <tl/kernels/reduce.hpp>

namespace tl::kernels {

/// Extents of one pooling, channels-last; adaptive pooling reads n, h, w, c, oh and ow.
struct PoolShape {
  Index n = 0;           ///< images
  Index h = 0;           ///< rows of x
  Index w = 0;           ///< columns of x
  Index c = 0;           ///< channels
  Index oh = 0;          ///< rows of y
  Index ow = 0;          ///< columns of y
  Index kh = 1;          ///< rows of a window
  Index kw = 1;          ///< columns of a window
  Index stride_h = 1;    ///< rows from one window to the next
  Index stride_w = 1;    ///< columns alike
  Index pad_top = 0;     ///< rows above x
  Index pad_left = 0;    ///< columns before x
  Index dilation_h = 1;  ///< rows from one row of a window to the next
  Index dilation_w = 1;  ///< columns alike
};

/// Greatest value of each window; NaN when one is NaN; -infinity for a window without pixels. argmax (shape
/// of y, may be null) receives the position row * W + column of the value taken, the first among equals, in
/// each image, -1 for a window without pixels.
template <class T>
void max_pool_forward(const PoolShape& shape, const T* x, T* y, std::int32_t* argmax);

/// dx[argmax] += dy, from zero. dx is overwritten.
template <class T>
void max_pool_backward(const PoolShape& shape, const T* dy, const std::int32_t* argmax, T* dx);

/// How an average counts the pixels that lie in the padding (as zeros): `count_include_pad` divides by the
/// window's pixels inside the padded image, where pad_bottom and pad_right say how far that reaches
/// (PyTorch's rule: what ceil mode adds beyond them is not counted). Otherwise an average is over the pixels
/// inside the image.
struct AverageCount {
  bool include_pad = false;  ///< whether pixels of the padding are divided by too
  Index pad_bottom = 0;      ///< rows below x
  Index pad_right = 0;       ///< columns behind x
};

/// Mean of each window; 0 for a window without pixels.
template <class T>
void average_pool_forward(const PoolShape& shape, const AverageCount& count, const T* x, T* y);

/// The gradient; dx is overwritten.
template <class T>
void average_pool_backward(const PoolShape& shape, const AverageCount& count, const T* dy, T* dx);

/// Adaptive average: output i is the mean of rows floor(i*H/OH) to ceil((i+1)*H/OH) - 1, columns alike
/// (PyTorch's rule). Reads n, h, w, c, oh and ow of the shape. OH = OW = 1 is the global average.
template <class T>
void adaptive_average_pool_forward(const PoolShape& shape, const T* x, T* y);

/// The gradient; dx is overwritten.
template <class T>
void adaptive_average_pool_backward(const PoolShape& shape, const T* dy, T* dx);

/// Greatest value of each of the same regions; argmax as in max_pool_forward.
template <class T>
void adaptive_max_pool_forward(const PoolShape& shape, const T* x, T* y, std::int32_t* argmax);

/// The gradient; dx is overwritten.
template <class T>
void adaptive_max_pool_backward(const PoolShape& shape, const T* dy, const std::int32_t* argmax, T* dx);

}  // namespace tl::kernels

#include <tl/kernels/impl/pool.hpp>
