// The programs of examples/first_steps, started on a few small images: what they print and leave behind.
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>

#include <tl/core/file.hpp>
#include <tl/data/encode.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/npy.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/nn/layers.hpp>
#include <tl/nn/model.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tl;
using namespace tl::test;

namespace {

struct Ended {
  int status = -1;
  std::string out, err;
};

/// Runs an example, with the rest of the command line as a shell reads it.
Ended example(const std::string& command) {
  const TemporaryFolder folder;
  const std::string out = folder / "out", err = folder / "err";
  const int status =
      std::system((TL_PROGRAMS_FOLDER "/" + command + " >" + out + " 2>" + err + " </dev/null").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Two classes, dark and light, of ten different images each.
void put_photos(const std::filesystem::path& root) {
  for (const int base : {30, 200}) {
    const auto folder = root / (base < 100 ? "dark" : "light");
    std::filesystem::create_directories(folder);
    for (int n = 0; n < 10; ++n) {
      data::Image image(20, 24);
      for (Index i = 0; i < image.bytes(); ++i) image.data()[i] = static_cast<std::uint8_t>(base + n + i % 7);
      data::write_png(folder / (std::to_string(n) + ".png"), image);
    }
  }
}

/// A network of 5 classes for images of 8x8 pixels.
void put_network(const std::filesystem::path& path) {
  const auto layers = nn::sequential<float>(
      {std::make_shared<nn::Conv2d<>>(nn::Conv2dOptions{.in = 3, .out = 8, .kernel = 3, .padding = 1}),
       std::make_shared<nn::Relu<>>(), std::make_shared<nn::AdaptiveAveragePool2d<>>(),
       std::make_shared<nn::Flatten<>>(),
       std::make_shared<nn::Dense<>>(nn::DenseOptions{.in = 8, .out = 5})});
  const auto model = nn::trace<float>(*layers, Tensor<float>::zeros({1, 3, 8, 8}));
  model->metadata()[io::preprocess_key] = "resize=8x8,mean=127,std=64,rgb";
  onnx::save(*model, path);
}

}  // namespace

TEST_CASE("fine_tune_photos writes a network of the folder's classes and says how good it is") {
  const TemporaryFolder folder;
  put_photos(folder / "photos");
  put_network(folder / "weights.onnx");
  const std::string arguments =
      folder.path().string() + "/photos " + folder.path().string() + "/weights.onnx ";
  const Ended ended = example("fine_tune_photos " + arguments + folder.path().string() + "/new.onnx");
  CAPTURE(ended.out, ended.err);
  REQUIRE(ended.status == 0);
  CHECK(ended.err.empty());
  CHECK(contains(ended.out, "4 of 20 images are held out for validation\n"));
  CHECK(contains(ended.out, " of 4 validation images: accuracy "));

  const auto model = onnx::load<float>(folder / "new.onnx");
  CHECK(io::labels(model.metadata()) == std::vector<std::string>{"dark", "light"});
  CHECK(contains(io::preprocess_spec(model.metadata()), "resize=8x8"));
  CHECK(model.predict(Tensor<float>::zeros({1, 3, 8, 8})).shape() == Shape{1, 2});

  const Ended nowhere =
      example("fine_tune_photos " + arguments + folder.path().string() + "/missing/new.onnx");
  CHECK(nowhere.status == 1);
  CHECK(contains(nowhere.err, "missing/new.onnx"));
}

TEST_CASE("training_loop prints a line an epoch") {
  const TemporaryFolder folder;
  put_photos(folder / "photos");
  const Ended ended = example("training_loop " + folder.path().string() + "/photos 2");
  CAPTURE(ended.out, ended.err);
  REQUIRE(ended.status == 0);
  CHECK(ended.err.empty());
  CHECK(ended.out.starts_with("epoch 1  loss "));
  CHECK(contains(ended.out, "\nepoch 2  loss "));
  CHECK(std::count(ended.out.begin(), ended.out.end(), '\n') == 2);
  CHECK(contains(ended.out, "  accuracy "));

  const Ended nothing = example("training_loop " + folder.path().string() + "/none");
  CHECK(nothing.status == 1);
  CHECK(contains(nothing.err, "there is no folder"));
}

TEST_CASE("network_on_features learns from the features of a network, and writes them") {
  const TemporaryFolder folder;
  put_photos(folder / "photos");
  put_network(folder / "weights.onnx");
  const std::string arguments =
      folder.path().string() + "/photos " + folder.path().string() + "/weights.onnx 40 ";
  const Ended ended = example("network_on_features " + arguments + folder.path().string() + "/features.npy");
  CAPTURE(ended.out, ended.err);
  REQUIRE(ended.status == 0);
  CHECK(ended.err.empty());
  CHECK(ended.out.starts_with("epoch 1  loss "));
  CHECK(ended.out.ends_with("validation accuracy 1\n"));
  CHECK(std::count(ended.out.begin(), ended.out.end(), '\n') == 40);
  CHECK(io::read_npy<float>(folder / "features.npy").shape() == Shape{16, 8});
}

TEST_CASE("new_operation passes its own gradient check and learns") {
  const Ended ended = example("new_operation");
  CAPTURE(ended.out, ended.err);
  CHECK(ended.status == 0);
  CHECK(ended.out.starts_with("gradcheck: passed"));
  CHECK(contains(ended.out, "\n4 of 4 right\n"));
  CHECK(contains(ended.out, "\nnode linear_0\nnode celu_1\nnode linear_2\n"));
  CHECK(contains(ended.out, "[celu] cannot be saved (node 'celu_1')"));
}

TEST_CASE("An example without arguments says how it is used") {
  for (const std::string name : {"fine_tune_photos", "training_loop", "network_on_features"}) {
    const Ended ended = example(name);
    CHECK(ended.status == 1);
    CHECK(ended.err.starts_with("usage: " + name + " FOLDER"));
  }
}
