// fit: it learns, gives the same bits at any number of threads, stops when asked, and says what went wrong.
#include <tl/optim/groups.hpp>
#include <tl/optim/sgd.hpp>
#include <tl/train/fit.hpp>
#include <tl/transfer/stored_features.hpp>
#include <tl/transfer/layers.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;
using train::EpochReport;
using train::fit;
using train::FitOptions;
using train::StepReport;

namespace {

optim::Sgd<float> sgd_of(const nn::Module<float>& network, double lr = 0.05) {
  return optim::Sgd<float>({{.params = network.parameters(), .lr = lr}}, {.momentum = 0.9});
}

FitOptions one_cycle(Index epochs) {
  FitOptions options{.epochs = epochs};
  options.schedule.kind = optim::ScheduleKind::one_cycle;
  return options;
}

/// Nine images in three batches, the last of a single image; read in their order.
data::Loader loader_of(const Photos& photos, Index batch_size = 4) {
  return data::Loader(photos.set.train, plain_steps, {.batch_size = batch_size});
}

}  // namespace

TEST_CASE("the loss falls on images that colour tells apart, and every image is right in the end") {
  const Photos photos(8);
  const data::Loader train(photos.set.train, plain_steps, {.batch_size = 8, .shuffle = true});
  const data::Loader valid(photos.set.train, plain_steps, {.batch_size = 8});
  const ModelPtr model = small_resnet();
  optim::Sgd<float> sgd = sgd_of(*model);
  std::vector<Index> told;
  FitOptions options = one_cycle(5);
  options.on_epoch = [&](const EpochReport& r) { told.push_back(r.epoch); };
  const std::vector<EpochReport> history = fit(*model, sgd, train, options, &valid);
  REQUIRE(history.size() == 5);
  CHECK(told == std::vector<Index>{0, 1, 2, 3, 4});
  CHECK(history.back().loss < history.front().loss / 2);
  CHECK(history.back().accuracy > history.front().accuracy);
  for (const EpochReport& r : history) {
    CHECK(r.images == 24);
    CHECK(r.epochs == 5);
    REQUIRE(r.valid.has_value());
    CHECK(r.valid->count() == 24);
  }
  CHECK(history.back().valid->accuracy() == 1);
}

TEST_CASE("the same seed gives the same bits at one, two and three threads") {
  const Photos photos(6);
  std::vector<Tensor<float>> one;
  for (const int threads : {1, 2, 3}) {
    const ScopedThreads scope(threads);
    data::LoaderOptions loading{.batch_size = 5, .shuffle = true, .seed = 3, .augment = data::Augment{}};
    loading.threads = threads;
    const data::Loader train(photos.set.train, plain_steps, loading);
    const ModelPtr model = small_resnet();
    optim::Sgd<float> sgd = sgd_of(*model);
    fit(*model, sgd, train, one_cycle(2));
    INFO(threads << " threads");
    if (threads == 1) one = state_of(*model);
    CHECK(!same_bits(one, state_of(*small_resnet())));
    CHECK(same_bits(state_of(*model), one));
  }
}

TEST_CASE("a step is the forward pass, the gradient and SGD at the schedule's rate") {
  const Photos photos(3);
  const data::Loader train = loader_of(photos, 3);
  const ModelPtr model = small_resnet(), by_hand = small_resnet();
  optim::Sgd<float> sgd = sgd_of(*model), hand_sgd = sgd_of(*by_hand);
  std::vector<StepReport> steps;
  FitOptions options = one_cycle(2);
  options.loss.smoothing = 0.1;
  options.on_step = [&](const StepReport& r) { steps.push_back(r); };
  fit(*model, sgd, train, options);

  optim::Schedule schedule = options.schedule;
  schedule.total = 6;
  by_hand->train();
  REQUIRE(steps.size() == 6);
  for (std::size_t s = 0; s < 6; ++s) {
    const auto all = data::Loader(
        photos.set.train.subset({static_cast<Index>(s) % 3 * 3, static_cast<Index>(s) % 3 * 3 + 1,
                                 static_cast<Index>(s) % 3 * 3 + 2}),
        plain_steps, {.batch_size = 3});
    for (const data::Batch& batch : all.epoch(0)) {
      const Var<float> loss =
          cross_entropy(by_hand->forward(Var<float>(batch.images)), batch.labels, {.smoothing = 0.1});
      loss.backward();
      hand_sgd.step(schedule(static_cast<Index>(s)));
      hand_sgd.zero_grad();
      if (s % 3 == 0) CHECK(steps[s].loss == Approx(static_cast<double>(loss.item())));
    }
    CHECK(steps[s].rate_factor == schedule(static_cast<Index>(s)));
    CHECK(steps[s].epoch == static_cast<Index>(s) / 3);
    CHECK(steps[s].batch == static_cast<Index>(s) % 3 + 1);
    CHECK(steps[s].batches == 3);
  }
  CHECK(same_bits(state_of(*model), state_of(*by_hand)));
}

