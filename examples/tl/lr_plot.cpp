// Plots of a rate sweep; see lr_plot.hpp.
#include "lr_plot.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "common.hpp"

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

std::string line(double x1, double y1, double x2, double y2, const std::string& style) {
  return "<line x1=\"" + fixed(x1, 1) + "\" y1=\"" + fixed(y1, 1) + "\" x2=\"" + fixed(x2, 1) + "\" y2=\"" +
         fixed(y2, 1) + "\" " + style + "/>\n";
}

std::string label(double x, double y, const std::string& anchor, const std::string& text) {
  return "<text x=\"" + fixed(x, 1) + "\" y=\"" + fixed(y, 1) + "\" text-anchor=\"" + anchor + "\">" + text +
         "</text>\n";
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
  const Axes a = axes_of(curve);
  const double floor = a.y(a.low), right = Axes::width - Axes::right;
  const std::string grid = "stroke=\"#ddd\"";
  std::string svg =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"400\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  for (int power = static_cast<int>(std::ceil(a.first - 1e-9)); power <= a.last + 1e-9; ++power) {
    const double x = a.x(std::pow(10, power));
    svg += line(x, Axes::top, x, floor, grid) + label(x, floor + 18, "middle", "1e" + std::to_string(power));
  }
  for (int i = 0; i <= 4; ++i) {
    const double loss = a.low + (a.high - a.low) * i / 4;
    svg += line(Axes::left, a.y(loss), right, a.y(loss), grid) +
           label(Axes::left - 6, a.y(loss) + 4, "end", fixed(loss, 3));
  }
  svg += label((Axes::left + right) / 2, Axes::height - 10, "middle", "learning rate") +
         label(Axes::left, Axes::top - 6, "end", "loss");
  svg += "<polyline fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2\" points=\"";
  for (const tl::train::LrPoint& p : curve.points)
    svg += fixed(a.x(p.rate), 1) + "," + fixed(a.y(p.smoothed), 1) + " ";
  svg += "\"/>\n";
  const std::pair<double, std::string> marks[] = {{curve.steepest, "steepest"},
                                                  {curve.tenth, "a tenth of the minimum"}};
  double at = Axes::top + 14;
  for (const auto& [rate, name] : marks) {
    const double x = std::clamp(a.x(rate), Axes::left, right);
    svg += line(x, Axes::top, x, floor, "stroke=\"#c0392b\" stroke-dasharray=\"4\"") +
           label(x + 4, at, "start", name + " " + scientific(rate));
    at += 16;
  }
  return svg + "</svg>\n";
}

}  // namespace program
