// Plots of a rate sweep; see lr_plot.hpp.
#include "lr_plot.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "common.hpp"
#include "svg.hpp"

namespace program {

namespace {

std::string scientific(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", value);
  return text;
}

/// From rates and losses to the picture's pixels.
struct Axes {
  static constexpr double width = 640, height = 400, left = 60, right = 20, top = 20, bottom = 50;
  double first, last;  ///< of the rates, as powers of ten
  double low, high;    ///< of the losses

  double x(double rate) const {
    return left + (width - left - right) * (std::log10(rate) - first) / (last - first);
  }
  double y(double loss) const {
    const double share = (std::clamp(loss, low, high) - low) / (high - low);
    return height - bottom - (height - top - bottom) * share;
  }
};

Axes axes_of(const tl::train::LrCurve& curve) {
  const auto less = [](const auto& a, const auto& b) { return a.smoothed < b.smoothed; };
  const auto [lowest, highest] = std::minmax_element(curve.points.begin(), curve.points.end(), less);
  // Beyond twice the first loss there is nothing to see.
  const double high = std::min(highest->smoothed, 2 * curve.points.front().smoothed);
  const double first = std::log10(curve.points.front().rate), last = std::log10(curve.points.back().rate);
  return {first, std::max(last, first + 1), lowest->smoothed, std::max(high, lowest->smoothed + 1e-9)};
}

}  // namespace

std::string text_plot(const tl::train::LrCurve& curve) {
  const std::size_t count = curve.points.size(), every = (count + 24) / 25;
  const Axes axes = axes_of(curve);
  std::string text = "rate     loss\n";
  for (std::size_t i = 0; i < count; i += every) {
    const tl::train::LrPoint& p = curve.points[i];
    const double share = (std::clamp(p.smoothed, axes.low, axes.high) - axes.low) / (axes.high - axes.low);
    text += scientific(p.rate) + "  " + fixed(p.smoothed, 4) + "  " +
            std::string(static_cast<std::size_t>(std::lround(50 * share)), '#') + "\n";
  }
  return text;
}

std::string svg_plot(const tl::train::LrCurve& curve) {
  using svg::label, svg::line;
  const Axes a = axes_of(curve);
  const double floor = a.y(a.low), right = Axes::width - Axes::right;
  const std::string grid = "stroke=\"#ddd\"";
  std::string picture =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"400\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  for (int power = static_cast<int>(std::ceil(a.first - 1e-9)); power <= a.last + 1e-9; ++power) {
    const double x = a.x(std::pow(10, power));
    picture +=
        line(x, Axes::top, x, floor, grid) + label(x, floor + 18, "middle", "1e" + std::to_string(power));
  }
  for (int i = 0; i <= 4; ++i) {
    const double loss = a.low + (a.high - a.low) * i / 4;
    picture += line(Axes::left, a.y(loss), right, a.y(loss), grid) +
               label(Axes::left - 6, a.y(loss) + 4, "end", fixed(loss, 3));
  }
  picture += label((Axes::left + right) / 2, Axes::height - 10, "middle", "learning rate") +
             label(Axes::left, Axes::top - 6, "end", "loss");
  std::vector<std::pair<double, double>> points;
  for (const tl::train::LrPoint& p : curve.points) points.emplace_back(a.x(p.rate), a.y(p.smoothed));
  picture += svg::polyline(points, "stroke=\"#1f5fa8\" stroke-width=\"2\"");
  const std::pair<double, std::string> marks[] = {{curve.steepest, "steepest"},
                                                  {curve.tenth, "a tenth of the minimum"}};
  double at = Axes::top + 14;
  for (const auto& [rate, name] : marks) {
    const double x = std::clamp(a.x(rate), Axes::left, right);
    picture += line(x, Axes::top, x, floor, "stroke=\"#c0392b\" stroke-dasharray=\"4\"") +
               label(x + 4, at, "start", name + " " + scientific(rate));
    at += 16;
  }
  return picture + "</svg>\n";
}

}  // namespace program
