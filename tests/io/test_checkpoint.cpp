// Checkpoints: a training that was interrupted goes on with the same bits; those of others are refused.
#include <sys/resource.h>

#include <csignal>

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

/// No file of this program may grow beyond so many bytes while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, signal_before_);
  }

 private:
  rlimit before_{};
  void (*signal_before_)(int) = std::signal(SIGXFSZ, SIG_IGN);
};

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
  const io::NamedTensors good = io::read_checkpoint(path);
  const auto with = [&](const std::string& name, const Tensor<float>& tensor) {
    io::NamedTensors content = good;
    content.tensors[name] = tensor;
    io::write_checkpoint(path, content);
  };
  io::NamedTensors lacking = good;
  lacking.tensors.erase("model/6.bias");
  io::write_checkpoint(path, lacking);
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
  io::write_checkpoint(path, good);
  CHECK_THROWS_WITH(load_checkpoint(path, *another, sgd), contains("it lacks 'model/conv1.weight'"));
}

TEST_CASE("a damaged or missing checkpoint is an error that names it") {
  const TemporaryFolder folder;
  Training t;
  write_file_atomically(folder / "c", "damaged");
  CHECK_THROWS_WITH(load_checkpoint(folder / "c", *t.model, t.sgd), contains("cannot read '"));
  CHECK_THROWS_WITH(load_checkpoint(folder / "none", *t.model, t.sgd), contains("none"));
}

TEST_CASE("a checkpoint with any changed byte is refused") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "c";
  Training t;
  save_one_step(path, t);
  const std::string good = read_file(path);
  for (std::size_t i = 0; i < good.size(); i += 1 + good.size() / 97) {
    CAPTURE(i);
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 4);
    write_file_atomically(path, bad);
    CHECK_THROWS_WITH(io::read_checkpoint(path), contains(path.string()));
  }
  for (const std::size_t length : {std::size_t{0}, std::size_t{9}, good.size() / 2, good.size() - 1}) {
    write_file_atomically(path, good.substr(0, length));
    CHECK_THROWS_WITH(io::read_checkpoint(path), contains(path.string()));
  }
  io::write_safetensors(path, {{}, {{"epochs", "1"}}});
  CHECK_THROWS_WITH(io::read_checkpoint(path), contains("is not a checkpoint of a training"));
}

TEST_CASE("the last two checkpoints are kept; where the last one is damaged the one before takes its place") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "c", before = io::checkpoint_before(path);
  const auto text = [](const io::NamedTensors& content) { return content.metadata.at("step"); };
  CHECK(!io::has_checkpoint(path));
  for (const char* step : {"1", "2", "3"}) io::write_checkpoint(path, {{}, {{"step", step}}});
  CHECK(text(io::read_checkpoint(path)) == "3");
  CHECK(text(io::read_checkpoint(before)) == "2");

  std::vector<std::string> notes;
  const auto note = [&](const std::string& line) { notes.push_back(line); };
  write_file_atomically(path, "damaged");
  CHECK(text(io::read_checkpoint(path, note)) == "2");
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find("'" + path.string() + "'") != std::string::npos);
  CHECK(notes[0].find("going on from the checkpoint before it") != std::string::npos);
  CHECK(!std::filesystem::exists(before));
  io::write_checkpoint(path, {{}, {{"step", "4"}}});
  CHECK(text(io::read_checkpoint(path, note)) == "4");
  CHECK(text(io::read_checkpoint(before)) == "2");

  std::filesystem::remove(path);  // as when a run was killed between two renames
  CHECK(io::has_checkpoint(path));
  CHECK(text(io::read_checkpoint(path, note)) == "2");
  CHECK(notes.size() == 2);
  io::write_checkpoint(path, {{}, {{"step", "5"}}});
  for (const auto& file : {path, before}) write_file_atomically(file, "damaged");
  CHECK_THROWS_WITH(io::read_checkpoint(path, note), contains(before.string()));
  io::remove_checkpoint(path);
  CHECK(!io::has_checkpoint(path));
}

TEST_CASE("a checkpoint that cannot be written loses neither of those that are there") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "c";
  for (const char* step : {"1", "2"}) io::write_checkpoint(path, {{}, {{"step", step}}});
  io::NamedTensors large{{{"model/w", Tensor<float>::zeros({1000})}}, {{"step", "3"}}};
  {
    const FileSizeLimit limit(1000);
    CHECK_THROWS_AS(io::write_checkpoint(path, large), WriteError);
  }
  CHECK(io::read_checkpoint(path).metadata.at("step") == "2");
  CHECK(io::read_checkpoint(io::checkpoint_before(path)).metadata.at("step") == "1");
}
