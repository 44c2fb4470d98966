// fine_tune: each method trains what it says and nothing else; splits, preprocessing, broken images, errors.
#include <set>

#include <tl/optim/sgd.hpp>
#include <tl/train/fine_tune.hpp>
#include <tl/transfer/classifiers/softmax.hpp>
#include <tl/transfer/head.hpp>
#include <tl/transfer/layers.hpp>
#include <tl/transfer/preprocess.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;
using train::fine_tune;
using train::FineTuneOptions;
using train::FineTuneResult;
using transfer::Method;

namespace {

/// Two epochs in batches of 16, large enough for BatchNorm to train.
FineTuneOptions options_of(std::string_view method) {
  FineTuneOptions options;
  options.method = Method::parse(method);
  options.epochs = 2;
  options.batch_size = 16;
  options.preprocess = plain_steps;
  return options;
}

/// The layers, by the name of their first weight, whose parameters are not what they were.
std::vector<std::string> changed_layers(const Model<float>& model, const Model<float>& before) {
  std::vector<std::string> changed;
  for (const transfer::Layer<float>& layer : transfer::layers(model)) {
    bool same = true;
    for (const nn::Named<float>& p : layer.parameters)
      same = same && same_bits(p.var.value(), before.parameter(p.name).value());
    if (!same) changed.push_back(layer.name);
  }
  return changed;
}

/// Running statistics that are not what they were.
std::set<std::string> moved_statistics(const Model<float>& model, const Model<float>& before) {
  std::set<std::string> moved;
  for (std::size_t i = 0; i < model.buffers().size(); ++i) {
    if (!same_bits(model.buffers()[i].var.value(), before.buffers()[i].var.value()))
      moved.insert(model.buffers()[i].name);
  }
  return moved;
}

using Names = std::vector<std::string>;

const Names all_layers{"conv1.weight",
                       "layer1.0.conv1.weight",
                       "layer1.0.conv2.weight",
                       "layer2.0.conv1.weight",
                       "layer2.0.conv2.weight",
                       "layer2.0.downsample.0.weight",
                       "fc.weight"};

/// Notes joined to one text.
struct Notes {
  std::string text;
  void listen(FineTuneOptions& options) {
    options.on_note = [this](const std::string& note) { text += note + '\n'; };
  }
};

}  // namespace

TEST_CASE("the head method learns on features, and leaves the frozen part as it was to the bit") {
  const Photos photos(20);
  const ModelPtr model = small_resnet(), before = small_resnet();
  FineTuneOptions options = options_of("head");
  options.epochs = 8;
  Index computed = 0;
  options.on_features = [&](Index done, Index) { computed = std::max(computed, done); };
  const FineTuneResult result = fine_tune(*model, photos.set, options);
  CHECK(computed == 48);
  CHECK(changed_layers(*model, *before) == Names{"fc.weight"});
  CHECK(moved_statistics(*model, *before).empty());
  CHECK(result.trained_elements == 3 * 16 + 3);
  CHECK(trainable_of(*model) == trainable_of(*before));
  REQUIRE(result.history.size() == 8);
  CHECK(result.history.back().loss < result.history.front().loss);
  REQUIRE(result.valid.has_value());
  CHECK(result.valid->accuracy() > 0.9);
  CHECK(!result.stopped);

  // The figures are those of the whole network on the images.
  const data::Loader valid(result.valid_set, plain_steps);
  CHECK(train::evaluate(*model, valid).loss() == Approx(result.valid->loss()).epsilon(1e-9));
}

