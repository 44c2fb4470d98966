// Checkpoints: a training that was interrupted goes on with the same bits; those of others are refused.
#include <tl/io/checkpoint.hpp>
#include <tl/optim/adamw.hpp>
#include <tl/optim/groups.hpp>
#include <tl/optim/sgd.hpp>
#include <tl/train/fit.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;
using io::load_checkpoint;
using io::save_checkpoint;

namespace {

/// A network with BatchNorm and dropout, and its optimizer.
struct Training {
  ModelPtr model =
      pooled_network(std::make_shared<nn::BatchNorm2d<float>>(nn::BatchNormOptions{.channels = 8}),
                     std::make_shared<nn::Dropout<float>>(ops::Dropout{.25}));
  optim::Sgd<float> sgd = make_sgd(*model);

  static optim::Sgd<float> make_sgd(const Model<float>& model) {
    std::vector<optim::ParameterGroup<float>> groups;
    optim::add_groups(groups, model.parameters(), 0.1);
    return optim::Sgd<float>(groups, {.momentum = 0.9, .weight_decay = 1e-3, .nesterov = true});
  }
  std::vector<Tensor<float>> state() {
    std::vector<Tensor<float>> all = state_of(*model);
    for (const auto& group : sgd.velocities()) {
      for (const Tensor<float>& velocity : group) all.push_back(velocity.clone());
    }
    return all;
  }
};

/// Thirteen shuffled, varied images in batches of four: the last one's single image is left out.
data::Loader loader_of(const Photos& photos) {
  data::Dataset images = photos.set.train;
  images.samples.resize(13);
  return data::Loader(images, plain_steps,
                      {.batch_size = 4, .shuffle = true, .seed = 6, .augment = data::Augment{}});
}

train::FitOptions three_epochs() {
  train::FitOptions options{.epochs = 3, .seed = 11};
  options.schedule.kind = optim::ScheduleKind::one_cycle;
  return options;
}

/// A checkpoint after one step.
void save_one_step(const std::filesystem::path& path, Training& t) {
  const Photos photos(2);
  train::fit(*t.model, t.sgd, data::Loader(photos.set.train, plain_steps), {.epochs = 1});
  save_checkpoint(path, *t.model, t.sgd, {{"epochs", "1"}});
}

}  // namespace

TEST_CASE("a training interrupted and resumed gives the same bits as one that was not") {
  const TemporaryFolder folder;
  const Photos photos(5);
  const data::Loader loader = loader_of(photos);
  Training whole;
  train::fit(*whole.model, whole.sgd, loader, three_epochs());

  Training interrupted;
  train::FitOptions options = three_epochs();
  Index steps = 0;
  options.on_epoch = [&](const train::EpochReport& r) {
    save_checkpoint(folder / "c.safetensors", *interrupted.model, interrupted.sgd,
                    {{"epochs", std::to_string(r.epoch + 1)}});
  };
  options.should_stop = [&] { return ++steps == 4; };  // in the second epoch
  CHECK(train::fit(*interrupted.model, interrupted.sgd, loader, options).size() == 1);

  Training resumed;
  const auto state = load_checkpoint(folder / "c.safetensors", *resumed.model, resumed.sgd);
  CHECK(state == std::map<std::string, std::string>{{"epochs", "1"}});
  options = three_epochs();
  options.first_epoch = 1;
  options.first_step = loader.batches();
  train::fit(*resumed.model, resumed.sgd, loader, options);
  CHECK(same_bits(resumed.state(), whole.state()));
  CHECK(!same_bits(interrupted.state(), whole.state()));
}

