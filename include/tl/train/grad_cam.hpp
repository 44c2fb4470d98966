// Grad-CAM: which parts of an image speak for a class, by the gradient at the last feature map.
//
//   A = feature map of the image, (C,h,w)        y = the class's logit
//   weight_c = mean over (h,w) of dy/dA_c        map = relu(sum_c weight_c A_c), divided by its maximum
//
// resized bilinearly to the image. The network is run in inference mode, and neither its gradients nor what
// is frozen of it is touched. Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, section 3.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/graph/subgraph.hpp>
#include <tl/nn/model.hpp>

namespace tl::train {

namespace grad_cam_impl {

/// The result of the last convolution that has more than one pixel, or of the last operation after it that
/// keeps its height and width (normalisation, addition, activation); -1 where there is none.
template <class T>
ValueId last_feature_map(const Graph<T>& graph, const std::vector<Shape>& shapes) {
  ValueId found = -1;
  Index height = 0, width = 0;
  for (const GraphNode<T>& node : graph.nodes()) {
    const Shape& shape = shapes[static_cast<std::size_t>(node.output)];
    if (shape.rank() != 4 || shape[2] * shape[3] <= 1) continue;
    const bool convolves = node.operation->template get_if<ops::Conv2d>() != nullptr ||
                           node.operation->template get_if<ops::ConvTranspose2d>() != nullptr;
    if (!convolves && (found < 0 || shape[2] != height || shape[3] != width)) continue;
    found = node.output;
    height = shape[2];
    width = shape[3];
  }
  return found;
}

/// The output, or what a softmax makes it of.
template <class T>
ValueId logits_of(const Graph<T>& graph) {
  ValueId id = graph.outputs()[0];
  for (int n = graph.producer(id); n >= 0; n = graph.producer(id)) {
    const GraphNode<T>& node = graph.nodes()[static_cast<std::size_t>(n)];
    if (node.operation->template get_if<ops::Softmax>() == nullptr &&
        node.operation->template get_if<ops::LogSoftmax>() == nullptr)
      break;
    id = node.inputs[0];
  }
  return id;
}

/// (h,w) to (height,width), between the centres of the pixels; outside of these the nearest one.
template <class T>
Tensor<T> resize_bilinear(const Tensor<T>& map, Index height, Index width) {
  struct Place {
    Index low, high;
    double share;  ///< of the higher one
  };
  const auto places = [](Index from, Index to) {
    std::vector<Place> all;
    for (Index i = 0; i < to; ++i) {
      const double at = (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to);
      const double clamped = std::clamp(at - 0.5, 0.0, static_cast<double>(from - 1));
      const auto low = static_cast<Index>(clamped);
      all.push_back({low, std::min(low + 1, from - 1), clamped - static_cast<double>(low)});
    }
    return all;
  };
  const std::vector<Place> rows = places(map.shape(0), height), columns = places(map.shape(1), width);
  Tensor<T> result = Tensor<T>::empty({height, width});
  T* to = result.mutable_data();
  for (const Place& y : rows) {
    const T* low = map.data() + y.low * map.shape(1);
    const T* high = map.data() + y.high * map.shape(1);
    for (const Place& x : columns) {
      const auto between = [&](const T* row) {
        return (1 - x.share) * static_cast<double>(row[x.low]) + x.share * static_cast<double>(row[x.high]);
      };
      *to++ = static_cast<T>((1 - y.share) * between(low) + y.share * between(high));
    }
  }
  return result;
}

/// maps:(1,C,h,w) weighed by the means of their gradients, negative sums cut off, the largest being 1; all 0
/// where nothing is above 0.
template <class T>
Tensor<T> weighed(const Tensor<T>& maps, const Tensor<T>& gradients) {
  const Index channels = maps.shape(1), pixels = maps.shape(2) * maps.shape(3);
  const Tensor<T> a = maps.plain(), da = gradients.plain();
  std::vector<double> sum(static_cast<std::size_t>(pixels), 0.0);
  for (Index c = 0; c < channels; ++c) {
    double weight = 0;
    for (Index i = 0; i < pixels; ++i) weight += static_cast<double>(da.data()[c * pixels + i]);
    weight /= static_cast<double>(pixels);
    for (Index i = 0; i < pixels; ++i)
      sum[static_cast<std::size_t>(i)] += weight * static_cast<double>(a.data()[c * pixels + i]);
  }
  const double most = *std::max_element(sum.begin(), sum.end());
  Tensor<T> result = Tensor<T>::zeros({maps.shape(2), maps.shape(3)});
  if (!(most > 0)) return result;
  std::transform(sum.begin(), sum.end(), result.mutable_data(),
                 [most](double x) { return static_cast<T>(std::max(0.0, x) / most); });
  return result;
}

}  // namespace grad_cam_impl

/// Maps of a network that say where in an image a class is seen.
template <std::floating_point T>
class GradCam {
 public:
  /// Of a network as it was read, not a fused one. `example` is the shape of one image, (1,3,H,W). `layer` is
  /// the name of a value (C,h,w) or of the node that computes it; none: the last one before the image is
  /// pooled.
  explicit GradCam(const Graph<T>& network, const Shape& example, std::string_view layer = {}) {
    TL_CHECK(network.inputs().size() == 1 && network.outputs().size() == 1,
             "[grad_cam] expected a network with one input and one output, got ", network.inputs().size(),
             " and ", network.outputs().size());
    const Graph<T> graph = pruned(network);
    const std::vector<Shape> shapes = graph.infer(std::span(&example, 1));
    const ValueId map = layer.empty() ? grad_cam_impl::last_feature_map(graph, shapes) : named(graph, layer);
    TL_CHECK(map >= 0, "[grad_cam] expected a network with a convolution of more than one pixel, got none");
    layer_ = graph.value(map).name;
    const Shape& maps = shapes[static_cast<std::size_t>(map)];
    TL_CHECK(maps.rank() == 4, "[grad_cam] expected a feature map (N,C,h,w) as '", layer_, "', got ", maps);

    const ValueId input = graph.inputs()[0], logits = grad_cam_impl::logits_of(graph);
    below_ = std::make_unique<Model<T>>(
        subgraph<T>(graph, std::span(&input, 1), std::span(&example, 1), std::span(&map, 1)));
    // The image goes there too: a network may lead it past the map.
    const ValueId given[] = {input, map};
    const Shape given_shapes[] = {example, maps};
    above_ = subgraph<T>(graph, given, given_shapes, std::span(&logits, 1));
    for (ValueId id = 0; id < static_cast<ValueId>(above_.values().size()); ++id) {
      Var<T>& var = above_.value(id).var;
      if (var.defined()) var = var.detach();
    }
  }