TEST_CASE("the method features puts into the head what is learned of the features it reads") {
  const Photos photos(20);
  const ModelPtr model = small_resnet(), before = small_resnet();
  FineTuneOptions options = options_of("features");
  CHECK_THROWS_WITH(fine_tune(*model, photos.set, options), contains("expected fit_head"));
  transfer::LinearClassifier head;
  Index computed = 0;
  options.on_features = [&](Index done, Index) { computed = std::max(computed, done); };
  options.fit_head = [&](const transfer::Features& f, Index classes) {
    CHECK(f.values.shape() == Shape{48, 16});
    head = transfer::fit_softmax(f.values, f.labels, classes).classifier;
    return head;
  };
  const FineTuneResult result = fine_tune(*model, photos.set, options);
  CHECK(computed == 48);
  CHECK(changed_layers(*model, *before) == Names{"fc.weight"});
  CHECK(moved_statistics(*model, *before).empty());
  CHECK(same_bits(model->parameter("fc.weight").value(), head.weight));
  CHECK(same_bits(model->parameter("fc.bias").value(), head.bias));
  CHECK(trainable_of(*model) == trainable_of(*before));
  CHECK(result.history.empty());
  CHECK(result.trained_elements == 3 * 16 + 3);
  CHECK(result.valid->accuracy() == 1);
  const data::Loader images(result.valid_set, result.preprocess, {});
  CHECK(train::evaluate(*model, images).loss() == Approx(result.valid->loss()).epsilon(1e-5));

  options.should_stop = [] { return true; };
  CHECK(fine_tune(*model, photos.set, options).stopped);
}

TEST_CASE("the features a head is trained on are told once, before it is trained") {
  const Photos photos(10);
  for (const char* method : {"head", "two-stage", "full"}) {
    const ModelPtr model = small_resnet(), before = small_resnet();
    FineTuneOptions options = options_of(method);
    Index calls = 0;
    options.on_cached = [&](const transfer::StoredFeatures& train, const transfer::StoredFeatures& valid) {
      ++calls;
      CHECK(train.in_memory().values.shape() == Shape{24, 16});
      CHECK(valid.in_memory().values.shape() == Shape{6, 16});
      CHECK(changed_layers(*model, *before).empty());
    };
    fine_tune(*model, photos.set, options);
    CHECK(calls == 1);
    options.head_first = false;
    if (options.method.kind != transfer::MethodKind::head) fine_tune(*model, photos.set, options);
    CHECK(calls == 1);
  }
}

TEST_CASE("the hash of the frozen part is that of the network it came from, and training leaves it") {
  const Photos photos(6);
  for (const char* method : {"head", "last:2", "full"}) {
    const ModelPtr model = small_resnet(), before = small_resnet();
    const FineTuneResult result = fine_tune(*model, photos.set, options_of(method));
    const bool everything_trains = std::string_view(method) == "full";
    CHECK(result.frozen_hash.empty() == everything_trains);
    if (everything_trains) continue;
    transfer::freeze_all_but_last(*before, Method::parse(method).kind == transfer::MethodKind::head ? 1 : 2);
    transfer::freeze_batch_norm(*before);
    const auto parts =
        transfer::split_at(before->graph(), transfer::frozen_cut(before->graph()), {1, 3, 16, 16});
    CHECK(result.frozen_hash == transfer::weights_hash(parts.prefix->graph()));
    CHECK(result.frozen_tensors ==
          static_cast<Index>(parts.prefix->parameters().size() + parts.prefix->buffers().size()));
    Var<float> statistic = parts.prefix->buffers()[0].var;
    statistic.mutable_value().mutable_data()[0] += 1;
    CHECK(result.frozen_hash != transfer::weights_hash(parts.prefix->graph()));
  }
}

TEST_CASE("varied views of what is frozen are computed once, and no more of them than epochs") {
  const Photos photos(10);
  const ModelPtr model = small_resnet();
  FineTuneOptions options = options_of("last:2");
  options.views = 3;  // of two epochs
  const FineTuneResult result = fine_tune(*model, photos.set, options);
  CHECK(result.features_computed == 30 + 2 * 24 + 6);  // the head first on images as they are, then two views
  CHECK(result.history.size() == 2);
  options.augment = data::Augment::none();
  CHECK(fine_tune(*small_resnet(), photos.set, options).features_computed == 2 * 30);
}

