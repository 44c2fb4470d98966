// InPieces: a network for inference that takes a large batch a few images at a time.
//
// The first layers of an image network make values far larger than the image. For a whole batch they do not
// fit the caches, and every layer waits for memory. A few images at a time go through the layers that treat
// each image by itself; the rest, such as the fully connected layers behind the last pooling, runs on the
// whole batch.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include <tl/graph/subgraph.hpp>
#include <tl/ops/activation.hpp>
#include <tl/ops/arithmetic.hpp>
#include <tl/ops/conv_transpose.hpp>
#include <tl/ops/fused_conv.hpp>
#include <tl/ops/fused_norm.hpp>
#include <tl/ops/pool.hpp>
#include <tl/ops/separable.hpp>
#include <tl/ops/shape.hpp>

namespace tl {

/// A network for inference that takes a large batch a few images at a time.
template <class T>
class InPieces {
 public:
  /// `whole` is the graph for inference, already fused.
  explicit InPieces(Graph<T> whole) : whole_(std::move(whole)) { find_parts(); }

  /// The output for a batch x, without a tape; the same as from the whole network at once, but for rounding
  /// where a convolution takes another algorithm for a single image.
  Var<T> run(const Var<T>& x) const {
    const Index images = x.shape().rank() == 4 ? x.shape(0) : 1;
    const Index pieces = images <= 1 ? 1 : (images - 1) / images_at_once(x.shape()) + 1;
    if (pieces <= 1) return run(whole_, x);
    Tensor<T> between;
    T* to = nullptr;
    for (Index piece = 0; piece < pieces; ++piece) {
      const Index begin = images * piece / pieces, end = images * (piece + 1) / pieces;
      const Tensor<T> part = run(parts_->first, Var<T>(rows(x.value(), begin, end))).value();
      if (piece == 0) {
        Shape shape = part.shape();
        shape[0] = images;
        between = Tensor<T>::empty(shape, part.layout());
        to = between.mutable_data();
      }
      to = std::copy_n(part.to(between.layout()).data(), part.size(), to);
    }
    return parts_->rest ? run(*parts_->rest, Var<T>(std::move(between))) : Var<T>(std::move(between));
  }

  const Graph<T>& whole() const { return whole_; }  ///< the graph as it was given
  /// What runs on a few images at a time, and what follows for the whole batch; null where nothing does, and
  /// where batches are not cut.
  const Graph<T>* first() const { return parts_ ? &parts_->first : nullptr; }
  /// What follows it for the whole batch; null where nothing does.
  const Graph<T>* rest() const { return parts_ && parts_->rest ? &*parts_->rest : nullptr; }
  /// Of a batch of this shape, how many images go through the first part at a time: all where it is not cut.
  Index images_at_once(const Shape& x) const {
    if (!parts_ || x.rank() != 4 || x.size() == 0) return x.rank() > 0 ? x[0] : 1;
    const auto images = static_cast<double>(x[0]), bytes = static_cast<double>(x.size()) * parts_->growth;
    return static_cast<Index>(std::clamp(cache_bytes / (bytes / images), 1.0, images));
  }

 private:
  static constexpr double cache_bytes = 16 << 20;  ///< half of what two cores commonly share

  struct Parts {
    Graph<T> first;
    std::optional<Graph<T>> rest;
    double growth = 0;  ///< bytes of the largest value in the first part, for each element of the input
  };

  static Var<T> run(const Graph<T>& graph, const Var<T>& x) {
    return graph.run(std::span<const Var<T>>(&x, 1), {}).front();
  }

  /// Images [begin,end): the batch is the slowest axis of every layout.
  static Tensor<T> rows(const Tensor<T>& x, Index begin, Index end) {
    Shape shape = x.shape();
    const Index image = x.size() / shape[0];
    shape[0] = end - begin;
    Tensor<T> part = Tensor<T>::empty(shape, x.layout());
    std::copy_n(x.data() + begin * image, part.size(), part.mutable_data());
    return part;
  }

