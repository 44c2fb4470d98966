// Operations without parameters: written as ONNX and read again, they give the same values, and the same
// file.
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/nn/layers.hpp>
#include <tl/nn/model.hpp>

#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

namespace {

template <class Op>
void check_saved(const Op& op, const Tensor<float>& x) {
  nn::Function<float, Op> layer(op);
  layer.eval();
  const auto traced = nn::trace<float>(layer, x);
  const auto read = [](const std::string& file) {
    return onnx::to_graph<float>(onnx::decode_model(file, "saved"), ".");
  };
  const Graph<float> again = read(onnx::encode(traced->graph()));
  INFO(Op::name);
  CHECK(onnx::encode(read(onnx::encode(again))) == onnx::encode(again));
  const Tensor<float> want = traced->predict(x), got = Model<float>(again).predict(x);
  CHECK(got.shape() == want.shape());
  CHECK(relative_difference(got, want) <= 1e-6);
}

}  // namespace

TEST_CASE("operations without parameters are read as they were written", "[operators]") {
  const Tensor<float> image = hash_tensor<float>("x", {2, 3, 6, 8}), rows = hash_tensor<float>("x", {4, 5});
  check_saved(ops::Tanh{}, image);
  check_saved(ops::HardSwish{}, image);
  check_saved(ops::Exp{}, image);
  check_saved(ops::Silu{}, image);
  check_saved(ops::LeakyRelu(0.2), image);
  check_saved(ops::HardSigmoid(0.3, 0.4), image);
  check_saved(ops::Clip(-std::numeric_limits<double>::infinity(), 0.5), image);
  check_saved(ops::Clip(-0.5, 0.5), image);
  check_saved(ops::AdaptiveAveragePool2d{{3, 2}}, image);
  check_saved(ops::Softmax{.axis = 1}, rows);
  check_saved(ops::LogSoftmax{.axis = 1}, rows);
  check_saved(ops::Dropout{.probability = 0.3}, rows);
}

TEST_CASE("pooling to sizes that ONNX's windows do not reach is refused", "[operators]") {
  nn::Function<float, ops::AdaptiveAveragePool2d> layer(ops::AdaptiveAveragePool2d{{4, 5}});
  const auto traced = nn::trace<float>(layer, hash_tensor<float>("x", {1, 2, 6, 8}));
  CHECK_THROWS_WITH(onnx::encode(traced->graph()),
                    contains("ONNX has no adaptive pooling of an image of 6 x 8 to 4 x 5"));
}