TEST_CASE("a second run finds the features of the first, and trains to the same bits") {
  const Photos photos(10);
  const TemporaryFolder cache;
  FineTuneOptions options = options_of("head");
  options.feature_cache = cache.path();
  const ModelPtr first = small_resnet(), second = small_resnet(), without = small_resnet();
  CHECK(fine_tune(*first, photos.set, options).features_computed == 30);
  CHECK(fine_tune(*second, photos.set, options).features_computed == 0);
  CHECK(same_bits(state_of(*first), state_of(*second)));
  options.feature_cache.clear();
  fine_tune(*without, photos.set, options);
  CHECK(same_bits(state_of(*first), state_of(*without)));
}

TEST_CASE("a training that is stopped while features are computed leaves the network as it was") {
  const Photos photos(10);
  for (const char* method : {"head", "features"}) {
    const ModelPtr model = small_resnet(), before = small_resnet();
    FineTuneOptions options = options_of(method);
    options.should_stop = [] { return true; };
    options.fit_head = [](const transfer::Features&, Index) -> transfer::LinearClassifier {
      FAIL("a head is fitted to features that are not there");
      return {};
    };
    const FineTuneResult result = fine_tune(*model, photos.set, options);
    CHECK(result.stopped);
    CHECK(result.features_computed == 16);  // a batch
    CHECK(same_bits(state_of(*model), state_of(*before)));
  }
}

TEST_CASE("varied images go through the network in every epoch, and what is frozen stays so to the bit") {
  const Photos photos(10);
  const ModelPtr model = small_resnet(), before = small_resnet();
  FineTuneOptions options = options_of("head");
  options.augment = data::Augment::small_images();
  bool features = false;
  options.on_features = [&](Index, Index) { features = true; };
  fine_tune(*model, photos.set, options);
  CHECK(!features);
  CHECK(changed_layers(*model, *before) == Names{"fc.weight"});
  CHECK(moved_statistics(*model, *before).empty());
}

TEST_CASE("last:N trains exactly the last N layers") {
  const Photos photos(10);
  for (const Index n : {Index{1}, Index{2}, Index{4}, Index{7}, Index{50}}) {
    const ModelPtr model = small_resnet(), before = small_resnet();
    FineTuneOptions options = options_of(concat("last:", n));
    options.freeze_batch_norm = false;
    fine_tune(*model, photos.set, options);
    INFO("last:" << n);
    CHECK(changed_layers(*model, *before) ==
          Names(all_layers.end() - std::min<Index>(n, 7), all_layers.end()));
    if (n == 2) {
      CHECK(moved_statistics(*model, *before) ==
            std::set<std::string>{"layer2.0.downsample.1.running_mean", "layer2.0.downsample.1.running_var"});
    }
  }
}

TEST_CASE("what the user froze stays frozen, to the bit, whatever the method") {
  const Photos photos(10);
  for (const char* method : {"full", "two-stage", "last:6"}) {
    INFO(method);
    const ModelPtr model = small_resnet(), before = small_resnet();
    model->freeze("layer1.*");
    const std::vector<bool> trainable = trainable_of(*model);
    fine_tune(*model, photos.set, options_of(method));
    Names trained = all_layers;
    std::erase_if(trained, [&](const std::string& name) {
      return name.starts_with("layer1") || (Method::parse(method).layers == 6 && name == "conv1.weight");
    });
    CHECK(changed_layers(*model, *before) == trained);
    for (const std::string& name : moved_statistics(*model, *before)) CHECK(!name.starts_with("layer1"));
    CHECK(trainable_of(*model) == trainable);
  }
}

TEST_CASE(
    "two stages train the head, then everything, for as many epochs, and leave all trainable as before") {
  const Photos photos(10);
  const ModelPtr model = small_resnet(), before = small_resnet();
  FineTuneOptions options = options_of("two-stage");
  options.freeze_batch_norm = false;
  std::vector<Index> trained;
  options.on_epoch = [&](const train::EpochReport&) {
    trained.push_back(transfer::trainable_elements(*model));
  };
  Notes notes;
  notes.listen(options);
  const FineTuneResult result = fine_tune(*model, photos.set, options);
  const Index all = transfer::trainable_elements(*before), head = 3 * 16 + 3;
  CHECK(trained == std::vector<Index>{head, head, all, all});
  CHECK(result.history.size() == 2);
  CHECK(result.trained_elements == all);
  CHECK(changed_layers(*model, *before) == all_layers);
  CHECK(trainable_of(*model) == trainable_of(*before));
  CHECK_THAT(notes.text, contains("first the head alone") && contains("then the layers below it too"));
}

