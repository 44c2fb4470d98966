// fit and fine_tune in several processes: the same as in one, alike in all, and stopped in all.
#include <tl/optim/sgd.hpp>
#include <tl/train/fine_tune.hpp>
#include <tl/train/fit.hpp>
#include <tl/transfer/classifiers/softmax.hpp>

#include "support/thread_group.hpp"
#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;

namespace {

struct Trained {
  train::FineTuneResult result;
  std::vector<Tensor<float>> state;
};

/// What each of some processes has after fine_tune; 0: one process without a group.
std::vector<Trained> tuned(int processes, const Photos& photos, train::FineTuneOptions options,
                           const std::function<void(train::FineTuneOptions&)>& change = {}) {
  std::vector<Trained> all(static_cast<std::size_t>(std::max(1, processes)));
  const auto run = [&](ProcessGroup* group) {
    train::FineTuneOptions own = options;
    own.group = group;
    if (change) change(own);
    const ModelPtr model = small_resnet();
    Trained& mine = all[static_cast<std::size_t>(Share::of(group).index)];
    mine.result = train::fine_tune(*model, photos.set, own);
    mine.state = state_of(*model);
  };
  if (processes == 0) {
    run(nullptr);
  } else {
    as_processes(processes, [&](ThreadGroup& group) { run(&group); });
  }
  return all;
}

train::FineTuneOptions options_of(std::string_view method) {
  train::FineTuneOptions options{.method = transfer::Method::parse(std::string(method)), .epochs = 2};
  options.batch_size = 6;
  options.preprocess = plain_steps;
  options.augment = data::Augment::none();
  return options;
}

io::NamedTensors copy_of(io::NamedTensors state) {
  for (auto& [name, tensor] : state.tensors) tensor = tensor.clone();
  return state;
}

double largest_difference(const std::vector<Tensor<float>>& a, const std::vector<Tensor<float>>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, relative_difference(a[i], b[i]));
  return largest;
}

}  // namespace

TEST_CASE("fine-tuning in several processes is that of one, and alike in all") {
  const Photos photos(10);
  for (const char* method : {"head", "last:2", "full"}) {
    for (const bool frozen_norm : {true, false}) {
      train::FineTuneOptions options = options_of(method);
      options.freeze_batch_norm = frozen_norm;
      const Trained alone = tuned(0, photos, options)[0];
      for (const int count : {2, 3}) {
        INFO(method << " by " << count << (frozen_norm ? "" : ", statistics shared"));
        const std::vector<Trained> all = tuned(count, photos, options);
        CHECK(largest_difference(all[0].state, alone.state) < 1e-4);
        REQUIRE(all[0].result.history.size() == alone.result.history.size());
        for (std::size_t i = 0; i < alone.result.history.size(); ++i) {
          CHECK(all[0].result.history[i].images == alone.result.history[i].images);
          CHECK(all[0].result.history[i].loss == Approx(alone.result.history[i].loss).epsilon(1e-4));
        }
        CHECK(all[0].result.valid->count() == alone.result.valid->count());
        for (const Trained& one : all) {
          CHECK(same_bits(one.state, all[0].state));
          CHECK(one.result.valid->loss() == all[0].result.valid->loss());
        }
      }
    }
  }
}

TEST_CASE("features are computed by shares, to the same rows") {
  Photos photos(10);
  put_file(photos.folder.path() / "class0" / "broken.png", "no image");
  photos.set = data::image_folder(photos.folder.path());
  train::FineTuneOptions options = options_of("features");
  options.fit_head = [](const transfer::Features& train, Index classes) {
    return transfer::fit_softmax(train.values, train.labels, classes).classifier;
  };
  const Trained alone = tuned(0, photos, options)[0];
  for (const int count : {2, 3}) {
    for (const Trained& one : tuned(count, photos, options)) {
      CHECK(same_bits(one.state, alone.state));
      CHECK(one.result.valid->loss() == alone.result.valid->loss());
      CHECK(one.result.features_computed == alone.result.features_computed);
      REQUIRE(one.result.skipped.size() == 1);
      CHECK(one.result.skipped[0].reason == alone.result.skipped[0].reason);
    }
  }
}

TEST_CASE("statistics of their own leave all processes alike") {
  const Photos photos(10);
  train::FineTuneOptions options = options_of("full");
  options.freeze_batch_norm = options.share_statistics = false;
  const std::vector<Trained> all = tuned(2, photos, options);
  CHECK(same_bits(all[0].state, all[1].state));
}

TEST_CASE(
    "one process that is asked to stop stops all, with a checkpoint of the first, from which any number goes "
    "on") {
  const Photos photos(10);
  train::FineTuneOptions options = options_of("full");
  options.checkpoint_seconds = 1e9;
  std::optional<io::NamedTensors> kept;
  int asked = 0;
  const std::vector<Trained> stopped = tuned(2, photos, options, [&](train::FineTuneOptions& own) {
    if (own.group->is_first()) {
      own.on_checkpoint = [&kept](const io::NamedTensors& state) { kept = copy_of(state); };
    } else {
      own.should_stop = [&asked] { return ++asked > 14; };
    }
  });
  for (const Trained& one : stopped) CHECK(one.result.stopped);
  REQUIRE(kept.has_value());
  // Each goes on with tensors of its own, as if it had read them from a file.
  const auto resume = [&kept](train::FineTuneOptions& own) { own.resume = copy_of(*kept); };
  const Trained whole = tuned(2, photos, options_of("full"))[0];
  CHECK(same_bits(tuned(2, photos, options, resume)[0].state, whole.state));
  CHECK(largest_difference(tuned(0, photos, options, resume)[0].state, whole.state) < 1e-4);
}

TEST_CASE("processes that were called differently say what differs") {
  const Photos photos(10);
  const auto differing = [&](const std::function<void(train::FineTuneOptions&)>& change) {
    tuned(2, photos, options_of("full"), [&](train::FineTuneOptions& own) {
      if (own.group->rank() == 1) change(own);
    });
  };
  CHECK_THROWS_WITH(differing([](train::FineTuneOptions& own) { own.epochs = 3; }),
                    "process 1 has another training than the first: its epochs: 2; of this one: 3");
  CHECK_THROWS_WITH(tuned(7, photos, options_of("full")),
                    "a batch of 6 images cannot be shared by 7 processes: choose a larger one");
}
