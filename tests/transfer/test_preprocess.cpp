// The preprocessing of a network, and of the same network at another image size.
#include <tl/ops/activation.hpp>
#include <tl/transfer/preprocess.hpp>

#include "support/catch.hpp"

using namespace tl;

namespace {

std::string at_size(const std::string& spec, Index size) {
  return transfer::with_size(data::Preprocess::parse(spec), size).to_string();
}
std::string same(const std::string& spec) { return data::Preprocess::parse(spec).to_string(); }

Graph<float> network(Index height, Index width) {
  Graph<float> graph;
  const ValueId x = graph.add_input("x", {1, 3, height, width});
  graph.set_outputs({graph.add_node("y", ops::Relu{}, {x})});
  return graph;
}

}  // namespace

TEST_CASE("preprocessing at another size keeps the proportion of resize and crop", "[transfer]") {
  CHECK(at_size("resize=256,crop=224,mean=1,std=2", 112) == same("resize=128,crop=112,mean=1,std=2"));
  CHECK(at_size("resize=256,bicubic,crop=224", 224) == same("resize=256,bicubic,crop=224"));
  CHECK(at_size("resize=64,crop=64", 96) == same("resize=96,crop=96"));
  CHECK(at_size("resize=30x40", 16) == same("resize=16x16"));
  CHECK(at_size("mean=5", 16) == same("resize=16,crop=16,mean=5"));
  CHECK_THROWS_AS(at_size("mean=5", 0), Error);
}

TEST_CASE("preprocessing of a network: its own, or the ImageNet standard at the declared size",
          "[transfer]") {
  Graph<float> own = network(32, 32);
  own.metadata[io::preprocess_key] = "resize=20,crop=16,std=255";
  CHECK(!transfer::preprocess_of(own).assumed);
  CHECK(transfer::preprocess_of(own).steps.to_string() == same("resize=20,crop=16,std=255"));

  const transfer::NetworkPreprocess open = transfer::preprocess_of(network(0, 0));
  CHECK(open.assumed);
  CHECK(open.steps.to_string() == data::Preprocess::imagenet().to_string());
  const transfer::NetworkPreprocess small = transfer::preprocess_of(network(32, 32));
  CHECK(small.assumed);
  CHECK(small.steps.crop == data::Size{32, 32});
  CHECK(small.steps.resize_short == 37);  // 256 * 32 / 224, rounded
}