TEST_CASE("BatchNorms keep to their running statistics unless told otherwise") {
  const Photos photos(10);
  const auto moves = [&](Index batch_size, bool freeze) {
    const ModelPtr model = small_resnet(), before = small_resnet();
    FineTuneOptions options = options_of("full");
    options.batch_size = batch_size;
    options.freeze_batch_norm = freeze;
    fine_tune(*model, photos.set, options);
    CHECK(!same_bits(state_of(*model, "*conv*"), state_of(*before, "*conv*")));
    CHECK(trainable_of(*model) == trainable_of(*before));
    return !moved_statistics(*model, *before).empty();
  };
  CHECK(FineTuneOptions{}.freeze_batch_norm);
  for (const Index batch_size : {8, 16}) {
    CHECK(!moves(batch_size, true));
    CHECK(moves(batch_size, false));
  }
}

TEST_CASE("without head_first every layer moves from the first epoch on") {
  const Photos photos(10);
  const ModelPtr model = small_resnet();
  FineTuneOptions options = options_of("full");
  options.head_first = options.freeze_batch_norm = false;
  std::vector<Index> trained;
  options.on_epoch = [&](const train::EpochReport&) {
    trained.push_back(transfer::trainable_elements(*model));
  };
  const Index all = transfer::trainable_elements(*model);
  fine_tune(*model, photos.set, options);
  CHECK(trained == std::vector<Index>(static_cast<std::size_t>(options.epochs), all));
}

TEST_CASE("a fine-tuning gives the same bits for the same seed") {
  const Photos photos(8);
  std::vector<Tensor<float>> first;
  for (const std::uint64_t seed : {1u, 1u, 2u}) {
    const ModelPtr model = small_resnet();
    FineTuneOptions options = options_of("two-stage");
    options.seed = seed;
    fine_tune(*model, photos.set, options);
    if (first.empty()) first = state_of(*model);
    CHECK(same_bits(state_of(*model), first) == (seed == 1));
  }
}

TEST_CASE("images set apart validate; without them a stratified share is held out") {
  const Photos photos(10), more(2);
  const ModelPtr model = small_resnet();
  FineTuneOptions options = options_of("head");
  Notes notes;
  notes.listen(options);
  const FineTuneResult held = fine_tune(*model, photos.set, options);
  CHECK(held.train_set.class_counts() == std::vector<Index>{8, 8, 8});
  CHECK(held.valid_set.class_counts() == std::vector<Index>{2, 2, 2});
  std::set<std::filesystem::path> paths;
  for (const data::Dataset& set : {held.train_set, held.valid_set}) {
    for (const data::Sample& sample : set.samples) paths.insert(sample.path);
  }
  CHECK(paths.size() == 30);
  CHECK_THAT(notes.text, contains("6 of 30 images are held out for validation"));

  data::ImageFolder apart = photos.set;
  apart.valid = more.set.train;
  const FineTuneResult given = fine_tune(*model, apart, options);
  CHECK(given.train_set.size() == 30);
  CHECK(given.valid_set.size() == 6);
  CHECK(given.valid->count() == 6);
}

TEST_CASE("the preprocessing is the one asked for, or the network's own, or ImageNet's, and is remembered") {
  const Photos photos(5);
  const auto tune = [&](const ModelPtr& model, const std::optional<data::Preprocess>& wanted, Notes& notes) {
    FineTuneOptions options = options_of("head");
    options.epochs = 1;
    options.preprocess = wanted;
    notes.listen(options);
    return fine_tune(*model, photos.set, options).preprocess;
  };
  Notes notes;
  const ModelPtr model = pooled_network();
  CHECK(tune(model, plain_steps, notes) == plain_steps);
  CHECK(model->metadata()[io::preprocess_key] == plain_steps.to_string());
  CHECK(tune(model, {}, notes) == plain_steps);
  CHECK(notes.text.find("ImageNet") == std::string::npos);
  model->metadata().erase(io::preprocess_key);
  const data::Preprocess small = transfer::with_size(data::Preprocess::imagenet(), 16);  // as it declares
  CHECK(tune(model, {}, notes) == small);
  CHECK_THAT(notes.text, contains("assuming the ImageNet standard, resize=18"));
  CHECK(model->metadata()[io::preprocess_key] == small.to_string());
}

