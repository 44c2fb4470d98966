// A network learns four kinds of drawn flowers from nothing, and then its few pictures by heart.
//
//   rms(layer k) = rms(input) (sigma sqrt(width / 2))^k    of Dense and ReLU with weights N(0, sigma^2)
//   gap = loss on pictures held out - loss on pictures trained with
//
// Sources: He et al. 2015, https://arxiv.org/abs/1502.01852 (the size of initial weights); Zhang et al. 2017,
// https://arxiv.org/abs/1611.03530 (networks learn random labels). Writes from_nothing.svg.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tl/tl.hpp>

#include "drawn.hpp"
#include "figure.hpp"

namespace {

using tl::Index;

double rms(const tl::Tensor<float>& x) {
  double squares = 0;
  for (const float v : x.span()) squares += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(squares / static_cast<double>(x.size()));
}

void show_initial_sizes() {
  std::puts("weights   factor a layer   rms after layer 1      5        10   told by the formula");
  // [initial]
  const Index width = 256;
  const auto input = tl::nn::random_normal<float>({64, width}, 1, tl::Rng(1));
  for (const double sigma : {0.03, std::sqrt(2.0 / width), 0.2}) {
    tl::Var<float> x = input;
    std::vector<double> sizes{rms(input)};
    for (std::uint64_t layer = 0; layer < 10; ++layer) {
      x = relu(
          linear(x, tl::Var<float>(tl::nn::random_normal<float>({width, width}, sigma, tl::Rng(2, layer)))));
      sizes.push_back(rms(x.value()));
    }
    const double factor = sigma * std::sqrt(width / 2.0);
    std::printf("%.4f  %15.2f  %18.2g  %7.2g  %8.2g  %20.2g\n", sigma, factor, sizes[1], sizes[5], sizes[10],
                std::pow(factor, 10));
  }
  // [/initial]
}

struct Settings {
  std::optional<tl::data::Augment> augment{};
  double weight_decay = 0;
  Index width = 16;
  Index epochs = 30;
};

struct Curve {
  std::vector<std::pair<double, double>> train, valid;  ///< epoch, loss
  tl::train::Evaluation last_train{1}, last_valid{1};
  double lowest = 1e9;
  Index lowest_epoch = 0;
};

Curve learn(const tl::data::Dataset& train_set, const tl::data::Dataset& valid_set, const Settings& s) {
  // [network]
  const tl::RandomScope random(3, 0);  // initial weights
  tl::models::ResNet<> model({.blocks = {1, 1, 1},
                              .channels = {s.width, 2 * s.width, 4 * s.width},
                              .stem = tl::models::Stem::small_image,
                              .stem_stride = 2,
                              .classes = 4});
  // [/network]
  // [loop]
  const auto preprocess = tl::data::Preprocess::parse("resize=32x32,mean=127,std=64,rgb");
  const tl::data::Loader train(
      train_set, preprocess,
      {.batch_size = 16, .shuffle = true, .augment = s.augment, .cache_bytes = 1 << 24});
  const tl::data::Loader seen(train_set, preprocess), valid(valid_set, preprocess, {.cache_bytes = 1 << 24});
  const auto rate = [&](Index step) {
    return tl::optim::Schedule{.kind = tl::optim::ScheduleKind::cosine,
                               .total = s.epochs * train.batches()}(step);
  };
  tl::optim::Sgd<float> sgd({{.params = model.parameters(), .lr = 0.05}}, {.weight_decay = s.weight_decay});

  Curve curve;
  Index step = 0;
  for (Index epoch = 0; epoch < s.epochs; ++epoch) {
    model.train();
    for (auto& batch : train.epoch(static_cast<std::uint64_t>(epoch))) {
      tl::cross_entropy(model.forward(batch.images), batch.labels).backward();
      sgd.step(rate(step++));
      sgd.zero_grad();
    }
    if (epoch % 2 == 0) continue;
    curve.last_train = tl::train::evaluate(model, seen);
    curve.last_valid = tl::train::evaluate(model, valid);
    // [/loop]
    const double x = static_cast<double>(epoch + 1);
    curve.train.emplace_back(x, curve.last_train.loss());
    curve.valid.emplace_back(x, curve.last_valid.loss());
    if (curve.last_valid.loss() < curve.lowest) {
      curve.lowest = curve.last_valid.loss();
      curve.lowest_epoch = epoch + 1;
    }
  }
  return curve;
}

void print(const char* name, const Curve& c) {
  std::printf("%-26s %7.3f %6.0f %%  %9.3f %6.1f %%   %6.3f in epoch %lld\n", name, c.last_train.loss(),
              100 * c.last_train.accuracy(), c.last_valid.loss(), 100 * c.last_valid.accuracy(), c.lowest,
              static_cast<long long>(c.lowest_epoch));
}

}  // namespace

int main() try {
  show_initial_sizes();

  course::draw_folder("few", 15);
  course::draw_folder("many", 60);
  course::draw_folder("held_out", 40, 4, 1000);
  const auto few = tl::data::image_folder("few").train, many = tl::data::image_folder("many").train,
             held_out = tl::data::image_folder("held_out").train;
  // [shuffled]
  tl::data::Dataset shuffled = few;
  tl::Rng random(5);
  for (auto& sample : shuffled.samples) sample.label = static_cast<Index>(random.below(4));
  // [/shuffled]

  std::puts("\n                           trained with         held out          lowest loss held out");
  const Curve plain = learn(few, held_out, {});
  print("60 pictures", plain);
  print("  labels drawn by lot", learn(shuffled, held_out, {}));
  print("  a quarter of the width", learn(few, held_out, {.width = 4}));
  print("  weight decay 0.01", learn(few, held_out, {.weight_decay = 0.01}));
  const Curve varied = learn(few, held_out, {.augment = tl::data::Augment{}});
  print("  varied at random", varied);
  const Curve more = learn(many, held_out, {.epochs = 10});
  print("240 pictures, 10 epochs", more);
  print("240, varied, 30 epochs", learn(many, held_out, {.augment = tl::data::Augment{}}));

  course::Figure figure("From nothing: 60 drawn flowers, 160 held out", "epoch", "cross-entropy");
  figure.add("trained with", plain.train);
  figure.add("held out", plain.valid);
  figure.add("trained with, varied", varied.train);
  figure.add("held out, varied", varied.valid);
  figure.lower_legend(0.53);
  figure.write("from_nothing.svg");
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
