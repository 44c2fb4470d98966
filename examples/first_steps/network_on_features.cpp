// A small network of your own on the features of a pretrained one, which looks at every image once and is not
// changed.
//
//   network_on_features animals/ resnet18.onnx 20 features.npy
#include <iostream>
#include <string>

#include <tl/tl.hpp>

int main(int argc, char** argv) try {
  TL_CHECK(argc >= 3 && argc <= 5, "usage: network_on_features FOLDER WEIGHTS.onnx [EPOCHS [FEATURES.npy]]");
  const tl::Index epochs = argc >= 4 ? std::stoll(argv[3]) : 20;
  auto photos = tl::data::image_folder(argv[1]);
  if (photos.valid.empty()) {  // neither train/ nor valid/ in the folder: hold out a fifth
    const auto split = tl::data::hold_out(photos.train, 0.2);
    photos.valid = photos.train.subset(split.valid);
    photos.train = photos.train.subset(split.train);
  }

  // [features]
  const auto pretrained = tl::onnx::load<float>(argv[2]);
  const auto preprocess = tl::transfer::preprocess_of(pretrained.graph()).steps;
  const auto size = preprocess.fixed_size().value_or(tl::data::Size{224, 224});
  // What the last layer reads; any value will do: graph().find("a name that tl inspect shows").
  const tl::ValueId layer = tl::transfer::find_head(pretrained.graph()).input;
  const auto parts = tl::transfer::split_at(pretrained.graph(), layer, {1, 3, size.height, size.width});

  const auto features_of = [&](const tl::data::Dataset& images) {
    return tl::transfer::compute_features(*parts.prefix, tl::data::Loader(images, preprocess));
  };
  const tl::transfer::Features train = features_of(photos.train), valid = features_of(photos.valid);
  if (argc == 5) tl::io::write_npy(argv[4], train.values);  // for numpy, say; io::read_npy reads it back
  // [/features]

  // [network]
  const tl::Index width = train.values.size() / train.values.shape(0), hidden = 64;
  const auto classes = static_cast<tl::Index>(photos.classes().size());
  const auto network = tl::nn::sequential<float>(
      {std::make_shared<tl::nn::Flatten<>>(),
       std::make_shared<tl::nn::Dense<>>(tl::nn::DenseOptions{.in = width, .out = hidden}),
       std::make_shared<tl::nn::Relu<>>(),
       std::make_shared<tl::nn::Dense<>>(tl::nn::DenseOptions{.in = hidden, .out = classes})});
  tl::optim::AdamW<float> adamw({{.params = network->parameters(), .lr = 1e-3}});

  const tl::transfer::FeatureLoader rows(train, photos.train, {.shuffle = true}),
      held_out(valid, photos.valid, {});
  tl::train::FitOptions options{.epochs = epochs};
  options.on_epoch = [](const tl::train::EpochReport& r) {
    std::cout << "epoch " << r.epoch + 1 << "  loss " << r.loss << "  validation accuracy "
              << r.valid->accuracy() << std::endl;
  };
  tl::train::fit(*network, adamw, rows, options, &held_out);
  // [/network]
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
