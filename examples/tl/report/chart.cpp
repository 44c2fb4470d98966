// Charts of a report; see chart.hpp.
#include "chart.hpp"

#include <algorithm>
#include <cmath>

#include "../common.hpp"
#include "../svg.hpp"
#include "html.hpp"

namespace program::report {

namespace {

/// From values to the picture's pixels, between the outermost ticks.
struct Axes {
  static constexpr double width = 460, height = 270, left = 54, right = 24, top = 40, bottom = 44;
  std::vector<double> x_ticks, y_ticks;
  bool x_percent = false, y_percent = false;  ///< shares of 1, to be written as such

  double x(double value) const {
    const double share = (value - x_ticks.front()) / (x_ticks.back() - x_ticks.front());
    return left + (width - left - right) * share;
  }
  double y(double value) const {
    const double share = (value - y_ticks.front()) / (y_ticks.back() - y_ticks.front());
    return height - bottom - (height - top - bottom) * share;
  }
};

std::string number(double value, double step, bool percent) {
  return percent ? svg::tick_text(100 * value, 100 * step) + " %" : svg::tick_text(value, step);
}

/// Grid, numbers and the name of the x axis.
std::string draw(const Axes& a, const std::string& x_name) {
  std::string text;
  const double floor = a.y(a.y_ticks.front()), end = Axes::width - Axes::right;
  for (const double y : a.y_ticks) {
    text +=
        svg::line(Axes::left, a.y(y), end, a.y(y), "class=\"grid\"") +
        svg::label(Axes::left - 6, a.y(y) + 4, "end", number(y, a.y_ticks[1] - a.y_ticks[0], a.y_percent));
  }
  for (const double x : a.x_ticks)
    text += svg::label(a.x(x), floor + 17, "middle", number(x, a.x_ticks[1] - a.x_ticks[0], a.x_percent));
  return text + svg::label((Axes::left + end) / 2, Axes::height - 8, "middle", escape(x_name));
}

/// An SVG element with a title and a description for screen readers.
std::string picture_of(const std::string& id, const std::string& title, const std::string& description,
                       const std::string& content) {
  return "<svg viewBox=\"0 0 " + fixed(Axes::width, 0) + " " + fixed(Axes::height, 0) +
         "\" role=\"img\" aria-labelledby=\"" + id + "-title " + id + "-text\">\n<title id=\"" + id +
         "-title\">" + escape(title) + "</title>\n<desc id=\"" + id + "-text\">" + escape(description) +
         "</desc>\n" + content + "</svg>\n";
}

std::string chart_figure(const std::string& picture, const std::string& title, const std::string& description,
                         const Table& table) {
  return "<div><figure>\n" + picture + "<figcaption><b>" + escape(title) + ".</b> " + escape(description) +
         "</figcaption>\n</figure>\n" + details("The numbers", table.html()) + "</div>\n";
}

std::pair<double, double> range_of(const std::vector<Series>& series, std::vector<double> Series::*values) {
  double low = INFINITY, high = -INFINITY;
  for (const Series& s : series) {
    for (const double v : s.*values) {
      low = std::min(low, v);
      high = std::max(high, v);
    }
  }
  return {low, high};
}

/// Every so many points, and the last one, so that at most about `most` are left.
std::vector<std::size_t> thinned(std::size_t count, std::size_t most) {
  std::vector<std::size_t> kept;
  const std::size_t step = std::max<std::size_t>(1, count / most);
  for (std::size_t i = 0; i < count; i += step) kept.push_back(i);
  if (!kept.empty() && kept.back() + 1 != count) kept.push_back(count - 1);
  return kept;
}

std::string curve(const Axes& a, const Series& s, std::size_t index) {
  const std::string name = "class=\"series-" + std::to_string(index) + "\"";
  std::vector<std::pair<double, double>> points;
  for (const std::size_t i : thinned(s.x.size(), 300)) points.emplace_back(a.x(s.x[i]), a.y(s.y[i]));
  std::string text = svg::polyline(points, name);
  for (const auto& [x, y] : points) {
    if (points.size() <= 30)
      text += "<circle cx=\"" + fixed(x, 1) + "\" cy=\"" + fixed(y, 1) + "\" r=\"2\" " + name + "/>\n";
  }
  return text;
}

/// The names of the curves, above the picture, each with a piece of its line.
std::string legend(const std::vector<Series>& series) {
  std::string text;
  double x = Axes::left;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const std::string name = "class=\"series-" + std::to_string(i) + "\"";
    text += svg::line(x, 12, x + 26, 12, name) + "<text " + name + " x=\"" + fixed(x + 32, 1) +
            "\" y=\"16\">" + escape(series[i].name) + "</text>\n";
    x += 60 + 7.5 * static_cast<double>(series[i].name.size());
  }
  return text;
}

Table numbers_of(const Chart& chart, double step) {
  std::vector<std::string> headings{chart.x_name};
  for (const Series& s : chart.series) headings.push_back(s.name);
  Table table(0, chart.title, headings);
  const std::vector<double>& x = chart.series[0].x;
  for (const std::size_t i : thinned(x.size(), 30)) {
    std::vector<std::string> row{fixed(x[i], chart.whole ? 0 : 2)};
    for (const Series& s : chart.series) row.push_back(number(s.y[i], step / 100, chart.percent));
    table.add(std::move(row));
  }
  return table;
}

}  // namespace