TEST_CASE("broken images are left out and named once, in training and in validation") {
  const Photos photos(10);
  const ModelPtr model = small_resnet();
  FineTuneOptions options = options_of("two-stage");
  const FineTuneResult whole = fine_tune(*model, photos.set, options);
  const std::set<std::filesystem::path> broken{whole.train_set.samples[3].path,
                                               whole.valid_set.samples[1].path};
  for (const std::filesystem::path& path : broken) put_file(path, path.string());
  const FineTuneResult result = fine_tune(*model, photos.set, options);
  REQUIRE(result.skipped.size() == 2);
  CHECK(broken == std::set<std::filesystem::path>{result.skipped[0].path, result.skipped[1].path});
  CHECK(result.valid->count() == 5);
  CHECK(result.history.back().images == 23);
  options.strict = true;
  CHECK_THROWS_AS(fine_tune(*model, photos.set, options), Error);

  options.strict = false;
  for (const data::Sample& sample : whole.valid_set.samples) put_file(sample.path, sample.path.string());
  for (const char* method : {"head", "full"}) {
    options.method = Method::parse(method);
    CHECK_THROWS_WITH(fine_tune(*model, photos.set, options), contains("images could be read"));
  }
}

TEST_CASE("a training that is stopped says so; what it has learnt stays") {
  const Photos photos(10);
  for (const char* method : {"two-stage", "full"}) {
    const ModelPtr model = small_resnet(), before = small_resnet();
    FineTuneOptions options = options_of(method);
    bool stepped = false;
    options.on_step = [&](const train::StepReport&) { stepped = true; };
    options.should_stop = [&] { return stepped; };
    const FineTuneResult result = fine_tune(*model, photos.set, options);
    CHECK(result.stopped);
    CHECK(result.history.empty());
    CHECK(!result.valid.has_value());
    CHECK(!changed_layers(*model, *before).empty());
    CHECK(trainable_of(*model) == trainable_of(*before));
    CHECK(model->metadata().contains(io::preprocess_key));
  }
}

TEST_CASE("a network whose last layer is not one that could be replaced is fine-tuned all the same") {
  const Photos photos(5);
  const RandomScope scope(1, 0);
  Graph<float> graph = small_resnet(3)->graph();
  const ValueId shift =
      graph.add_var("shift", ValueKind::parameter, Var<float>(Tensor<float>::zeros({3}), true));
  graph.set_outputs({graph.add_node("shifted", ops::Add{}, {graph.outputs()[0], shift})});
  Model<float> model(graph);
  const FineTuneResult result = fine_tune(model, photos.set, options_of("head"));
  CHECK(result.trained_elements == 3 * 16 + 3 + 3);
}

TEST_CASE("what cannot be fine-tuned is an error, and trainable stays what was") {
  const Photos photos(5), one_class(5, 1), too_few(1);
  FineTuneOptions options = options_of("full");
  const ModelPtr five = small_resnet(5), model = small_resnet();
  CHECK_THROWS_WITH(fine_tune(*five, photos.set, options),
                    contains("gives (1,5) for an image, but there are 3 classes: call replace_head first"));
  CHECK_THROWS_WITH(fine_tune(*model, one_class.set, options), contains("at least two classes"));
  CHECK_THROWS_WITH(fine_tune(*model, too_few.set, options), contains("too few images to hold some out"));
  options.epochs = 0;
  CHECK_THROWS_WITH(fine_tune(*model, photos.set, options), contains("at least one epoch, got 0"));

  options = options_of("two-stage");
  options.lr = 1e30;
  CHECK_THROWS_WITH(fine_tune(*model, photos.set, options), contains("learning rate"));
  CHECK(trainable_of(*model) == trainable_of(*small_resnet()));

  model->freeze();
  CHECK_THROWS_WITH(fine_tune(*model, photos.set, options_of("full")),
                    "every layer is frozen: there is nothing to train");
}

