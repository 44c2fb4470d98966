// A training loop written by hand: a small ResNet learns the classes of a folder of images from scratch.
//
//   training_loop animals/ 20
#include <iostream>
#include <string>

#include <tl/tl.hpp>

int main(int argc, char** argv) try {
  TL_CHECK(argc == 2 || argc == 3, "usage: training_loop FOLDER [EPOCHS]");
  const tl::Index epochs = argc == 3 ? std::stoll(argv[2]) : 10;

  // [data]
  auto photos = tl::data::image_folder(argv[1]);
  if (photos.valid.empty()) {  // neither train/ nor valid/ in the folder: hold out a fifth
    const auto split = tl::data::hold_out(photos.train, 0.2);
    photos.valid = photos.train.subset(split.valid);
    photos.train = photos.train.subset(split.train);
  }
  const auto preprocess = tl::data::Preprocess::parse("resize=64,crop=64,mean=127,std=64,rgb");
  const tl::data::Loader train(photos.train, preprocess, {.shuffle = true, .augment = tl::data::Augment{}});
  const tl::data::Loader valid(photos.valid, preprocess);
  // [/data]

  // [loop]
  const auto model = tl::models::resnet_small(static_cast<tl::Index>(photos.classes().size()));
  tl::optim::Sgd<float> sgd({{.params = model->parameters(), .lr = 0.02}}, {.weight_decay = 1e-4});

  for (tl::Index epoch = 0; epoch < epochs; ++epoch) {
    double loss_sum = 0;
    model->train();
    for (auto& batch : train.epoch(static_cast<std::uint64_t>(epoch))) {
      const auto loss = tl::cross_entropy(model->forward(batch.images), batch.labels);
      loss.backward();
      sgd.step();
      sgd.zero_grad();
      loss_sum += static_cast<double>(loss.item());
    }
    const auto figures = tl::train::evaluate(*model, valid);
    std::cout << "epoch " << epoch + 1 << "  loss " << loss_sum / static_cast<double>(train.batches())
              << "  validation loss " << figures.loss() << "  accuracy " << figures.accuracy() << std::endl;
  }
  // [/loop]
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