std::string line_chart(const Chart& chart) {
  const auto [first, last] = range_of(chart.series, &Series::x);
  const auto [low, high] = range_of(chart.series, &Series::y);
  const Axes a{svg::ticks(first, last, 6, chart.whole ? 1 : 0), svg::ticks(low, high, 4), false,
               chart.percent};
  std::string content = draw(a, chart.x_name) + legend(chart.series);
  if (chart.mark >= 0) {
    const double x = a.x(chart.mark);
    content += svg::line(x, Axes::top, x, a.y(a.y_ticks.front()), "class=\"mark\"") +
               svg::label(x, Axes::top - 5, "middle", escape(chart.mark_name));
  }
  for (std::size_t i = 0; i < chart.series.size(); ++i) content += curve(a, chart.series[i], i);
  return chart_figure(picture_of(chart.id, chart.title, chart.description, content), chart.title,
                      chart.description, numbers_of(chart, a.y_ticks[1] - a.y_ticks[0]));
}

std::string reliability_diagram(const tl::train::Calibration& calibration) {
  const std::vector<tl::train::CalibrationBin>& bins = calibration.bins();
  const Axes a{svg::ticks(0, 1, 5), svg::ticks(0, 1, 5), true, true};
  const std::string title = "Accuracy by confidence";
  const std::string description =
      "A bar for the photos of each tenth of confidence, as high as the share of them that is right. Where "
      "bars end below the dashed line, the network is surer than it should be; above it, less sure.";
  Table table(0, title, {"confidence", "photos", "mean confidence", "right"});
  std::string content = draw(a, "confidence");
  const double width = 1 / static_cast<double>(bins.size());
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const double from = width * static_cast<double>(i), right = bins[i].accuracy();
    const bool empty = bins[i].images == 0;
    table.add({fixed(100 * from, 0) + " to " + fixed(100 * (from + width), 0) + " %", grouped(bins[i].images),
               empty ? "-" : percent(bins[i].confidence()), empty ? "-" : percent(right)});
    if (empty) continue;
    content += "<rect class=\"bar\" x=\"" + fixed(a.x(from) + 1, 1) + "\" y=\"" + fixed(a.y(right), 1) +
               "\" width=\"" + fixed(a.x(from + width) - a.x(from) - 2, 1) + "\" height=\"" +
               fixed(a.y(0) - a.y(right), 1) + "\"/>\n";
    content += svg::label(a.x(from + width / 2), a.y(right) - 4, "middle", grouped(bins[i].images));
  }
  content += svg::line(a.x(0), a.y(0), a.x(1), a.y(1), "class=\"series-1\"");
  return chart_figure(picture_of("reliability", title, description, content), title,
                      description + " The number above a bar is that of its photos.", table);
}

}  // namespace program::report
