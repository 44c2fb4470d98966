// load_weights: torchvision's ResNet at a small width (tests/fixtures/make_pth.py), what is reported and what
// is an error, and the names of EfficientNet-Lite0 in two Python packages.
#include <string>
#include <vector>

#include <tl/io/load_weights.hpp>
#include <tl/io/pth.hpp>
#include <tl/models/efficientnet.hpp>
#include <tl/models/resnet.hpp>

#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using io::load_weights;
using io::NamedTensors;
using io::translated_name;
using Names = std::vector<std::string>;

namespace {

models::ResNet<float> narrow_resnet(Index classes = 3) {
  return models::ResNet<float>({.blocks = {1, 1, 1, 1}, .channels = {4, 4, 8, 8}, .classes = classes});
}

NamedTensors resnet_file() { return io::read_pth(source_path("tests/fixtures/pth/resnet.pth")); }

}  // namespace

TEST_CASE("a ResNet of torchvision's gives torchvision's logits", "[pytorch]") {
  models::ResNet<float> network = narrow_resnet();
  const io::WeightsReport report = load_weights(network, resnet_file());
  CHECK(report.complete());
  CHECK(report.matched.size() == network.parameters().size() + network.buffers().size());
  CHECK(report.text() ==
        concat(report.matched.size(), " tensors loaded: all of the network and of the file"));

  Tensor<float> x = Tensor<float>::empty({1, 3, 32, 32});
  float* pixels = x.mutable_data();
  for (Index i = 0; i < x.size(); ++i) pixels[i] = static_cast<float>(i % 7) / 7;
  network.eval();
  const NoGrad no_grad;
  // Printed by make_pth.py.
  const auto expected =
      Tensor<float>::from({-0.0027670525014400482f, 0.03508169203996658f, 0.014337005093693733f}, {1, 3});
  CHECK(relative_difference(network.forward(Var<float>(x)).value(), expected) < 1e-5);
}

TEST_CASE("weights become double where the network is") {
  models::ResNet<double> network({.blocks = {1, 1, 1, 1}, .channels = {4, 4, 8, 8}, .classes = 3});
  const NamedTensors file = resnet_file();
  CHECK(load_weights(network, file).complete());
  CHECK(same_bits(network.parameter("fc.weight").value().cast<float>(), file.tensors.at("fc.weight")));
}

TEST_CASE("the network's tensors are its own, not those of the file") {
  models::ResNet<float> network = narrow_resnet();
  const NamedTensors file = resnet_file();
  load_weights(network, file);
  CHECK(same_bits(network.parameter("fc.bias").value(), file.tensors.at("fc.bias")));
  CHECK(!network.parameter("fc.bias").value().shares_buffer(file.tensors.at("fc.bias")));
}

TEST_CASE("what is missing keeps its values, and is reported with what is left over") {
  models::ResNet<float> network = narrow_resnet();
  NamedTensors file = resnet_file();
  const Tensor<float> before = network.parameter("fc.weight").value().clone();
  file.tensors.erase("fc.weight");
  file.tensors.erase("bn1.running_mean");
  file.tensors["head.weight"] = Tensor<float>::zeros({2});
  file.tensors["bn1.num_batches_tracked"] = Tensor<float>::zeros({1});
  const io::WeightsReport report = load_weights(network, file);
  CHECK(!report.complete());
  CHECK(report.missing == Names{"fc.weight", "bn1.running_mean"});
  CHECK(report.left_over == Names{"head.weight"});
  CHECK_THAT(report.text(), contains("2 missing in the file: fc.weight, bn1.running_mean; 1 left over in the "
                                     "file: head.weight"));
  CHECK(same_bits(network.parameter("fc.weight").value(), before));
}

TEST_CASE("another shape is an error that changes nothing, or is left out where that is allowed") {
  models::ResNet<float> network = narrow_resnet(5);
  const Tensor<float> before = network.parameter("conv1.weight").value().clone();
  const Tensor<float> head = network.parameter("fc.weight").value().clone();
  CHECK_THROWS_WITH(
      load_weights(network, resnet_file()),
      "[load_weights] tensors have other shapes: fc.weight: expected (5,8), got (3,8), fc.bias: "
      "expected (5), got (3): build the network for as many classes, or allow it with skip_mismatched");
  CHECK(same_bits(network.parameter("conv1.weight").value(), before));
  const io::WeightsReport report = load_weights(network, resnet_file(), {.skip_mismatched = true});
  CHECK(report.mismatched == Names{"fc.weight: expected (5,8), got (3,8)", "fc.bias: expected (5), got (3)"});
  CHECK(report.missing.empty());
  CHECK(report.left_over.empty());
  CHECK_THAT(report.text(), contains("2 of another shape: fc.weight: expected (5,8)"));
  CHECK(!same_bits(network.parameter("conv1.weight").value(), before));
  CHECK(same_bits(network.parameter("fc.weight").value(), head));
}

