// tl and its limits: memory, images of a hundred megapixels, very many photos.
#include <algorithm>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <tl/data/encode.hpp>

#include "data/large_png.hpp"
#include "programs/program.hpp"
#include "support/files.hpp"

using namespace tl;
using namespace tl::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

const std::string network = source_path("weights/resnet_small.onnx").string();

/// Two classes of forty photos.
struct Photos {
  TemporaryFolder folder;
  std::string path = folder / "photos";

  Photos() {
    for (const int shade : {60, 180}) {
      const fs::path classes = fs::path(path) / std::to_string(shade);
      fs::create_directories(classes);
      for (int i = 0; i < 40; ++i) {
        data::Image image(24, 24);
        std::fill_n(image.data(), image.bytes(), static_cast<std::uint8_t>(shade + i));
        data::write_png(classes / (std::to_string(i) + ".png"), image);
      }
    }
  }
  Words finetune(Words more) const {
    Words all{"finetune", path, "--method", "full", "--epochs", "1", "--out", folder / "new.onnx"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

/// The first number after a text; 0 where it is not there.
Index number_after(const std::string& text, const std::string& before) {
  std::smatch found;
  return std::regex_search(text, found, std::regex(before + "(\\d+)")) ? std::stoll(found[1]) : 0;
}

/// Expects status 1 and one line that says `part`.
std::string refusal(const Words& words, const std::string& part) {
  const Outcome o = tl_program(words);
  CAPTURE(words, o.err);
  CHECK(o.status == 1);
  CHECK(is_one_line(o.err.substr(o.err.find("tl: "))));
  CHECK(o.err.find(part) != std::string::npos);
  return o.err;
}

}  // namespace

TEST_CASE("tl: a limit of memory that is no amount is refused") {
  const Photos photos;
  for (const char* size : {"much", "0", "-1G", "5GB"})
    check_refused({"bench", network, "--max-memory", size},
                  "expected an amount of memory such as 512M, 1.5G");
  const Outcome o = shell("TL_MAX_MEMORY=lots exec \"$TL\" bench '" + network + "'");
  CHECK(o.status == 2);
  CHECK(o.err ==
        "tl: TL_MAX_MEMORY: expected an amount of memory such as 512M, 1.5G or a number of bytes, got "
        "'lots'\n");
}

TEST_CASE("tl finetune: what does not fit is refused at once, and what is said to fit does") {
  const Photos photos;
  const std::string limit = "150M";
  const Words large{"--batch", "64", "--size", "128", "--max-memory", limit};
  const std::string told =
      refusal(photos.finetune(large), "training with batches of 64 images of 128x128 pixels");
  CHECK_FALSE(fs::exists(photos.folder / "new.onnx"));
  const Index batch = number_after(told, "a batch of at most "),
              size = number_after(told, "a size of at most ");
  REQUIRE(batch >= 1);
  REQUIRE(batch < 64);
  REQUIRE(size >= 8);
  REQUIRE(size < 128);
  const auto run = [&](Index images, Index pixels) {
    return tl_program(photos.finetune({"--batch", std::to_string(images), "--size", std::to_string(pixels),
                                       "--max-memory", limit, "--quiet"}));
  };
  for (const auto& [images, pixels] : {std::pair(batch, Index{128}), std::pair(Index{64}, size)}) {
    const Outcome o = run(images, pixels);
    CAPTURE(images, pixels, o.err);
    CHECK(o.status == 0);
    CHECK(o.err.empty());
  }
  CHECK(run(batch + 1, 128).status == 1);
  CHECK(run(64, size + 1).status == 1);
  refusal(photos.finetune({"--max-memory", "30M"}), "of memory, the limit is 30.0 MiB: ");
}

TEST_CASE("tl finetune: the environment limits as the option does, which comes first") {
  const Photos photos;
  std::string command;
  for (const std::string& word : photos.finetune({"--size", "32", "--quiet"})) command += " '" + word + "'";
  const Outcome refused = shell("TL_MAX_MEMORY=30M exec \"$TL\"" + command);
  CHECK(refused.status == 1);
  CHECK(refused.err.find("the limit is 30.0 MiB") != std::string::npos);
  const Outcome done = shell("TL_MAX_MEMORY=30M exec \"$TL\"" + command + " --max-memory 1G");
  CAPTURE(done.err);
  CHECK(done.status == 0);
}

TEST_CASE("tl find-lr and bench: what does not fit is refused with what would") {
  const Photos photos;
  CHECK(
      number_after(refusal({"find-lr", photos.path, "--batch", "64", "--size", "128", "--max-memory", "150M"},
                           "training with batches of 64 images of 128x128 pixels takes "),
                   "a batch of at most ") > 0);
  CHECK(number_after(refusal({"bench", network, "--batch", "512", "--size", "128", "--max-memory", "60M"},
                             "the network with batches of 512 images of 128x128 pixels takes "),
                     "a batch of at most ") > 0);
  const std::string told =
      refusal({"bench", network, "--train", "--batch", "64", "--size", "128", "--max-memory", "150M"},
              "training with batches of 64 images of 128x128 pixels takes ");
  const Outcome o =
      tl_program({"bench", network, "--train", "--size", "128", "--max-memory", "150M", "--seconds", "0",
                  "--json", "--batch", std::to_string(number_after(told, "a batch of at most "))});
  CAPTURE(o.err);
  REQUIRE(o.status == 0);
  CHECK(Json::parse(o.out)["peak_memory_bytes"].get<std::size_t>() <= (std::size_t{150} << 20));
}

TEST_CASE("tl predict, evaluate and features: batches shrink to fit, with the same answers") {
  const Photos photos;
  const std::string out = photos.folder / "f.npy", new_network = photos.folder / "new.onnx";
  REQUIRE(tl_program({"finetune", photos.path, "--out", new_network, "--quiet"}).status == 0);
  const Outcome free = tl_program({"predict", new_network, photos.path});
  REQUIRE(free.status == 0);
  const Outcome limited = tl_program({"predict", new_network, photos.path, "--max-memory", "64M"});
  CAPTURE(limited.err);
  CHECK(limited.status == 0);
  CHECK(limited.out == free.out);
  for (const Words& words :
       {Words{"predict", new_network, photos.path}, Words{"evaluate", new_network, photos.path},
        Words{"features", new_network, photos.path, "--out", out}}) {
    Words small = words;
    small.insert(small.end(), {"--max-memory", "5M"});
    refusal(small, "5.0 MiB");
  }
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("tl predict: an image of a hundred megapixels is read, and left out where memory is limited") {
  TemporaryFolder folder;
  const std::string large = folder / "large.png", too_large = folder / "too_large.png";
  write_file_atomically(large, black_png(10'000, 10'000));
  write_file_atomically(too_large, black_png(10'001, 10'000));
  data::Image image(24, 24);
  std::fill_n(image.data(), image.bytes(), std::uint8_t{99});
  data::write_png(folder / "small.png", image);
  const Outcome o = tl_program({"predict", network, folder.path().string()});
  CAPTURE(o.out, o.err);
  CHECK(o.status == 0);
  CHECK(o.out.find("large.png: ") != std::string::npos);
  CHECK(o.err.find("too_large.png': it is too large: expected at most 100000000 pixels, got 10001x10000") !=
        std::string::npos);
  CHECK(o.peak_kib < 1'300'000);
  const Outcome limited = tl_program({"predict", network, folder.path().string(), "--max-memory", "256M"});
  CAPTURE(limited.out, limited.err);
  CHECK(limited.status == 0);
  CHECK(limited.err.find("large.png': it is too large: decoding 10000x10000 pixels takes up to ") !=
        std::string::npos);
  CHECK(limited.out.find("small.png: ") != std::string::npos);
  CHECK(limited.peak_kib < 300'000);
}

namespace {

/// tl evaluate lists a folder before it finds that the classes are not the network's.
void check_listing(int count, long most_kib) {
  TemporaryFolder folder;
  data::Image pixel(1, 1);
  std::fill_n(pixel.data(), pixel.bytes(), std::uint8_t{9});
  const std::string tiny = data::encode_png(pixel);
  fs::path original;
  for (int i = 0; i < count; ++i) {
    const fs::path path = folder / "photos" / (i % 2 == 0 ? "a" : "b") / (std::to_string(i) + ".png");
    if (i < 2) fs::create_directories(path.parent_path());
    if (i % 30'000 == 0) {  // file systems allow tens of thousands of links to a file
      write_file_atomically(path, tiny);
      original = path;
    } else {
      fs::create_hard_link(original, path);
    }
  }
  const Outcome o = tl_program({"evaluate", network, folder / "photos"});
  CAPTURE(o.err);
  CHECK(o.status == 2);
  CHECK(o.err.find("unknown classes 'a', 'b'") != std::string::npos);
  CHECK(o.cpu_seconds < 20);
  CHECK(o.peak_kib < most_kib);
}

}  // namespace

TEST_CASE("tl: ten thousand photos in a folder are listed in little memory") {
  check_listing(10'000, 100'000);
}

TEST_CASE("tl: a hundred thousand photos in a folder are listed in little memory", "[.full]") {
  check_listing(100'000, 200'000);
}
