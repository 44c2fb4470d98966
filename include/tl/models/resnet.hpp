// Residual networks (He et al. 2015, https://arxiv.org/abs/1512.03385) with torchvision's parameter names.
//
//   stem      images (N,3,H,W): 7x7 stride 2, batch norm, relu, 3x3 max pool stride 2;
//             for small images 3x3, batch norm, relu
//   layer1-4  blocks of two 3x3 convolutions (basic), or of 1x1, 3x3 and 1x1 (bottleneck, four times as wide
//             outside)
//   head      global average pooling, fc: (N,classes)
#pragma once

#include <vector>

#include <tl/nn/layers.hpp>

namespace tl::models {

/// What comes before the stages: `large_image` divides height and width by 4, `small_image` by its stride.
enum class Stem { large_image, small_image };

/// What a residual network is built of.
struct ResNetOptions {
  std::vector<Index> blocks{2, 2, 2, 2};  ///< blocks of each stage
  std::vector<Index> channels{64, 128, 256,
                              512};  ///< channels of each stage, before a bottleneck's expansion
  bool bottleneck = false;           ///< blocks of 1x1, 3x3 and 1x1 convolutions instead of two 3x3
  Stem stem = Stem::large_image;     ///< what comes before the stages
  Index stem_stride = 1;             ///< of the small-image stem's convolution
  Index classes = 1000;              ///< width of the output
};

/// conv1-bn1-relu-conv2-bn2 (basic) or conv1-bn1-relu-conv2-bn2-relu-conv3-bn3 (bottleneck), + shortcut,
/// relu.
template <std::floating_point T>
class ResNetBlock final : public nn::Module<T> {
 public:
  /// How much wider a bottleneck's output is than its 3x3 convolution.
  static constexpr Index expansion = 4;

  /// `width` is the channels of the 3x3 convolutions, `stride` of the first of them.
  ResNetBlock(Index in, Index width, Index stride, bool bottleneck) {
    const Index out = bottleneck ? width * expansion : width;
    if (bottleneck) {
      add_unit(1, {.in = in, .out = width});
      add_unit(2, {.in = width, .out = width, .kernel = 3, .stride = stride, .padding = 1});
      add_unit(3, {.in = width, .out = out});
    } else {
      add_unit(1, {.in = in, .out = width, .kernel = 3, .stride = stride, .padding = 1});
      add_unit(2, {.in = width, .out = width, .kernel = 3, .padding = 1});
    }
    if (stride != 1 || in != out) {
      shortcut_ = this->add_module(
          "downsample",
          nn::sequential<T>(
              {std::make_shared<nn::Conv2d<T>>(nn::Conv2dOptions{.in = in, .out = out, .stride = stride}),
               std::make_shared<nn::BatchNorm2d<T>>(nn::BatchNormOptions{.channels = out})}));
    }
  }

  Var<T> forward(const Var<T>& x) override {
    Var<T> y = x;
    for (std::size_t i = 0; i < units_.size(); ++i) {
      y = units_[i].bn->forward(units_[i].conv->forward(y));
      if (i + 1 < units_.size()) y = relu(y);
    }
    return relu(y + (shortcut_ ? shortcut_->forward(x) : x));
  }

 private:
  struct Unit {
    std::shared_ptr<nn::Conv2d<T>> conv;
    std::shared_ptr<nn::BatchNorm2d<T>> bn;
  };
  void add_unit(int number, const nn::Conv2dOptions& options) {
    const auto n = std::to_string(number);
    units_.push_back({this->add_module("conv" + n, std::make_shared<nn::Conv2d<T>>(options)),
                      this->add_module("bn" + n, std::make_shared<nn::BatchNorm2d<T>>(
                                                     nn::BatchNormOptions{.channels = options.out}))});
  }

