// reset_parameters: the same network from scratch, to see what its pretrained weights are worth.
#pragma once

#include <tl/nn/init.hpp>
#include <tl/nn/model.hpp>

namespace tl::transfer {

/// Gives every parameter an initial value again: Kaiming normal for convolutions, Kaiming uniform for
/// matrices, and for batch normalisation scale 1, shift 0, running mean 0 and variance 1. Other parameters of
/// one axis (biases) become 0. Values depend on the seed and the position in the network. Batch
/// normalisations whose running statistics follow slowly (momentum 0.01 in EfficientNet's files, meant for
/// long trainings) follow at the usual 0.1: a network that starts from nothing would leave them behind for
/// hundreds of steps.
template <class T>
void reset_parameters(Model<T>& model, std::uint64_t seed) {
  const auto set = [](Var<T> var, Tensor<T> value) { var.mutable_value() = std::move(value); };
  std::uint64_t position = 0;
  for (const GraphValue<T>& value : model.graph().values()) {
    if (value.kind != ValueKind::parameter) continue;
    const Shape& shape = value.shape;
    const Rng stream(seed, 0x7265736574, position++);  // "reset"
    set(value.var, shape.rank() == 4   ? nn::kaiming_normal<T>(shape, stream)
                   : shape.rank() >= 2 ? nn::kaiming_uniform<T>(shape, stream)
                                       : Tensor<T>::zeros(shape));
  }
  model.edit([&](Graph<T>& graph) {
    for (GraphNode<T>& node : graph.nodes()) {
      const auto* norm = node.operation->template get_if<ops::BatchNorm>();
      if (norm == nullptr) continue;
      const ops::BatchNorm usual{.epsilon = norm->epsilon, .momentum = ops::BatchNorm{}.momentum};
      if (norm->momentum < usual.momentum) node.operation = make_operation<T>(usual);
      for (const std::size_t i : {1u, 2u, 3u, 4u}) {
        const GraphValue<T>& value = graph.value(node.inputs[i]);
        if (value.kind == ValueKind::result || value.kind == ValueKind::input) continue;
        set(value.var, Tensor<T>::full(value.shape, i == 1 || i == 4 ? T{1} : T{0}));
      }
    }
  });
}

}  // namespace tl::transfer
