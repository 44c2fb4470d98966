// The tl program on real networks and real photos: the accuracies that other runtimes get with the same
// files.
//
// Networks and photos are looked for in the shared folder (tests/run.sh --help); without it the tests say so.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <tl/core/file.hpp>
#include <tl/data/decode.hpp>
#include <tl/data/preprocess.hpp>
#include <tl/io/load_weights.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/io/pth.hpp>
#include <tl/models/efficientnet.hpp>

#include "programs/program.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using Json = nlohmann::json;

namespace {

const std::string lite0_spec = "resize=256,bicubic,crop=224,mean=127,std=128,rgb";

Json evaluated(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "evaluate");
  arguments.push_back("--json");
  const Outcome o = tl_program(arguments);
  CAPTURE(o.err);
  REQUIRE(o.status == 0);
  return Json::parse(o.out);
}

std::vector<std::string> sorted_names(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

/// Lines "name,position" for the files of a folder in sorted order: class = position.
std::string positions(const std::filesystem::path& folder) {
  const std::vector<std::string> names = sorted_names(folder);
  std::string lines;
  for (std::size_t i = 0; i < names.size(); ++i) lines += names[i] + "," + std::to_string(i) + "\n";
  return lines;
}

}  // namespace

TEST_CASE("real data: ResNet-20 on CIFAR-10, as onnxruntime scores it", "[real]") {
  const std::string folder = shared_path("data/cifar10-test");
  if (folder.empty()) return;
  for (const char* file : {"models/cifar_resnet20.onnx", "models/cifar_resnet20_bn.onnx"}) {
    CAPTURE(file);
    const Json figures = evaluated({shared_path(file), folder, "--preprocess",
                                    "mean=123.675/116.28/103.53,std=58.395/57.12/57.375,rgb"});
    CHECK(figures["images"] == 1000);
    CHECK(figures["accuracy"].get<double>() == Approx(0.804).margin(0.003));
  }
}

TEST_CASE("real data: EfficientNet-Lite0 on ImageNet's classes", "[real]") {
  const std::string folder = shared_path("data/imagenet-samples");
  if (folder.empty()) return;
  const TemporaryFolder work;
  write_file_atomically(work / "labels.csv", positions(folder));
  const Json figures = evaluated({shared_path("models/efficientnet_lite0.onnx"), folder, "--labels",
                                  (work / "labels.csv").string(), "--preprocess", lite0_spec});
  CHECK(figures["images"] == 1000);
  CHECK(figures["accuracy"].get<double>() == Approx(0.868).margin(0.005));
  CHECK(figures["top5_accuracy"].get<double>() == Approx(0.973).margin(0.005));
}

TEST_CASE("real data: PyTorch's weights of EfficientNet-Lite0 give the logits of its ONNX file", "[real]") {
  const std::string weights = shared_path("models/efficientnet-lite0-57934424.pth");
  const std::string folder = shared_path("data/imagenet-samples");
  if (weights.empty() || folder.empty()) return;
  const auto network = models::efficientnet_lite0<float>();
  CHECK(io::load_weights(*network, io::read_pth(weights)).complete());
  network->eval();
  const Model<float> reference = onnx::load<float>(shared_path("models/efficientnet_lite0_bn.onnx"));
  const auto preprocess = data::Preprocess::parse(lite0_spec);
  const std::vector<std::string> names = sorted_names(folder);
  for (const std::size_t i : {0, 250, 500, 750}) {
    CAPTURE(names.at(i));
    const Tensor<float> x = preprocess.apply(data::read_image(folder + "/" + names.at(i)));
    const NoGrad no_grad;
    const Tensor<float> logits = network->forward(Var<float>(x)).value();
    CHECK(relative_difference(logits, reference.predict(x)) < 1e-4);
  }
}

TEST_CASE("real data: a new head for ten species of monkeys", "[real]") {
  const std::string photos = shared_path("data/monkeys");
  if (photos.empty()) return;
  const TemporaryFolder work;
  const std::string out = work / "monkeys.onnx", figures = work / "figures.json";
  const Outcome o = tl_program({"finetune", photos, "--weights",
                                shared_path("models/efficientnet_lite0.onnx"), "--preprocess", lite0_spec,
                                "--method", "head", "--epochs", "5", "--out", out, "--json-out", figures});
  CAPTURE(o.err);
  REQUIRE(o.status == 0);
  CHECK(Json::parse(read_file(figures))["valid_accuracy"].get<double>() >= 0.97);

  // The file remembers its labels and preprocessing.
  const Json again = evaluated({out, photos + "/valid"});
  const double was = Json::parse(read_file(figures))["valid_accuracy"];
  CHECK(again["accuracy"].get<double>() == Approx(was).margin(0.004));  // one photo: the network is fused
}
