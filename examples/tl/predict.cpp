// tl predict: classes and probabilities of images, one line an image as soon as its batch is done.
#include <algorithm>
#include <cmath>

#include <unistd.h>

#include <tl/autograd/functions.hpp>
#include <tl/data/encode.hpp>
#include <tl/data/heat_map.hpp>
#include <tl/train/grad_cam.hpp>

#include "commands.hpp"
#include "common.hpp"

namespace program {

namespace {

struct Options {
  std::filesystem::path model, explain;
  std::vector<std::filesystem::path> images;
  std::string preprocess;
  Index top = 3;
  bool json = false, csv = false, strict = false;
  int threads = 0;
};

struct Score {
  Index index;
  float probability;
};

/// Probabilities of the rows of (N,classes); those of a network that ends with a softmax as they are.
tl::Tensor<float> probabilities(const Classifier& c, const tl::Tensor<float>& images) {
  const tl::NoGrad no_grad;
  const tl::Graph<float>& graph = c.model->graph();
  const tl::Tensor<float> scores = c.model->predict(images);
  const int last = graph.producer(graph.outputs()[0]);
  const bool done =
      last >= 0 &&
      graph.nodes()[static_cast<std::size_t>(last)].operation->get_if<tl::ops::Softmax>() != nullptr;
  return (done ? scores : tl::softmax(tl::Var<float>(scores)).value()).plain();
}

/// The most probable classes first; of equal ones, the one with the smaller index.
std::vector<Score> best(const float* row, Index classes, Index top) {
  std::vector<Score> scores;
  for (Index i = 0; i < classes; ++i) {
    TL_CHECK(!std::isnan(row[i]), "the network gives NaN: are its weights damaged?");
    scores.push_back({i, row[i]});
  }
  const auto end = scores.begin() + std::min(top, classes);
  std::partial_sort(scores.begin(), end, scores.end(), [](const Score& a, const Score& b) {
    return a.probability > b.probability || (a.probability == b.probability && a.index < b.index);
  });
  scores.erase(end, scores.end());
  return scores;
}

Json to_json(const Classifier& c, const std::filesystem::path& path, const std::vector<Score>& scores) {
  Json classes = Json::array();
  for (const Score& s : scores)
    classes.push_back({{"index", s.index}, {"label", c.label(s.index)}, {"probability", s.probability}});
  return {{"path", path.string()}, {"classes", std::move(classes)}};
}

void print(const Classifier& c, const std::filesystem::path& path, const std::vector<Score>& scores) {
  std::string line = printable(path.string()) + ":";
  for (const Score& s : scores) {
    line += (&s == &scores[0] ? " " : ", ") + printable(c.label(s.index)) + " " +
            percent(static_cast<double>(s.probability));
  }
  std::cout << line << '\n';
}

std::string csv_heading(Index top) {
  std::string line = "path";
  for (Index i = 1; i <= top; ++i) line += tl::concat(",class_", i, ",probability_", i);
  return line;
}

/// A terminal is shown no control characters of names; a file gets the names as they are.
void print_csv(const Classifier& c, const std::filesystem::path& path, const std::vector<Score>& scores) {
  static const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  const auto field = [](const std::string& text) { return csv_quoted(terminal ? printable(text) : text); };
  std::string line = field(path.string());
  for (const Score& s : scores)
    line += "," + field(c.label(s.index)) + "," + fixed(static_cast<double>(s.probability), 6);
  std::cout << line << '\n';
}

/// Writes the image as the network sees it, the brighter the more a part of it speaks for the class.
void explain(const Options& o, const Classifier& c, const std::filesystem::path& path, Index label) {
  const tl::data::Image photo = tl::data::read_image(path), seen = c.preprocess.geometry(photo);
  const tl::Shape shape{1, tl::data::Image::channels, seen.height(), seen.width()};
  const tl::train::GradCam<float> grad_cam(load_graph(o.model), shape);
  const tl::Tensor<float> heat = grad_cam(c.preprocess.apply(photo), label);
  tl::data::write_png(o.explain, tl::data::overlay_heat(seen, heat));
}

Json skipped_json(const tl::data::Loader& loader) {
  Json list = Json::array();
  for (const tl::data::Skipped& s : loader.skipped())
    list.push_back({{"path", s.path.string()}, {"reason", s.reason}});
  return list;
}

void predict(const Options& o) {
  use_threads(o.threads);
  const Classifier c = open_classifier(o.model, o.preprocess);
  const tl::data::Loader loader =
      open_images(c, tl::data::image_files(expanded(o.images)), o.strict, o.threads);
  const bool explains = !o.explain.empty();
  TL_CHECK(!explains || loader.dataset().size() == 1, "--explain is for one image, got ",
           loader.dataset().size());
  if (explains) check_writable(o.explain);
  Progress progress("predicting", loader.dataset().size());
  if (!o.json && ::isatty(STDOUT_FILENO) != 0) progress.silence();
  SkippedReport skipped;
  if (o.csv) std::cout << csv_heading(std::min(o.top, c.classes)) << '\n';
  Json images = Json::array();
  Index done = 0;
  for (tl::data::Batch& batch : loader.epoch(0)) {
    const tl::Tensor<float> p = probabilities(c, batch.images);
    skipped.tell(loader, progress);
    for (Index i = 0; i < batch.size(); ++i) {
      const Index sample = batch.samples[static_cast<std::size_t>(i)];
      const auto& path = loader.dataset().samples[static_cast<std::size_t>(sample)].path;
      const std::vector<Score> scores = best(p.data() + i * c.classes, c.classes, o.top);
      if (o.json) {
        images.push_back(to_json(c, path, scores));
      } else if (o.csv) {
        print_csv(c, path, scores);
      } else {
        print(c, path, scores);
      }
      if (explains) explain(o, c, path, scores[0].index);
    }
    std::cout.flush();
    progress.update(done += batch.size());
  }
  skipped.finish(loader, progress);
  if (!o.json) return;
  print_json({{"model", o.model.string()},
              {"preprocess", c.preprocess.to_string()},
              {"images", std::move(images)},
              {"skipped", skipped_json(loader)}});
}

}  // namespace

void add_predict(CLI::App& app, Command& chosen) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("predict", "Classes and probabilities of images");
  add_model(*command, o->model);
  command->add_option("IMAGE_OR_FOLDER", o->images, "JPEG, PNG, BMP files, folders, 'photos/*.jpg'")
      ->required()
      ->type_name("IMAGE|FOLDER");
  command->add_option("--top", o->top, "classes to name for each image (3)")
      ->check(between(1, 1'000'000))
      ->type_name("K");
  command->add_option("--explain", o->explain, "of one image: a .png of what speaks for its first class")
      ->type_name("FILE");
  add_preprocess(*command, o->preprocess);
  command->add_flag("--strict", o->strict, "stop at the first image that cannot be read");
  CLI::Option* json = command->add_flag("--json", o->json, "one JSON document on standard output");
  command->add_flag("--csv", o->csv, "a table on standard output: path, class, probability, ...")
      ->excludes(json);
  add_threads(*command, o->threads);
  command->footer("Example: tl predict animals.onnx photos/ --top 1");
  command->callback([o, &chosen] { chosen = [o] { predict(*o); }; });
}

}  // namespace program
