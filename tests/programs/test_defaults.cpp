// tl finetune FOLDER, and nothing else: which network, method and file it takes, and what it says of them.
#include <csignal>
#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include <tl/data/encode.hpp>
#include <tl/io/onnx/load.hpp>

#include "programs/program.hpp"
#include "support/files.hpp"

using namespace tl;
using namespace tl::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// A folder to work in, with two classes of photos in it.
struct Desk {
  TemporaryFolder folder;
  fs::path photos = folder / "my photos";

  explicit Desk(int count = 5) {
    for (const std::string name : {"blue", "red"}) {
      fs::create_directories(photos / name);
      for (int i = 0; i < count; ++i) {
        data::Image image(12, 12);
        for (Index b = 0; b < image.bytes(); ++b)
          image.data()[b] =
              static_cast<std::uint8_t>(b % 3 == (name == "red" ? 0 : 2) ? 255 - i % 50 : i / 50);
        data::write_png(photos / name / (std::to_string(i) + ".png"), image);
      }
    }
  }
  Outcome finetune(const std::string& options) const {
    return shell("cd '" + folder.path().string() + "' && \"$TL\" finetune " + options +
                 " --json-out figures.json");
  }
  Json figures() const { return Json::parse(read_file(folder / "figures.json")); }
};

}  // namespace

TEST_CASE("tl finetune: a folder is enough") {
  const Desk desk;
  const fs::path out = desk.folder / "my photos.onnx";
  const Outcome o = desk.finetune("'my photos/'");
  CAPTURE(o.out, o.err);
  REQUIRE(o.status == 0);
  CHECK(o.err.empty());
  CHECK_THAT(o.out,
             contains("\nchosen for 10 photos (under 1,000): --method features --size 96 --head both\n"));
  CHECK_THAT(o.out, contains("\nwritten: my photos.onnx, figures.json\n"));
  CHECK(desk.figures()["method"] == "features");
  CHECK(fs::path(desk.figures()["weights"].get<std::string>()).filename() == "resnet_small.onnx");
  const Outcome judged = tl_program({"evaluate", out, desk.photos, "--json"});
  CHECK(judged.status == 0);
  CHECK(judged.err.empty());  // the file declares the size it was trained with

  const std::string written = read_file(out);
  const Outcome again = desk.finetune("'my photos'");
  CHECK(again.status == 2);
  CHECK(again.out.empty());
  CHECK(
      again.err ==
      "tl: 'my photos.onnx' is there already: give --out 'my photos.onnx' to replace it, or another name\n");
  CHECK(read_file(out) == written);
  CHECK(desk.finetune("'my photos' --out 'my photos.onnx'").status == 0);

  const Outcome inside = shell("cd '" + desk.photos.string() + "' && \"$TL\" finetune . && ls");
  CAPTURE(inside.err);
  CHECK(inside.status == 0);
  CHECK_THAT(inside.out, contains("my photos.onnx\n"));
  CHECK_THAT(desk.finetune("/").err, contains("tl: "));
}

TEST_CASE("tl finetune: what is said holds, and what is chosen depends on the number of photos") {
  const Desk desk;
  const auto method_of = [&](const std::string& options) {
    const Outcome o = desk.finetune("'my photos' --out new.onnx " + options);
    CAPTURE(options, o.out, o.err);
    REQUIRE(o.status == 0);
    const bool told = o.out.find("\nchosen for ") != std::string::npos;
    return desk.figures()["method"].get<std::string>() + (told ? ", told" : "");
  };
  CHECK(method_of("--method head --size 32 --epochs 1") == "head");
  CHECK(method_of("--method features --size 32 --head wide") == "features");
  CHECK(method_of("--method two-stage --size 32 --epochs 1") == "two-stage");
  CHECK(method_of("--method two-stage --epochs 1") == "two-stage, told");
  CHECK(method_of("--size 32") == "features, told");
  CHECK(method_of("--size 32 --epochs 1") == "two-stage, told");
  CHECK(method_of("--size 32 --freeze 'layer*'") == "two-stage, told");
  CHECK(method_of("--size 32 --classifier ridge") == "features, told");
  CHECK_THAT(desk.figures()["preprocess"].get<std::string>(), contains("crop=32"));

  const Desk many(500);
  Started started({TL_PROGRAM, "finetune", many.photos, "--size", "32", "--out", many.folder / "new.onnx"});
  wait_until([&] { return started.out_so_far().find("chosen for ") != std::string::npos; });
  ::kill(started.id(), SIGINT);  // the training is of no interest
  CHECK_THAT(started.wait().out, contains("chosen for 1,000 photos (1,000 or more): --method two-stage\n"));
}

TEST_CASE("tl finetune: a program without its network says where it looked") {
  const Desk desk;
  const fs::path copy = desk.folder / "bin" / "tl";
  fs::create_directories(copy.parent_path());
  fs::copy_file(TL_PROGRAM, copy);
  const fs::path shared = desk.folder / "share" / "tl" / "resnet_small.onnx";
  fs::create_directories(shared.parent_path());
  write_file_atomically(shared, "no network");
  const Outcome o = start({copy, "finetune", desk.photos});  // the one beside it comes first
  CHECK(o.status == 2);
  CHECK(is_one_line(o.err));
  CHECK_THAT(o.err, contains("'" + shared.string() + "' is damaged"));
}
