// Which layers of a pretrained network learn new classes, at which rates, and what batch normalisation does
// meanwhile.
//
//   w = w - a(layer) dL/dw     a = 0: frozen; small below, large in the new head: discriminative rates
//   running = 0.9 running + 0.1 batch     moves with every batch in training, whatever the rates are
//
// Sources: Yosinski et al. 2014, https://arxiv.org/abs/1411.1792 (which layers transfer); Howard, Ruder 2018,
// https://arxiv.org/abs/1801.06146 (rates by depth); Kumar et al. 2022, https://arxiv.org/abs/2202.10054 (the
// head first). Arguments: an .onnx file, and a folder of photos, one folder a class, in place of drawn
// flowers.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <utility>

#include <tl/tl.hpp>

#include "drawn.hpp"
#include "pretrained.hpp"

namespace {

using tl::Index;
using tl::Tensor;
using Model = tl::Model<float>;

struct Task {
  std::filesystem::path weights;
  tl::data::ImageFolder photos;
  tl::data::Preprocess preprocess;
  Index batch, epochs;
};

/// How a network is trained.
struct Plan {
  const char* name;
  Index layers = 0;    ///< the last so many are trained; 0: all
  double lr = 0.01;    ///< of the head
  double share = 0.1;  ///< of it for the layers below
  bool head_first = true, freeze_norm = true, scratch = false;
};

double size_of(const Tensor<float>& x) {
  double squares = 0;
  for (const float v : x.span()) squares += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(squares);
}
/// |a - b| / |a|
double moved(const Tensor<float>& a, const Tensor<float>& b) {
  Tensor<float> d = a.plain().clone();
  const Tensor<float> other = b.plain();
  float* to = d.mutable_data();
  for (Index i = 0; i < d.size(); ++i) to[i] -= other.data()[i];
  return size_of(d) / size_of(a);
}

/// What the head reads, of the first 64 photos held out.
Tensor<float> features_of(const Model& model, const Task& task) {
  const Index side = task.preprocess.fixed_size()->height;
  const tl::ValueId cut = tl::transfer::find_head(model.graph()).input;
  const auto parts = tl::transfer::split_at(model.graph(), cut, {1, 3, side, side});
  const tl::data::Loader valid(task.photos.valid, task.preprocess, {.batch_size = 64});
  for (auto& batch : valid.epoch(0)) return parts.prefix->predict(batch.images);
  tl::fail("no photos held out");
}

/// Computes what the head reads once, and trains the head on it.
void train_head(Model& model, const Task& task, Index epochs) {
  // [head_first]
  const Index side = task.preprocess.fixed_size()->height;
  const tl::ValueId cut = tl::transfer::find_head(model.graph()).input;
  const auto parts = tl::transfer::split_at(model.graph(), cut, {1, 3, side, side});
  const tl::data::Loader photos(task.photos.train, task.preprocess);
  const auto features = tl::transfer::compute_features(*parts.prefix, photos);
  const tl::transfer::FeatureLoader rows(features, task.photos.train,
                                         {.batch_size = task.batch, .shuffle = true});
  tl::optim::Sgd<float> sgd({{.params = parts.rest->parameters(), .lr = 0.01}});
  tl::train::fit(*parts.rest, sgd, rows, {.epochs = epochs});  // shares its parameters with the whole
  // [/head_first]
}

void run(const Plan& plan, const Task& task) {
  // [plan]
  auto model = tl::onnx::load<float>(task.weights);
  const Tensor<float> before = features_of(model, task);
  tl::transfer::replace_head(model, task.photos.classes());
  if (plan.scratch) tl::transfer::reset_parameters(model, 0);

  if (plan.layers > 0) tl::transfer::freeze_all_but_last(model, plan.layers);
  if (plan.freeze_norm) tl::transfer::freeze_batch_norm(model);
  if (plan.head_first) train_head(model, task, 30);
  if (plan.layers != 1) {
    auto groups =
        tl::transfer::groups_by_depth(model, {.head = plan.lr, .later = plan.share, .earlier = plan.share});
    tl::optim::Sgd<float> sgd(std::move(groups), {.momentum = 0.9});
    const tl::data::Loader photos(task.photos.train, task.preprocess,
                                  {.batch_size = task.batch, .shuffle = true, .cache_bytes = 1 << 28});
    tl::train::fit(model, sgd, photos, {.epochs = task.epochs});
  }
  // [/plan]
  const auto result = tl::train::evaluate(model, tl::data::Loader(task.photos.valid, task.preprocess));
  std::printf("%-36s %9lld  %6.1f %%  %6.2f  %8.2f\n", plan.name,
              static_cast<long long>(tl::transfer::trainable_elements(model)), 100 * result.accuracy(),
              result.loss(), moved(before, features_of(model, task)));
}

/// Nothing is trained: the photos only pass, in training mode.
void show_trap(const Task& task) {
  for (const bool frozen : {false, true}) {
    // [trap]
    auto model = tl::onnx::load<float>(task.weights);
    if (frozen) tl::transfer::freeze_batch_norm(model);
    const Tensor<float> before = features_of(model, task);
    const tl::data::Loader photos(task.photos.train, task.preprocess, {.batch_size = task.batch});
    model.train();
    for (std::uint64_t epoch = 0; epoch < 3; ++epoch)
      for (auto& batch : photos.epoch(epoch)) model.forward(batch.images);
    model.eval();
    const Tensor<float> after = features_of(model, task);
    // [/trap]
    std::printf("batch normalisation %-8s no step taken, features moved by %.2f\n",
                frozen ? "frozen:" : "free:", moved(before, after));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const bool has_photos = argc > 2;
  if (!has_photos) {
    course::draw_folder("drawn/train", 10);
    course::draw_folder("drawn/valid", 40, 4, 1000);
  }
  Task task{course::pretrained(argc, argv), tl::data::image_folder(has_photos ? argv[2] : "drawn"),
            tl::data::Preprocess::parse("resize=32,crop=32,bicubic,mean=123.675/116.28/103.53,"
                                        "std=58.395/57.12/57.375,rgb"),
            8, 5};
  if (has_photos) {
    task.preprocess = tl::transfer::with_size(task.preprocess, 64);
    task.batch = 32;
  }
  std::printf("%lld photos to train with, %lld held out\n\n",
              static_cast<long long>(task.photos.train.size()),
              static_cast<long long>(task.photos.valid.size()));
  show_trap(task);

  std::puts("\ntrained                              parameters  accuracy    loss  features moved");
  for (const Plan& plan :
       {Plan{.name = "the head alone", .layers = 1}, Plan{.name = "the last stage and the head", .layers = 6},
        Plan{.name = "all, a tenth of the rate below"}, Plan{.name = "all, one rate", .share = 1},
        Plan{.name = "all, one rate, head not first", .share = 1, .head_first = false},
        Plan{.name = "all, normalisation free", .freeze_norm = false},
        Plan{.name = "all, from random weights",
        .share = 1,
        .head_first = false,
        .freeze_norm = false,
        .scratch = true}})
    run(plan, task);
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