TEST_CASE("AdamW in place of SGD learns the same images") {
  const Photos photos(20);
  for (const char* method : {"head", "full"}) {
    const ModelPtr model = small_resnet(), before = small_resnet();
    FineTuneOptions options = options_of(method);
    options.optimiser = train::OptimiserKind::adamw;
    options.lr = 0.05;
    options.epochs = 8;
    const FineTuneResult result = fine_tune(*model, photos.set, options);
    INFO(method);
    CHECK(result.valid->accuracy() > 0.9);
    CHECK(changed_layers(*model, *before).size() ==
          (options.method.kind == transfer::MethodKind::head ? 1 : 7));
  }
}

TEST_CASE("balanced classes weigh the same, whatever their number of images") {
  const Photos photos(20);
  data::ImageFolder uneven = photos.set;
  std::vector<Index> some;
  for (Index i = 0; i < 60; ++i) {
    if (i < 20 || i % 20 < 5) some.push_back(i);
  }
  uneven.train = photos.set.train.subset(some);
  uneven.valid = photos.set.train;
  const ModelPtr model = small_resnet(), by_hand = small_resnet();
  FineTuneOptions options = options_of("head");
  options.epochs = 1;
  options.batch_size = 30;  // one step of all images
  options.class_weights = train::ClassWeights::balanced;
  fine_tune(*model, uneven, options);

  // The step is that of the loss with weights 30 / (3 * 20) and 30 / (3 * 5), whose scale is of no account.
  transfer::freeze_all_but_last(*by_hand, 1);
  const data::Loader images(uneven.train, plain_steps, {.batch_size = 30});
  optim::Sgd<float> sgd(transfer::groups_by_depth(*by_hand, {.head = 0.1}),
                        {.momentum = 0.9, .weight_decay = 1e-4, .nesterov = true});
  for (const data::Batch& batch : images.epoch(0)) {
    cross_entropy(by_hand->forward(Var<float>(batch.images)), batch.labels,
                  {.smoothing = 0.1, .class_weights = Tensor<double>::from({1, 4, 4}, {3})})
        .backward();
    sgd.step(optim::Schedule{
        .kind = optim::ScheduleKind::one_cycle, .total = 1, .rise = 0.3, .div = 10, .div_final = 1e3}(0));
  }
  CHECK(relative_difference(model->parameter("fc.weight").value(), by_hand->parameter("fc.weight").value()) <
        1e-6);
  CHECK(relative_difference(model->parameter("fc.bias").value(), by_hand->parameter("fc.bias").value()) <
        1e-3);
}

TEST_CASE("the epoch that validates best is kept, unless told otherwise") {
  const Photos photos(12, 3, 6);  // hard to tell apart: the accuracy goes up and down
  bool earlier = false;
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    FineTuneOptions options = options_of("head");
    options.seed = seed;
    options.epochs = 6;
    options.lr = 3;
    const ModelPtr model = small_resnet(), last = small_resnet();
    const FineTuneResult kept = fine_tune(*model, photos.set, options);
    options.keep_best = false;
    const FineTuneResult end = fine_tune(*last, photos.set, options);
    CHECK(kept.kept_epoch == train::best_epoch(end.history));
    CHECK(end.kept_epoch == 5);
    const data::Loader valid(kept.valid_set, plain_steps);
    for (const auto& [network, result] : {std::pair(model, kept), {last, end}}) {
      CHECK(result.valid->correct() == result.history[result.kept_epoch.value()].valid->correct());
      CHECK(train::evaluate(*network, valid).loss() == Approx(result.valid->loss()).epsilon(1e-6));
    }
    earlier |= kept.kept_epoch.value() < 5;
  }
  CHECK(earlier);
}