  void find_parts() {
    if (!whole_.open_batch || whole_.inputs().size() != 1 || whole_.outputs().size() != 1) return;
    const ValueId input = whole_.inputs()[0];
    const Shape example = whole_.value(input).shape;
    if (example.rank() != 4 || example.size() == 0) return;
    std::vector<Shape> shapes;
    try {
      shapes = whole_.infer(std::span<const Shape>(&example, 1));
    } catch (const Error&) {  // the example is not one
      return;
    }
    std::vector<bool> by_image;
    for (const GraphNode<T>& node : whole_.nodes())
      by_image.push_back(treats_images_alone(node, shapes, example[0]));
    const ValueId cut = last_cut(whole_, by_image);
    if (cut == input) return;
    const auto part = [&](ValueId from, ValueId to) {
      return subgraph<T>(whole_, std::span<const ValueId>(&from, 1),
                         std::span<const Shape>(&shapes[static_cast<std::size_t>(from)], 1),
                         std::span<const ValueId>(&to, 1));
    };
    parts_.emplace(Parts{.first = part(input, cut), .rest = {}});
    if (cut != whole_.outputs()[0]) parts_->rest = part(cut, whole_.outputs()[0]);
    Index most = 0;
    for (std::size_t n = 0; n < whole_.nodes().size(); ++n) {
      const ValueId output = whole_.nodes()[n].output;
      most = std::max(most, shapes[static_cast<std::size_t>(output)].size());
      if (output == cut) break;
    }
    parts_->growth = static_cast<double>(most) * sizeof(T) / static_cast<double>(example.size());
  }

  template <class... Op>
  static bool is_any_of(const Operation<T>& operation) {
    return (... || (operation.template get_if<Op>() != nullptr));
  }

  /// Whether an image's result depends on that image alone.
  bool treats_images_alone(const GraphNode<T>& node, const std::vector<Shape>& shapes, Index images) const {
    const Operation<T>& operation = *node.operation;
    const auto is_batch = [&](ValueId id) {
      const Shape& shape = shapes[static_cast<std::size_t>(id)];
      return !whole_.value(id).var.defined() && shape.rank() == 4 && shape[0] == images;
    };
    const auto repeats = [&](ValueId id) {
      const Shape& shape = shapes[static_cast<std::size_t>(id)];
      return whole_.value(id).var.defined() && (shape.rank() < 4 || shape[0] == 1);
    };
    const auto all = [&](const auto& holds) {
      return std::all_of(node.inputs.begin(), node.inputs.end(), holds);
    };
    if (is_any_of<ops::Add, ops::Sub, ops::Mul, ops::Div>(operation))
      return all([&](ValueId id) { return is_batch(id) || repeats(id); });
    if (const auto* concat = operation.template get_if<ops::Concat>())
      return concat->axis != 0 && concat->axis != -4 && all(is_batch);
    const auto* separable = operation.template get_if<ops::SeparableConv2d>();
    const bool adds = separable != nullptr ? separable->adds
                                           : operation.template get_if<ops::FusedConv2d>() != nullptr &&
                                                 node.inputs.size() == 4;
    if (adds && !is_batch(node.inputs.back())) return false;
    return is_batch(node.inputs[0]) &&
           is_any_of<ops::Conv2d, ops::FusedConv2d, ops::SeparableConv2d, ops::ConvTranspose2d,
                     ops::BatchNorm, ops::FusedBatchNorm, ops::MaxPool2d, ops::AveragePool2d,
                     ops::AdaptiveAveragePool2d, ops::AdaptiveMaxPool2d, ops::GlobalMaxPool2d, ops::Relu,
                     ops::Clip, ops::LeakyRelu, ops::Sigmoid, ops::Tanh, ops::Silu, ops::HardSwish,
                     ops::HardSigmoid, ops::Gelu, ops::Elu, ops::Selu, ops::Softplus, ops::Mish, ops::Erf>(
               operation);
  }

  Graph<T> whole_;
  std::optional<Parts> parts_;
};

}  // namespace tl
