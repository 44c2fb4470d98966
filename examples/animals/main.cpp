// animals: how well pretrained networks learn the animals of a folder of photos, by a new last layer, by one
// that reads more (transfer/head_features.hpp) and by training every layer, beside the same network from
// scratch with the same budget.
//
//   build/bin/animals PHOTOS --weights weights/resnet_small.onnx [OTHER.onnx...]
//
// Few photos make one accuracy a matter of luck: below 400 they are cut into five folds, several times, and
// the mean and its standard error are given. run.sh also makes a model, and a report of it, with tl finetune.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <unistd.h>

#include <CLI/CLI.hpp>

#include <tl/tl.hpp>

namespace {

namespace fs = std::filesystem;
using tl::Index;

struct Options {
  fs::path photos;
  std::vector<fs::path> weights{"weights/resnet_small.onnx"};
  Index epochs = 8, size = 128, seeds = 3, batch = 16;
  double lr = 0.001, scratch_lr = 0.01;
};

/// A way to learn: a network, and what of it is trained.
struct Way {
  enum Kind { last_layer, every_layer, from_scratch } kind;
  fs::path weights;
  bool own_size;  ///< images as the network's file says, and not of the size that was asked for
  tl::transfer::HeadFeatures head{};
  std::string name() const {
    const char* const kinds[] = {"a new last layer", "every layer", "from scratch"};
    return weights.stem().string() + ", " + kinds[kind] + (head.wide ? ", wide and mirrored" : "");
  }
};

/// A folder that goes when the program ends.
class WorkFolder {
 public:
  WorkFolder() { fs::create_directories(path_); }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  ~WorkFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_ = fs::temp_directory_path() / ("tl-animals-" + std::to_string(::getpid()));
};

/// Copies of photos, decoded and made smaller once and not in every fold. Those that cannot be read are left
/// out, with a line.
tl::data::Dataset small_copies(const tl::data::Dataset& photos, const fs::path& folder, Index side) {
  tl::data::Dataset copies{.samples = {}, .class_names = photos.class_names};
  fs::create_directories(folder);
  for (const tl::data::Sample& sample : photos.samples) {
    try {
      tl::data::Image image = tl::data::read_image(sample.path);
      if (std::min(image.height(), image.width()) > side)
        image = tl::data::resize_short_side(image, side, tl::data::Filter::bicubic);
      const fs::path path = folder / (std::to_string(copies.samples.size()) + ".png");
      tl::data::write_png(path, image);
      copies.samples.push_back({path, sample.label});
    } catch (const tl::Error& error) {
      std::cerr << "left out: " << error.what() << '\n';
    }
  }
  return copies;
}

/// One training: the accuracy on the photos held out. Features are computed once for all trainings.
double train(const Options& o, const Way& way, const tl::data::ImageFolder& photos, std::uint64_t seed,
             const fs::path& features) {
  auto model = tl::onnx::load<float>(way.weights);
  tl::transfer::replace_head(model, photos.classes(), seed, way.head, {1, 3, o.size, o.size});
  tl::train::FineTuneOptions t{.batch_size = o.batch};
  t.keep_best = false;  // an epoch chosen by the photos held out would make their accuracy too good
  t.seed = seed;
  t.preprocess = tl::transfer::preprocess_of(model.graph()).steps;
  if (!way.own_size) {  // the whole of each photo, whatever its proportions: no wing or tail is cut
    t.preprocess->resize_short.reset();
    t.preprocess->crop.reset();
    t.preprocess->resize_exact = tl::data::Size{o.size, o.size};
  }
  if (way.kind == Way::last_layer) {
    t.method = tl::transfer::Method::parse("features");
    t.feature_cache = features;
    t.fit_head = [](const tl::transfer::Features& f, Index classes) {
      return tl::transfer::fit_softmax(f.values, f.labels, classes, {}).classifier;
    };
  } else {
    t.method = tl::transfer::Method::parse("full");
    t.epochs = o.epochs;
    t.lr = o.lr;
    t.later_share = t.earlier_share = 1;
    t.augment = tl::data::parse_augment("flip=0.5,scale=0.7/1,ratio=0.8/1.25");
  }
  if (way.kind == Way::from_scratch) {
    tl::transfer::reset_parameters(model, seed);
    t.lr = o.scratch_lr;
    t.head_first = t.freeze_batch_norm = false;
  }
  return tl::train::fine_tune(model, photos, t).valid->accuracy();
}

/// Mean and standard error of accuracies, as text.
std::string summary(const std::vector<double>& values) {
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  const double n = static_cast<double>(values.size()), mean = sum / n;
  for (const double v : values) squares += (v - mean) * (v - mean);
  char text[64];
  if (values.size() < 2) {
    std::snprintf(text, sizeof text, "%5.1f %%", 100 * mean);
  } else {
    std::snprintf(text, sizeof text, "%5.1f %% (standard error %.1f)", 100 * mean,
                  100 * std::sqrt(squares / (n - 1) / n));
  }
  return text;
}

/// The splits to train on: as given, or one held-out part a seed, or five folds a seed where photos are few.
std::vector<tl::data::ImageFolder> splits(const tl::data::ImageFolder& photos, Index seeds) {
  if (!photos.valid.empty())
    return std::vector<tl::data::ImageFolder>(static_cast<std::size_t>(seeds), photos);
  constexpr Index few = 400, folds = 5;
  std::vector<tl::data::ImageFolder> result;
  for (Index seed = 0; seed < seeds; ++seed) {
    const auto key = static_cast<std::uint64_t>(seed);
    const std::vector<tl::data::Split> parts =
        photos.train.size() < few ? tl::data::k_folds(photos.train, folds, key)
                                  : std::vector<tl::data::Split>{tl::data::hold_out(photos.train, 0.2, key)};
    for (const tl::data::Split& part : parts)
      result.push_back({photos.train.subset(part.train), photos.train.subset(part.valid), {}});
  }
  return result;
}

void run(const Options& o) {
  const tl::data::ImageFolder all = tl::data::image_folder(o.photos);
  for (const std::string& text : all.notes) std::cerr << text << '\n';
  tl::data::check_trainable(all.train);
  std::vector<Way> ways;
  for (const fs::path& weights : o.weights) {
    const bool first = ways.empty();
    ways.push_back({Way::last_layer, weights, !first});
    if (!first) continue;
    ways.push_back({Way::last_layer, weights, false, {.wide = true, .mirrored = true}});
    if (o.epochs == 0) continue;
    ways.push_back({Way::every_layer, weights, false});
    ways.push_back({Way::from_scratch, weights, false});
  }
  const WorkFolder work;
  // Large enough for networks that want 224 pixels of 256.
  const Index side = std::max<Index>(256, o.size + o.size / 4);
  const tl::data::ImageFolder photos{
      small_copies(all.train, work / "train", side), small_copies(all.valid, work / "valid", side), {}};
  tl::transfer::make_feature_folder(work / "features");
  std::cout << photos.train.size() + photos.valid.size() << " photos of " << photos.classes().size()
            << " classes; " << o.size << " x " << o.size << " pixels";
  if (o.epochs > 0) std::cout << "; " << o.epochs << " epochs of every layer and from scratch";
  std::cout << std::endl;

  const std::vector<tl::data::ImageFolder> parts = splits(photos, o.seeds);
  std::vector<std::vector<double>> accuracies(ways.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::cout << "training " << i + 1 << " of " << parts.size() << ':';
    for (std::size_t w = 0; w < ways.size(); ++w) {
      accuracies[w].push_back(train(o, ways[w], parts[i], i, work / "features"));
      std::printf("  %5.1f %%", 100 * accuracies[w].back());
      std::fflush(stdout);
    }
    std::cout << std::endl;
  }
  std::cout << "\naccuracy on photos held out, mean of " << parts.size() << " trainings\n";
  for (std::size_t w = 0; w < ways.size(); ++w)
    std::printf("  %-52s %s\n", ways[w].name().c_str(), summary(accuracies[w]).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app(
      "Judges ways to learn the classes of a folder of photos: pretrained networks, and from scratch.");
  app.add_option("PHOTOS", o.photos, "one folder a class, or train/ and valid/ with one a class")->required();
  app.add_option("--weights", o.weights,
                 "pretrained networks; of all but the first only the last layer is trained")
      ->capture_default_str();
  app.add_option("--epochs", o.epochs, "of every layer and from scratch; 0: new last layers alone")
      ->capture_default_str()
      ->check(CLI::Range(0, 10000));
  app.add_option("--size", o.size, "of the images, in pixels")
      ->capture_default_str()
      ->check(CLI::Range(32, 512));
  app.add_option("--seeds", o.seeds, "how often the photos are divided anew")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--batch", o.batch, "images a step")->capture_default_str()->check(CLI::Range(2, 1024));
  app.add_option("--lr", o.lr, "learning rate of every layer")->capture_default_str();
  app.add_option("--scratch-lr", o.scratch_lr, "learning rate from scratch")->capture_default_str();
  try {
    app.parse(argc, argv);
    run(o);
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const std::exception& error) {
    std::cerr << "animals: " << error.what() << '\n';
    return 2;
  }
}
