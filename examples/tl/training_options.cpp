// Options of training; see training_options.hpp.
#include "training_options.hpp"

#include <algorithm>
#include <cmath>

#include <tl/core/numbers.hpp>
#include <tl/data/augment_spec.hpp>
#include <tl/transfer/head.hpp>
#include <tl/transfer/layers.hpp>
#include <tl/transfer/preprocess.hpp>

namespace program {

namespace {

void check_matched(Index matched, const std::string& glob, const tl::Model<float>& model) {
  if (matched > 0) return;
  std::vector<std::string> beginnings;
  const auto parameters = model.parameters();
  for (const tl::nn::Named<float>& p : parameters) {
    for (std::size_t dot = p.name.find('.'); dot != std::string::npos; dot = p.name.find('.', dot + 1))
      beginnings.push_back(p.name.substr(0, dot));
  }
  const std::string near = nearest(glob.substr(0, glob.find_last_not_of(".*") + 1), beginnings);
  tl::fail("no parameter matches '", printable(glob), "': ",
           near.empty() ? "names are such as '" + printable(parameters.front().name) + "'"
                        : "did you mean '" + printable(near) + ".*'?",
           " (see tl inspect)");
}

/// "layer4.*=0.001" as a glob and a rate.
std::pair<std::string, double> parse_rate(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  const std::string number = equals == std::string::npos ? "" : text.substr(equals + 1);
  const std::optional<double> rate = tl::parse_number<double>(number);
  TL_CHECK(rate && *rate >= 0 && *rate < 1e6 && equals > 0,
           "--lr-for: expected GLOB=RATE such as 'layer4.*=0.001', got '", text, "'");
  return {text.substr(0, equals), *rate};
}

tl::train::OptimiserKind parse_optimiser(const std::string& name) {
  TL_CHECK(name == "sgd" || name == "adamw", "unknown optimiser '", name, "': expected sgd or adamw");
  return name == "sgd" ? tl::train::OptimiserKind::sgd : tl::train::OptimiserKind::adamw;
}

tl::transfer::HeadFeatures parse_head(const std::string& name) {
  const bool wide = name == "wide" || name == "both", mirrored = name == "mirrored" || name == "both";
  TL_CHECK(wide || mirrored || name.empty() || name == "plain", "unknown head '", name,
           "': expected plain, wide, mirrored or both");
  return {.wide = wide, .mirrored = mirrored};
}

tl::data::Preprocess choose_preprocess(const TrainingOptions& o, const tl::Graph<float>& graph) {
  tl::transfer::NetworkPreprocess chosen = tl::transfer::preprocess_of(graph);
  if (!o.preprocess.empty()) {
    chosen.steps = tl::data::Preprocess::parse(o.preprocess);
  } else if (chosen.assumed) {
    note("the network does not say how images are prepared: assuming the ImageNet standard (--preprocess " +
         chosen.steps.to_string() + ")");
  }
  return o.size == 0 ? chosen.steps : tl::transfer::with_size(chosen.steps, o.size);
}

}  // namespace

void add_training_options(CLI::App& c, TrainingOptions& o) {
  c.add_option("FOLDER", o.folder, "one folder of photos a class, or train/ and valid/")
      ->required()
      ->type_name("FOLDER");
  c.add_option("--weights", o.weights, "the pretrained network (one comes with tl)")->type_name("MODEL");
  c.add_option("--valid", o.valid, "photos to validate with (a fifth is held out)")->type_name("FOLDER");
  c.add_option("--method", o.method, "which layers learn")
      ->type_name("features|head|last:N|full|two-stage|gradual");
  c.add_option("--freeze", o.freeze, "parameters not to train, such as 'layer1.*'")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  c.add_option("--train", o.train, "train only these, and the head")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  c.add_option("--optimiser", o.optimiser, "(sgd)")->type_name("sgd|adamw");
  c.add_option("--batch", o.batch, "images a step")->check(between(1, 4096))->type_name("N");
  c.add_option("--lr-later", o.later_share, "share of the head's rate for later layers (0.1)")
      ->check(between(0.0, 1000.0))
      ->type_name("X");
  c.add_option("--lr-earlier", o.earlier_share, "the same for earlier layers (0.03)")
      ->check(between(0.0, 1000.0))
      ->type_name("X");
  c.add_option("--smoothing", o.smoothing, "label smoothing (0.1)")->check(between(0.0, 1.0))->type_name("X");
  c.add_flag("--balance", o.balance, "every class weighs the same");
  c.add_option("--head", o.head, "what the new last layer reads (chosen)")
      ->type_name("plain|wide|mirrored|both");
  c.add_option("--mixup", o.mixup, "blend photos of a batch, such as 0.2 (0: no)")
      ->check(between(0.0, 100.0))
      ->type_name("ALPHA");
  c.add_option("--augment", o.augment, "how photos are varied")->type_name("none|light|photos|small|SPEC");
  c.add_option("--size", o.size, "pixels of an image's sides")->check(between(8, 2048))->type_name("N");
  c.add_option("--seed", o.seed, "of all that is random (0)")->type_name("N");
  add_threads(c, o.threads);
  add_preprocess(c, o.preprocess);
  c.add_flag("--strict", o.strict, "a broken image is an error");
}

tl::data::ImageFolder read_photos(const TrainingOptions& o) {
  tl::data::ImageFolder photos = tl::data::image_folder(o.folder);
  if (!o.valid.empty()) {
    const tl::data::ImageFolder valid = tl::data::image_folder(o.valid);
    photos.valid = tl::data::with_classes(valid.train, photos.classes());
    photos.notes.insert(photos.notes.end(), valid.notes.begin(), valid.notes.end());
  }
  for (const std::string& text : photos.notes) note(text);
  tl::data::check_trainable(photos.train);
  return photos;
}

tl::train::FineTuneOptions training_options(const TrainingOptions& o, const tl::Model<float>& model) {
  for (const double x : {o.smoothing, o.mixup, o.later_share.value_or(0), o.earlier_share.value_or(0)})
    TL_CHECK(std::isfinite(x),
             "expected numbers after --smoothing, --mixup, --lr-later and --lr-earlier, got ", x);
  tl::train::FineTuneOptions t;
  t.method = tl::transfer::Method::parse(o.method);
  t.optimiser = parse_optimiser(o.optimiser);
  t.batch_size = o.batch;
  t.later_share = o.later_share.value_or(t.later_share);
  t.earlier_share = o.earlier_share.value_or(t.earlier_share);
  for (const std::string& rate : o.rates) t.rates.push_back(parse_rate(rate));
  if (!o.augment.empty()) t.augment = tl::data::parse_augment(o.augment);
  t.smoothing = o.smoothing;
  t.mixup = o.mixup;
  if (o.balance) t.class_weights = tl::train::ClassWeights::balanced;
  t.seed = o.seed;
  t.strict = o.strict;
  t.preprocess = choose_preprocess(o, model.graph());
  return t;
}

tl::Shape example_image(const tl::train::FineTuneOptions& training) {
  const tl::data::Size size = training.preprocess->fixed_size().value_or(tl::data::Size{224, 224});
  return {1, tl::data::Image::channels, size.height, size.width};
}

void replace_head(const TrainingOptions& o, const tl::train::FineTuneOptions& training,
                  const std::vector<std::string>& classes, tl::Model<float>& model) {
  tl::transfer::replace_head(model, classes, o.seed, parse_head(o.head), example_image(training));
}

void apply_globs(const TrainingOptions& o, tl::Model<float>& model) {
  if (!o.train.empty()) {
    const tl::transfer::Layer<float> head = tl::transfer::layers(model).back();
    model.freeze();
    tl::transfer::set_trainable(head, true);
    for (const std::string& glob : o.train) check_matched(model.unfreeze(glob), glob, model);
  }
  for (const std::string& glob : o.freeze) check_matched(model.freeze(glob), glob, model);
  const std::vector<tl::nn::Named<float>> parameters = model.parameters();
  for (const std::string& rate : o.rates) {
    const std::string glob = parse_rate(rate).first;
    const auto matches = [&](const auto& p) { return tl::nn::glob_match(glob, p.name); };
    check_matched(std::count_if(parameters.begin(), parameters.end(), matches), glob, model);
  }
  TL_CHECK(tl::transfer::trainable_elements(model) > 0, "every layer is frozen: there is nothing to train");
}

}  // namespace program
