// A convolution with what follows it in one pass, for inference: graph/fuse.hpp makes it of convolution,
// batch normalisation, addition and activation.
//
//   y = activation(conv(x, w) + b + r)      x:(N,C,H,W)  w:(O,C/G,KH,KW)  b:(O)  r:(N,O,OH,OW), may be left
//   out
#pragma once

#include <tl/ops/conv.hpp>
#include <tl/tensor/math.hpp>

namespace tl::ops {

/// y = activation(conv(x, w) + b + r), for inference; r:(N,O,OH,OW) may be left out. It has no gradient.
struct FusedConv2d {
  static constexpr std::string_view name = "fused_conv2d";
  Conv2d convolution{};                                        ///< stride, padding, dilation and groups
  kernels::Activation activation = kernels::Activation::none;  ///< what is applied last

  Shape infer(const Shape& x, const Shape& w, const Shape& b) const { return convolution.infer(x, w, b); }
  Shape infer(const Shape& x, const Shape& w, const Shape& b, const Shape& r) const {
    return broadcast_shapes(convolution.infer(x, w, b), r, name);
  }

  template <class T>
  Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b) const {
    infer(x.shape(), w.shape(), b.shape());
    return convolution.compute<T>(x, w, b.data(), {.activation = activation});
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b, const Tensor<T>& r) const {
    if (infer(x.shape(), w.shape(), b.shape(), r.shape()) != r.shape() ||
        convolution.infer(x.shape(), w.shape()) != r.shape())
      return activated(add(convolution.forward(x, w, b), r));
    const Tensor<T> residual = r.to(Layout::channels_last);
    return convolution.compute<T>(x, w, b.data(), {.activation = activation, .residual = residual.data()});
  }

 private:
  /// For additions that repeat an operand.
  template <class T>
  Tensor<T> activated(const Tensor<T>& y) const {
    if (activation == kernels::Activation::none) return y;
    const bool six = activation == kernels::Activation::relu6;
    return unary(six ? kernels::Unary::clip : kernels::Unary::relu, y, T{0}, six ? T{6} : T{0});
  }
};

}  // namespace tl::ops
