// pretrain: trains the small ResNet that weights/ ships, on Tiny-ImageNet-200, from nothing.
//
//   build/bin/pretrain tiny-imagenet-200 --out weights/resnet_small.onnx --checkpoint pretrain.safetensors
//
// The images grow from phase to phase: most steps are made where they are cheap. Killed at any time and
// called again, it goes on after the last finished epoch, with the same bits. run.sh builds it and draws the
// curve of --log.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <tl/core/file.hpp>
#include <tl/io/checkpoint.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/models/resnet.hpp>
#include <tl/nn/model.hpp>
#include <tl/optim/groups.hpp>
#include <tl/optim/sgd.hpp>
#include <tl/train/fit.hpp>

#include "tiny_imagenet.hpp"

namespace {

using tl::Index;

/// Epochs at one image size.
struct Phase {
  Index size, epochs;
};

struct Options {
  std::filesystem::path data, out = "resnet_small.onnx", checkpoint, log;
  std::vector<std::string> phases{"32x8", "48x10", "64x12"};
  Index batch = 128;
  double lr = 0.2, weight_decay = 5e-4, smoothing = 0.1, smallest_crop = 0.35;
  std::uint64_t seed = 1;
  int threads = 0;
};

std::vector<Phase> parse_phases(const std::vector<std::string>& texts) {
  std::vector<Phase> phases;
  for (const std::string& text : texts) {
    Phase phase{};
    char rest = 0;
    long long size = 0, epochs = 0;
    TL_CHECK(std::sscanf(text.c_str(), "%lldx%lld%c", &size, &epochs, &rest) == 2 && size >= 16 &&
                 size <= 512 && epochs >= 1 && epochs <= 1000,
             "--phases: expected SIZExEPOCHS, such as 64x6, got '", text, "'");
    phase.size = size;
    phase.epochs = epochs;
    phases.push_back(phase);
  }
  return phases;
}

/// Mean and deviation of ImageNet's pixels.
tl::data::Preprocess preprocessing(Index size) {
  tl::data::Preprocess p = tl::data::Preprocess::imagenet();
  p.resize_short = size;
  p.crop = tl::data::Size{size, size};
  p.filter = tl::data::Filter::bicubic;
  return p;
}

/// On a terminal only; a log has its line an epoch.
void show(const tl::train::StepReport& r) {
  if (::isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "\repoch %lld/%lld  %5.1f %%  loss %.3f  accuracy %.1f %%  %.0f images/s   ",
               static_cast<long long>(r.epoch + 1), static_cast<long long>(r.epochs),
               100.0 * static_cast<double>(r.batch) / static_cast<double>(r.batches), r.loss,
               100 * r.accuracy, r.images_per_second);
  if (r.batch == r.batches) std::fputc('\n', stderr);
}

void print(const tl::train::EpochReport& r, Index epochs, Index size) {
  std::printf(
      "epoch %lld/%lld at %lld px: loss %.4f, accuracy %.2f %%; validation: top-1 %.2f %%, top-5 %.2f %%, "
      "loss "
      "%.4f; %.0f s, %.0f images/s\n",
      static_cast<long long>(r.epoch + 1), static_cast<long long>(epochs), static_cast<long long>(size),
      r.loss, 100 * r.accuracy, 100 * r.valid->accuracy(), 100 * r.valid->top5_accuracy(), r.valid->loss(),
      r.seconds, static_cast<double>(r.images) / r.seconds);
  std::fflush(stdout);
}

/// The figures of every epoch, in a file that docs/images/plot_curves.py draws.
class Log {
 public:
  /// Keeps what an earlier run wrote of its first `epochs` epochs.
  Log(std::filesystem::path file, Index epochs) : file_(std::move(file)) {
    if (epochs == 0 || file_.empty() || !std::filesystem::exists(file_)) return;
    const auto before = nlohmann::json::parse(tl::read_file(file_), nullptr, false);
    if (!before.is_object() || !before.contains("epochs")) return;
    for (const nlohmann::json& epoch : before["epochs"]) {
      if (static_cast<Index>(epochs_.size()) < epochs) epochs_.push_back(epoch);
    }
  }

  void add(const tl::train::EpochReport& r, Index size) {
    if (file_.empty()) return;
    epochs_.push_back({{"size", size},
                       {"loss", r.loss},
                       {"accuracy", r.accuracy},
                       {"valid_loss", r.valid->loss()},
                       {"valid_accuracy", r.valid->accuracy()},
                       {"valid_top5_accuracy", r.valid->top5_accuracy()},
                       {"seconds", r.seconds},
                       {"images_per_second", static_cast<double>(r.images) / r.seconds}});
    tl::write_file_atomically(file_, nlohmann::json{{"epochs", epochs_}}.dump(2) + "\n");
  }

