// EfficientNet-Lite0
// (https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html):
// EfficientNet (Tan and Le 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excitation and with
// relu6, so that it quantises well. Parameters are named as in timm's tf_efficientnet_lite0.
//
//   stem     images (N,3,H,W): 3x3 stride 2, 32 channels
//   blocks   a depthwise-separable one, then inverted residuals: 1x1 to six times as many channels, depthwise
//            3x3 or 5x5, 1x1 without activation; + x where shapes allow
//   head     1x1 to 1280 channels, global average pooling, classifier: (N,classes)
//
// After each convolution stands a batch normalisation, and relu6 but for the last of a block. Dropout and
// stochastic depth, which only training from scratch wants, are left out.
#pragma once

#include <algorithm>
#include <vector>

#include <tl/nn/layers.hpp>

namespace tl::models {

/// Convolution padded as TensorFlow does: the output has ceil(H / stride) rows, and of an odd number of rows
/// to add the bottom gets one more; columns alike.  (N,in,H,W) -> (N,out,OH,OW)
template <std::floating_point T>
class SameConv2d final : public nn::Module<T> {
 public:
  /// Reads in, out, kernel, stride and groups; the weight is Kaiming normal.
  explicit SameConv2d(const nn::Conv2dOptions& o)
      : operation_{.stride = {o.stride, o.stride}, .groups = o.groups},
        weight_(
            this->add_parameter("weight", nn::kaiming_normal<T>({o.out, o.in / o.groups, o.kernel, o.kernel},
                                                                RandomScope::next_stream()))) {}

  Var<T> forward(const Var<T>& x) override {
    TL_CHECK(x.shape().rank() == 4, "[same_conv2d] expected images (N,C,H,W), got ", x.shape());
    const Index rows = to_add(x.shape()[2], operation_.stride.h),
                columns = to_add(x.shape()[3], operation_.stride.w);
    ops::Conv2d operation = operation_;
    operation.padding = {
        .top = rows / 2, .left = columns / 2, .bottom = rows - rows / 2, .right = columns - columns / 2};
    return conv2d(x, weight_, operation);
  }

 private:
  Index to_add(Index extent, Index stride) const {
    const Index kernel = weight_.shape()[2], out = (extent + stride - 1) / stride;
    return std::max<Index>((out - 1) * stride + kernel - extent, 0);
  }

  ops::Conv2d operation_;
  Var<T> weight_;
};

namespace efficientnet_impl {

/// The batch normalisation of TensorFlow's networks.
template <std::floating_point T>
std::shared_ptr<nn::BatchNorm2d<T>> batch_norm_of(Index channels) {
  return std::make_shared<nn::BatchNorm2d<T>>(
      nn::BatchNormOptions{.channels = channels, .epsilon = 1e-3, .momentum = 0.01});
}

}  // namespace efficientnet_impl

/// What a block is built of.
struct EfficientNetBlockOptions {
  Index in = 0;         ///< channels of the input
  Index out = 0;        ///< channels of the output
  Index kernel = 3;     ///< height and width of the depthwise window
  Index stride = 1;     ///< of the depthwise convolution; 1 keeps the extents
  Index expansion = 6;  ///< 1: depthwise-separable, without the first convolution
};

/// conv_pw-bn1-relu6-conv_dw-bn2-relu6-conv_pwl-bn3, or conv_dw-bn1-relu6-conv_pw-bn2 without expansion; + x.
template <std::floating_point T>
class EfficientNetBlock final : public nn::Module<T> {
 public:
  /// Adds x where stride is 1 and in = out.
  explicit EfficientNetBlock(const EfficientNetBlockOptions& o) : adds_(o.stride == 1 && o.in == o.out) {
    const Index wide = o.in * o.expansion;
    const bool expands = o.expansion > 1;
    if (expands) add_unit<nn::Conv2d<T>>("conv_pw", {.in = o.in, .out = wide});
    add_unit<SameConv2d<T>>(
        "conv_dw", {.in = wide, .out = wide, .kernel = o.kernel, .stride = o.stride, .groups = wide});
    add_unit<nn::Conv2d<T>>(expands ? "conv_pwl" : "conv_pw", {.in = wide, .out = o.out});
  }

