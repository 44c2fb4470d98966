// Small fine-tunings from photos to the saved network. test_levels.sh compares what this writes when it is
// compiled in different ways; memcheck.sh runs it under valgrind.
//
//   fine_tunings EPOCHS METHOD...     an epoch has two steps of 8 images at 32 pixels; METHOD as in tl
//   finetune,
//                                     "+adamw" after it for AdamW and mixup in place of SGD
//
// Prints the SHA-256 of the .onnx file that each method writes, and the method. Without arguments: the
// instruction sets this processor has.
#include <filesystem>
#include <iostream>
#include <string>

#include <unistd.h>

#include <tl/core/sha256.hpp>
#include <tl/tl.hpp>

namespace {

namespace fs = std::filesystem;

/// Ten photos of noise a class, reddish and bluish, of more pixels than the network reads.
void make_photos(const fs::path& folder) {
  for (const tl::Index brighter : {0, 2}) {
    const fs::path of_class = folder / (brighter == 0 ? "red" : "blue");
    fs::create_directories(of_class);
    for (std::uint64_t i = 0; i < 10; ++i) {
      tl::data::Image image(45, 50);
      tl::Rng noise(i, static_cast<std::uint64_t>(brighter));
      for (tl::Index p = 0; p < image.bytes(); ++p) {
        image.data()[p] = static_cast<std::uint8_t>(noise.below(128) + (p % 3 == brighter ? 128 : 0));
      }
      tl::data::write_png(of_class / tl::concat(i, ".png"), image);
    }
  }
}

/// The bytes of the file.
std::string fine_tuned(const fs::path& folder, tl::Index epochs, std::string method) {
  tl::train::FineTuneOptions options{.epochs = epochs, .batch_size = 8};
  if (const std::size_t plus = method.find("+adamw"); plus != std::string::npos) {
    method.resize(plus);
    options.optimiser = tl::train::OptimiserKind::adamw;
    options.mixup = 0.2;
  }
  options.method = tl::transfer::Method::parse(method);
  options.preprocess = tl::data::Preprocess::parse("resize=36,crop=32,mean=124/116/104,std=58/57/57,rgb");
  options.freeze_batch_norm = false;
  options.fit_head = [](const tl::transfer::Features& train, tl::Index classes) {
    return tl::transfer::fit_softmax(train.values, train.labels, classes).classifier;
  };
  const tl::data::ImageFolder photos = tl::data::image_folder(folder);
  const tl::RandomScope scope(1, 0);
  const auto network = tl::models::resnet_small(static_cast<tl::Index>(photos.classes().size()));
  const auto model = tl::nn::trace<float>(*network, tl::Tensor<float>::zeros({1, 3, 32, 32}));
  tl::train::fine_tune(*model, photos, options);
  tl::onnx::save(*model, folder / "out.onnx");
  return tl::read_file(folder / "out.onnx");
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 1) {
    for (const tl::kernels::Isa isa : tl::kernels::available_isas())
      std::cout << tl::kernels::name_of(isa) << '\n';
    return 0;
  }
  TL_CHECK(argc >= 3, "usage: fine_tunings [EPOCHS METHOD...]");
  const fs::path folder = fs::temp_directory_path() / tl::concat("tl-fine-tunings-", ::getpid());
  for (int i = 2; i < argc; ++i) {
    make_photos(folder);
    std::cout << tl::hex(tl::sha256(fine_tuned(folder, std::stoi(argv[1]), argv[i]))) << "  " << argv[i]
              << std::endl;
    fs::remove_all(folder);
  }
} catch (const std::exception& error) {
  std::cerr << "fine_tunings: " << error.what() << '\n';
  return 1;
}
