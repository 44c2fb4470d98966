// tl finetune: a pretrained network learns the classes of a folder of photos.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <set>

#include <tl/core/parallel.hpp>
#include <tl/io/checkpoint.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/train/fine_tune.hpp>
#include <tl/transfer/reset.hpp>

#include "classifiers.hpp"
#include "commands.hpp"
#include "common.hpp"
#include "defaults.hpp"
#include "processes.hpp"
#include "report/report.hpp"
#include "training_options.hpp"

namespace program {

namespace {

struct Options : TrainingOptions {
  std::filesystem::path out, json_out, report, cache, checkpoint;
  std::vector<std::string> command;  ///< the words that were given
  std::string classifier;
  Index epochs = 5, patience = 0, views = 0;
  double lr = 0, clip = 0, checkpoint_seconds = 60;
  bool from_scratch = false, last_epoch = false, local_norm = false;
  bool by_steps = false;  ///< something was said that only training by steps knows
};

volatile std::sig_atomic_t interrupted = 0;

/// Ctrl-C ends the training after the step in progress; a second one ends the program.
class InterruptWatch {
 public:
  InterruptWatch() {
    interrupted = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupted = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, &before_);
  }
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;
  ~InterruptWatch() { ::sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_ = {};
};

/// Prints a finished epoch as a line.
void show_epoch(const tl::train::EpochReport& r) {
  std::cout << "epoch " << r.epoch + 1 << '/' << r.epochs << "  loss " << fixed(r.loss, 4) << "  accuracy "
            << percent(r.accuracy);
  if (r.valid)
    std::cout << "  validation " << percent(r.valid->accuracy()) << " (loss " << fixed(r.valid->loss(), 4)
              << ")";
  std::cout << "  " << fixed(r.seconds, 1) << " s" << std::endl;
}

std::string classifier_of(const Options& o) { return o.classifier.empty() ? "softmax" : o.classifier; }

/// The epoch whose network it is, from 1 on; 0: the one before, of the head alone.
std::size_t kept(const tl::train::FineTuneResult& result) {
  return result.kept_epoch ? *result.kept_epoch + 1 : 0;
}

Json to_json(const Options& o, const tl::train::FineTuneResult& result, const std::string& method) {
  Json json = {{"folder", o.folder.string()},
               {"weights", o.weights.string()},
               {"out", o.out.string()},
               {"method", method},
               {"optimiser", o.optimiser},
               {"from_scratch", o.from_scratch},
               {"seed", o.seed},
               {"preprocess", result.preprocess.to_string()},
               {"train_images", result.train_set.size()},
               {"valid_images", result.valid_set.size()},
               {"valid_files", Json::array()},
               {"trained_parameters", result.trained_elements},
               {"skipped_images", result.skipped.size()},
               {"features_computed", result.features_computed},
               {"features_seconds", result.features_seconds},
               {"frozen_sha256", result.frozen_hash},
               {"epochs", Json::array()}};
  for (const tl::data::Sample& sample : result.valid_set.samples)
    json["valid_files"].push_back(sample.path.string());
  for (const tl::train::EpochReport& r : result.history) {
    json["epochs"].push_back({{"loss", r.loss},
                              {"accuracy", r.accuracy},
                              {"valid_loss", r.valid->loss()},
                              {"valid_accuracy", r.valid->accuracy()},
                              {"seconds", r.seconds}});
  }
  if (method == "features") json["classifier"] = classifier_of(o);
  if (!result.history.empty()) json["kept_epoch"] = kept(result);
  json["valid_accuracy"] = result.valid->accuracy();
  json["classes"] = Json::array();
  for (Index c = 0; c < result.valid->classes(); ++c) {
    const tl::train::ClassFigures figures = result.valid->figures(c);
    json["classes"].push_back({{"label", result.train_set.class_names[static_cast<std::size_t>(c)]},
                               {"images", figures.images},
                               {"precision", figures.precision()},
                               {"recall", figures.recall()}});
  }
  return json;
}

/// How many features were computed, and how fast.
void show_features(const Options& o, const tl::train::FineTuneResult& result) {
  if (result.features_seconds == 0) return;
  std::cout << "features: " << grouped(result.features_computed) << " rows computed";
  if (result.features_computed > 0) {
    const double rate = static_cast<double>(result.features_computed) / result.features_seconds;
    std::cout << " in " << fixed(result.features_seconds, 1) << " s, " << fixed(rate, 0) << " a second";
  }
  if (!o.cache.empty()) std::cout << "; all others found in " << printable(o.cache.string());
  std::cout << '\n';
}

tl::train::FineTuneOptions recipe(const Options& o, const tl::Model<float>& model) {
  tl::train::FineTuneOptions t = training_options(o, model);
  if (o.from_scratch) {
    TL_CHECK(t.method.kind == tl::transfer::MethodKind::full && o.train.empty() && o.freeze.empty(),
             "--from-scratch trains every layer: use it with --method full and without --train and --freeze");
    t.head_first = t.freeze_batch_norm = false;
    t.later_share = o.later_share.value_or(1);
    t.earlier_share = o.earlier_share.value_or(1);
    if (t.optimiser == tl::train::OptimiserKind::sgd) t.lr = 0.05;
  }
  const bool by_classifier = t.method.kind == tl::transfer::MethodKind::features;
  TL_CHECK(by_classifier || o.classifier.empty(), "--classifier is for --method features, got --method ",
           t.method);
  if (by_classifier) {
    TL_CHECK(o.train.empty() && o.freeze.empty(),
             "--method features computes the last layer alone: use it without --train and --freeze");
    TL_CHECK(
        o.checkpoint.empty(),
        "--method features has no epochs to go on with: use --checkpoint with another method, or --cache");
    TL_CHECK(!o.balance && o.mixup == 0,
             "--method features has no epochs: use --balance and --mixup with another method");
    t.fit_head = head_classifier(classifier_of(o));
  }
  t.epochs = o.epochs;
  if (o.lr != 0) t.lr = o.lr;
  t.views = o.views;
  t.feature_cache = o.cache;
  t.keep_best = !o.last_epoch;
  t.patience = o.patience;
  t.clip_norm = o.clip;
  t.share_statistics = !o.local_norm;
  return t;
}

/// The bar of the epoch in progress, or of the features computed before the first one.
class Bars {
 public:
  void step(const tl::train::StepReport& r) {
    if (!bar_ || title_epoch_ != r.epoch) {
      bar_.emplace("epoch " + std::to_string(r.epoch + 1) + "/" + std::to_string(r.epochs), r.batches);
      title_epoch_ = r.epoch;
    }
    bar_->update(r.batch, "loss " + fixed(r.loss, 3) + "  accuracy " + percent(r.accuracy),
                 r.images_per_second);
  }
  void features(Index done, Index total) {
    if (!bar_ || title_epoch_ != -1) {
      bar_.emplace("features", total);
      title_epoch_ = -1;
    }
    bar_->update(done);
  }
  void clear() { bar_.reset(); }