TEST_CASE("the network with the head alone trained is kept where no later epoch is better") {
  const Photos photos(10);
  const ModelPtr before = small_resnet();
  std::vector<bool> kept_head;
  for (const bool keep_best : {true, false}) {
    const ModelPtr model = small_resnet();
    FineTuneOptions options = options_of("full");
    options.keep_best = keep_best;
    options.rates = {{"*conv*", 1}};  // what the layers below know is lost
    std::string last_note;
    options.on_note = [&last_note](const std::string& text) { last_note = text; };
    const FineTuneResult result = fine_tune(*model, photos.set, options);
    kept_head.push_back(!result.kept_epoch);
    CHECK((last_note.find("the head alone") != std::string::npos) == keep_best);
    CHECK((result.trained_elements == 3 * 16 + 3) == keep_best);
    CHECK(same_bits(state_of(*model, "*conv*"), state_of(*before, "*conv*")) == keep_best);
    CHECK(train::evaluate(*model, data::Loader(result.valid_set, plain_steps)).correct() ==
          result.valid->correct());
  }
  CHECK(kept_head == std::vector<bool>{true, false});
}

TEST_CASE("patience ends a fine-tuning that no longer improves; it is not stopped") {
  const Photos photos(10);
  const ModelPtr model = small_resnet();
  FineTuneOptions options = options_of("head");
  options.epochs = 50;
  options.lr = 5;
  options.patience = 3;
  const FineTuneResult result = fine_tune(*model, photos.set, options);
  CHECK(result.history.size() < 50);
  CHECK(!result.stopped);
}

TEST_CASE("the gradual method trains one more stage with every epoch, and what is frozen stays so") {
  const Photos photos(10);
  const ModelPtr model = small_resnet(), before = small_resnet();
  model->freeze("layer2.0.conv2.*");
  FineTuneOptions options = options_of("gradual");
  options.epochs = 4;
  options.keep_best = false;
  Notes notes;
  notes.listen(options);
  std::vector<std::size_t> changed;
  options.on_epoch = [&](const train::EpochReport&) {
    changed.push_back(changed_layers(*model, *before).size());
  };
  const FineTuneResult result = fine_tune(*model, photos.set, options);
  CHECK(changed == std::vector<std::size_t>{1, 3, 6, 6});  // of 1, 4, 7, 7 layers
  CHECK(moved_statistics(*model, *before).empty());
  CHECK(result.history.size() == 4);
  CHECK_THAT(notes.text, contains("one more of 3 stages with every epoch") &&
                             contains("epoch 2 trains the last 4 layers"));
  CHECK(same_bits(state_of(*model, "layer2.0.conv2.*"), state_of(*before, "layer2.0.conv2.*")));
  CHECK(model->parameter("conv1.weight").requires_grad());
  CHECK(!model->parameter("layer2.0.conv2.weight").requires_grad());

  const ModelPtr shorter = small_resnet();
  options.epochs = 2;
  fine_tune(*shorter, photos.set, options);
  CHECK(changed_layers(*shorter, *before) == Names(all_layers.end() - 4, all_layers.end()));
  model->freeze("fc.*");
  CHECK_THROWS_WITH(fine_tune(*model, photos.set, options), contains("there is nothing to train"));
}

TEST_CASE("layers whose names match a glob have a rate of their own") {
  const Photos photos(10);
  const ModelPtr model = small_resnet(), before = small_resnet();
  FineTuneOptions options = options_of("full");
  options.rates = {{"layer1.*", 0.01}, {"layer1.0.conv1.*", 0}, {"conv1.*", 0}, {"bn1.*", 0}};
  fine_tune(*model, photos.set, options);
  Names trained = all_layers;
  std::erase_if(trained, [](const auto& n) { return n == "conv1.weight" || n == "layer1.0.conv1.weight"; });
  CHECK(changed_layers(*model, *before) == trained);
  options.rates = {{"layer9.*", 1}};
  CHECK_THROWS_WITH(fine_tune(*model, photos.set, options),
                    "no parameter matches 'layer9.*' to give it a rate");
}
