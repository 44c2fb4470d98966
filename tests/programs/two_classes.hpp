// A small network and photos of two classes, for what tl finetune makes of them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <tl/data/encode.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/models/resnet.hpp>
#include <tl/nn/model.hpp>

#include "programs/program.hpp"

namespace tl::test {

inline const std::string spec = "resize=16,crop=16,mean=127,std=64,rgb";

/// A small network without labels and preprocessing, and two classes of eight photos: reddish and bluish
/// noise.
struct TwoClasses {
  TemporaryFolder folder;
  std::string weights = folder / "weights.onnx", photos = folder / "photos", out = folder / "out.onnx";

  TwoClasses() {
    const RandomScope scope(1, 0);
    const auto network = std::make_shared<models::ResNet<float>>(models::ResNetOptions{
        .blocks = {1, 1}, .channels = {8, 16}, .stem = models::Stem::small_image, .classes = 7});
    onnx::save(*nn::trace<float>(*network, Tensor<float>::zeros({1, 3, 16, 16})), weights);
    for (const char* name : {"blue", "red"}) add_class(photos, name, 8);
  }

  static void add_class(const std::filesystem::path& root, const std::string& name, int count) {
    std::filesystem::create_directories(root / name);
    for (int i = 0; i < count; ++i) {
      data::Image image(20, 20);
      Rng noise(static_cast<std::uint64_t>(i), name == "red");
      for (Index p = 0; p < image.bytes(); ++p) {
        const bool strong = p % 3 == (name == "red" ? 0 : 2);
        image.data()[p] = static_cast<std::uint8_t>(noise.below(128) + (strong ? 128 : 0));
      }
      data::write_png(root / name / (std::to_string(i) + ".png"), image);
    }
  }

  std::vector<std::string> command(std::vector<std::string> more = {}) const {
    std::vector<std::string> all{"finetune", photos, "--weights", weights, "--out",     out,
                                 "--batch",  "4",    "--epochs",  "4",     "--threads", "1"};
    if (std::find(more.begin(), more.end(), "--preprocess") == more.end()) {
      all.push_back("--preprocess");
      all.push_back(spec);
    }
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  /// Refused, and nothing of it left behind: neither the file nor a temporary.
  void refused(const std::vector<std::string>& more, const std::string& part) const {
    check_refused(command(more), part);
    nothing_written();
  }
  void nothing_written() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      CAPTURE(entry.path());
      CHECK(entry.path().string().find("out.onnx") == std::string::npos);
      CHECK(entry.path().extension() != ".tmp");
    }
  }
};

}  // namespace tl::test