TEST_CASE("a file of another network is an error") {
  models::ResNet<float> network = narrow_resnet();
  NamedTensors file;
  CHECK_THROWS_WITH(load_weights(network, file), contains("the file is of another network"));
  file.tensors["encoder.weight"] = Tensor<float>::zeros({2});
  CHECK_THROWS_WITH(load_weights(network, file),
                    contains("expected names such as 'conv1.weight, ") && contains("got 'encoder.weight'"));
}

TEST_CASE("names of efficientnet_lite_pytorch are timm's for each tensor of EfficientNet-Lite0") {
  CHECK(translated_name("_conv_stem.weight") == "conv_stem.weight");
  CHECK(translated_name("_bn0.running_var") == "bn1.running_var");
  CHECK(translated_name("_blocks.0._depthwise_conv.weight") == "blocks.0.0.conv_dw.weight");
  CHECK(translated_name("_blocks.0._bn2.bias") == "blocks.0.0.bn2.bias");
  CHECK(translated_name("_blocks.5._expand_conv.weight") == "blocks.3.0.conv_pw.weight");
  CHECK(translated_name("_blocks.15._bn2.bias") == "blocks.6.0.bn3.bias");
  CHECK(translated_name("_bn1.weight") == "bn2.weight");
  CHECK(translated_name("_fc.bias") == "classifier.bias");
  for (const char* name :
       {"", "fc.weight", "_blocks.", "_blocks.x._bn0.bias", "_blocks.16._bn0.bias", "_blocks.-1._bn0.bias",
        "_blocks.3", "_blocks.3._swish.bias", "_blocks.0._bn0.bias", "_blocks.99999999999._bn0.bias"}) {
    INFO(name);
    CHECK(translated_name(name).empty());
  }
}

TEST_CASE("a file of efficientnet_lite_pytorch's names fills the whole network") {
  // The names as that package numbers them, written down from the network's own.
  models::EfficientNetLite0<float> network(3);
  NamedTensors file;
  const auto put = [&](const std::string& name, const std::string& own) {
    for (const auto& list : {network.parameters(), network.buffers()}) {
      for (const nn::Named<float>& n : list) {
        if (n.name.starts_with(own + "."))
          file.tensors[name + n.name.substr(own.size())] = hash_tensor<float>(n.name, n.var.shape(), 0.1, 1);
      }
    }
  };
  for (const auto& [name, own] : std::vector<std::pair<std::string, std::string>>{{"_conv_stem", "conv_stem"},
                                                                                  {"_bn0", "bn1"},
                                                                                  {"_conv_head", "conv_head"},
                                                                                  {"_bn1", "bn2"},
                                                                                  {"_fc", "classifier"}})
    put(name, own);
  int block = 0, stage = 0;
  for (const int blocks : {1, 2, 2, 3, 3, 4, 1}) {
    for (int b = 0; b < blocks; ++b, ++block) {
      const std::string to = concat("blocks.", stage, ".", b, "."), from = concat("_blocks.", block, ".");
      if (block > 0) put(from + "_expand_conv", to + "conv_pw");
      if (block > 0) put(from + "_bn0", to + "bn1");
      put(from + "_depthwise_conv", to + "conv_dw");
      put(from + "_bn1", to + (block > 0 ? "bn2" : "bn1"));
      put(from + "_project_conv", to + (block > 0 ? "conv_pwl" : "conv_pw"));
      put(from + "_bn2", to + (block > 0 ? "bn3" : "bn2"));
    }
    ++stage;
  }
  CHECK(load_weights(network, file).complete());
  const auto weight = network.parameter("blocks.4.2.conv_dw.weight");
  CHECK(same_bits(weight.value(), hash_tensor<float>("blocks.4.2.conv_dw.weight", weight.shape(), 0.1, 1)));
}
