// tl find-lr: a learning rate for a network and a folder of photos.
#include <tl/train/find_lr.hpp>
#include <tl/train/fine_tune.hpp>
#include <tl/train/memory.hpp>
#include <tl/transfer/layers.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "defaults.hpp"
#include "lr_plot.hpp"
#include "training_options.hpp"

namespace program {

namespace {

struct Options : TrainingOptions {
  std::filesystem::path svg;
  Index steps = 100;
  bool json = false;
};

/// Gives the network its new head; trained is what the method trains in its last epoch.
void prepare(const Options& o, const tl::data::ImageFolder& photos,
             const tl::train::FineTuneOptions& training, tl::Model<float>& model) {
  replace_head(o, training, photos.classes(), model);
  apply_globs(o, model);
  tl::transfer::freeze_for(model, training.method);
  if (training.freeze_batch_norm) tl::transfer::freeze_batch_norm(model);
  TL_CHECK(tl::transfer::trainable_elements(model) > 0, "every layer is frozen: there is nothing to train");
}

Index batch_size(const tl::train::FineTuneOptions& t) { return t.batch_size > 0 ? t.batch_size : 16; }

tl::data::Loader open_loader(const tl::data::ImageFolder& photos, const tl::train::FineTuneOptions& t) {
  const bool only_head = t.method.kind == tl::transfer::MethodKind::head;
  tl::data::LoaderOptions loading{
      .batch_size = batch_size(t), .shuffle = true, .strict = t.strict, .seed = t.seed};
  loading.augment = t.augment.value_or(only_head ? tl::data::Augment::none() : tl::data::Augment{});
  return tl::data::Loader(photos.train, *t.preprocess, loading);
}

/// Throws where the limit of memory is too low.
void check_memory(const tl::Model<float>& model, const tl::train::FineTuneOptions& training,
                  const tl::data::Loader& loader) {
  if (tl::MemoryPool::instance().limit() == tl::MemoryPool::no_limit) return;
  tl::train::FineTuneOptions sweep = training;
  sweep.method = {tl::transfer::MethodKind::gradual};  // all that is not frozen, in one stage
  sweep.augment = tl::data::Augment{};                 // photos go through the whole network
  const tl::train::FineTuneMemory<float> memory(model, sweep, example_image(training), loader.dataset());
  tl::check_fits("training", {batch_size(training), loader.size().height, loader.size().width},
                 [&](const tl::BatchSize& size) { return memory.bytes(size); });
}

Json to_json(const Options& o, const tl::train::LrCurve& curve) {
  Json json = {{"folder", o.folder.string()}, {"weights", o.weights.string()},
               {"method", o.method},          {"optimiser", o.optimiser},
               {"steepest", curve.steepest},  {"tenth_of_minimum", curve.tenth},
               {"points", Json::array()}};
  for (const tl::train::LrPoint& p : curve.points)
    json["points"].push_back({{"rate", p.rate}, {"loss", p.loss}, {"smoothed", p.smoothed}});
  return json;
}

std::string rounded(double rate) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", rate);
  return text;
}

void find_lr(Options o) {
  use_threads(o.threads);
  if (o.weights.empty()) o.weights = shipped_weights();
  if (o.method.empty()) o.method = "two-stage";
  const ModelPtr model = load_model(o.weights);
  const tl::train::FineTuneOptions training = training_options(o, *model);
  TL_CHECK(training.method.kind != tl::transfer::MethodKind::features,
           "--method features has no learning rate: use another method");
  const tl::data::ImageFolder photos = read_photos(o);
  if (!o.svg.empty()) check_writable(o.svg);
  prepare(o, photos, training, *model);
  const tl::data::Loader loader = open_loader(photos, training);
  check_memory(*model, training, loader);
  const auto optimiser = tl::train::make_optimiser(*model, training, 1);

  Progress progress("find-lr", o.steps, "steps");
  tl::train::FindLrOptions options{.steps = o.steps, .mixup = training.mixup, .seed = o.seed};
  options.loss = tl::train::loss_options(training, photos.train);
  options.on_step = [&](Index done) { progress.update(done); };
  const tl::train::LrCurve curve = tl::train::find_lr(*model, *optimiser, loader, options);
  SkippedReport().finish(loader, progress);
  if (!o.svg.empty()) tl::write_file_atomically(o.svg, svg_plot(curve));
  if (o.json) return print_json(to_json(o, curve));
  std::cout << text_plot(curve) << "steepest fall at " << rounded(curve.steepest)
            << ", a tenth of the lowest loss's rate is " << rounded(curve.tenth) << ": try --lr "
            << rounded(curve.steepest) << " to " << rounded(curve.tenth) << '\n';
}

}  // namespace

void add_find_lr(CLI::App& app, Command& chosen) {
  auto o = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand("find-lr", "A learning rate for a network and a folder of photos");
  add_training_options(*c, *o);
  c->add_option("--steps", o->steps, "steps in which the rate rises (100)")
      ->check(between(10, 100'000))
      ->type_name("N");
  c->add_option("--svg", o->svg, "write the curve as a picture")->type_name("FILE");
  c->add_flag("--json", o->json, "one JSON document on standard output");
  c->footer("Example: tl find-lr animals/ --weights resnet18.onnx --svg rates.svg");
  c->callback([o, &chosen] { chosen = [o] { find_lr(*o); }; });
}

}  // namespace program
