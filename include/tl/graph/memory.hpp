// How much memory a network takes when it runs, before it runs: from shapes, and from what each operation
// says that its gradient reads.
//
//   forward     a value lives until its last reader has run; what a gradient reads, until it was computed
//   backward    from the last operation to the first: gradients of values until they are used, those of
//               parameters until the step
//
// It walks through the nodes as Graph::run and backward() do, and is meant to be a little too large.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <tl/core/parallel.hpp>
#include <tl/graph/fuse.hpp>
#include <tl/graph/pieces.hpp>
#include <tl/kernels/conv_scratch.hpp>
#include <tl/ops/linear.hpp>

namespace tl {

namespace memory_impl {

/// One pass, forward or forward and backward, through a graph as it stands.
template <class T>
class Walk {
 public:
  Walk(const Graph<T>& graph, std::span<const Shape> inputs, bool training)
      : graph_(graph),
        shapes_(graph.infer(inputs)),
        trains_(training ? graph.training_nodes() : std::vector<bool>(graph.nodes().size(), false)),
        wanted_(training ? graph.trainable_values() : std::vector<bool>(graph.values().size(), false)),
        readers_(graph.values().size(), 0),
        holders_(graph.values().size(), 0),
        kept_(graph.nodes().size(), 0) {
    for (const ValueId id : graph.outputs()) ++readers_[at(id)];
    for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node) {
      if (readers_[at(node->output)] == 0) continue;
      for (const ValueId id : node->inputs) ++readers_[at(id)];
    }
    needed_ = readers_;
    for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
      if (needed_[at(graph.nodes()[n].output)] > 0) forward(n);
    }
    if (training) backward();
  }

  /// The most at one time.
  Index most() const { return most_; }
  /// Packed weights, and those that are still in their file and will be read.
  Index weights() const { return weights_; }
  const kernels::ConvScratch& scratch() const { return scratch_; }
  Shape output() const { return shapes_[at(graph_.outputs()[0])]; }

 private:
  using Node = GraphNode<T>;
  static std::size_t at(ValueId id) { return static_cast<std::size_t>(id); }
  static Index bytes(const Shape& shape) {
    constexpr auto line = static_cast<Index>(memory_alignment);
    return (shape.size() * static_cast<Index>(sizeof(T)) + line - 1) / line * line;
  }
  Index bytes(ValueId id) const { return bytes(shapes_[at(id)]); }
  bool stored(ValueId id) const { return graph_.values()[at(id)].var.defined(); }
  bool is_result(ValueId id) const { return graph_.values()[at(id)].kind == ValueKind::result; }
  template <class... Op>
  static bool is_any_of(const Node& node) {
    return (... || (node.operation->template get_if<Op>() != nullptr));
  }

  void hold(ValueId id) {
    if (is_result(id) && holders_[at(id)]++ == 0) live_ += bytes(id);
  }
  void drop(ValueId id) {
    if (is_result(id) && --holders_[at(id)] == 0) live_ -= bytes(id);
  }
  void reach(Index bytes) { most_ = std::max(most_, bytes); }

