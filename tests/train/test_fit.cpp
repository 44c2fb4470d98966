// fit: it learns, gives the same bits at any number of threads, stops when asked, and says what went wrong.
#include <set>

#include <tl/io/safetensors.hpp>
#include <tl/io/training_state.hpp>
#include <tl/nn/layers.hpp>
#include <tl/optim/groups.hpp>
#include <tl/optim/sgd.hpp>
#include <tl/train/fit.hpp>
#include <tl/transfer/layers.hpp>
#include <tl/transfer/stored_features.hpp>

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

TEST_CASE("the same seed gives the same bits at any number of threads") {
  const Photos photos(6);
  std::vector<Tensor<float>> one;
  for (const int threads : {1, 2, 3, 8}) {
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

TEST_CASE("a loss that is no finite number names the step, its images and where it came from") {
  const Photos photos(4);
  const ModelPtr model = small_resnet();
  const auto told = [&](double rate, const data::Loader& loader) {
    optim::Sgd<float> sgd = sgd_of(*model, rate);
    try {
      fit(*model, sgd, loader, {.epochs = 2});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string text = told(1e30, loader_of(photos, 3));
  CAPTURE(text);
  CHECK(text.starts_with("[fit] the loss is "));
  CHECK(text.find("in epoch 1, step 2: ") != std::string::npos);
  CHECK(text.find(" is the first to give ") != std::string::npos);
  CHECK(text.find("with the parameter '") != std::string::npos);
  for (std::size_t i = 3; i < 6; ++i)
    CHECK(text.find("'" + photos.set.train.samples[i].path.string() + "'") != std::string::npos);
  CHECK(text.find("smaller learning rate") != std::string::npos);

  const ModelPtr fresh = small_resnet();
  fresh->parameter("layer1.0.conv2.weight").mutable_value().mutable_data()[5] = INFINITY;
  optim::Sgd<float> sgd = sgd_of(*fresh);
  CHECK_THROWS_WITH(fit(*fresh, sgd, loader_of(photos, 10), {.epochs = 1}),
                    contains("in epoch 1, step 1: the parameter 'layer1.0.conv2.weight' holds inf") &&
                        contains("' and 2 more;"));
}

TEST_CASE("clipped gradients make steps of at most so large a norm") {
  const Photos photos(3);
  const auto change = [&](double clip_norm) {
    const ModelPtr model = small_resnet();
    optim::Sgd<float> sgd({{.params = model->parameters(), .lr = 1}}, {});
    FitOptions options{.epochs = 1, .clip_norm = clip_norm};
    fit(*model, sgd, data::Loader(photos.set.train, plain_steps, {.batch_size = 9}), options);
    double squares = 0;
    for (const nn::Named<float>& p : small_resnet()->parameters()) {
      const Tensor<float>&a = p.var.value(), &b = model->parameter(p.name).value();
      for (Index e = 0; e < a.size(); ++e) squares += std::pow(double(b.data()[e]) - double(a.data()[e]), 2);
    }
    return std::sqrt(squares);
  };
  const double whole = change(0);
  REQUIRE(whole > 0.1);
  CHECK(change(2 * whole) == whole);
  CHECK(change(whole / 8) == Approx(whole / 8).epsilon(1e-4));
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

TEST_CASE("mixup blends a batch with itself, and the loss with the same shares") {
  const Photos photos(3);
  const data::Loader train(photos.set.train, plain_steps, {.batch_size = 9});
  std::vector<data::Batch> batches;
  for (data::Batch& batch : train.epoch(0)) batches.push_back(std::move(batch));
  const data::Batch& batch = batches.at(0);
  const train::Mixed mixed = train::mix(batch, 0.4, train::mixup_stream(5, 0, 0));
  CHECK((mixed.share >= 0.5F && mixed.share < 1));
  CHECK(mixed.images.layout() == batch.images.layout());
  std::vector<std::int64_t> labels = values_of(mixed.partner_labels), own = values_of(batch.labels);
  CHECK(labels != own);
  std::set<Index> partners;
  for (Index i = 0; i < 9; ++i) {
    // The partner is the image that the rest of the blend is of.
    Index partner = -1;
    for (Index p = 0; p < 9 && partner < 0; ++p) {
      bool fits = true;
      for (Index x = 0; x < 16 && fits; ++x)
        fits = mixed.images.at(i, 1, 5, x) == Approx(mixed.share * batch.images.at(i, 1, 5, x) +
                                                     (1 - mixed.share) * batch.images.at(p, 1, 5, x))
                                                  .margin(1e-5);
      if (fits) partner = p;
    }
    REQUIRE(partner >= 0);
    partners.insert(partner);
    CHECK(labels[static_cast<std::size_t>(i)] == own[static_cast<std::size_t>(partner)]);
  }
  CHECK(partners.size() == 9);

  const ModelPtr model = pooled_network(), by_hand = pooled_network();
  optim::Sgd<float> sgd = sgd_of(*model), hand_sgd = sgd_of(*by_hand);
  FitOptions options{.epochs = 1, .mixup = 0.4, .seed = 5};
  const auto history = fit(*model, sgd, train, options);
  const Var<float> logits = by_hand->forward(Var<float>(mixed.images));
  const Var<float> loss = cross_entropy(logits, batch.labels) * mixed.share +
                          cross_entropy(logits, mixed.partner_labels) * (1 - mixed.share);
  loss.backward();
  hand_sgd.step();
  CHECK(history.at(0).loss == Approx(static_cast<double>(loss.item())));
  CHECK(same_bits(state_of(*model), state_of(*by_hand)));
  CHECK_THROWS_WITH(train::mix(batch, -1, Rng(0)), contains("[mixup] expected an alpha above 0, got -1"));
}

TEST_CASE("mixup draws anew in every step, by the seed") {
  const Photos photos(2);
  std::vector<data::Batch> batches;
  for (data::Batch& batch : data::Loader(photos.set.train, plain_steps, {.batch_size = 6}).epoch(0))
    batches.push_back(std::move(batch));
  const auto share = [&](std::uint64_t seed, Index epoch, Index step) {
    return train::mix(batches.at(0), 1, train::mixup_stream(seed, epoch, step)).share;
  };
  CHECK(share(1, 2, 3) == share(1, 2, 3));
  CHECK(std::set<float>{share(1, 2, 3), share(2, 2, 3), share(1, 3, 3), share(1, 2, 4)}.size() == 4);
}

namespace {

/// An epoch whose validation has this loss, of one image that is right or not.
EpochReport validated(double right_by, bool right) {
  train::Evaluation figures(2);
  const auto by = static_cast<float>(right_by);
  figures.add(Tensor<float>::from({right ? by : 0.0F, right ? 0.0F : by}, {1, 2}),
              Tensor<std::int64_t>::from({0}, {1}));
  EpochReport report;
  report.valid = figures;
  return report;
}

}  // namespace

TEST_CASE("the best epoch is that of the best accuracy, then of the lowest loss, then the first") {
  CHECK(train::best_epoch({validated(1, false), validated(1, true), validated(3, false)}) == 1);
  CHECK(train::best_epoch({validated(1, true), validated(3, true), validated(2, true)}) == 1);
  CHECK(train::best_epoch({validated(1, true), validated(1, true)}) == 0);
  CHECK_THROWS_WITH(train::best_epoch({}), contains("at least one epoch"));
}

TEST_CASE("the best epoch's parameters and running statistics are kept") {
  const Photos photos(4), others(4, 3, 60);
  const data::Loader train(photos.set.train, plain_steps, {.batch_size = 6, .shuffle = true});
  const data::Loader valid(others.set.train, plain_steps);
  const ModelPtr model = small_resnet();
  optim::Sgd<float> sgd = sgd_of(*model, 0.02);
  std::vector<std::vector<Tensor<float>>> states;
  FitOptions options{.epochs = 6, .keep_best = true};
  // From the third epoch on the rate is absurd: what was learned is lost.
  options.before_epoch = [&](Index epoch) { sgd.groups()[0].lr = epoch < 2 ? 0.02 : 3; };
  options.on_epoch = [&](const EpochReport&) { states.push_back(state_of(*model)); };
  const auto history = fit(*model, sgd, train, options, &valid);
  REQUIRE(history.size() == 6);
  const std::size_t best = train::best_epoch(history);
  CHECK(best < 5);
  CHECK(!same_bits(states[best], states.back()));
  CHECK(same_bits(state_of(*model), states[best]));
  CHECK(train::evaluate(*model, valid).loss() == history[best].valid->loss());
  CHECK_THROWS_WITH(fit(*model, sgd, train, options), contains("expected images to validate with"));

  states.clear();
  options.keep_best = false;
  fit(*model, sgd, train, options, &valid);
  CHECK(same_bits(state_of(*model), states.back()));
}

TEST_CASE("patience ends a training after so many epochs without a lower validation loss") {
  const Photos photos(3);
  const data::Loader train = loader_of(photos, 3);
  const ModelPtr model = pooled_network();
  optim::Sgd<float> sgd = sgd_of(*model);
  FitOptions options{.epochs = 20, .patience = 2};
  options.before_epoch = [&](Index epoch) { sgd.groups()[0].lr = epoch < 4 ? 0.05 : 0; };
  const auto history = fit(*model, sgd, train, options, &train);
  for (std::size_t i = 1; i < 4; ++i) REQUIRE(history[i].valid->loss() < history[i - 1].valid->loss());
  CHECK(history.size() == 6);  // equal losses are no improvement
  options.patience = 0;
  CHECK(fit(*model, sgd, train, options, &train).size() == 20);
}

TEST_CASE("a training goes on from any step to the same bits and the same figures") {
  const Photos photos(5), others(3, 3, 60);
  data::Dataset images = photos.set.train;
  images.samples.resize(13);  // the last batch has a single image and is left out
  const data::Loader train(images, plain_steps,
                           {.batch_size = 4, .shuffle = true, .seed = 6, .augment = data::Augment{}});
  const data::Loader valid(others.set.train, plain_steps);
  const auto network = [] {
    return pooled_network(std::make_shared<nn::BatchNorm2d<float>>(nn::BatchNormOptions{.channels = 8}),
                          std::make_shared<nn::Dropout<float>>(ops::Dropout{.25}));
  };
  FitOptions options = one_cycle(3);
  options.seed = 11;
  options.mixup = 0.3;
  options.keep_best = true;

  const ModelPtr whole = network();
  optim::Sgd<float> sgd = sgd_of(*whole);
  std::vector<std::string> files;
  FitOptions watched = options;
  watched.on_state = [&](const train::FitState& state) {
    io::NamedTensors kept;
    train::keep(state, kept);
    files.push_back(io::encode_safetensors(io::training_state(*whole, sgd, std::move(kept))));
  };
  const std::vector<EpochReport> history = fit(*whole, sgd, train, watched, &valid);
  REQUIRE(files.size() == 3 * 3 + 3);
  std::set<std::string> different(files.begin(), files.end());
  CHECK(different.size() == files.size());

  for (const std::string& file : files) {
    const ModelPtr model = network();
    optim::Sgd<float> its_sgd = sgd_of(*model);
    const io::NamedTensors kept = io::decode_safetensors(file);
    options.from = train::kept_state(kept, *model, 3);
    io::put_back(kept, *model, its_sgd);
    const std::vector<EpochReport> resumed = fit(*model, its_sgd, train, options, &valid);
    CHECK(same_bits(state_of(*model), state_of(*whole)));
    REQUIRE(resumed.size() == history.size());
    for (std::size_t i = 0; i < history.size(); ++i) {
      CHECK(resumed[i].images == history[i].images);
      CHECK(resumed[i].loss == history[i].loss);
      CHECK(resumed[i].accuracy == history[i].accuracy);
      CHECK(train::EvaluationText::write(*resumed[i].valid) ==
            train::EvaluationText::write(*history[i].valid));
    }
  }
}

TEST_CASE("what a checkpoint says of a training is checked") {
  const ModelPtr model = pooled_network();
  const auto refused = [&](const std::string& name, const std::string& text, const std::string& reason) {
    io::NamedTensors kept;
    train::FitState state{.epoch = 1, .moving = train::Evaluation(3)};
    state.moving->add({.label = 1, .predicted = 1, .rank = 0, .loss = 0.5});
    state.history.push_back({.epoch = 0, .epochs = 2, .images = 4, .valid = state.moving});
    train::keep(state, kept);
    REQUIRE(train::kept_state(kept, *model, 3).history.size() == 1);
    kept.metadata[name] = text;
    CHECK_THROWS_WITH(train::kept_state(kept, *model, 3), contains(reason));
  };
  refused("fit", "1 -2 0 0 0 0", "expected a count, got -2");
  refused("fit", "1 2 0 0 0 2", "lacks 'fit.epoch1'");
  refused("fit", "1 2 zero 0 0 0", "expected a number, got 'zero'");
  refused("fit.moving", "4 0 0", "expected figures of 3 classes, got 4");
  refused("fit.moving", "3 0 0 9 1", "expected a pair of 3 classes, got 9");
  refused("fit.moving", "3 0 0 1", "expected a number, got ''");
  refused("fit.epoch0.valid", "", "expected a number, got ''");
}
