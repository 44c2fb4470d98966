// tl features: the arrays and the table it writes, the layers it finds, and what it refuses.
#include <filesystem>
#include <string>
#include <vector>

#include <tl/data/encode.hpp>
#include <tl/data/labels.hpp>
#include <tl/data/loader.hpp>
#include <tl/io/npy.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/models/resnet.hpp>
#include <tl/nn/model.hpp>

#include "programs/program.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
namespace fs = std::filesystem;

namespace {

const std::string spec = "resize=16,crop=16,mean=127,std=64,rgb";

/// A small network without preprocessing, and 21 photos of noise in folders of two classes.
struct Setting {
  TemporaryFolder folder;
  std::string weights = folder / "weights.onnx", photos = folder / "photos", out = folder / "f.npy";

  Setting() {
    const RandomScope scope(1, 0);
    const auto network = std::make_shared<models::ResNet<float>>(models::ResNetOptions{
        .blocks = {1, 1}, .channels = {8, 16}, .stem = models::Stem::small_image, .classes = 7});
    onnx::save(*nn::trace<float>(*network, Tensor<float>::zeros({1, 3, 16, 16})), weights);
    for (int i = 0; i < 20; ++i) add_photo("b/" + std::to_string(i) + ".png");
    add_photo("a/in \"here\", deep/1.png");
  }
  void add_photo(const std::string& name) const {
    const fs::path path = fs::path(photos) / name;
    fs::create_directories(path.parent_path());
    data::Image image(20, 20);
    Rng noise(static_cast<std::uint64_t>(name.size()), static_cast<std::uint64_t>(name[2]));
    for (Index p = 0; p < image.bytes(); ++p) image.data()[p] = static_cast<std::uint8_t>(noise.below(256));
    data::write_png(path, image);
  }
  std::vector<std::string> command(std::vector<std::string> more = {}) const {
    std::vector<std::string> all{"features", weights, photos, "--out", out, "--preprocess", spec};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Tensor<float> run(std::vector<std::string> more = {}) const {
    const Outcome o = tl_program(command(std::move(more)));
    CAPTURE(o.out, o.err);
    REQUIRE(o.status == 0);
    CHECK(o.err.empty());
    CHECK(is_one_line(o.out));
    return io::read_npy<float>(out);
  }
  void refused(const std::vector<std::string>& more, const std::string& part) const {
    check_refused(command(more), part);
    CHECK(!fs::exists(out));
    CHECK(!fs::exists(folder / "f.csv"));
  }
};

}  // namespace

TEST_CASE("tl features: rows are what the last layer reads, in the order of the table", "[tl]") {
  const Setting s;
  const Tensor<float> features = s.run({"--labels-out", s.folder / "l.npy"});
  REQUIRE(features.shape() == Shape{21, 16});
  const Model<float> model = onnx::load<float>(s.weights);
  const data::Dataset files = data::image_files({s.photos});
  const data::Loader loader(files, data::Preprocess::parse(spec), {.batch_size = 21});
  Tensor<float> logits;
  for (const data::Batch& batch : loader.epoch(0)) logits = model.predict(batch.images);
  const Tensor<float> by_hand =
      linear(Var<float>(features), model.parameter("fc.weight"), model.parameter("fc.bias")).value();
  CHECK(relative_difference(by_hand, logits) < 1e-5);

  const std::string table = read_file(s.folder / "f.csv");
  CHECK(table.starts_with(
      "path,class\n\"a/in \"\"here\"\", deep/1.png\",\"a\"\n\"b/0.png\",\"b\"\n\"b/1.png\","));
  CHECK(std::count(table.begin(), table.end(), '\n') == 22);
  const auto labels = io::read_npy<std::int64_t>(s.folder / "l.npy");
  REQUIRE(labels.shape() == Shape{21});
  CHECK(labels.at(0) == 0);
  CHECK(std::count(labels.span().begin(), labels.span().end(), 1) == 20);
  // The table is a labels file for the same folder.
  const data::Dataset again = data::labelled_images(s.photos, s.folder / "f.csv");
  for (std::size_t i = 0; i < 21; ++i) {
    CHECK(again.samples[i].path == files.samples[i].path);
    CHECK(again.samples[i].label == labels.data()[i]);
  }
}

TEST_CASE("tl features: any value or node by its name, also within a branch; a flat folder", "[tl]") {
  const Setting s;
  CHECK(s.run({"--layer", "linear_21"}).shape() == Shape{21, 7});
  const Tensor<float> inside = s.run({"--layer", "conv2d_6"});
  REQUIRE(inside.shape() == Shape{21, 8, 16, 16});
  const Graph<float> graph = onnx::load_graph<float>(s.weights);
  const data::Loader loader(data::image_files({s.photos}), data::Preprocess::parse(spec), {.batch_size = 21});
  for (const data::Batch& batch : loader.epoch(0)) {
    const Var<float> images(batch.images);
    const ValueId id = graph.find("conv2d_6");
    const NoGrad no_grad;
    CHECK(relative_difference(
              inside, graph.run_until(std::span(&images, 1), {}, std::span(&id, 1))[0].value()) < 1e-5);
  }
  Setting flat = Setting();
  flat.photos += "/b/";
  CHECK(flat.run().shape() == Shape{20, 16});
  CHECK(read_file(flat.folder / "f.csv").starts_with("path\n\"0.png\"\n\"1.png\"\n\"10.png\"\n"));
}

TEST_CASE("tl features: a broken image is named and has no row", "[tl]") {
  const Setting s;
  write_file_atomically(fs::path(s.photos) / "b" / "10.png", "this is text");
  const Outcome o = tl_program(s.command());
  CHECK(o.status == 0);
  CHECK_THAT(o.err, contains("10.png") && contains("1 of 21 images could not be read"));
  CHECK(io::read_npy<float>(s.out).shape() == Shape{20, 16});
  CHECK(read_file(s.folder / "f.csv").find("b/10.png") == std::string::npos);
  fs::remove(s.out), fs::remove(s.folder / "f.csv");
  s.refused({"--strict"}, "10.png");
}

TEST_CASE("tl features: input that is refused", "[tl]") {
  const Setting s;
  s.refused({"--layer", "conv2d_99"}, "the network computes no 'conv2d_99': did you mean 'conv2d_");
  s.refused({"--out", s.folder / "f.csv"}, "expected a file .npy to write");
  s.refused({"--out", s.folder / "none/f.npy"}, "cannot write");
  s.refused({"--labels-out", s.out}, "--out and --labels-out are both");
  s.refused({"--preprocess", "crop=-3"}, "crop");
  check_refused({"features", s.weights, s.photos, "--out", s.out}, "give --preprocess");
  check_refused({"features", s.weights, s.folder / "none", "--out", s.out, "--preprocess", spec},
                "there is no");
  check_refused({"features", s.weights, s.photos + "/b", "--out", s.out, "--preprocess", spec, "--labels-out",
                 s.folder / "l.npy"},
                "--labels-out needs a folder for each class");
  fs::create_directories(s.folder / "set");
  for (const char* part : {"train", "valid"})
    fs::copy(s.photos, s.folder / "set" / part, fs::copy_options::recursive);
  check_refused({"features", s.weights, s.folder / "set", "--out", s.out, "--preprocess", spec},
                "sets validation images apart");
  CHECK(!fs::exists(s.out));
}
