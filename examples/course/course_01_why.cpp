// What a network that knows something brings to a task with few labelled images, and what one brings that
// knows the wrong thing.
//
// The task: roses and stars, drawn flowers of two kinds. Four ways to begin, each with 2 to 50 images a kind:
//
//   nothing    random weights, every layer is trained
//   flowers    a network that has learned to tell bells from daisies; every layer is trained
//   grounds    a network that has learned whether the ground behind a flower is bright; every layer is
//   trained photos     weights/resnet_small.onnx, which knows 200 things in photographs; a new last layer is
//   trained
//
//   course_01_why [WEIGHTS.onnx]
//
// Source: Yosinski et al. 2014, "How transferable are features in deep neural networks?",
// https://arxiv.org/abs/1411.1792
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <span>
#include <utility>
#include <vector>

#include <tl/tl.hpp>

#include "figure.hpp"
#include "flowers.hpp"

#ifndef TL_SOURCE_WEIGHTS
#define TL_SOURCE_WEIGHTS "weights"
#endif

namespace {

using course::Network;
using tl::Index;

void train(tl::nn::Module<float>& network, const course::Set& set, Index steps) {
  // [train]
  tl::optim::Sgd<float> sgd({{.params = network.parameters(), .lr = 0.1}});
  const tl::optim::Schedule schedule{.kind = tl::optim::ScheduleKind::cosine, .total = steps};
  const Index batch = std::min<Index>(32, set.size());
  Index step = 0;
  for (std::uint64_t epoch = 0; step < steps; ++epoch) {
    const std::vector<Index> order = course::shuffled(set.size(), epoch);
    for (Index i = 0; i + batch <= set.size() && step < steps; i += batch, ++step) {
      const course::Set part = course::take(
          set, std::span(order).subspan(static_cast<std::size_t>(i), static_cast<std::size_t>(batch)));
      tl::cross_entropy(network.forward(part.images), part.labels).backward();
      sgd.step(schedule(step));
      sgd.zero_grad();
    }
  }
  // [/train]
}

/// The transfer: all weights and running statistics of a trained network, but for the head's.
// [transfer]
void copy_all_but_head(const Network& from, const Network& to) {
  const auto copy = [](const auto& values, const auto& target) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      tl::Var<float> var = target[i].var;
      if (!tl::nn::glob_match("11.*", values[i].name)) var.mutable_value() = values[i].var.value().clone();
    }
  };
  copy(from->parameters(), to->parameters());
  copy(from->buffers(), to->buffers());
}
// [/transfer]

/// Whether the corner of each image is bright, as labels.
course::Set grounds_of(const course::Set& set) {
  course::Set result{set.images, set.labels.clone()};
  for (Index i = 0; i < set.size(); ++i) {
    float sum = 0;
    for (Index place = 0; place < 48; ++place) sum += set.images.at(i, place % 3, place / 3 % 4, place / 12);
    result.labels.set(sum / 48 > -0.9F, i);
  }
  return result;
}

/// The first `count` of each kind of a set in the order of a draw; images of the two kinds alternate.
std::vector<Index> draw_samples(Index kinds_in_set, Index count, std::uint64_t draw) {
  const std::vector<Index> order = course::shuffled(kinds_in_set, 100 + draw);
  std::vector<Index> samples;
  for (Index i = 0; i < 2 * count; ++i) samples.push_back(2 * order[static_cast<std::size_t>(i / 2)] + i % 2);
  return samples;
}

}  // namespace

int main(int argc, char** argv) try {
  TL_CHECK(argc <= 2, "usage: course_01_why [WEIGHTS.onnx]");
  tl::set_num_threads(1);  // for networks this small

  // [sources]
  const course::Set bells_and_daisies = course::flowers({0, 1}, 300, 0, 32);
  const Network flowers = course::small_network(2, 1), grounds = course::small_network(2, 1);
  train(*flowers, bells_and_daisies, 200);
  train(*grounds, grounds_of(bells_and_daisies), 200);
  // [/sources]
  const course::Set others = course::flowers({0, 1}, 100, 10000, 32);
  std::printf("bell or daisy, images not seen: %.0f %%\n", 100 * course::accuracy(*flowers, others));
  std::printf("dark or bright ground, images not seen: %.0f %%\n\n",
              100 * course::accuracy(*grounds, grounds_of(others)));

  // [photos]
  const auto photos = tl::onnx::load<float>(argc == 2 ? argv[1] : TL_SOURCE_WEIGHTS "/resnet_small.onnx");
  const auto preprocess = tl::transfer::preprocess_of(photos.graph()).steps;  // 64 x 64, travels in the file
  const tl::transfer::Head old_head = tl::transfer::find_head(photos.graph());
  const auto parts = tl::transfer::split_at(photos.graph(), old_head.input, {1, 3, 64, 64});
  const auto features_of = [&](const course::Set& set) {  // (N,256), computed once
    return parts.prefix->predict(set.images).reshape({set.size(), old_head.width});
  };
  // [/photos]

  // The same flowers at the sizes that the two networks are made for.
  constexpr Index pool = 80, held_out = 100;
  const course::Set labelled = course::flowers({2, 3}, pool, 20000, 32),
                    labelled_large = course::flowers({2, 3}, pool, 20000, 64, preprocess),
                    test = course::flowers({2, 3}, held_out, 30000, 32),
                    test_large = course::flowers({2, 3}, held_out, 30000, 64, preprocess);
  const course::Set labelled_features{features_of(labelled_large), labelled.labels};
  const tl::Tensor<float> test_features = features_of(test_large);

  constexpr std::uint64_t draws = 3;
  std::vector<std::pair<double, double>> curves[4];
  std::printf("rose or star, accuracy in %% on 200 images, mean of 3 draws of the labelled ones\n");
  std::printf("%-16s%9s%9s%9s%9s\n", "images a kind", "nothing", "flowers", "grounds", "photos");
  for (const Index count : {2, 5, 10, 20, 50}) {
    double sums[4] = {};
    for (std::uint64_t draw = 0; draw < draws; ++draw) {
      const std::vector<Index> samples = draw_samples(pool, count, draw);
      // [task]
      const Network start[] = {nullptr, flowers, grounds};
      for (std::size_t way = 0; way < 3; ++way) {
        const Network network = course::small_network(2, 100 + draw);
        if (start[way]) copy_all_but_head(start[way], network);
        train(*network, course::take(labelled, samples), 60);
        sums[way] += course::accuracy(*network, test);
      }
      // [/task]
      // [head]
      const course::Set few = course::take(labelled_features, samples);
      const auto head = tl::transfer::fit_softmax(few.images, few.labels, 2).classifier;
      // [/head]
      const tl::Tensor<std::int64_t> answers = head.predict(test_features);
      for (Index i = 0; i < test.size(); ++i)
        sums[3] += (answers.at(i) == test.labels.at(i)) / static_cast<double>(test.size());
    }
    std::printf("%-16d", static_cast<int>(count));
    for (std::size_t way = 0; way < 4; ++way) {
      const double percent = 100 * sums[way] / static_cast<double>(draws);
      std::printf("%9.0f", percent);
      curves[way].emplace_back(static_cast<double>(count), percent);
    }
    std::printf("\n");
  }

  course::Figure figure("Roses and stars: accuracy by what the network knew before",
                        "labelled images of each kind", "accuracy, %");
  figure.lower_legend(0.12);
  const char* names[] = {"nothing", "bells and daisies", "bright and dark grounds", "photographs"};
  for (std::size_t way = 0; way < 4; ++way) figure.add(names[way], curves[way]);
  figure.write("why.svg");
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
