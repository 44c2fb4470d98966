// tl evaluate: how often a network is right about images whose classes are known.
#include <algorithm>

#include <tl/data/labels.hpp>
#include <tl/train/metrics.hpp>

#include "commands.hpp"
#include "common.hpp"

namespace program {

namespace {

struct Options {
  std::filesystem::path model, folder, labels;
  std::string preprocess;
  bool json = false;
  int threads = 0;
};

bool are_indices(const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] != std::to_string(i)) return false;
  }
  return true;
}

/// Classes in sorted order of their names stand for the outputs of a network that names none.
void check_order(const tl::data::Dataset& data, Index classes, const std::filesystem::path& from) {
  const auto found = static_cast<Index>(data.class_names.size());
  TL_CHECK(found == classes, "'", from.string(), "' has ", counted(found, "class name"),
           ", but the network has ", counted(classes, "output"),
           " and names none of them: give --labels with an index for each image");
  note("the model names no classes: those of '" + from.string() +
       "', sorted by name, are taken for its outputs");
}

/// Without names in the model, class i is called i, or what the folder or the labels file call it.
tl::data::Dataset labelled(const Options& o, const Classifier& c) {
  tl::data::Dataset data = tl::data::labelled_images(o.folder, o.labels, c.labels);
  if (!c.labels.empty()) return data;
  if (!are_indices(data.class_names)) {
    check_order(data, c.classes, o.labels);
    return data;
  }
  TL_CHECK(static_cast<Index>(data.class_names.size()) <= c.classes, "labels file '", o.labels.string(),
           "' has class ", data.class_names.back(), ", but the network has ", counted(c.classes, "output"),
           ", counted from 0");
  for (auto i = static_cast<Index>(data.class_names.size()); i < c.classes; ++i)
    data.class_names.push_back(std::to_string(i));
  return data;
}

tl::data::Dataset read_images(const Options& o, const Classifier& c) {
  if (!o.labels.empty()) return labelled(o, c);
  tl::data::ImageFolder folder = tl::data::image_folder(o.folder);
  const bool set_apart = !folder.valid.empty();
  tl::data::Dataset data = std::move(set_apart ? folder.valid : folder.train);
  if (c.labels.empty()) {
    check_order(data, c.classes, o.folder);
  } else {
    data = tl::data::with_classes(data, c.labels);
  }
  for (const std::string& text : folder.notes) note(text);
  if (set_apart) note("'" + o.folder.string() + "' sets validation images apart: only they count");
  return data;
}

Json to_json(const Options& o, const Classifier& c, const tl::data::Loader& loader,
             const tl::train::Evaluation& e) {
  Json classes = Json::array(), matrix = Json::array();
  for (Index label = 0; label < e.classes(); ++label) {
    const tl::train::ClassFigures f = e.figures(label);
    classes.push_back({{"label", loader.dataset().class_names[static_cast<std::size_t>(label)]},
                       {"images", f.images},
                       {"predicted", f.predicted},
                       {"correct", f.correct},
                       {"recall", f.recall()},
                       {"precision", f.precision()},
                       {"f1", f.f1()}});
    std::vector<Index> row;
    for (Index predicted = 0; predicted < e.classes(); ++predicted)
      row.push_back(e.confusion(label, predicted));
    matrix.push_back(std::move(row));
  }
  Json json{{"model", o.model.string()},
            {"folder", o.folder.string()},
            {"preprocess", c.preprocess.to_string()},
            {"images", e.count()},
            {"skipped", loader.skipped().size()},
            {"correct", e.correct()},
            {"accuracy", e.accuracy()},
            {"balanced_accuracy", e.balanced_accuracy()}};
  if (e.classes() > 5) json["top5_accuracy"] = e.top5_accuracy();
  json["classes"] = std::move(classes);
  json["confusion"] = std::move(matrix);
  return json;
}

