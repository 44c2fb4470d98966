// Pieces of SVG pictures; see svg.hpp.
#include "svg.hpp"

#include <algorithm>
#include <cmath>

#include "common.hpp"

namespace program::svg {

std::string line(double x1, double y1, double x2, double y2, const std::string& style) {
  return "<line x1=\"" + fixed(x1, 1) + "\" y1=\"" + fixed(y1, 1) + "\" x2=\"" + fixed(x2, 1) + "\" y2=\"" +
         fixed(y2, 1) + "\" " + style + "/>\n";
}

std::string label(double x, double y, const std::string& anchor, const std::string& text) {
  return "<text x=\"" + fixed(x, 1) + "\" y=\"" + fixed(y, 1) + "\" text-anchor=\"" + anchor + "\">" + text +
         "</text>\n";
}

std::string polyline(const std::vector<std::pair<double, double>>& points, const std::string& style) {
  std::string text = "<polyline fill=\"none\" " + style + " points=\"";
  for (const auto& [x, y] : points) text += fixed(x, 1) + "," + fixed(y, 1) + " ";
  return text + "\"/>\n";
}

std::vector<double> ticks(double low, double high, int count, double least_step) {
  if (!(high > low)) high = low + 1;
  const double rough = std::max((high - low) / count, least_step),
               power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double nice : {1.0, 2.0, 5.0}) {
    if (nice * power >= rough * (1 - 1e-9)) {
      step = nice * power;
      break;
    }
  }
  std::vector<double> all;
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  for (double k = first; k <= last; ++k) all.push_back(k * step);
  return all;
}

std::string tick_text(double value, double step) {
  return fixed(value, std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9))));
}

}  // namespace program::svg
