// Pooling as plain loops: the oracle of the tests of pool.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <tl/core/shape.hpp>
#include <tl/kernels/pool.hpp>

namespace tl::kernels::reference {

/// Calls body(output, n, oi, oj, c) for every output.
template <class Body>
void each_output(const PoolShape& s, const Body& body) {
  Index output = 0;
  for (Index n = 0; n < s.n; ++n)
    for (Index oi = 0; oi < s.oh; ++oi)
      for (Index oj = 0; oj < s.ow; ++oj)
        for (Index c = 0; c < s.c; ++c) body(output++, n, oi, oj, c);
}

/// Calls body(position in the image, index in the array) for the pixels of a window that lie in the image.
template <class Body>
void each_pixel(const PoolShape& s, Index n, Index oi, Index oj, Index c, const Body& body) {
  for (Index ki = 0; ki < s.kh; ++ki) {
    for (Index kj = 0; kj < s.kw; ++kj) {
      const Index i = oi * s.stride_h - s.pad_top + ki * s.dilation_h;
      const Index j = oj * s.stride_w - s.pad_left + kj * s.dilation_w;
      if (i < 0 || i >= s.h || j < 0 || j >= s.w) continue;
      body(i * s.w + j, ((n * s.h + i) * s.w + j) * s.c + c);
    }
  }
}

template <class T>
void max_pool_forward(const PoolShape& s, const T* x, T* y, std::int32_t* argmax) {
  each_output(s, [&](Index output, Index n, Index oi, Index oj, Index c) {
    y[output] = -std::numeric_limits<T>::infinity();
    argmax[output] = -1;
    each_pixel(s, n, oi, oj, c, [&](Index position, Index at) {
      if (argmax[output] < 0 || x[at] > y[output] || std::isnan(x[at])) {
        y[output] = x[at];
        argmax[output] = static_cast<std::int32_t>(position);
      }
    });
  });
}

template <class T>
void max_pool_backward(const PoolShape& s, const T* dy, const std::int32_t* argmax, T* dx) {
  std::fill(dx, dx + s.n * s.h * s.w * s.c, T(0));
  each_output(s, [&](Index output, Index n, Index, Index, Index c) {
    if (argmax[output] >= 0) dx[(n * s.h * s.w + argmax[output]) * s.c + c] += dy[output];
  });
}

/// By how many pixels the mean of window (oi,oj) divides; at least 1.
template <class T>
T average_divisor(const PoolShape& s, const AverageCount& count, Index oi, Index oj) {
  Index divisor = 0;
  for (Index ki = 0; ki < s.kh; ++ki) {
    for (Index kj = 0; kj < s.kw; ++kj) {
      const Index i = oi * s.stride_h - s.pad_top + ki * s.dilation_h;
      const Index j = oj * s.stride_w - s.pad_left + kj * s.dilation_w;
      const bool inside = i >= 0 && i < s.h && j >= 0 && j < s.w;
      divisor += count.include_pad ? i < s.h + count.pad_bottom && j < s.w + count.pad_right : inside;
    }
  }
  return static_cast<T>(std::max<Index>(1, divisor));
}

template <class T>
void average_pool_forward(const PoolShape& s, const AverageCount& count, const T* x, T* y) {
  each_output(s, [&](Index output, Index n, Index oi, Index oj, Index c) {
    y[output] = 0;
    each_pixel(s, n, oi, oj, c, [&](Index, Index at) { y[output] += x[at]; });
    y[output] /= average_divisor<T>(s, count, oi, oj);
  });
}

template <class T>
void average_pool_backward(const PoolShape& s, const AverageCount& count, const T* dy, T* dx) {
  std::fill(dx, dx + s.n * s.h * s.w * s.c, T(0));
  each_output(s, [&](Index output, Index n, Index oi, Index oj, Index c) {
    const T share = dy[output] / average_divisor<T>(s, count, oi, oj);
    each_pixel(s, n, oi, oj, c, [&](Index, Index at) { dx[at] += share; });
  });
}

/// Calls body(index in x, pixels of the window) for the window of one adaptive output.
template <class T, class Body>
void each_adaptive_pixel(const PoolShape& s, Index n, Index oi, Index oj, Index c, const Body& body) {
  const Index top = oi * s.h / s.oh, bottom = ((oi + 1) * s.h + s.oh - 1) / s.oh;
  const Index left = oj * s.w / s.ow, right = ((oj + 1) * s.w + s.ow - 1) / s.ow;
  const T pixels = static_cast<T>((bottom - top) * (right - left));
  for (Index i = top; i < bottom; ++i) {
    for (Index j = left; j < right; ++j) body(((n * s.h + i) * s.w + j) * s.c + c, pixels);
  }
}

template <class T>
void adaptive_average_pool_forward(const PoolShape& s, const T* x, T* y) {
  each_output(s, [&](Index output, Index n, Index oi, Index oj, Index c) {
    y[output] = 0;
    each_adaptive_pixel<T>(s, n, oi, oj, c, [&](Index at, T pixels) { y[output] += x[at] / pixels; });
  });
}

template <class T>
void adaptive_average_pool_backward(const PoolShape& s, const T* dy, T* dx) {
  std::fill(dx, dx + s.n * s.h * s.w * s.c, T(0));
  each_output(s, [&](Index output, Index n, Index oi, Index oj, Index c) {
    each_adaptive_pixel<T>(s, n, oi, oj, c, [&](Index at, T pixels) { dx[at] += dy[output] / pixels; });
  });
}

template <class T>
void adaptive_max_pool_forward(const PoolShape& s, const T* x, T* y, std::int32_t* argmax) {
  each_output(s, [&](Index output, Index n, Index oi, Index oj, Index c) {
    argmax[output] = -1;
    each_adaptive_pixel<T>(s, n, oi, oj, c, [&](Index at, T) {
      if (argmax[output] < 0 || x[at] > y[output] || std::isnan(x[at])) {
        y[output] = x[at];
        argmax[output] = static_cast<std::int32_t>(at / s.c - n * s.h * s.w);
      }
    });
  });
}

}  // namespace tl::kernels::reference
