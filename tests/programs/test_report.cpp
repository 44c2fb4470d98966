// tl finetune --report and tl predict --explain: what is in the files, and what is refused. How the page
// looks in a browser is held by tests/tools/check_report.py.
#include <filesystem>
#include <string>
#include <vector>

#include <tl/data/decode.hpp>
#include <tl/data/encode.hpp>
#include <tl/data/preprocess.hpp>
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

const std::string bad_name = "<script>alert(1)&\"'";

/// A small network, and two classes of eight photos each, reddish and bluish noise.
struct Setting {
  TemporaryFolder folder;
  std::string weights = folder / "weights.onnx", photos = folder / "photos", out = folder / "out.onnx",
              report = folder / "report.html";

  Setting() {
    const RandomScope scope(1, 0);
    const auto network = std::make_shared<models::ResNet<float>>(models::ResNetOptions{
        .blocks = {1, 1}, .channels = {8, 16}, .stem = models::Stem::small_image, .classes = 7});
    onnx::save(*nn::trace<float>(*network, Tensor<float>::zeros({1, 3, 16, 16})), weights);
    add_class(bad_name, 0);
    add_class("blue", 1);
  }

  void add_class(const std::string& name, Index strong) const {
    fs::create_directories(fs::path(photos) / name);
    for (int i = 0; i < 8; ++i) {
      data::Image image(20, 20);
      Rng noise(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(strong));
      for (Index p = 0; p < image.bytes(); ++p) {
        const std::uint64_t light = noise.below(128) + (p % 3 == 2 * strong ? 128 : 0);
        image.data()[p] = static_cast<std::uint8_t>(light);
      }
      data::write_png(fs::path(photos) / name / ("photo <" + std::to_string(i) + ">.png"), image);
    }
  }

  std::vector<std::string> command(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{"finetune",     photos + "/",
                                 "--weights",    weights,
                                 "--out",        out,
                                 "--batch",      "4",
                                 "--epochs",     "3",
                                 "--threads",    "1",
                                 "--preprocess", "resize=16,crop=16,mean=127,std=64,rgb",
                                 "--report",     report};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("tl finetune --report: every section, for every method", "[tl]") {
  const Setting s;
  const std::string method = GENERATE("features", "head", "last:2", "two-stage", "gradual");
  const Outcome o = tl_program(s.command({"--method", method, "--lr", "0.1"}));
  CAPTURE(method, o.out, o.err);
  REQUIRE(o.status == 0);
  CHECK(o.err.empty());
  CHECK(o.out.ends_with("\nwritten: " + s.out + ", " + s.report + "\n"));
  const std::string page = read_file(s.report);
  CHECK(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
  CHECK(page.ends_with("</html>\n"));
  CHECK(page.find("<h1>Fine-tuning on photos</h1>") != std::string::npos);
  for (const char* id : {"course", "classes", "confusion", "calibration", "losses", "attention", "augmented",
                         "probe", "frozen", "run"})
    CHECK(count_of(page, concat("<section id=\"", id, "\"")) == 1);
  CHECK(count_of(page, "<svg") == (method == "features" ? 1 : 4));
  CHECK(count_of(page, "<svg") == count_of(page, "</svg>"));
  CHECK(count_of(page, "<img") == count_of(page, "alt=\""));
  CHECK(count_of(page, "<img") >=
        4 + 4);  // four photos validated; a right one of each class, as it is and explained
  CHECK(count_of(page, "class=\"bar\"") >= 1);
  const bool varied = method != "features" && method != "head";
  CHECK((count_of(page, "variation 3") > 0) == varied);
  CHECK((page.find("They were not varied") == std::string::npos) == varied);
  CHECK((page.find("ridge regression on the pretrained") != std::string::npos) ==
        (method != "features" && method != "gradual"));
  CHECK(page.find("--method " + method) != std::string::npos);
}

TEST_CASE("tl finetune --report: what is written to the file is what is printed and written elsewhere",
          "[tl]") {
  const Setting s;
  const Outcome with = tl_program(s.command({"--method", "head", "--seed", "3"}));
  REQUIRE(with.status == 0);
  const std::string network = read_file(s.out), page = read_file(s.report);
  std::vector<std::string> plain = s.command({"--method", "head", "--seed", "3"});
  const auto at = std::find(plain.begin(), plain.end(), "--report");
  plain.erase(at, at + 2);
  REQUIRE(tl_program(plain).status == 0);
  CHECK(read_file(s.out) == network);  // the report changes nothing
  const std::size_t right = with.out.find("right for 4 of 4 validation images: 100.0 %");
  REQUIRE(right != std::string::npos);
  CHECK(page.find("<dt>right of 4 validation photos</dt><dd>100.0 %</dd>") != std::string::npos);
  CHECK(page.find("No photo was taken for another class.") != std::string::npos);
  CHECK(page.find("<td>12 photos</td>") != std::string::npos);
  CHECK(page.find("<tr><th scope=\"row\">seed</th><td>3</td></tr>") != std::string::npos);
}

TEST_CASE("tl finetune --report: names are shown as they are, and are no markup; nothing is loaded", "[tl]") {
  const Setting s;
  REQUIRE(tl_program(s.command({"--method", "last:2"})).status == 0);
  const std::string page = read_file(s.report);
  CHECK(page.find("<script") == std::string::npos);
  CHECK(page.find("photo <") == std::string::npos);
  CHECK(page.find("&lt;script&gt;alert(1)&amp;&quot;&#39;</th>") != std::string::npos);
  CHECK(page.find("photo &lt;") != std::string::npos);
  CHECK(page.find("default-src 'none'") != std::string::npos);
  CHECK(count_of(page, "src=\"") == count_of(page, "src=\"data:image/jpeg;base64,"));
  CHECK(count_of(page, "href=\"") == count_of(page, "href=\"#") + count_of(page, "href=\"data:,\""));
  CHECK(page.find("http") == page.find("http-equiv"));
  CHECK(page.find("http", page.find("http-equiv") + 1) == std::string::npos);
  CHECK(page.find("url(") == std::string::npos);
}

TEST_CASE("tl finetune --report: a place that cannot be written to is refused before anything is trained",
          "[tl]") {
  const Setting s;
  std::vector<std::string> all = s.command();
  all.back() = s.folder / "missing/report.html";
  check_refused(all, "cannot write '");
  all.back() = s.folder.path();
  check_refused(all, "expected a file, got a directory");
  CHECK_FALSE(fs::exists(s.out));
  CHECK_FALSE(fs::exists(s.report));
}

TEST_CASE("tl predict --explain writes a picture of the size that the network sees", "[tl]") {
  const Setting s;
  REQUIRE(tl_program(s.command({"--method", "head"})).status == 0);
  const std::string photo = fs::path(s.photos) / "blue/photo <0>.png", picture = s.folder / "explained.png";
  const Outcome o = tl_program({"predict", s.out, photo, "--explain", picture});
  CAPTURE(o.err);
  REQUIRE(o.status == 0);
  CHECK(o.err.empty());
  CHECK_THAT(o.out, contains("photo <0>.png: "));
  const data::Image explained = data::read_image(picture);
  CHECK(explained.size() == data::Size{16, 16});
  CHECK_FALSE(explained == data::Preprocess::parse("resize=16").geometry(data::read_image(photo)));
  check_refused({"predict", s.out, s.photos, "--explain", picture}, "--explain is for one image, got 16");
  check_refused({"predict", s.out, photo, "--explain", s.folder / "missing/out.png"}, "cannot write '");
}