void print_classes(const tl::train::Evaluation& e, const std::vector<std::string>& names) {
  Table table(1, {"class", "images", "recall", "precision", "F1"});
  for (Index label = 0; label < e.classes(); ++label) {
    const tl::train::ClassFigures f = e.figures(label);
    if (f.images == 0 && f.predicted == 0) continue;
    table.add({printable(names[static_cast<std::size_t>(label)]), grouped(f.images),
               f.images > 0 ? percent(f.recall()) : "-", f.predicted > 0 ? percent(f.precision()) : "-",
               fixed(f.f1(), 3)});
  }
  std::cout << '\n' << table;
}

void print_matrix(const tl::train::Evaluation& e, const std::vector<std::string>& names) {
  std::vector<std::string> headings{"true \\ predicted"};
  for (Index i = 0; i < e.classes(); ++i) headings.push_back(std::to_string(i));
  Table table(1, headings);
  for (Index label = 0; label < e.classes(); ++label) {
    std::vector<std::string> row{std::to_string(label) + " " +
                                 printable(names[static_cast<std::size_t>(label)])};
    for (Index predicted = 0; predicted < e.classes(); ++predicted)
      row.push_back(std::to_string(e.confusion(label, predicted)));
    table.add(std::move(row));
  }
  std::cout << '\n' << table;
}

void print_most_confused(const tl::train::Evaluation& e, const std::vector<std::string>& names) {
  constexpr std::size_t shown = 15;
  const std::vector<tl::train::Confusion> list = tl::train::confusions(e);
  if (list.empty()) return;
  Table table(2, {"true", "predicted", "images"});
  for (std::size_t i = 0; i < std::min(shown, list.size()); ++i) {
    table.add({printable(names[static_cast<std::size_t>(list[i].label)]),
               printable(names[static_cast<std::size_t>(list[i].predicted)]), grouped(list[i].count)});
  }
  std::cout << "\nmost often confused, of " << counted(static_cast<Index>(list.size()), "pair") << ":\n"
            << table;
}

void print(const tl::data::Loader& loader, const tl::train::Evaluation& e) {
  constexpr Index few = 20;
  const std::vector<std::string>& names = loader.dataset().class_names;
  print_classes(e, names);
  if (e.classes() <= few) {
    print_matrix(e, names);
  } else {
    print_most_confused(e, names);
  }
  std::cout << "\naccuracy  " << percent(e.accuracy()) << " (" << grouped(e.correct()) << " of "
            << counted(e.count(), "image") << "; mean over classes " << percent(e.balanced_accuracy())
            << ")\n";
  if (e.classes() > 5) std::cout << "top-5     " << percent(e.top5_accuracy()) << '\n';
}

void evaluate(const Options& o) {
  use_threads(o.threads);
  const Classifier c = open_classifier(o.model, o.preprocess);
  const tl::data::Loader loader = open_images(c, read_images(o, c), false, o.threads);
  Progress progress("evaluating", loader.dataset().size());
  SkippedReport skipped;
  const tl::train::Evaluation e =
      tl::train::evaluate(*c.model, loader, [&](const tl::train::Evaluation& so_far) {
        skipped.tell(loader, progress);
        progress.update(so_far.count(), "accuracy " + percent(so_far.accuracy()));
      });
  skipped.finish(loader, progress);
  if (o.json) {
    print_json(to_json(o, c, loader, e));
  } else {
    print(loader, e);
  }
}

}  // namespace

void add_evaluate(CLI::App& app, Command& chosen) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("evaluate", "Accuracy on images whose classes are known");
  add_model(*command, o->model);
  command->add_option("FOLDER", o->folder, "one folder of images a class, or any with --labels")
      ->required()
      ->type_name("FOLDER");
  command->add_option("--labels", o->labels, "lines \"path,class\"; a class is a name or an index")
      ->type_name("FILE");
  add_preprocess(*command, o->preprocess);
  command->add_flag("--json", o->json, "one JSON document on standard output");
  add_threads(*command, o->threads);
  command->footer("Example: tl evaluate animals.onnx animals/valid");
  command->callback([o, &chosen] { chosen = [o] { evaluate(*o); }; });
}

}  // namespace program
