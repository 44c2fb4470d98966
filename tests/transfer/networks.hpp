// What the tests of transfer and training share: small networks, photos whose class shows in their colour,
// and everything that a training may change.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <tl/data/folder.hpp>
#include <tl/data/preprocess.hpp>
#include <tl/models/resnet.hpp>
#include <tl/nn/model.hpp>
#include "data/image_checks.hpp"
#include "support/tensors.hpp"

namespace tl::test {

using ModelPtr = std::shared_ptr<Model<float>>;

/// A ResNet of two blocks for images of 16 pixels: six convolutions, each with its BatchNorm, and fc.
inline ModelPtr small_resnet(Index classes = 3, std::uint64_t seed = 7) {
  const RandomScope scope(seed, 0);
  models::ResNet<float> network({.blocks = {1, 1},
                                 .channels = {8, 16},
                                 .stem = models::Stem::small_image,
                                 .stem_stride = 2,
                                 .classes = classes});
  return nn::trace<float>(network, Tensor<float>::zeros({1, 3, 16, 16}));
}

/// Convolution (0), relu, global pooling, flatten, the layers given, and a fully connected one, last.
template <class... Layers>
ModelPtr pooled_network(const std::shared_ptr<Layers>&... layers) {
  const RandomScope scope(5, 0);
  const auto network = nn::sequential<float>(
      {std::make_shared<nn::Conv2d<float>>(nn::Conv2dOptions{.in = 3, .out = 8, .kernel = 3, .padding = 1}),
       std::make_shared<nn::Relu<float>>(), std::make_shared<nn::AdaptiveAveragePool2d<float>>(),
       std::make_shared<nn::Flatten<float>>(), layers...,
       std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = 8, .out = 3})});
  return nn::trace<float>(*network, Tensor<float>::zeros({1, 3, 16, 16}));
}

/// Copies of all parameters and running statistics whose names match.
inline std::vector<Tensor<float>> state_of(const nn::Module<float>& network, std::string_view glob = "*") {
  std::vector<Tensor<float>> state;
  for (const auto& list : {network.parameters(), network.buffers()}) {
    for (const nn::Named<float>& entry : list) {
      if (nn::glob_match(glob, entry.name)) state.push_back(entry.var.value().clone());
    }
  }
  return state;
}

inline bool same_bits(const std::vector<Tensor<float>>& a, const std::vector<Tensor<float>>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor<float>& x, const Tensor<float>& y) { return same_bits(x, y); });
}

inline std::vector<bool> trainable_of(const nn::Module<float>& network) {
  std::vector<bool> trainable;
  for (const nn::Named<float>& p : network.parameters()) trainable.push_back(p.var.requires_grad());
  return trainable;
}

/// A folder with one folder a class, images of 16 pixels: noise, and the class's channel is brighter.
struct Photos {
  TemporaryFolder folder;
  data::ImageFolder set;

  explicit Photos(Index per_class, Index classes = 3, int brighter = 100) {
    for (Index label = 0; label < classes; ++label) {
      for (Index i = 0; i < per_class; ++i) {
        data::Image image = hashed_image(concat("class ", label, " image ", i), 16, 16);
        for (Index at = 0; at < image.bytes(); ++at) {
          const int light = image.data()[at] / 2 + (at % 3 == label ? brighter : 0);
          image.data()[at] = static_cast<std::uint8_t>(light);
        }
        put_image(folder.path() / concat("class", label) / concat(100 + i, ".png"), image);
      }
    }
    set = data::image_folder(folder.path());
  }
};

inline const data::Preprocess plain_steps = data::Preprocess::parse("resize=16,crop=16,mean=100,std=60,rgb");

}  // namespace tl::test
