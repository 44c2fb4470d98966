// The report of tl finetune; see report.hpp.
#include "report.hpp"

#include "../common.hpp"
#include "sections.hpp"

namespace program::report {

namespace {

std::vector<tl::train::Prediction> judged(tl::Model<float>& model, const tl::train::FineTuneResult& result) {
  const tl::data::Loader photos(result.valid_set, result.preprocess, {.batch_size = 16});
  return tl::train::predictions(model, photos);
}

/// The folder's own name, whether a slash follows it or not.
std::string name_of(const std::filesystem::path& folder) {
  return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
}

std::string tile(const std::string& name, const std::string& value) {
  return "<div><dt>" + escape(name) + "</dt><dd>" + escape(value) + "</dd></div>\n";
}

}  // namespace

std::string summary(const Findings& f) {
  const tl::train::Evaluation& e = f.figures;
  std::string tiles = tile("right of " + counted(e.count(), "validation photo"), percent(e.accuracy())) +
                      tile("mean over the classes", percent(e.balanced_accuracy()));
  if (e.classes() > 5) tiles += tile("among the first five", percent(e.top5_accuracy()));
  tiles += tile("validation loss", fixed(e.loss(), 3)) +
           tile("calibration error", percent(f.calibration.error())) +
           tile("photos trained on", grouped(f.result.train_set.size())) +
           tile("classes", grouped(e.classes())) +
           tile("parameters trained", grouped(f.result.trained_elements));
  return "<dl class=\"tiles\">\n" + tiles + "</dl>\n";
}

std::string html(tl::Model<float>& model, const tl::train::FineTuneResult& result, const Training& training) {
  Findings f{model,
             result,
             training,
             judged(model, result),
             tl::train::Evaluation(static_cast<Index>(result.train_set.class_names.size())),
             tl::train::Calibration()};
  for (const tl::train::Prediction& p : f.predictions) f.figures.add(p);
  f.calibration = tl::train::Calibration(f.predictions);
  return page(
      "Fine-tuning on " + name_of(training.folder), summary(f),
      {course_section(f), classes_section(f), confusion_section(f), calibration_section(f), losses_section(f),
       attention_section(f), augmented_section(f), probe_section(f), frozen_section(f), run_section(f)});
}

}  // namespace program::report