  Var<T> forward(const Var<T>& x) override {
    Var<T> y = x;
    for (std::size_t i = 0; i < units_.size(); ++i) {
      y = units_[i].bn->forward(units_[i].conv->forward(y));
      if (i + 1 < units_.size()) y = relu6(y);
    }
    return adds_ ? y + x : y;
  }

 private:
  struct Unit {
    nn::ModulePtr<T> conv, bn;
  };
  template <class Conv>
  void add_unit(const std::string& name, const nn::Conv2dOptions& options) {
    const auto conv = this->add_module(name, std::make_shared<Conv>(options));
    const auto bn = this->add_module("bn" + std::to_string(units_.size() + 1),
                                     efficientnet_impl::batch_norm_of<T>(options.out));
    units_.push_back({conv, bn});
  }

  bool adds_;
  std::vector<Unit> units_;
};

/// (N,3,H,W) -> logits (N,classes); made for 224 x 224 pixels.
template <std::floating_point T = float>
class EfficientNetLite0 final : public nn::Module<T> {
 public:
  /// With new weights; parameters are named as in timm's tf_efficientnet_lite0.
  explicit EfficientNetLite0(Index classes) {
    struct Stage {
      Index blocks, kernel, stride, expansion, channels;
    };
    constexpr Stage stages[] = {{1, 3, 1, 1, 16},  {2, 3, 2, 6, 24},  {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80},
                                {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320}};
    constexpr Index stem = 32, features = 1280;
    conv_stem_ = this->add_module("conv_stem", std::make_shared<SameConv2d<T>>(nn::Conv2dOptions{
                                                   .in = 3, .out = stem, .kernel = 3, .stride = 2}));
    bn1_ = this->add_module("bn1", efficientnet_impl::batch_norm_of<T>(stem));
    Index in = stem;
    blocks_ = this->add_module("blocks", std::make_shared<nn::Sequential<T>>());
    for (const Stage& s : stages) {
      const auto stage = std::make_shared<nn::Sequential<T>>();
      for (Index block = 0; block < s.blocks; ++block) {
        stage->push_back(std::make_shared<EfficientNetBlock<T>>(
            EfficientNetBlockOptions{.in = in,
                                     .out = s.channels,
                                     .kernel = s.kernel,
                                     .stride = block == 0 ? s.stride : 1,
                                     .expansion = s.expansion}));
        in = s.channels;
      }
      blocks_->push_back(stage);
    }
    conv_head_ = this->add_module(
        "conv_head", std::make_shared<nn::Conv2d<T>>(nn::Conv2dOptions{.in = in, .out = features}));
    bn2_ = this->add_module("bn2", efficientnet_impl::batch_norm_of<T>(features));
    classifier_ = this->add_module(
        "classifier", std::make_shared<nn::Dense<T>>(nn::DenseOptions{.in = features, .out = classes}));
  }

  /// Images (N,3,H,W) -> logits (N,classes)
  Var<T> forward(const Var<T>& x) override {
    Var<T> y = relu6(bn1_->forward(conv_stem_->forward(x)));
    y = relu6(bn2_->forward(conv_head_->forward(blocks_->forward(y))));
    return classifier_->forward(flatten(global_average_pool2d(y)));
  }

 private:
  nn::ModulePtr<T> conv_stem_, bn1_, conv_head_, bn2_, classifier_;
  std::shared_ptr<nn::Sequential<T>> blocks_;
};

/// 4.7 million parameters, made for images of 224 pixels: resize=256,bicubic,crop=224,mean=127,std=128,rgb.
template <std::floating_point T = float>
std::shared_ptr<EfficientNetLite0<T>> efficientnet_lite0(Index classes = 1000) {
  return std::make_shared<EfficientNetLite0<T>>(classes);
}

}  // namespace tl::models