  /// What the gradients of a node read; nothing where none reaches it.
  Reads reads(std::size_t n) const {
    const Node& node = graph_.nodes()[n];
    Reads all;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (!wanted_[at(node.inputs[i])]) continue;
      const Reads r = node.operation->reads(static_cast<int>(i), {.training = trains_[n]});
      all.inputs |= r.inputs;
      all.output |= r.output;
      all.context |= r.context;
    }
    return all;
  }
  template <class Use>
  void for_each_saved(std::size_t n, const Use& use) const {
    const Node& node = graph_.nodes()[n];
    const Reads r = reads(n);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (i < 32 ? (r.inputs >> i & 1u) != 0 : r.inputs == all_inputs) use(node.inputs[i]);
    }
    if (r.output) use(node.output);
  }

  void forward(std::size_t n) {
    const Node& node = graph_.nodes()[n];
    count_weights(n);
    reach(live_ + bytes(node.output) + aside(node));
    hold(node.output);
    if (wanted_[at(node.output)]) {
      for_each_saved(n, [this](ValueId id) { hold(id); });
      if (reads(n).context) live_ += kept_[n] = context(node);
    }
    reach(live_);
    for (const ValueId id : node.inputs) {
      if (--readers_[at(id)] == 0) drop(id);
    }
  }

  void backward() {
    const ValueId end = graph_.outputs()[0];
    if (!wanted_[at(end)]) return;
    std::vector<bool> arrived(graph_.values().size(), false);
    constexpr Index in_a_loss = 3;  // its gradient twice, the logarithms of probabilities
    reach(live_ + in_a_loss * bytes(end));
    live_ += bytes(end);
    arrived[at(end)] = true;
    for (std::size_t n = graph_.nodes().size(); n-- > 0;) {
      const Node& node = graph_.nodes()[n];
      if (needed_[at(node.output)] == 0 || !wanted_[at(node.output)] || !arrived[at(node.output)]) continue;
      count_backward_scratch(node);
      // A sum hands its gradient on.
      bool handed_on = is_any_of<ops::Add>(node);
      Index terms = 0;
      for (const ValueId id : node.inputs) {
        if (!wanted_[at(id)]) continue;
        if (arrived[at(id)]) {
          terms += bytes(id);
        } else if (handed_on && is_result(id) && shapes_[at(id)] == shapes_[at(node.output)]) {
          handed_on = false;
          live_ += bytes(id);
          terms -= bytes(id);
        } else {
          live_ += bytes(id);
        }
        arrived[at(id)] = true;
      }
      reach(live_ + terms + aside(node));
      live_ -= bytes(node.output) + kept_[n];
      for_each_saved(n, [this](ValueId id) { drop(id); });
    }
  }

  /// Bytes that a context keeps: indices of maxima, masks, statistics of channels.
  Index context(const Node& node) const {
    if (is_any_of<ops::BatchNorm, ops::FusedBatchNorm>(node)) return 2 * bytes(node.inputs[1]);
    if (is_any_of<ops::MaxPool2d, ops::AdaptiveMaxPool2d, ops::GlobalMaxPool2d>(node))
      return shapes_[at(node.output)].size() * static_cast<Index>(sizeof(std::int32_t));
    Index sum = bytes(node.output);
    for (const ValueId id : node.inputs) sum += bytes(id);
    return sum;
  }

  /// Bytes that an operation may take beside inputs and result, while it runs in either direction.
  Index aside(const Node& node) const {
    if (is_any_of<ops::Conv2d, ops::FusedConv2d, ops::BatchNorm, ops::FusedBatchNorm, ops::Relu, ops::Clip,
                  ops::Add, ops::MaxPool2d, ops::AveragePool2d, ops::AdaptiveAveragePool2d>(node))
      return 0;
    if (const auto* separable = node.operation->template get_if<ops::SeparableConv2d>()) {
      const std::vector<Shape> shapes = input_shapes(node);
      if (separable->by_bands(shapes)) return 0;
      const auto convolutions = separable->kernel_shapes(shapes);
      const Index between = convolutions[1].input_size() + convolutions[1].output_size();
      return between * static_cast<Index>(sizeof(T));
    }
    Index sum = bytes(node.output);
    for (const ValueId id : node.inputs) {
      if (!stored(id)) sum += bytes(id);
    }
    return sum;
  }

  std::vector<Shape> input_shapes(const Node& node) const {
    std::vector<Shape> shapes;
    for (const ValueId id : node.inputs) shapes.push_back(shapes_[at(id)]);
    return shapes;
  }
  std::optional<kernels::ConvShape> convolution(const Node& node) const {
    const auto* fused = node.operation->template get_if<ops::FusedConv2d>();
    const auto* conv =
        fused != nullptr ? &fused->convolution : node.operation->template get_if<ops::Conv2d>();
    if (conv == nullptr) return {};
    return conv->kernel_shape(shapes_[at(node.inputs[0])], shapes_[at(node.inputs[1])],
                              shapes_[at(node.output)]);
  }

  void count_packed(const kernels::ConvShape& shape) {
    weights_ += kernels::conv_packed_size<T>(shape) * static_cast<Index>(sizeof(T));
  }
  void count_read(ValueId id) {
    const GraphValue<T>& value = graph_.values()[at(id)];
    if (value.var.defined() && value.var.value().is_deferred()) weights_ += bytes(id);
  }
  void count_weights(std::size_t n) {
    const Node& node = graph_.nodes()[n];
    if (const auto shape = convolution(node)) {
      const bool packs = trains_[n] && is_any_of<ops::Conv2d>(node);
      scratch_.grow(kernels::conv_forward_scratch<T>(*shape, packs));
      if (shape->depthwise() && node.inputs.size() == 4)
        scratch_.grow({.depthwise = shape->output_size()});  // sums before a residual
      packs ? count_read(node.inputs[1]) : count_packed(*shape);
      for (std::size_t i = 2; i < node.inputs.size(); ++i) count_read(node.inputs[i]);
      return;
    }
    if (const auto* separable = node.operation->template get_if<ops::SeparableConv2d>()) {
      const auto convolutions = separable->kernel_shapes(input_shapes(node));
      for (std::size_t i = separable->first ? 0 : 1; i < convolutions.size(); ++i)
        count_packed(convolutions[i]);
      scratch_.grow(kernels::separable_scratch<T>(convolutions[1]));
      return;
    }
    for (const ValueId id : node.inputs) count_read(id);
  }
  void count_backward_scratch(const Node& node) {
    if (const auto shape = convolution(node)) {
      scratch_.grow(kernels::conv_backward_scratch<T>(*shape, wanted_[at(node.inputs[0])],
                                                      wanted_[at(node.inputs[1])]));
    }
    if (is_any_of<ops::BatchNorm, ops::FusedBatchNorm>(node))
      scratch_.grow({.depthwise = shapes_[at(node.output)].size() / 16});  // partial sums of rows
  }

  const Graph<T>& graph_;
  std::vector<Shape> shapes_;
  std::vector<bool> trains_, wanted_;
  std::vector<int> readers_, needed_, holders_;
  std::vector<Index> kept_;  ///< by node: bytes of its context
  Index live_ = 0, most_ = 0, weights_ = 0;
  kernels::ConvScratch scratch_;
};

}  // namespace memory_impl