  /// The value that is looked at.
  const std::string& layer() const { return layer_; }

  /// image:(1,3,H,W) -> (H,W) in [0,1]: how much each place speaks for the class `label`; all 0 where none
  /// does.
  Tensor<T> operator()(const Tensor<T>& image, Index label) const {
    TL_CHECK(image.rank() == 4 && image.shape(0) == 1, "[grad_cam] expected one image (1,C,H,W), got ",
             image.shape());
    TL_CHECK(!NoGrad::active(), "[grad_cam] needs a gradient: call it outside the scope of a NoGrad");
    const Var<T> maps(below_->predict(image), true);
    const Var<T> inputs[] = {Var<T>(image), maps};
    const Var<T> logits = above_.run(inputs, {}).front();
    TL_CHECK(logits.requires_grad(), "[grad_cam] the scores do not depend on '", layer_, "'");
    TL_CHECK(label >= 0 && label < logits.value().size(), "[grad_cam] expected a class below ",
             logits.value().size(), ", got ", label);
    Tensor<T> one = Tensor<T>::zeros(logits.shape(), logits.value().layout());
    one.mutable_data()[label] = 1;
    logits.backward(one);
    return grad_cam_impl::resize_bilinear(grad_cam_impl::weighed(maps.value(), maps.grad()), image.shape(2),
                                          image.shape(3));
  }

 private:
  static ValueId named(const Graph<T>& graph, std::string_view layer) {
    if (const ValueId id = graph.find(layer); id >= 0) return id;
    for (const GraphNode<T>& node : graph.nodes()) {
      if (node.name == layer) return node.output;
    }
    fail("[grad_cam] the network has no value or node '", layer, "': see tl inspect");
  }

  std::string layer_;
  std::unique_ptr<Model<T>> below_;  ///< from the image to the map
  Graph<T> above_;                   ///< from image and map to the logits, with weights that take no gradient
};

}  // namespace tl::train
