// What `tl finetune` is told on its command line, told to fine_tune by a program.
//
//   every_option FOLDER WEIGHTS.onnx OUT.onnx      FOLDER holds train/ and valid/, in each one folder a class
#include <iostream>
#include <string>

#include <tl/tl.hpp>

int main(int argc, char** argv) try {
  TL_CHECK(argc == 4, "usage: every_option FOLDER WEIGHTS.onnx OUT.onnx");
  const std::string folder = argv[1], weights = argv[2], out = argv[3];

  // [before]
  auto photos = tl::data::image_folder(folder + "/train");
  photos.valid = tl::data::with_classes(tl::data::image_folder(folder + "/valid").train,
                                        photos.classes());  // --valid FOLDER
  auto model = tl::onnx::load<float>(weights);              // --weights MODEL
  const tl::Index size = 64;                                // --size 64
  const auto preprocess = tl::transfer::with_size(tl::transfer::preprocess_of(model.graph()).steps, size);
  tl::transfer::replace_head(model, photos.classes(), 3,               // --seed 3
                             {.mirrored = true}, {1, 3, size, size});  // --head mirrored
  model.freeze("layer1.*");                                            // --freeze 'layer1.*'
  // [/before]

  // [options]
  const tl::train::FineTuneOptions options{
      .method = tl::transfer::Method::parse("full"),       // --method full
      .epochs = 3,                                         // --epochs 3
      .batch_size = 16,                                    // --batch 16
      .optimiser = tl::train::OptimiserKind::adamw,        // --optimiser adamw
      .lr = 0.002,                                         // --lr 0.002
      .smoothing = 0.05,                                   // --smoothing 0.05
      .class_weights = tl::train::ClassWeights::balanced,  // --balance
      .later_share = 0.2,                                  // --lr-later 0.2
      .earlier_share = 0.05,                               // --lr-earlier 0.05
      .rates = {{"layer4.*", 0.001}},                      // --lr-for 'layer4.*=0.001'
      .head_first = true,                                  // the head alone, before the layers below it
      .clip_norm = 5,                                      // --clip-norm 5
      .mixup = 0.2,                                        // --mixup 0.2
      .keep_best = false,                                  // --last-epoch
      .patience = 2,                                       // --patience 2
      .freeze_batch_norm = true,                           // statistics, scale and shift
      .augment = tl::data::parse_augment("light"),         // --augment light
      .preprocess = preprocess,                            // --preprocess SPEC
      .seed = 3,                                           // --seed 3
      .strict = true,                                      // --strict
      .feature_cache = "features",                         // --cache features
      .on_note = [](const std::string& text) { std::cout << text << '\n'; },
      .on_epoch =
          [](const tl::train::EpochReport& epoch) {
            std::cout << "epoch " << epoch.epoch + 1 << ": loss " << epoch.loss << ", right for "
                      << epoch.valid->correct() << " of " << epoch.valid->count() << '\n';
          },
  };
  const tl::train::FineTuneResult result = tl::train::fine_tune(model, photos, options);
  // [/options]

  tl::onnx::save(model, out);
  std::cout << "trained " << result.trained_elements << " parameters in " << result.history.size()
            << " epochs\n";
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