TEST_CASE("later epochs alone take the steps that they take after the earlier ones") {
  const Photos photos(3);
  const data::Loader train = loader_of(photos);
  const auto factors_of = [&](Index first_epoch) {
    const ModelPtr model = small_resnet();
    optim::Sgd<float> sgd = sgd_of(*model);
    FitOptions options = one_cycle(3);
    options.first_epoch = first_epoch;
    options.first_step = first_epoch * train.batches();
    std::vector<double> factors;
    options.on_step = [&](const StepReport& r) { factors.push_back(r.rate_factor); };
    CHECK(fit(*model, sgd, train, options).size() == static_cast<std::size_t>(3 - first_epoch));
    return factors;
  };
  const std::vector<double> all = factors_of(0), later = factors_of(1);
  REQUIRE(all.size() == 6);
  CHECK(later == std::vector<double>(all.begin() + 2, all.end()));
  CHECK(factors_of(3).empty());
}

TEST_CASE("a last batch of one image is left out where BatchNorm could not bear it") {
  const Photos photos(3);
  const auto norm = [] {
    return std::make_shared<nn::BatchNorm2d<float>>(nn::BatchNormOptions{.channels = 8});
  };
  const ModelPtr model = pooled_network(norm());
  optim::Sgd<float> sgd = sgd_of(*model);
  const std::vector<EpochReport> history = fit(*model, sgd, loader_of(photos), {.epochs = 1});
  CHECK(history.at(0).images == 8);

  // Batches of one image by choice are not left out: without BatchNorm they train, with it they cannot.
  CHECK_THROWS_WITH(fit(*model, sgd, loader_of(photos, 1), {.epochs = 1}), contains("[batch_norm]"));
  const ModelPtr without = pooled_network();
  optim::Sgd<float> other = sgd_of(*without);
  CHECK(fit(*without, other, loader_of(photos, 1), {.epochs = 1}).at(0).images == 9);
  CHECK(fit(*without, other, loader_of(photos, 100), {.epochs = 1}).at(0).images == 9);
}

TEST_CASE("a training stops after the step in which it is asked to") {
  const Photos photos(3);
  const ModelPtr model = small_resnet(), four_steps = small_resnet();
  optim::Sgd<float> sgd = sgd_of(*model), other = sgd_of(*four_steps);
  Index steps = 0;
  FitOptions options{.epochs = 10};
  options.should_stop = [&] { return ++steps == 4; };
  const std::vector<EpochReport> history = fit(*model, sgd, loader_of(photos, 3), options);
  CHECK(steps == 4);
  CHECK(history.size() == 1);  // the second epoch was given up after its first step
  fit(*four_steps, other, loader_of(photos, 3), {.epochs = 1});
  CHECK(!same_bits(state_of(*model), state_of(*four_steps)));
  FitOptions fourth{.epochs = 2, .first_epoch = 1};
  fourth.should_stop = [] { return true; };
  CHECK(fit(*four_steps, other, loader_of(photos, 3), fourth).empty());
  CHECK(same_bits(state_of(*model), state_of(*four_steps)));
}

