// Large weights of a file are read when they are needed: for inference, packed copies are enough.
#include <chrono>
#include <filesystem>

#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/nn/layers.hpp>

#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

namespace {

const std::string name = "0.weight";

std::shared_ptr<Model<float>> network() {
  const RandomScope scope(1, 0);
  const auto layers = nn::sequential<float>(
      {std::make_shared<nn::Conv2d<float>>(nn::Conv2dOptions{.in = 64, .out = 64, .kernel = 3, .padding = 1}),
       std::make_shared<nn::BatchNorm2d<float>>(nn::BatchNormOptions{.channels = 64}),
       std::make_shared<nn::AdaptiveAveragePool2d<float>>(), std::make_shared<nn::Flatten<float>>(),
       std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = 64, .out = 3})});
  return nn::trace<float>(*layers, Tensor<float>::zeros({1, 64, 8, 8}));
}

}  // namespace

TEST_CASE("inference leaves the weights of convolutions in the file, training reads them", "[deferred]") {
  const TemporaryFolder folder;
  const auto original = network();
  onnx::save(*original, folder / "n.onnx");
  Model<float> model = onnx::load<float>(folder / "n.onnx");
  model.eval();
  const Var<float> weight = model.parameter(name);
  CHECK(weight.value().is_deferred());
  const Tensor<float> x = hash_tensor<float>("x", {2, 64, 8, 8});
  CHECK(same_bits(model.predict(x), original->predict(x)));
  CHECK(weight.value().is_deferred());

  onnx::save(model, folder / "n.onnx");  // in its own place
  CHECK(same_bits(weight.value(), original->parameter(name).value()));
  CHECK_FALSE(weight.value().is_deferred());
  CHECK(same_bits(onnx::load<float>(folder / "n.onnx").predict(x), original->predict(x)));
}

TEST_CASE("a file that was written to after it was loaded is not read on", "[deferred]") {
  const TemporaryFolder folder;
  onnx::save(*network(), folder / "n.onnx");
  const Model<float> model = onnx::load<float>(folder / "n.onnx");
  std::filesystem::last_write_time(folder / "n.onnx",
                                   std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  CHECK_THROWS_WITH(model.parameter(name).value().data(), contains("load it again"));
  CHECK_THROWS_WITH(model.predict(hash_tensor<float>("x", {2, 64, 8, 8})), contains("load it again"));
}
