// What one ONNX operator makes of an image, for the tests of the importer.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>
#include "io/onnx_models.hpp"

namespace tl::test {

using T4 = std::function<double(Index n, Index c, Index i, Index j)>;

inline Tensor<double> run(const Graph<double>& graph, const Tensor<double>& x) {
  const NoGrad no_grad;
  const Var<double> input(x);
  return graph.run(std::span<const Var<double>>(&input, 1), {}).front().value().plain();
}

/// The model's output for x: read, and read again from what it is saved as.
inline Tensor<double> outcome(OnnxModel& model, const Tensor<double>& x) {
  const Graph<double> graph = onnx::to_graph<double>(onnx::decode_model(model.bytes(), "model"), ".");
  const Tensor<double> y = run(graph, x);
  const std::string saved = onnx::encode(graph);
  CHECK(relative_difference(run(onnx::to_graph<double>(onnx::decode_model(saved, "saved"), "."), x), y) <
        1e-6);
  return y;
}

/// One node with input x and weights, for images of 2 x 6 x 5 x 4.
inline const Shape image_shape{2, 6, 5, 4};
inline Tensor<double> image() { return hash_tensor<double>("image", image_shape, 2); }

using Add = std::function<void(OnnxModel&)>;

/// What one node makes of the image; `add` gives it attributes and weights.
inline Tensor<double> result(const std::string& type, std::vector<std::string> inputs, const Add& add = {},
                             Index opset = 17) {
  OnnxModel model(opset);
  inputs.insert(inputs.begin(), "x");
  model.input("x", {0, 6, 5, 4}).output("y").node(type, inputs, {"y"});
  if (add) add(model);
  return outcome(model, image());
}

inline void check(const Tensor<double>& y, const Shape& shape, const T4& formula) {
  REQUIRE(y.shape() == shape);
  double worst = 0, largest = 0;
  const double* at = y.data();
  for (Index n = 0; n < shape[0]; ++n)
    for (Index c = 0; c < shape[1]; ++c)
      for (Index i = 0; i < shape[2]; ++i)
        for (Index j = 0; j < shape[3]; ++j, ++at) {
          worst = std::max(worst, std::abs(*at - formula(n, c, i, j)));
          largest = std::max(largest, std::abs(*at));
        }
  CHECK(worst <= 1e-6 * largest);  // attributes are floats
}

}  // namespace tl::test