TEST_CASE("a training by AdamW interrupted and resumed gives the same bits as one that was not") {
  const TemporaryFolder folder;
  const Photos photos(5);
  const data::Loader loader = loader_of(photos);
  struct Adam {
    ModelPtr model = pooled_network();
    optim::AdamW<float> adamw{{{.params = model->parameters(), .lr = 0.01}}};
  };
  Adam whole, interrupted, resumed;
  train::fit(*whole.model, whole.adamw, loader, three_epochs());

  train::FitOptions options = three_epochs();
  options.on_epoch = [&](const train::EpochReport& r) {
    if (r.epoch == 0) save_checkpoint(folder / "c.safetensors", *interrupted.model, interrupted.adamw, {});
  };
  train::fit(*interrupted.model, interrupted.adamw, loader, options);
  load_checkpoint(folder / "c.safetensors", *resumed.model, resumed.adamw);
  options = three_epochs();
  options.first_epoch = 1;
  options.first_step = loader.batches();
  train::fit(*resumed.model, resumed.adamw, loader, options);
  CHECK(same_bits(state_of(*resumed.model), state_of(*whole.model)));
  for (const optim::Slot<float>& slot : resumed.adamw.slots()) CHECK(slot.tensor->defined());

  Training sgd;
  CHECK_THROWS_WITH(load_checkpoint(folder / "c.safetensors", *sgd.model, sgd.sgd),
                    contains("is of another training"));
}

TEST_CASE("a checkpoint holds parameters, running statistics and momentum, but none of frozen parameters") {
  const TemporaryFolder folder;
  Training t, other;
  t.model->freeze("0.weight");
  save_one_step(folder / "c", t);
  const io::NamedTensors content = io::read_safetensors(folder / "c");
  CHECK(content.tensors.contains("model/0.weight"));
  CHECK(content.tensors.contains("model/4.running_var"));
  CHECK(!content.tensors.contains("velocity/0/0.weight"));
  CHECK(content.tensors.contains("velocity/0/6.weight"));
  CHECK(content.tensors.contains("velocity/1/6.bias"));
  const Var<float> kept = other.model->parameter("6.weight");
  load_checkpoint(folder / "c", *other.model, other.sgd);
  CHECK(same_bits(kept.value(), t.model->parameter("6.weight").value()));
  CHECK(same_bits(state_of(*other.model), state_of(*t.model)));
}

TEST_CASE("checkpoints of other trainings are refused, and nothing is changed") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "c";
  Training t;
  save_one_step(path, t);
  const auto refused = [&](const std::string& reason) {
    Training mine;
    const std::vector<Tensor<float>> before = state_of(*mine.model);
    CHECK_THROWS_WITH(load_checkpoint(path, *mine.model, mine.sgd),
                      contains("is of another training: " + reason));
    CHECK(same_bits(state_of(*mine.model), before));
    CHECK(!mine.sgd.velocities()[0][0].defined());
  };
  const io::NamedTensors good = io::read_safetensors(path);
  const auto with = [&](const std::string& name, const Tensor<float>& tensor) {
    io::NamedTensors content = good;
    content.tensors[name] = tensor;
    io::write_safetensors(path, content);
  };
  io::NamedTensors lacking = good;
  lacking.tensors.erase("model/6.bias");
  io::write_safetensors(path, lacking);
  refused("it lacks 'model/6.bias'");
  with("model/6.bias", Tensor<float>::ones({4}));
  refused("expected 'model/6.bias' of shape (3), got (4)");
  with("velocity/1/6.bias", Tensor<float>::ones({1}));
  refused("expected 'velocity/1/6.bias' of shape (3), got (1)");
  with("model/9.weight", Tensor<float>::ones({1}));
  refused("it also holds 'model/9.weight'");
  with("velocity/2/6.bias", Tensor<float>::ones({3}));
  refused("it also holds 'velocity/2/6.bias'");

  const ModelPtr another = small_resnet();
  optim::Sgd<float> sgd = Training::make_sgd(*another);
  io::write_safetensors(path, good);
  CHECK_THROWS_WITH(load_checkpoint(path, *another, sgd), contains("it lacks 'model/conv1.weight'"));
}

TEST_CASE("a damaged or missing checkpoint is an error that names it") {
  const TemporaryFolder folder;
  Training t;
  write_file_atomically(folder / "c", "damaged");
  CHECK_THROWS_WITH(load_checkpoint(folder / "c", *t.model, t.sgd), contains("cannot read '"));
  CHECK_THROWS_WITH(load_checkpoint(folder / "none", *t.model, t.sgd), contains("none"));
}
