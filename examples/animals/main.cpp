// animals: the main job. A pretrained network learns the animals of a folder of photos, beside the same
// network from scratch with the same budget; then the new model is written and names some photos.
//
//   build/bin/animals PHOTOS --weights weights/resnet_small.onnx --out animals.onnx
//
// Few photos make one accuracy a matter of luck: below 400 they are cut into five folds, several times, and
// the mean and its standard error are given.
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
  fs::path photos, weights = "weights/resnet_small.onnx", out = "animals.onnx";
  Index epochs = 12, size = 96, seeds = 3, batch = 16;
  double lr = 0.05, scratch_lr = 0.05;
};

/// Photos are decoded and made smaller once, not for every fold. The copies go when the program ends.
class SmallCopies {
 public:
  SmallCopies(const tl::data::ImageFolder& photos, Index side)
      : folder_(fs::temp_directory_path() / ("tl-animals-" + std::to_string(::getpid()))) {
    copy(photos.train, "train", side, copies_.train);
    copy(photos.valid, "valid", side, copies_.valid);
  }
  SmallCopies(const SmallCopies&) = delete;
  SmallCopies& operator=(const SmallCopies&) = delete;
  ~SmallCopies() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  const tl::data::ImageFolder& photos() const { return copies_; }

 private:
  void copy(const tl::data::Dataset& from, const std::string& part, Index side, tl::data::Dataset& to) {
    to.class_names = from.class_names;
    for (Index i = 0; i < from.size(); ++i) {
      const tl::data::Sample& sample = from.samples[static_cast<std::size_t>(i)];
      try {
        tl::data::Image image = tl::data::read_image(sample.path);
        if (std::min(image.height(), image.width()) > side)
          image = tl::data::resize_short_side(image, side, tl::data::Filter::bicubic);
        const fs::path path = folder_ / part / (std::to_string(i) + ".png");
        fs::create_directories(path.parent_path());
        tl::data::write_png(path, image);
        to.samples.push_back({path, sample.label});
      } catch (const tl::Error& error) {
        std::cerr << "left out: " << error.what() << '\n';
      }
    }
  }

  fs::path folder_;
  tl::data::ImageFolder copies_;
};

/// One training on a split: the accuracy on the photos held out. `model` becomes the network that was
/// trained.
double train(const Options& o, const tl::data::ImageFolder& photos, bool from_scratch, std::uint64_t seed,
             tl::Model<float>& model) {
  tl::transfer::replace_head(model, photos.classes(), seed);
  tl::train::FineTuneOptions t{.method = tl::transfer::Method::parse("full"), .epochs = o.epochs};
  t.batch_size = o.batch;
  t.lr = o.lr;
  t.later_share = 0.3, t.earlier_share = 0.1;  // thumbnails are far from photos: the layers below move more
  t.keep_best = false;  // an epoch chosen by the photos held out would make their accuracy too good
  t.seed = seed;
  t.preprocess = tl::transfer::with_size(tl::transfer::preprocess_of(model.graph()).steps, o.size);
  if (from_scratch) {
    tl::transfer::reset_parameters(model, seed);
    t.lr = o.scratch_lr;
    t.head_first = t.freeze_batch_norm = false;
    t.later_share = t.earlier_share = 1;
  }
  return tl::train::fine_tune(model, photos, t).valid->accuracy();
}

double train(const Options& o, const tl::data::ImageFolder& photos, bool from_scratch, std::uint64_t seed) {
  auto model = tl::onnx::load<float>(o.weights);
  return train(o, photos, from_scratch, seed, model);
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

/// Names some photos of the validation set, one of each class in turn.
void predict_some(tl::Model<float>& model, const tl::data::ImageFolder& photos) {
  const auto preprocess = tl::data::Preprocess::parse(tl::io::preprocess_spec(model.metadata()));
  model.eval();
  std::cout << "\nsome photos it had not seen:\n";
  for (Index label = 0; label < static_cast<Index>(photos.classes().size()); ++label) {
    Index shown = 0;
    for (const tl::data::Sample& sample : photos.valid.samples) {
      if (sample.label != label || shown == 2) continue;
      ++shown;
      const tl::Tensor<float> logits = model.predict(preprocess.apply(tl::data::read_image(sample.path)));
      const tl::Tensor<float> p = tl::softmax(tl::Var<float>(logits)).value();
      const Index best = std::max_element(p.data(), p.data() + p.size()) - p.data();
      std::printf("  %-12s taken for %-12s %3.0f %%\n",
                  photos.classes()[static_cast<std::size_t>(label)].c_str(),
                  photos.classes()[static_cast<std::size_t>(best)].c_str(),
                  100 * static_cast<double>(p.data()[best]));
    }
  }
}

int run(const Options& o) {
  const tl::data::ImageFolder all = tl::data::image_folder(o.photos);
  for (const std::string& text : all.notes) std::cerr << text << '\n';
  tl::data::check_trainable(all.train);
  { const tl::AtomicFile can_be_written(o.out); }
  const SmallCopies copies(all, o.size + o.size / 4);
  const tl::data::ImageFolder& photos = copies.photos();
  std::cout << photos.train.size() + photos.valid.size() << " photos of " << photos.classes().size()
            << " classes; " << o.epochs << " epochs at " << o.size << " pixels" << std::endl;

  std::vector<double> tuned, scratch;
  for (const tl::data::ImageFolder& part : splits(photos, o.seeds)) {
    const auto seed = static_cast<std::uint64_t>(tuned.size());
    tuned.push_back(train(o, part, false, seed));
    scratch.push_back(train(o, part, true, seed));
    std::printf("training %2zu: fine-tuned %5.1f %%, from scratch %5.1f %%\n", tuned.size(),
                100 * tuned.back(), 100 * scratch.back());
    std::fflush(stdout);
  }
  tl::data::ImageFolder last = splits(photos, 1).front();
  auto model = tl::onnx::load<float>(o.weights);
  train(o, last, false, 0, model);
  tl::onnx::save(model, o.out);
  predict_some(model, last);
  std::cout << "\naccuracy on photos held out, " << tuned.size() << " trainings\n  fine-tuned    "
            << summary(tuned) << "\n  from scratch  " << summary(scratch) << "\nmodel: " << o.out.string()
            << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app(
      "Fine-tunes a pretrained network on a folder of photos, and trains it from scratch for comparison.");
  app.add_option("PHOTOS", o.photos, "one folder a class, or train/ and valid/ with one a class")->required();
  app.add_option("--weights", o.weights, "the pretrained network")->capture_default_str();
  app.add_option("--out", o.out, "the model to write")->capture_default_str();
  app.add_option("--epochs", o.epochs)->capture_default_str()->check(CLI::Range(1, 10000));
  app.add_option("--size", o.size, "of the images, in pixels")
      ->capture_default_str()
      ->check(CLI::Range(32, 512));
  app.add_option("--seeds", o.seeds, "how often the photos are divided anew")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--batch", o.batch, "images a step")->capture_default_str()->check(CLI::Range(2, 1024));
  app.add_option("--lr", o.lr, "learning rate of the head, fine-tuned")->capture_default_str();
  app.add_option("--scratch-lr", o.scratch_lr, "learning rate from scratch")->capture_default_str();
  try {
    app.parse(argc, argv);
    return run(o);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::cerr << "animals: " << error.what() << '\n';
    return 2;
  }
}