/// What running networks takes, in bytes, beside what was in use before.
struct MemoryNeed {
  std::size_t values = 0;                    ///< given back afterwards
  std::size_t weights = 0;                   ///< packed and folded weights, which stay
  kernels::ConvScratch scratch = {};         ///< in elements of `element_size` bytes; stays
  std::size_t element_size = sizeof(float);  ///< of `scratch`, in bytes

  /// All of it together, with the scratch memory of every thread.
  std::size_t bytes() const {
    return values + weights + static_cast<std::size_t>(scratch.total(num_threads())) * element_size;
  }
  /// Of both, one after the other.
  MemoryNeed then(const MemoryNeed& other) const {
    MemoryNeed both = *this;
    both.values = std::max(values, other.values);
    both.weights += other.weights;
    both.scratch.grow(other.scratch);
    return both;
  }
};

/// What a network takes when it runs, made once for any number of shapes. It holds the plan by which a model
/// of the same graph would run, and with it folded weights.
template <class T>
class RunMemory {
 public:
  /// What is run.
  enum class Pass {
    inference,  ///< as Model::predict
    training    ///< forward and backward, with the gradients of what requires them
  };

  /// Plans the network as a model would; values of the graph are shared, not copied.
  RunMemory(const Graph<T>& graph, Pass pass) {
    const std::size_t before = MemoryPool::instance().bytes_in_use();
    if (pass == Pass::training) {
      training_.emplace(fused_for_training(graph));
    } else {
      inference_.emplace(fused(graph));
    }
    folded_ = MemoryPool::instance().bytes_in_use() - before;
  }

  /// For inputs of this shape, which are not counted. Throws when the network does not take them.
  MemoryNeed need(const Shape& x) const {
    MemoryNeed need = training_ ? need_of(*training_, x, true) : in_inference(x);
    need.weights += folded_;
    return need;
  }

 private:
  static MemoryNeed need_of(const Graph<T>& graph, const Shape& x, bool training, Shape* output = nullptr) {
    const memory_impl::Walk<T> walk(graph, std::span(&x, 1), training);
    if (output != nullptr) *output = walk.output();
    return {.values = static_cast<std::size_t>(walk.most()),
            .weights = static_cast<std::size_t>(walk.weights()),
            .scratch = walk.scratch(),
            .element_size = sizeof(T)};
  }
  MemoryNeed in_inference(const Shape& x) const {
    const Index images = inference_->images_at_once(x);
    if (inference_->first() == nullptr || images == x[0]) return need_of(inference_->whole(), x, false);
    Shape piece = x, between;
    piece[0] = images;
    MemoryNeed need = need_of(*inference_->first(), piece, false, &between);
    between[0] = x[0];
    need.values += static_cast<std::size_t>(piece.size()) * sizeof(T);  // a copy of these rows
    if (inference_->rest() != nullptr) need = need.then(need_of(*inference_->rest(), between, false));
    need.values += static_cast<std::size_t>(between.size()) * sizeof(T);
    return need;
  }

  std::size_t folded_ = 0;
  std::optional<Graph<T>> training_;
  std::optional<InPieces<T>> inference_;
};

}  // namespace tl
