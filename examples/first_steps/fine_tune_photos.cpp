// Fine-tunes a pretrained network on a folder of photos, one folder a class, and writes it as an .onnx file.
//
//   fine_tune_photos animals/ resnet18.onnx animals.onnx

// [program]
#include <iostream>

#include <tl/tl.hpp>

int main(int argc, char** argv) try {
  TL_CHECK(argc == 4, "usage: fine_tune_photos FOLDER WEIGHTS.onnx OUT.onnx");
  const auto say = [](const std::string& text) { std::cout << text << std::endl; };

  auto photos = tl::data::image_folder(argv[1]);        // one folder a class
  auto model = tl::onnx::load<float>(argv[2]);          // named, trainable layers
  tl::transfer::replace_head(model, photos.classes());  // the width is inferred
  auto result = tl::train::fine_tune(model, photos, {.epochs = 3, .on_note = say});
  tl::onnx::save(model, argv[3]);  // with class names and preprocessing inside

  for (const auto& note : photos.notes) say(note);
  for (const auto& skipped : result.skipped) say("left out: " + skipped.reason);
  say(tl::concat("right for ", result.valid->correct(), " of ", result.valid->count(),
                 " validation images: accuracy ", result.valid->accuracy()));
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
// [/program]