 private:
  std::filesystem::path file_;
  nlohmann::json epochs_ = nlohmann::json::array();
};

/// Varied images for a phase, decoded once and kept small.
tl::data::Loader train_loader(const Options& o, const tl::data::Dataset& images, Index size) {
  tl::data::LoaderOptions options{.batch_size = o.batch, .shuffle = true, .drop_last = true, .seed = o.seed};
  tl::data::Augment& augment = options.augment.emplace(tl::data::Augment::none());
  augment.crop = tl::data::AugmentCrop::random_resized;
  augment.scale = {o.smallest_crop, 1};
  augment.ratio = {3.0 / 4, 4.0 / 3};
  augment.flip = 0.5;
  options.cache_bytes = std::size_t{2} << 30;
  options.cache_side = 64;
  return {images, preprocessing(size), options};
}

void run(const Options& o) {
  if (o.threads > 0) tl::set_num_threads(o.threads);
  const std::vector<Phase> phases = parse_phases(o.phases);
  const Index largest = phases.back().size;
  for (const std::filesystem::path& file : {o.out, o.checkpoint, o.log}) {
    if (!file.empty()) const tl::AtomicFile can_be_written(file);
  }
  const pretrain::TinyImageNet data = pretrain::read_tiny_imagenet(o.data);
  std::cout << data.train.size() << " training and " << data.valid.size() << " validation images of "
            << data.train.class_names.size() << " classes\n";
  for (const std::string& line : data.dropped) std::cout << "left out: " << line << '\n';

  const tl::RandomScope weights(o.seed, ~std::uint64_t{0});
  const auto classes = static_cast<Index>(data.train.class_names.size());
  const auto model = tl::nn::trace<float>(*tl::models::resnet_small<float>(classes),
                                          tl::Tensor<float>::zeros({1, 3, largest, largest}));
  std::vector<tl::optim::ParameterGroup<float>> groups;
  tl::optim::add_groups(groups, model->parameters(), o.lr);
  tl::optim::Sgd<float> sgd(groups, {.momentum = 0.9, .weight_decay = o.weight_decay, .nesterov = true});

  Index epochs_done = 0;
  if (!o.checkpoint.empty() && std::filesystem::exists(o.checkpoint)) {
    epochs_done = std::stoll(tl::io::load_checkpoint(o.checkpoint, *model, sgd).at("epochs"));
    std::cout << "going on after epoch " << epochs_done << " of '" << o.checkpoint.string() << "'\n";
  }
  Log log(o.log, epochs_done);
  Index epochs = 0;
  for (const Phase& phase : phases) epochs += phase.epochs;
  const Index steps_an_epoch = data.train.size() / o.batch;
  TL_CHECK(steps_an_epoch > 0, "expected at least a batch of ", o.batch, " training images, got ",
           data.train.size());

  Index end = 0;  // of the phase
  for (const Phase& phase : phases) {
    const Index first = std::max(end, epochs_done);
    end += phase.epochs;
    if (first >= end) continue;
    const tl::data::Loader train = train_loader(o, data.train, phase.size);
    const tl::data::Loader valid(data.valid, preprocessing(phase.size), {.batch_size = 200});
    tl::train::FitOptions fit{.epochs = end, .first_epoch = first};
    fit.schedule = {.kind = tl::optim::ScheduleKind::one_cycle,
                    .total = epochs * steps_an_epoch,
                    .rise = 0.25,
                    .div = 10,
                    .div_final = 1000};
    fit.first_step = first * steps_an_epoch;
    fit.loss.smoothing = o.smoothing;
    fit.seed = o.seed;
    fit.on_step = [&](tl::train::StepReport r) { r.epochs = epochs, show(r); };
    fit.on_epoch = [&](const tl::train::EpochReport& r) {
      print(r, epochs, phase.size);
      log.add(r, phase.size);
      if (!o.checkpoint.empty())
        tl::io::save_checkpoint(o.checkpoint, *model, sgd, {{"epochs", std::to_string(r.epoch + 1)}});
    };
    tl::train::fit(*model, sgd, train, fit, &valid);
  }
  tl::io::set_labels(model->metadata(), data.train.class_names);
  model->metadata()[tl::io::preprocess_key] = preprocessing(largest).to_string();
  tl::onnx::save(*model, o.out);
  std::cout << "written: " << o.out.string() << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Trains the small ResNet of weights/ on Tiny-ImageNet-200, from nothing.");
  app.add_option("FOLDER", o.data, "tiny-imagenet-200, with train/, val/, wnids.txt and words.txt")
      ->required();
  app.add_option("--out", o.out, "the .onnx file to write")->capture_default_str();
  app.add_option("--checkpoint", o.checkpoint, "written after every epoch; training goes on from it");
  app.add_option("--log", o.log, "the figures of every epoch, a .json file");
  app.add_option("--phases", o.phases, "SIZExEPOCHS...")->capture_default_str();
  app.add_option("--batch", o.batch, "images a step")->capture_default_str()->check(CLI::Range(2, 4096));
  app.add_option("--lr", o.lr, "highest learning rate")->capture_default_str();
  app.add_option("--weight-decay", o.weight_decay)->capture_default_str();
  app.add_option("--smoothing", o.smoothing, "of the labels")->capture_default_str();
  app.add_option("--smallest-crop", o.smallest_crop, "part of an image's area")->capture_default_str();
  app.add_option("--seed", o.seed)->capture_default_str();
  app.add_option("--threads", o.threads, "0: as many as there are processors")->capture_default_str();
  try {
    app.parse(argc, argv);
    run(o);
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const std::exception& error) {
    std::cerr << "pretrain: " << error.what() << '\n';
    return 2;
  }
}
