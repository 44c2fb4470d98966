// Sections about the training: its course, what was frozen, what the features were worth, and how it was run.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <thread>

#include <sys/utsname.h>

#include <tl/core/parallel.hpp>
#include <tl/kernels/isa.hpp>

#include "../common.hpp"
#include "chart.hpp"
#include "sections.hpp"

namespace program::report {

namespace {

using tl::train::EpochReport;

/// The processor as Linux names it, with the system; no name of the machine or of a person.
std::string machine() {
  std::string processor = "unknown processor";
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (!line.starts_with("model name") || colon == std::string::npos) continue;
    processor = line.substr(colon + 2);
    break;
  }
  utsname system{};
  const bool known = ::uname(&system) == 0;
  return processor + ", " + counted(static_cast<Index>(std::thread::hardware_concurrency()), "processor") +
         (known ? std::string(", ") + system.sysname + " " + system.machine : "");
}

/// "2026-03-01 12:30 UTC".
std::string date_of(std::chrono::system_clock::time_point when) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm parts{};
  char text[32] = "";
  if (::gmtime_r(&seconds, &parts) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

/// The words as a shell takes them.
std::string shell_line(const std::vector<std::string>& words) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,%+@";
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

std::string table_of(const std::string& caption,
                     const std::vector<std::pair<std::string, std::string>>& rows) {
  Table table(2, caption, {"what", "value"});
  for (const auto& [name, value] : rows) table.add({name, value});
  return table.html();
}

Series by_epoch(const std::string& name, const std::vector<EpochReport>& history,
                double (*value)(const EpochReport&)) {
  Series series{name};
  for (const EpochReport& r : history) {
    series.x.push_back(static_cast<double>(r.epoch + 1));
    series.y.push_back(value(r));
  }
  return series;
}

Chart rate_chart(const Findings& f) {
  Series rate{"learning rate of the head"};
  for (const tl::train::StepReport& s : f.training.steps) {
    rate.x.push_back(static_cast<double>(s.epoch) +
                     static_cast<double>(s.batch) / static_cast<double>(std::max<Index>(1, s.batches)));
    rate.y.push_back(f.result.lr * s.rate_factor);
  }
  return {
      .id = "rate",
      .title = "Learning rate",
      .description =
          "It rises, and then falls towards the last epoch. Other layers that are trained get a share of it.",
      .x_name = "epochs",
      .series = {rate}};
}

}  // namespace

Section course_section(const Findings& f) {
  const std::vector<EpochReport>& history = f.result.history;
  Section section{"course", "Course of the training", {}};
  if (history.empty()) {
    section.html = paragraph(
        "The last layer was computed from the features before it, without epochs: there are no curves.");
    return section;
  }
  Chart loss{.id = "loss",
             .title = "Loss",
             .description =
                 "The mean loss of every epoch: in training on photos as they were varied and on "
                 "smoothed labels, where there are such, and on the photos held out. Where the second "
                 "one rises while the first one falls, the network learns photos by heart.",
             .x_name = "epoch"};
  loss.series = {by_epoch("training", history, [](const EpochReport& r) { return r.loss; }),
                 by_epoch("validation", history, [](const EpochReport& r) { return r.valid->loss(); })};
  Chart accuracy{.id = "accuracy",
                 .title = "Accuracy",
                 .description = "The share of photos whose class was found, in every epoch.",
                 .x_name = "epoch",
                 .series = {},
                 .percent = true};
  accuracy.series = {
      by_epoch("training", history, [](const EpochReport& r) { return r.accuracy; }),
      by_epoch("validation", history, [](const EpochReport& r) { return r.valid->accuracy(); })};
  for (Chart* chart : {&loss, &accuracy}) {
    chart->whole = true;
    if (f.result.kept_epoch) {
      chart->mark = static_cast<double>(*f.result.kept_epoch + 1);
      chart->mark_name = "kept";
    }
  }
  std::string kept = f.result.kept_epoch
                         ? "The network is that of epoch " + std::to_string(*f.result.kept_epoch + 1) +
                               " of " + std::to_string(history.size()) + "."
                         : "The network is the one before the first epoch, with the head alone trained: no "
                           "epoch was better on the validation.";
  if (f.training.best_epoch)
    kept +=
        " The photos held out have chosen it: their figures are a little too good, the more so the fewer "
        "they are.";
  section.html = "<div class=\"charts\">\n" + line_chart(loss) + line_chart(accuracy) +
                 line_chart(rate_chart(f)) + "<div>" + paragraph(kept) + "</div>\n</div>\n";
  return section;
}

Section frozen_section(const Findings& f) {
  Section section{"frozen", "What was trained, and what was frozen", {}};
  section.html = table_of("The plan of --method " + f.training.method, lines_of(f.training.plan));
  if (!f.result.frozen_hash.empty()) {
    section.html += paragraph(
        "The frozen part was the same before and after: " + counted(f.result.frozen_tensors, "tensor") +
        " of SHA-256 " + f.result.frozen_hash);
  }
  return section;
}

Section probe_section(const Findings& f) {
  Section section{"probe", "What the features were worth before", {}};
  if (!f.training.probe) {
    section.html = paragraph(f.result.history.empty() ? "The last layer was computed from them and nothing "
                                                        "else was trained: the accuracy above is what "
                                                        "they are worth."
                                                      : "Not measured: that needs features that are computed "
                                                        "once before the head is trained, and not too "
                                                        "many of them.");
    return section;
  }
  Table table(1, "Validation photos that are right", {"classifier", "right"});
  table.add({"ridge regression on the pretrained features", percent(f.training.probe->ridge)});
  table.add({"nearest neighbours on the pretrained features", percent(f.training.probe->neighbours)});
  table.add({"the network after this training", percent(f.figures.accuracy())});
  section.html = table.html() +
                 paragraph(
                     "Where the first two come near the last one, --method features or head will do; where "
                     "they are far below, the layers below the head had to learn too.");
  return section;
}

Section run_section(const Findings& f) {
  const Training& t = f.training;
  double seconds = 0;
  for (const EpochReport& r : f.result.history) seconds += r.seconds;
  const std::chrono::duration<double> whole = std::chrono::system_clock::now() - t.begin;
  std::vector<std::pair<std::string, std::string>> rows{
      {"program", "tl " TL_VERSION},
      {"begun", date_of(t.begin)},
      {"pretrained network", t.weights.string()},
      {"photos", t.folder.string()},
      {"written", t.out.string()},
      {"trained on", counted(f.result.train_set.size(), "photo")},
      {"validated with", counted(f.result.valid_set.size(), "photo")},
      {"preprocessing", f.result.preprocess.to_string()},
      {"method", t.method},
      {"seed", std::to_string(t.seed)},
      {"machine", machine()},
      {"instruction set", std::string(tl::kernels::name_of(tl::kernels::active_isa()))},
      {"threads", std::to_string(tl::num_threads())}};
  if (!f.result.history.empty()) {
    rows.emplace_back("optimiser", t.optimiser);
    rows.emplace_back("highest learning rate of the head", tl::concat(f.result.lr));
    rows.emplace_back("time of the last stage's epochs, without validation", fixed(seconds, 1) + " s");
  }
  rows.emplace_back("time of everything, with this report", fixed(whole.count(), 1) + " s");
  if (!f.result.skipped.empty())
    rows.emplace_back("left out",
                      counted(static_cast<Index>(f.result.skipped.size()), "image") + " that cannot be read");
  Section section{"run", "What was run", "<pre><code>" + escape(shell_line(t.command)) + "</code></pre>\n"};
  section.html += table_of("The run", rows);
  if (t.notes.empty()) return section;
  std::string list = "<ul>\n";
  for (const std::string& note : t.notes) list += "<li>" + escape(note) + "</li>\n";
  section.html += details("What was said on the way", list + "</ul>\n");
  return section;
}

}  // namespace program::report
