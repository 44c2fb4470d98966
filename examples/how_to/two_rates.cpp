// The last stage of a ResNet and a new head learn, each at its own rate; everything below is frozen.
//
//   two_rates FOLDER RESNET.onnx OUT.onnx      FOLDER holds one folder of photos a class
#include <iostream>
#include <string>

#include <tl/tl.hpp>

int main(int argc, char** argv) try {
  TL_CHECK(argc == 4, "usage: two_rates FOLDER RESNET.onnx OUT.onnx");
  auto photos = tl::data::image_folder(argv[1]);
  auto model = tl::onnx::load<float>(argv[2]);

  // [two-rates]
  tl::transfer::replace_head(model, photos.classes());
  model.freeze();  // everything
  TL_CHECK(model.unfreeze("layer4.*") > 0, "no parameter is called layer4...: see tl inspect");
  model.unfreeze("head.*");
  const auto result =
      tl::train::fine_tune(model, photos,
                           {.method = {tl::transfer::MethodKind::full},
                            .epochs = 3,
                            .lr = 0.01,                      // of the head
                            .rates = {{"layer4.*", 0.001}},  // of the last stage
                            .on_note = [](const std::string& text) { std::cout << text << '\n'; }});
  // [/two-rates]

  tl::onnx::save(model, argv[3]);
  std::cout << "trained " << result.trained_elements << " parameters, " << result.frozen_tensors
            << " tensors frozen; right for " << result.valid->correct() << " of " << result.valid->count()
            << '\n';
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