  std::vector<Unit> units_;
  nn::ModulePtr<T> shortcut_;
};

/// (N,3,H,W) -> logits (N,classes).
template <std::floating_point T = float>
class ResNet final : public nn::Module<T> {
 public:
  /// With new weights; throws where blocks and channels differ in number.
  explicit ResNet(const ResNetOptions& o) : stem_(o.stem) {
    TL_CHECK(!o.blocks.empty() && o.blocks.size() == o.channels.size(),
             "[resnet] expected as many stages in blocks as in channels, got ", o.blocks.size(), " and ",
             o.channels.size());
    const bool large = o.stem == Stem::large_image;
    Index in = o.channels.front();
    conv1_ = this->add_module(
        "conv1", std::make_shared<nn::Conv2d<T>>(
                     large ? nn::Conv2dOptions{.in = 3, .out = in, .kernel = 7, .stride = 2, .padding = 3}
                           : nn::Conv2dOptions{
                                 .in = 3, .out = in, .kernel = 3, .stride = o.stem_stride, .padding = 1}));
    bn1_ =
        this->add_module("bn1", std::make_shared<nn::BatchNorm2d<T>>(nn::BatchNormOptions{.channels = in}));
    for (std::size_t stage = 0; stage < o.blocks.size(); ++stage) {
      auto blocks = std::make_shared<nn::Sequential<T>>();
      for (Index block = 0; block < o.blocks[stage]; ++block) {
        const Index stride = stage > 0 && block == 0 ? 2 : 1;
        blocks->push_back(std::make_shared<ResNetBlock<T>>(in, o.channels[stage], stride, o.bottleneck));
        in = o.channels[stage] * (o.bottleneck ? ResNetBlock<T>::expansion : 1);
      }
      stages_.push_back(this->add_module("layer" + std::to_string(stage + 1), blocks));
    }
    fc_ =
        this->add_module("fc", std::make_shared<nn::Dense<T>>(nn::DenseOptions{.in = in, .out = o.classes}));
  }

  /// Images (N,3,H,W) -> logits (N,classes)
  Var<T> forward(const Var<T>& x) override {
    Var<T> y = relu(bn1_->forward(conv1_->forward(x)));
    if (stem_ == Stem::large_image) {
      y = max_pool2d(y, {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}});
    }
    for (const auto& stage : stages_) y = stage->forward(y);
    return fc_->forward(flatten(global_average_pool2d(y)));
  }

 private:
  Stem stem_;
  nn::ModulePtr<T> conv1_, bn1_, fc_;
  std::vector<nn::ModulePtr<T>> stages_;
};

/// 18 layers, basic blocks; 11.7 million parameters with 1000 classes.
template <std::floating_point T = float>
std::shared_ptr<ResNet<T>> resnet18(Index classes = 1000) {
  return std::make_shared<ResNet<T>>(ResNetOptions{.classes = classes});
}
/// 34 layers, basic blocks; 21.8 million parameters with 1000 classes.
template <std::floating_point T = float>
std::shared_ptr<ResNet<T>> resnet34(Index classes = 1000) {
  return std::make_shared<ResNet<T>>(ResNetOptions{.blocks = {3, 4, 6, 3}, .classes = classes});
}
/// 50 layers, bottlenecks; 25.6 million parameters with 1000 classes.
template <std::floating_point T = float>
std::shared_ptr<ResNet<T>> resnet50(Index classes = 1000) {
  return std::make_shared<ResNet<T>>(
      ResNetOptions{.blocks = {3, 4, 6, 3}, .bottleneck = true, .classes = classes});
}
/// The network that weights/ ships: 2.8 million parameters, made for images of 64 to 128 pixels.
template <std::floating_point T = float>
std::shared_ptr<ResNet<T>> resnet_small(Index classes = 200) {
  return std::make_shared<ResNet<T>>(ResNetOptions{
      .channels = {32, 64, 128, 256}, .stem = Stem::small_image, .stem_stride = 2, .classes = classes});
}

}  // namespace tl::models
