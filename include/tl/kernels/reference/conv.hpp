// Convolution and its gradients as plain loops: the oracle of the tests of conv.hpp. Weights are not packed.
#pragma once

#include <algorithm>

#include <tl/kernels/conv.hpp>

namespace tl::kernels::reference {

/// Calls visit(x index, w index, y index) for every product of the sum.
template <class Visit>
void conv_products(const ConvShape& s, const Visit& visit) {
  const Index c = s.c / s.groups, o = s.o / s.groups;
  for (Index n = 0; n < s.n; ++n) {
    for (Index p = 0; p < s.oh; ++p) {
      for (Index q = 0; q < s.ow; ++q) {
        for (Index out = 0; out < s.o; ++out) {
          for (Index r = 0; r < s.kh; ++r) {
            for (Index t = 0; t < s.kw; ++t) {
              const Index y = p * s.stride_h - s.pad_top + r * s.dilation_h;
              const Index x = q * s.stride_w - s.pad_left + t * s.dilation_w;
              if (y < 0 || y >= s.h || x < 0 || x >= s.w) continue;
              for (Index i = 0; i < c; ++i) {
                visit(((n * s.h + y) * s.w + x) * s.c + out / o * c + i,
                      ((out * c + i) * s.kh + r) * s.kw + t, ((n * s.oh + p) * s.ow + q) * s.o + out);
              }
            }
          }
        }
      }
    }
  }
}

template <class T>
void conv_forward(const ConvShape& s, const T* x, const T* w, const T* bias, const ConvEpilogue<T>& epilogue,
                  T* y) {
  for (Index i = 0; i < s.output_size(); ++i) {
    y[i] = (bias ? bias[i % s.o] : T(0)) + (epilogue.residual ? epilogue.residual[i] : T(0));
  }
  conv_products(s, [&](Index xi, Index wi, Index yi) { y[yi] += x[xi] * w[wi]; });
  for (Index i = 0; i < s.output_size(); ++i) {
    if (epilogue.activation != Activation::none) y[i] = std::max(y[i], T(0));
    if (epilogue.activation == Activation::relu6) y[i] = std::min(y[i], T(6));
  }
}

template <class T>
void conv_backward_input(const ConvShape& s, const T* dy, const T* w, T* dx) {
  std::fill(dx, dx + s.input_size(), T(0));
  conv_products(s, [&](Index xi, Index wi, Index yi) { dx[xi] += dy[yi] * w[wi]; });
}

template <class T>
void conv_backward_weight(const ConvShape& s, const T* x, const T* dy, T* dw) {
  std::fill(dw, dw + s.weight_size(), T(0));
  conv_products(s, [&](Index xi, Index wi, Index yi) { dw[wi] += dy[yi] * x[xi]; });
}

template <class T>
void conv_backward_bias(const ConvShape& s, const T* dy, T* db) {
  std::fill(db, db + s.o, T(0));
  for (Index i = 0; i < s.output_size(); ++i) db[i % s.o] += dy[i];
}

}  // namespace tl::kernels::reference
