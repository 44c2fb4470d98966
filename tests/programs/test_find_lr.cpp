// tl find-lr: what it prints and writes, and the input it refuses.
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <tl/data/encode.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/models/resnet.hpp>
#include <tl/nn/model.hpp>

#include "programs/program.hpp"

using namespace tl;
using namespace tl::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// A small network, and two classes of six photos of noise.
struct Setting {
  TemporaryFolder folder;
  std::string weights = folder / "weights.onnx", photos = folder / "photos";

  Setting() {
    const RandomScope scope(1, 0);
    const auto network = std::make_shared<models::ResNet<float>>(models::ResNetOptions{
        .blocks = {1, 1}, .channels = {8, 16}, .stem = models::Stem::small_image, .classes = 7});
    onnx::save(*nn::trace<float>(*network, Tensor<float>::zeros({1, 3, 16, 16})), weights);
    for (int i = 0; i < 12; ++i) {
      const fs::path path = fs::path(photos) / (i % 2 == 0 ? "a" : "b") / (std::to_string(i) + ".png");
      fs::create_directories(path.parent_path());
      data::Image image(20, 20);
      Rng noise(static_cast<std::uint64_t>(i));
      for (Index p = 0; p < image.bytes(); ++p) image.data()[p] = static_cast<std::uint8_t>(noise.below(256));
      data::write_png(path, image);
    }
  }
  std::vector<std::string> command(std::vector<std::string> more = {}) const {
    std::vector<std::string> all{
        "find-lr",   photos, "--weights",    weights,
        "--threads", "1",    "--preprocess", "resize=16,crop=16,mean=127,std=64,rgb"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

}  // namespace

TEST_CASE("tl find-lr: a curve as text, and a rate to try", "[tl]") {
  const Setting s;
  for (const char* method : {"head", "last:2", "full", "gradual"}) {
    const Outcome o = tl_program(s.command({"--method", method}));
    CAPTURE(method, o.out, o.err);
    REQUIRE(o.status == 0);
    CHECK(o.err.empty());
    CHECK(o.out.starts_with("rate     loss\n1.0e-06  "));
    CHECK(o.out.find("steepest fall at ") != std::string::npos);
    CHECK(o.out.find("try --lr ") != std::string::npos);
  }
}

TEST_CASE("tl find-lr: figures as JSON, the same at any thread count, and a picture of them", "[tl]") {
  const Setting s;
  const std::string svg = s.folder / "rates.svg";
  const Outcome o = tl_program(s.command({"--json", "--svg", svg, "--steps", "40", "--optimiser", "adamw"}));
  CAPTURE(o.out, o.err);
  REQUIRE(o.status == 0);
  const Json json = Json::parse(o.out);
  CHECK(json["optimiser"] == "adamw");
  const std::size_t points = json["points"].size();
  CHECK((points > 10 && points <= 40));
  CHECK(json["points"][0]["rate"] == 1e-6);
  for (std::size_t i = 1; i < points; ++i) CHECK(json["points"][i]["rate"] > json["points"][i - 1]["rate"]);
  CHECK((json["steepest"] > 1e-6 && json["steepest"] < 10));
  CHECK(json["tenth_of_minimum"] < 1.1);

  const std::string picture = read_file(svg);
  CHECK(picture.starts_with("<svg xmlns="));
  CHECK(picture.ends_with("</svg>\n"));
  CHECK(picture.find("nan") == std::string::npos);
  const std::size_t begin = picture.find("points=\"") + 8, end = picture.find('"', begin);
  const std::string line = picture.substr(begin, end - begin);
  CHECK(static_cast<std::size_t>(std::count(line.begin(), line.end(), ',')) == points);

  const Outcome again =
      tl_program(s.command({"--json", "--steps", "40", "--optimiser", "adamw", "--threads", "2"}));
  CHECK(again.out == o.out);
}

TEST_CASE("tl find-lr: input that is refused", "[tl]") {
  const Setting s;
  check_refused(s.command({"--method", "features"}), "--method features has no learning rate");
  check_refused(s.command({"--steps", "5"}), "--steps");
  check_refused(s.command({"--svg", s.folder / "no/such/rates.svg"}), "cannot write");
  check_refused(s.command({"--freeze", "*"}), "nothing to train");
  check_refused(s.command({"--optimiser", "lion"}), "unknown optimiser 'lion'");
  check_refused(s.command({"--lr", "0.1"}), "unknown option '--lr'");
  fs::remove_all(fs::path(s.photos) / "b");
  check_refused(s.command(), "at least two classes");
}
