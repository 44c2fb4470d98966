// find_lr: the curve of a parabola, whose best rate is known; nothing is changed in the end.
#include <tl/optim/adamw.hpp>
#include <tl/optim/sgd.hpp>
#include <tl/train/find_lr.hpp>
#include <tl/transfer/layers.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;
using train::find_lr;
using train::FindLrOptions;
using train::LrCurve;
using train::LrSweep;

namespace {

/// f(w) = curvature / 2 sum w^2, of which gradient descent finds the minimum in one step of 1 / curvature and
/// diverges beyond 2 / curvature.
class Parabola : public nn::Module<float> {
 public:
  Var<float> w = this->add_parameter("w", Tensor<float>::ones({4}));
  Var<float> forward(const Var<float>& curvature) override { return sum(w * w) * curvature * 0.5F; }
};

LrCurve curve_of(float curvature, const FindLrOptions& options) {
  Parabola parabola;
  optim::Sgd<float> sgd({{.params = parabola.parameters(), .lr = 1}}, {.momentum = 0});
  LrSweep sweep(parabola, sgd, options);
  while (sweep.take(parabola.forward(Var<float>(Tensor<float>::scalar(curvature))))) {
  }
  return sweep.curve();
}

std::vector<Tensor<float>> memory_of(optim::Optimiser<float>& optimiser) {
  std::vector<Tensor<float>> memory;
  for (const optim::Slot<float>& slot : optimiser.slots()) {
    if (slot.tensor->defined()) memory.push_back(slot.tensor->clone());
  }
  return memory;
}

data::Loader loader_of(const Photos& photos, Index batch_size = 4) {
  return data::Loader(photos.set.train, plain_steps, {.batch_size = batch_size, .shuffle = true});
}

}  // namespace

TEST_CASE("rates rise evenly by their logarithm, and losses are smoothed without a bias to the start") {
  const LrCurve curve = curve_of(1e-9F, {.lowest = 1e-3, .highest = 10, .steps = 5});
  REQUIRE(curve.points.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(curve.points[i].rate == Approx(std::pow(10, static_cast<double>(i) - 3)));
    CHECK(curve.points[i].loss == Approx(2e-9));
    CHECK(curve.points[i].smoothed == Approx(2e-9));
  }
}

TEST_CASE("the suggestions for a parabola are below its largest rate, and move with its curvature") {
  for (const float curvature : {10.0F, 100.0F, 1e4F}) {
    INFO("curvature " << curvature);
    const LrCurve curve = curve_of(curvature, {});
    const double best = 1 / static_cast<double>(curvature);
    CHECK(curve.points.size() < 100);  // it diverges, and the sweep ends
    double lowest = curve.points.front().smoothed;
    for (const train::LrPoint& p : curve.points) lowest = std::min(lowest, p.smoothed);
    CHECK(curve.points.back().smoothed > 4 * lowest);
    CHECK((curve.steepest > 0.1 * best && curve.steepest < 0.2 * best));
    CHECK((curve.tenth > 0.5 * best && curve.tenth < 1.5 * best));
  }
}

TEST_CASE("network and optimiser are the same bits after a sweep, whether it diverged or failed") {
  const Photos photos(4);
  const auto check = [&](optim::Optimiser<float>& optimiser, Model<float>& model) {
    train::fit(model, optimiser, loader_of(photos), {.epochs = 1});  // the optimiser has a memory
    for (const bool training : {true, false}) {
      model.train(training);
      const auto before = state_of(model), memory = memory_of(optimiser);
      REQUIRE(!memory.empty());
      const LrCurve curve = find_lr(model, optimiser, loader_of(photos), {.highest = 1e4, .steps = 60});
      CHECK(curve.points.size() > 10);
      CHECK(same_bits(state_of(model), before));
      CHECK(same_bits(memory_of(optimiser), memory));
      CHECK(model.is_training() == training);
      for (const auto& p : model.parameters()) CHECK(!p.var.grad().defined());
      FindLrOptions failing;
      failing.on_step = [](Index done) { TL_CHECK(done < 5, "enough"); };
      CHECK_THROWS_WITH(find_lr(model, optimiser, loader_of(photos), failing), "enough");
      CHECK(same_bits(state_of(model), before));
      CHECK(same_bits(memory_of(optimiser), memory));
    }
  };
  const ModelPtr first = small_resnet(), second = small_resnet();
  optim::Sgd<float> sgd({{.params = first->parameters(), .lr = 1}}, {.momentum = 0.9});
  optim::AdamW<float> adamw({{.params = second->parameters(), .lr = 1}});
  check(sgd, *first);
  check(adamw, *second);
  optim::AdamW<float> fresh({{.params = second->parameters(), .lr = 1}});
  find_lr(*second, fresh, loader_of(photos), {.steps = 10});
  CHECK(memory_of(fresh).empty());
}

TEST_CASE("a sweep goes on into further epochs, ends when asked to, and is repeatable") {
  const Photos photos(4);
  const ModelPtr model = small_resnet();
  optim::Sgd<float> sgd({{.params = model->parameters(), .lr = 1}});
  const auto losses = [&](FindLrOptions options) {
    std::vector<double> all;
    for (const auto& p : find_lr(*model, sgd, loader_of(photos), options).points) all.push_back(p.loss);
    return all;
  };
  const auto once = losses({.highest = 1e-2, .steps = 20, .mixup = 0.2, .seed = 3});
  CHECK(once.size() == 20);  // three steps an epoch
  CHECK(losses({.highest = 1e-2, .steps = 20, .mixup = 0.2, .seed = 3}) == once);
  CHECK(losses({.highest = 1e-2, .steps = 20, .mixup = 0.2, .seed = 4}) != once);
  Index steps = 0;
  FindLrOptions options;
  options.should_stop = [&] { return ++steps == 4; };
  CHECK(losses(options).size() == 4);
}

TEST_CASE("frozen parameters and running statistics stay as they are during a sweep") {
  const Photos photos(4);
  const ModelPtr model = small_resnet();
  transfer::freeze_all_but_last(*model, 1);
  const auto frozen = state_of(*model, "layer*");
  optim::Sgd<float> sgd({{.params = model->parameters(), .lr = 1}});
  FindLrOptions options{.steps = 12};
  options.on_step = [&](Index) { CHECK(same_bits(state_of(*model, "layer*"), frozen)); };
  find_lr(*model, sgd, loader_of(photos), options);
}

TEST_CASE("sweeps that make no sense are refused") {
  const Photos photos(2);
  const ModelPtr model = small_resnet();
  optim::Sgd<float> sgd({{.params = model->parameters(), .lr = 1}});
  CHECK_THROWS_WITH(find_lr(*model, sgd, loader_of(photos), {.lowest = 0}),
                    contains("[find_lr] expected rates"));
  CHECK_THROWS_WITH(find_lr(*model, sgd, loader_of(photos), {.steps = 1}), contains("at least 2 steps"));
  for (const data::Sample& sample : photos.set.train.samples) put_file(sample.path, "broken");
  CHECK_THROWS_WITH(find_lr(*model, sgd, loader_of(photos), {}),
                    contains("none of the images could be read"));
}