 private:
  std::optional<Progress> bar_;
  Index title_epoch_ = -2;
};

/// Fills in what was not said: the method and, for the network that comes with the program, size and head;
/// returns a line about it, empty where nothing was chosen.
std::string choose(Options& o, bool shipped, Index photos) {
  const Choice choice = choice_for(photos);
  std::string chosen;
  if (o.method.empty()) {
    o.method = !o.classifier.empty() ? "features" : o.by_steps ? "two-stage" : choice.method;
    chosen += " --method " + o.method;
  }
  if (shipped && o.size == 0 && o.preprocess.empty()) {
    o.size = choice.size;
    chosen += " --size " + std::to_string(o.size);
  }
  if (shipped && o.method == "features" && o.head.empty()) {
    o.head = "both";
    chosen += " --head both";
  }
  if (chosen.empty()) return {};
  const bool steered = !o.classifier.empty() || o.by_steps;
  return "chosen for " + counted(photos, "photo") +
         (steered ? " and these options" : " (" + choice.why + ")") + ":" + chosen;
}

/// The network as it is written: its input declares the size of the images that it was trained with.
tl::Graph<float> finished(const tl::Model<float>& model, const tl::data::Preprocess& preprocess) {
  tl::Graph<float> graph = model.graph();
  tl::Shape& declared = graph.value(graph.inputs()[0]).shape;
  const std::optional<tl::data::Size> size = preprocess.fixed_size();
  if (size && declared.rank() == 4 && declared[2] > 0 && declared[3] > 0) {
    declared[2] = size->height;
    declared[3] = size->width;
  }
  return graph;
}

/// What the report tells beside the result; the network has its new head and is not trained yet.
report::Training report_of(const Options& o, const tl::train::FineTuneOptions& training,
                           const tl::Graph<float>& graph) {
  report::Training r{.command = o.command, .folder = o.folder, .weights = o.weights, .out = o.out};
  r.method = tl::concat(training.method);
  r.optimiser = o.optimiser;
  r.seed = o.seed;
  r.best_epoch = !o.last_epoch;
  const bool by_epoch = training.method.kind != tl::transfer::MethodKind::features;
  r.variations = o.views == 0 ? o.epochs : by_epoch ? std::min(o.views, o.epochs) : o.views;
  r.plan = training_plan(graph, training.method, example_image(training), training.freeze_batch_norm);
  return r;
}

/// The files to write can be written, each for itself.
void check_outputs(const Options& o) {
  std::set<std::filesystem::path> files;
  for (const std::filesystem::path& file : {o.out, o.json_out, o.report, o.checkpoint}) {
    if (file.empty()) continue;
    check_writable(file);
    TL_CHECK(
        files.insert(std::filesystem::weakly_canonical(file)).second, "'", file.string(),
        "' would be written twice: --out, --json-out, --report and --checkpoint need files of their own");
  }
}

/// Gives every process of a group the checkpoint that the first one has read, or none.
void share_checkpoint(tl::ProcessGroup& group, std::optional<tl::io::NamedTensors>& resume) {
  const std::string bytes =
      tl::broadcast_text(group, resume ? tl::io::encode_safetensors(*resume) : std::string(), 0);
  if (!group.is_first() && !bytes.empty()) resume = tl::io::decode_safetensors(bytes);
}

/// Goes on from the checkpoint that is there, and writes new ones. One that cannot be written ends no
/// training.
void keep_checkpoints(const Options& o, tl::train::FineTuneOptions& training,
                      const std::function<void(const std::string&)>& tell) {
  if (o.checkpoint.empty()) return;
  const bool first = training.group == nullptr || training.group->is_first();
  if (first && tl::io::has_checkpoint(o.checkpoint))
    training.resume = tl::io::read_checkpoint(o.checkpoint, tell);
  if (training.group != nullptr) share_checkpoint(*training.group, training.resume);
  if (!first) return;
  training.checkpoint_seconds = o.checkpoint_seconds;
  training.on_checkpoint = [&o, tell](const tl::io::NamedTensors& content) {
    try {
      tl::io::write_checkpoint(o.checkpoint, content);
    } catch (const tl::WriteError& error) {
      tell(tl::concat("no checkpoint: ", error.what(), "; the training goes on"));
    }
  };
}

/// Of a group of processes the first one tells and writes.
void finetune(Options o, tl::ProcessGroup* group) {
  const bool first = group == nullptr || group->is_first();
  const QuietOutput quiet_output;
  const auto begin = std::chrono::system_clock::now();
  use_threads(o.threads);
  const bool shipped = o.weights.empty();
  if (shipped) o.weights = shipped_weights();
  const ModelPtr model = load_model(o.weights);
  const tl::data::ImageFolder photos = read_photos(o);
  if (o.out.empty()) o.out = default_out(o.folder);
  const std::string chosen = choose(o, shipped, photos.train.size());
  tl::train::FineTuneOptions training = recipe(o, *model);
  training.group = group;
  if (first) check_outputs(o);
  if (!o.cache.empty()) tl::transfer::make_feature_folder(o.cache);

  replace_head(o, training, photos.classes(), *model);
  if (o.from_scratch) tl::transfer::reset_parameters(*model, o.seed);
  apply_globs(o, *model);
  std::cout << counted(photos.train.size(), "image") << " of " << photos.classes().size() << " classes in "
            << printable(o.folder.string()) << std::endl;
  if (group != nullptr)
    std::cout << group->size() << " processes share each batch, " << counted(tl::num_threads(), "thread")
              << " in the first" << std::endl;
  if (!chosen.empty()) std::cout << chosen << std::endl;
  report::Training told;
  if (!o.report.empty()) told = report_of(o, training, model->graph());
  told.begin = begin;
  Bars bars;
  training.on_note = [&](const std::string& text) {
    bars.clear(), std::cout << printable(text) << std::endl;
    told.notes.push_back(text);
  };
  training.on_step = [&](const tl::train::StepReport& r) { bars.step(r), told.add(r); };
  training.on_epoch = [&](const tl::train::EpochReport& r) { bars.clear(), show_epoch(r); };
  training.on_features = [&](Index done, Index total) { bars.features(done, total); };
  training.on_cached = [&](const tl::transfer::StoredFeatures& train,
                           const tl::transfer::StoredFeatures& valid) {
    bars.clear();
    told.probe = linear_probe(train, valid, static_cast<Index>(photos.classes().size()));
    if (told.probe)
      std::cout << "linear probe: ridge " << percent(told.probe->ridge) << ", kNN "
                << percent(told.probe->neighbours) << std::endl;
  };
  training.should_stop = [] { return interrupted != 0; };
  keep_checkpoints(o, training, [&](const std::string& text) { bars.clear(), note(text); });

  const InterruptWatch watch;
  const tl::train::FineTuneResult result = tl::train::fine_tune(*model, photos, training);
  bars.clear();
  if (!first) return;
  if (result.stopped) {
    const bool kept_state = !o.checkpoint.empty() && tl::io::has_checkpoint(o.checkpoint);
    throw Failure(kept_state ? "stopped: the same command goes on from '" + o.checkpoint.string() + "'"
                             : "stopped before the last epoch: nothing was written");
  }
  for (const tl::data::Skipped& skipped : result.skipped) note(skipped.reason);
  if (!result.skipped.empty())
    note(counted(static_cast<Index>(result.skipped.size()), "image") +
         " could not be read and were left out");
  tl::onnx::save(finished(*model, result.preprocess), o.out);
  if (!o.json_out.empty())
    tl::write_file_atomically(o.json_out, to_json(o, result, tl::concat(training.method)).dump(2) + "\n");
  if (!o.report.empty()) tl::write_file_atomically(o.report, report::html(*model, result, told));
  if (!o.checkpoint.empty()) tl::io::remove_checkpoint(o.checkpoint);
  show_features(o, result);
  if (!result.frozen_hash.empty())
    std::cout << "frozen and unchanged: " << counted(result.frozen_tensors, "tensor") << ", SHA-256 "
              << result.frozen_hash.substr(0, 16) << " before and after\n";
  std::cout << "trained " << grouped(result.trained_elements) << " parameters; right for "
            << result.valid->correct() << " of " << counted(result.valid->count(), "validation image") << ": "
            << percent(result.valid->accuracy()) << "\nwritten: " << printable(o.out.string());
  for (const std::filesystem::path& file : {o.report, o.json_out}) {
    if (!file.empty()) std::cout << ", " << printable(file.string());
  }
  std::cout << std::endl;
}

}  // namespace

void add_finetune(CLI::App& app, Command& chosen, const std::vector<std::string>& words) {
  auto o = std::make_shared<Options>();
  o->command = words;
  CLI::App* c = app.add_subcommand("finetune", "Teach a network the classes of a folder of photos");
  add_training_options(*c, *o);
  c->add_option("--out", o->out, "the file to write (FOLDER's name.onnx, if it is new)")->type_name("FILE");
  c->add_option("--classifier", o->classifier, "of --method features (softmax)")
      ->type_name("softmax|svm|ridge");
  c->add_option("--epochs", o->epochs, "passes over the photos (5)")
      ->check(between(1, 100'000))
      ->type_name("N");
  c->add_option("--patience", o->patience, "end after N epochs without a lower loss")
      ->check(between(1, 100'000))
      ->type_name("N");
  c->add_flag("--last-epoch", o->last_epoch, "keep the last epoch, not the best one");
  c->add_option("--lr", o->lr, "learning rate of the head")
      ->check(CLI::Validator(CLI::PositiveNumber).description(""))
      ->type_name("X");
  c->add_option("--lr-for", o->rates, "rate of some parameters, such as 'layer4.*=0.001'")
      ->type_name("GLOB=X")
      ->allow_extra_args(false);
  c->add_option("--clip-norm", o->clip, "largest norm of a step's gradients (any)")
      ->check(CLI::Validator(CLI::PositiveNumber).description(""))
      ->type_name("X");
  c->add_option("--views", o->views, "varied views of each photo, computed once (none)")
      ->check(between(1, 1000))
      ->type_name("K");
  c->add_option("--cache", o->cache, "a folder that keeps features for the next run")->type_name("FOLDER");
  c->add_option("--checkpoint", o->checkpoint, "keeps the training: the same command goes on from it")
      ->type_name("FILE");
  c->add_option("--checkpoint-seconds", o->checkpoint_seconds, "how often it is written (60)")
      ->check(CLI::Validator(CLI::NonNegativeNumber).description(""))
      ->type_name("S");
  c->add_flag("--from-scratch", o->from_scratch, "forget the weights first (with --method full)");
  c->add_option("--json-out", o->json_out, "write the figures to this file")->type_name("FILE");
  c->add_option("--report", o->report, "write what was learned to this page, for people (.html)")
      ->type_name("FILE");
  CLI::Option* local_norm =
      c->add_flag("--local-norm", o->local_norm, "each process normalises its part of a batch by itself");
  if (started_together() == 1) local_norm->group("");  // means nothing to one process
  c->footer("Example: tl finetune animals/ --weights resnet18.onnx --out animals.onnx");
  c->callback([o, c, &chosen] {
    for (const char* name :
         {"--epochs", "--patience", "--last-epoch", "--lr", "--lr-for", "--lr-later", "--lr-earlier",
          "--freeze", "--train", "--optimiser", "--batch", "--smoothing", "--balance", "--mixup", "--augment",
          "--views", "--from-scratch", "--checkpoint", "--clip-norm"})
      o->by_steps = o->by_steps || c->count(name) > 0;
    chosen = [o] { with_processes([&o](tl::ProcessGroup* group) { finetune(*o, group); }); };
  });
}

}  // namespace program
