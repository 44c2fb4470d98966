// Sections of figures about the photos that validated: by class, mistakes, and calibration.
#include <algorithm>

#include "../common.hpp"
#include "chart.hpp"
#include "sections.hpp"

namespace program::report {

namespace {

/// A cell of the confusion matrix, blue where right and orange where wrong, the stronger the larger its share
/// of the row.
std::string matrix_cell(Index count, Index row_sum, bool right) {
  if (count == 0) return "<td class=\"none\">0</td>";
  const double share = static_cast<double>(count) / static_cast<double>(row_sum);
  const std::string colour = (right ? "60,130,210," : "225,120,40,") + fixed(0.1 + 0.45 * share, 2);
  return "<td style=\"background:rgba(" + colour + ")\">" + grouped(count) + "</td>";
}

/// Rows are true classes, columns what they were taken for. Columns are numbered, to be narrow.
std::string matrix(const Findings& f) {
  const tl::train::Evaluation& e = f.figures;
  const std::string caption =
      "Photos of each true class (rows), by the class they were given (columns, by number)";
  std::string text = "<table class=\"matrix\">\n<caption>" + caption +
                     "</caption>\n<thead><tr><th scope=\"col\">true class</th>";
  for (Index c = 0; c < e.classes(); ++c) {
    const std::string name = escape(f.class_name(c));
    text += "<th scope=\"col\"><abbr title=\"" + name + "\">" + std::to_string(c + 1) + "</abbr></th>";
  }
  text += "</tr></thead>\n<tbody>\n";
  for (Index label = 0; label < e.classes(); ++label) {
    text +=
        "<tr><th scope=\"row\">" + std::to_string(label + 1) + " " + escape(f.class_name(label)) + "</th>";
    const Index images = e.figures(label).images;
    for (Index c = 0; c < e.classes(); ++c) text += matrix_cell(e.confusion(label, c), images, c == label);
    text += "</tr>\n";
  }
  return scrollable(caption, text + "</tbody>\n</table>");
}

}  // namespace

Section classes_section(const Findings& f) {
  const std::vector<Index> trained = f.result.train_set.class_counts();
  Table table(1, "Precision, recall and F1 of each class",
              {"class", "trained on", "validated with", "right", "recall", "precision", "F1"});
  for (Index c = 0; c < f.figures.classes(); ++c) {
    const tl::train::ClassFigures one = f.figures.figures(c);
    table.add({f.class_name(c), grouped(trained[static_cast<std::size_t>(c)]), grouped(one.images),
               grouped(one.correct), one.images > 0 ? percent(one.recall()) : "-",
               one.predicted > 0 ? percent(one.precision()) : "-", fixed(one.f1(), 3)});
  }
  return {
      "classes", "Classes",
      paragraph(
          "Recall: the share of a class's photos that were found. Precision: the share of the photos given "
          "a class that are of it. F1 is the harmonic mean of both.") +
          table.html()};
}

Section confusion_section(const Findings& f) {
  constexpr Index largest_matrix = 30;
  constexpr std::size_t most_pairs = 10;
  Section section{"confusion", "What was taken for what", {}};
  const std::vector<tl::train::Confusion> pairs = tl::train::confusions(f.figures);
  if (f.figures.classes() <= largest_matrix) section.html = matrix(f);
  if (pairs.empty()) {
    section.html += paragraph("No photo was taken for another class.");
    return section;
  }
  Table table(2, "Most often confused, of " + counted(static_cast<Index>(pairs.size()), "pair"),
              {"true class", "taken for", "photos"});
  for (std::size_t i = 0; i < std::min(pairs.size(), most_pairs); ++i)
    table.add({f.class_name(pairs[i].label), f.class_name(pairs[i].predicted), grouped(pairs[i].count)});
  section.html += table.html();
  return section;
}

Section calibration_section(const Findings& f) {
  return {"calibration", "Whether it is right as often as it says",
          "<div class=\"charts\">\n" + reliability_diagram(f.calibration) + "<div>" +
              paragraph("The expected calibration error is " + percent(f.calibration.error()) +
                        ": by so much confidence and accuracy differ, on average over the photos.") +
              paragraph(
                  "Smoothed labels and mixup teach a network to be less sure: bars above the line are usual "
                  "then. Bars of few photos say little.") +
              "</div>\n</div>\n"};
}

}  // namespace program::report
