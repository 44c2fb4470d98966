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
  Index n = 1;           ///< images
  Index h = 1;           ///< rows of x
  Index w = 1;           ///< columns of x
  Index c = 1;           ///< channels of x
  Index oh = 1;          ///< rows of y
  Index ow = 1;          ///< columns of y
  Index o = 1;           ///< channels of y
  Index kh = 1;          ///< rows of a weight
  Index kw = 1;          ///< columns of a weight
  Index stride_h = 1;    ///< rows of x from one row of y to the next
  Index stride_w = 1;    ///< columns alike
  Index pad_top = 0;     ///< rows of zeros above x
  Index pad_left = 0;    ///< columns of zeros before x
  Index dilation_h = 1;  ///< rows of x from one row of a weight to the next
  Index dilation_w = 1;  ///< columns alike
  Index groups = 1;      ///< divides c and o

  Index input_size() const { return n * h * w * c; }                ///< elements of x
  Index output_size() const { return n * oh * ow * o; }             ///< elements of y
  Index weight_size() const { return o * (c / groups) * kh * kw; }  ///< elements of the weights
  /// Multiply-adds of the sum above, padding included.
  Index multiply_adds() const { return n * oh * ow * o * (c / groups) * kh * kw; }
  bool depthwise() const { return groups == c && groups > 1; }  ///< one filter a channel
  /// Every output reads the input of its own position: a matrix product.
  bool pointwise() const {
    return kh == 1 && kw == 1 && groups == 1 && stride_h == 1 && stride_w == 1 && oh == h && ow == w &&
           pad_top == 0 && pad_left == 0;
  }

  friend bool operator==(const ConvShape&, const ConvShape&) = default;  ///< all members equal
};

/// What is applied to each output before it is stored; relu6 clips to [0,6].
enum class Activation { none, relu, relu6 };

}  // namespace tl::kernels