TEST_CASE("a loss that is not a number names the epoch, the step and the image") {
  const Photos photos(3);
  const ModelPtr model = small_resnet();
  optim::Sgd<float> sgd = sgd_of(*model, 1e30);
  CHECK_THROWS_WITH(fit(*model, sgd, loader_of(photos, 3), {.epochs = 1}),
                    contains("[fit] the loss is") && contains("in epoch 1, step 2") &&
                        contains(photos.set.train.samples[3].path.string()) &&
                        contains("smaller learning rate"));
}

TEST_CASE("broken images are left out; when there is no other, that is an error") {
  const Photos photos(3);
  put_file(photos.set.train.samples[0].path, "broken");
  const ModelPtr model = pooled_network();
  optim::Sgd<float> sgd = sgd_of(*model);
  const data::Loader train = loader_of(photos);
  CHECK(fit(*model, sgd, train, {.epochs = 1}).at(0).images == 7);  // and a last batch of one

  const Photos broken(1);
  for (const data::Sample& sample : broken.set.train.samples) put_file(sample.path, "broken");
  const data::Loader none = loader_of(broken);
  CHECK_THROWS_WITH(fit(*model, sgd, none, {.epochs = 1}), "[fit] none of the images could be read");
  CHECK_THROWS_WITH(fit(*model, sgd, train, {.epochs = 1}, &none),
                    "[fit] none of the validation images could be read");
}

TEST_CASE("a frozen BatchNorm stays in inference mode while the rest trains") {
  const Photos photos(3);
  const ModelPtr model = small_resnet();
  model->freeze("layer1.0.bn1.*");
  const auto frozen = state_of(*model, "layer1.0.bn1.*"), others = state_of(*model, "*bn2.running*"),
             conv = state_of(*model, "layer1.0.conv1.*");
  optim::Sgd<float> sgd = sgd_of(*model);
  fit(*model, sgd, loader_of(photos), {.epochs = 1});
  CHECK(frozen.size() == 4);
  CHECK(same_bits(state_of(*model, "layer1.0.bn1.*"), frozen));
  CHECK(!same_bits(state_of(*model, "*bn2.running*"), others));
  CHECK(!same_bits(state_of(*model, "layer1.0.conv1.*"), conv));
}

// Order, batches and random numbers are the same, and a row's bits do not depend on the others in its batch.
TEST_CASE("training behind a frozen prefix gives the same bits on features computed once") {
  const Photos photos(5);
  const data::LoaderOptions loading{.batch_size = 4, .shuffle = true, .seed = 8};
  const auto dropout = std::make_shared<nn::Dropout<float>>(ops::Dropout{.25});
  const std::vector<std::pair<ModelPtr, ModelPtr>> networks{
      {small_resnet(), small_resnet()}, {pooled_network(dropout), pooled_network(dropout)}};
  for (const auto& [whole, split] : networks) {
    for (const ModelPtr& model : {whole, split}) transfer::freeze_all_but_last(*model, 1);
    FitOptions options = one_cycle(3);
    options.seed = 5;

    const data::Loader images(photos.set.train, plain_steps, loading);
    optim::Sgd<float> sgd = sgd_of(*whole, 0.3), split_sgd = sgd_of(*split, 0.3);
    const auto wanted = fit(*whole, sgd, images, options, &images);

    const data::Loader once(photos.set.train, plain_steps, {.batch_size = 7});
    const auto parts =
        transfer::split_at(split->graph(), transfer::frozen_cut(split->graph()), {1, 3, 16, 16});
    const transfer::FeatureLoader features(transfer::compute_features(*parts.prefix, once), photos.set.train,
                                           {.batch_size = 4, .shuffle = true, .seed = 8});
    const auto got = fit(*parts.rest, split_sgd, features, options, &features);

    CHECK(!same_bits(state_of(*whole), state_of(*small_resnet())));
    CHECK(same_bits(state_of(*split), state_of(*whole)));
    REQUIRE(got.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(got[i].loss == wanted[i].loss);
      CHECK(got[i].accuracy == wanted[i].accuracy);
      CHECK(got[i].valid->loss() == wanted[i].valid->loss());
    }
  }
}
