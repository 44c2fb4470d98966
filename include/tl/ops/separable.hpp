// Convolutions in a row around a depthwise one, for inference: graph/separable.hpp finds them.
//
//   y = a3(pointwise(a2(depthwise(a1(first(x, w1) + b1), w2) + b2), w3) + b3 + r)
//
// The inverted residual of MobileNetV2 (Sandler et al. 2018) and EfficientNet-Lite; without the first
// convolution, the depthwise separable one of MobileNet (Howard et al. 2017).
//
//   x:(N,C,H,W)  [w1 b1]  w2 b2  w3 b3  [r:(N,O,OH,OW)]  ->  y:(N,O,OH,OW)
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <tl/kernels/separable.hpp>
#include <tl/ops/fused_conv.hpp>

namespace tl::ops {

/// Convolutions around a depthwise one, computed by bands of rows, for inference. It has no gradient.
///   x:(N,C,H,W)  [w1 b1]  w2 b2  w3 b3  [r:(N,O,OH,OW)]  ->  y:(N,O,OH,OW)
struct SeparableConv2d {
  static constexpr std::string_view name = "separable_conv2d";
  std::optional<FusedConv2d> first{};  ///< the convolution before; may be missing
  FusedConv2d depthwise{};             ///< one filter a channel
  FusedConv2d pointwise{};             ///< 1 x 1, the last
  bool adds = false;                   ///< there is an r

  Shape infer(std::span<const Shape> in) const {
    const Shape y = value_shapes(in).back();
    return adds ? broadcast_shapes(y, in.back(), name) : y;
  }

  template <class T>
  Tensor<T> forward(std::span<const Tensor<T>> in) const {
    std::vector<Shape> shapes;
    for (const Tensor<T>& input : in) shapes.push_back(input.shape());
    const Shape y_shape = value_shapes(shapes).back();
    if (!by_bands(shapes) || (adds && in.back().shape() != y_shape)) return one_by_one(in);

    std::array<kernels::ConvStage<T>, 3> stages;
    std::array<std::shared_ptr<const AlignedArray<T>>, 3> packed;
    const std::array<kernels::ConvShape, 3> convolutions = kernel_shapes(shapes);
    for (std::size_t i = first ? 0 : 1; i < 3; ++i) {
      const std::size_t w = weights_of(i);
      packed[i] = Conv2d::packed_weights(convolutions[i], in[w]);
      stages[i] = {convolutions[i], packed[i]->data(), in[w + 1].data(), convolution(i).activation};
    }
    const Tensor<T> x = in[0].to(Layout::channels_last);
    const Tensor<T> residual = adds ? in.back().to(Layout::channels_last) : Tensor<T>();
    Tensor<T> y = Tensor<T>::empty(y_shape, Layout::channels_last);
    kernels::separable_forward<T>({.first = stages[0],
                                   .depthwise = stages[1],
                                   .pointwise = stages[2],
                                   .residual = adds ? residual.data() : nullptr},
                                  x.data(), y.mutable_data());
    return y;
  }

  /// The convolutions as kernels know them; the first one means nothing where there is none.
  std::array<kernels::ConvShape, 3> kernel_shapes(std::span<const Shape> in) const {
    const std::array<Shape, 4> values = value_shapes(in);
    std::array<kernels::ConvShape, 3> shapes;
    for (std::size_t i = first ? 0 : 1; i < 3; ++i)
      shapes[i] = convolution(i).convolution.kernel_shape(values[i], in[weights_of(i)], values[i + 1]);
    return shapes;
  }
  /// Whether images of this shape are computed by bands of rows, rather than one convolution after the other.
  bool by_bands(std::span<const Shape> in) const {
    const std::array<kernels::ConvShape, 3> shapes = kernel_shapes(in);
    return kernels::separable_pays(first ? &shapes[0] : nullptr, shapes[1], shapes[2]);
  }

 private:
  const FusedConv2d& convolution(std::size_t i) const {
    return i == 0 ? *first : i == 1 ? depthwise : pointwise;
  }
  /// Where the weights of a convolution are among the inputs; the bias follows.
  std::size_t weights_of(std::size_t i) const { return 1 + 2 * (first ? i : i - 1); }

  /// The shapes of x and of what each convolution makes of it; without a first one, x counts twice.
  std::array<Shape, 4> value_shapes(std::span<const Shape> in) const {
    const std::size_t count = weights_of(3) + (adds ? 1 : 0);
    TL_CHECK(in.size() == count, "[separable_conv2d] expected ", count, " inputs, got ", in.size());
    std::array<Shape, 4> values{in[0], in[0], {}, {}};
    for (std::size_t i = first ? 0 : 1; i < 3; ++i)
      values[i + 1] = convolution(i).infer(values[i], in[weights_of(i)], in[weights_of(i) + 1]);
    return values;
  }

  template <class T>
  Tensor<T> one_by_one(std::span<const Tensor<T>> in) const {
    const auto w = [&](std::size_t i) -> const Tensor<T>& { return in[weights_of(i)]; };
    const auto b = [&](std::size_t i) -> const Tensor<T>& { return in[weights_of(i) + 1]; };
    Tensor<T> value = first ? first->forward(in[0], w(0), b(0)) : in[0];
    value = depthwise.forward(value, w(1), b(1));
    return adds ? pointwise.forward(value, w(2), b(2), in.back()) : pointwise.forward(value, w(2), b(2));
  }
};

}  // namespace tl::ops
