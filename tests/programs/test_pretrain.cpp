// The pretrain program on a folder laid out as Tiny-ImageNet-200: what it leaves out, writes and goes on
// with.
#include <signal.h>

#include <string>
#include <vector>

#include <tl/data/encode.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/onnx/load.hpp>

#include <nlohmann/json.hpp>

#include "programs/program.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tl;
using namespace tl::test;

namespace fs = std::filesystem;

namespace {

std::string photo(int n, int red, int blue) {
  data::Image image(64, 64);
  for (Index i = 0; i < image.bytes(); ++i) {
    const int base = i % 3 == 0 ? red : i % 3 == 2 ? blue : 100;
    image.data()[i] = static_cast<std::uint8_t>(base + (i / 3 * (n + 3)) % 40);
  }
  return data::encode_jpeg(image);
}

void put(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  write_file_atomically(path, bytes);
}

/// Two classes of eight photos and two for validation; of one photo there are copies in both classes, and one
/// stands in both parts.
void put_data(const fs::path& root) {
  put(root / "wnids.txt", "n01\nn02\n");
  put(root / "words.txt", "n00\tnothing\nn01\tcat, house cat\nn02\tcat\n");
  std::string annotations;
  for (const int label : {1, 2}) {
    const std::string id = "n0" + std::to_string(label);
    const int red = label == 1 ? 10 : 200, blue = 210 - red;
    const fs::path images = root / "train" / id / "images";
    for (int n = 0; n < 8; ++n) put(images / (id + "_" + std::to_string(n) + ".JPEG"), photo(n, red, blue));
    put(images / (id + "_both.JPEG"), photo(50, 100, 100));
    for (int n = 20; n < 22; ++n) {
      const std::string name = "val_" + id + std::to_string(n) + ".JPEG";
      put(root / "val" / "images" / name, photo(n, red, blue));
      annotations += name + "\t" + id + "\t0\t0\t62\t62\n";
    }
  }
  put(root / "train" / "n01" / "images" / "n01_seen.JPEG", photo(20, 10, 200));
  put(root / "val" / "val_annotations.txt", annotations);
}

std::vector<std::string> command(const TemporaryFolder& folder, const std::string& name,
                                 std::vector<std::string> more) {
  std::vector<std::string> words{TL_PROGRAMS_FOLDER "/pretrain",
                                 folder / "data",
                                 "--out",
                                 folder / (name + ".onnx"),
                                 "--checkpoint",
                                 folder / (name + ".safetensors"),
                                 "--log",
                                 folder / (name + ".json")};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace

TEST_CASE("pretrain: photos of two labels or of both parts are left out, by name; a log of every epoch") {
  const TemporaryFolder folder;
  put_data(folder / "data");
  const Outcome o = start(command(folder, "new", {"--batch", "4", "--phases", "16x2", "24x1"}));
  CAPTURE(o.out, o.err);
  REQUIRE(o.status == 0);
  CHECK(o.err.empty());
  CHECK(o.out.find("16 training and 4 validation images of 2 classes\n") != std::string::npos);
  CHECK(o.out.find("left out: n01_both.JPEG stands under two labels\n") != std::string::npos);
  CHECK(o.out.find("left out: n02_both.JPEG stands under two labels\n") != std::string::npos);
  CHECK(o.out.find("left out: n01_seen.JPEG stands among the validation images\n") != std::string::npos);
  CHECK(o.out.find("epoch 3/3 at 24 px: loss ") != std::string::npos);

  const auto log = nlohmann::json::parse(read_file(folder / "new.json"));
  REQUIRE(log["epochs"].size() == 3);
  CHECK(log["epochs"][0]["size"] == 16);
  CHECK(log["epochs"][2]["size"] == 24);
  CHECK(log["epochs"][2]["images_per_second"] > 0);
  const auto model = onnx::load<float>(folder / "new.onnx");
  CHECK(io::labels(model.metadata()) == std::vector<std::string>{"cat", "cat (n02)"});
  CHECK(io::preprocess_spec(model.metadata()).find("crop=24") != std::string::npos);
}

TEST_CASE("pretrain: killed at any time it goes on to the same bits") {
  const TemporaryFolder folder;
  put_data(folder / "data");
  const std::vector<std::string> options{"--batch", "4", "--phases", "16x20", "24x20"};
  REQUIRE(start(command(folder, "whole", options)).status == 0);

  const std::vector<std::string> stopped = command(folder, "stopped", options);
  const std::string checkpoint = folder / "stopped.safetensors";
  const auto bytes = [&] { return fs::exists(checkpoint) ? read_file(checkpoint) : ""; };
  for (int kills = 0; kills < 3; ++kills) {
    const std::string before = bytes();
    Started started(stopped);
    wait_until([&] { return bytes() != before; });
    ::kill(started.id(), SIGKILL);
    CHECK(started.wait().status == 128 + SIGKILL);
  }
  const Outcome last = start(stopped);
  CAPTURE(last.out, last.err);
  REQUIRE(last.status == 0);
  CHECK(last.out.find("going on after epoch ") != std::string::npos);
  CHECK(read_file(folder / "stopped.onnx") == read_file(folder / "whole.onnx"));
  CHECK(nlohmann::json::parse(read_file(folder / "stopped.json"))["epochs"].size() == 40);
}

TEST_CASE("pretrain: what cannot be used is one line and status 2") {
  const TemporaryFolder folder;
  put_data(folder / "data");
  const auto refused = [&](const std::vector<std::string>& more, const std::string& part) {
    const Outcome o = start(command(folder, "new", more));
    CAPTURE(more, o.err);
    CHECK(o.status == 2);
    CHECK(is_one_line(o.err));
    CHECK(o.err.starts_with("pretrain: "));
    CHECK(o.err.find(part) != std::string::npos);
  };
  refused({"--phases", "16"}, "expected SIZExEPOCHS");
  refused({"--batch", "1"}, "--batch");
  refused({"--batch", "64"}, "expected at least a batch of 64 training images, got 16");
  fs::create_directories(folder / "new.json");
  refused({}, "new.json");
  fs::remove(folder / "new.json");
  fs::remove(folder / "data/words.txt");
  refused({}, "words.txt");
}
