// The shapes of a two-dimensional convolution over channels-last images, and what may follow it.
//
//   x (n,h,w,c)  *  weight (o, c/groups, kh, kw)  ->  y (n,oh,ow,o)
//   y[n,p,q,o] = bias[o] + sum_{i,r,s} x[n, p*stride_h - pad_top + r*dilation_h,
//                                           q*stride_w - pad_left + s*dilation_w, g*(c/groups) + i] *
//                                           weight[o,i,r,s]
// with g = o / (o_count/groups), and x zero outside the image.
#pragma once

#include <tl/core/shape.hpp>

namespace tl::kernels {

/// Extents of one convolution. The caller gives oh and ow; padding at the bottom and right is what they
/// imply.
struct ConvShape {
  Index n = 1, h = 1, w = 1, c = 1;
  Index oh = 1, ow = 1, o = 1;
  Index kh = 1, kw = 1;
  Index stride_h = 1, stride_w = 1;
  Index pad_top = 0, pad_left = 0;
  Index dilation_h = 1, dilation_w = 1;
  Index groups = 1;

  Index input_size() const { return n * h * w * c; }
  Index output_size() const { return n * oh * ow * o; }
  Index weight_size() const { return o * (c / groups) * kh * kw; }
  /// Multiply-adds of the sum above, padding included.
  Index multiply_adds() const { return n * oh * ow * o * (c / groups) * kh * kw; }
  bool depthwise() const { return groups == c && groups > 1; }
  /// Every output reads the input of its own position: a matrix product.
  bool pointwise() const {
    return kh == 1 && kw == 1 && groups == 1 && stride_h == 1 && stride_w == 1 && oh == h && ow == w &&
           pad_top == 0 && pad_left == 0;
  }

  friend bool operator==(const ConvShape&, const ConvShape&) = default;
};

/// What is applied to each output before it is stored; relu6 clips to [0,6].
enum class Activation { none, relu, relu6 };

}  // namespace tl::kernels
