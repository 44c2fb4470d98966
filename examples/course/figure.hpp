// Figures of the course: curves over a common axis, as an .svg file that reads well in light and dark.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <tl/core/file.hpp>

namespace course {

class Figure {
 public:
  Figure(std::string title, std::string x_label, std::string y_label)
      : title_(std::move(title)), x_label_(std::move(x_label)), y_label_(std::move(y_label)) {}

  /// A curve through points, or with `dots` the points alone.
  void add(std::string name, std::vector<std::pair<double, double>> points, bool dots = false) {
    curves_.push_back({std::move(name), std::move(points), dots});
  }
  /// Horizontal axis by powers of ten; every x must be above 0.
  void logarithmic() { logarithmic_ = true; }
  /// Moves the legend down by this much of the height, out of the way of a curve.
  void lower_legend(double share) { legend_ = share; }

  void write(const std::filesystem::path& path) const { tl::write_file_atomically(path, svg()); }

 private:
  struct Curve {
    std::string name;
    std::vector<std::pair<double, double>> points;
    bool dots;
  };
  static constexpr double width = 640, height = 360, left = 64, right = 16, top = 40, bottom = 48;

  std::string svg() const {
    double x_low = 1e300, x_high = -1e300, y_low = 1e300, y_high = -1e300;
    for (const Curve& curve : curves_) {
      for (const auto& [x, y] : curve.points) {
        x_low = std::min(x_low, along(x)), x_high = std::max(x_high, along(x));
        y_low = std::min(y_low, y), y_high = std::max(y_high, y);
      }
    }
    if (x_low == x_high) ++x_high;
    if (y_low == y_high) ++y_high;
    const double y_step = step_of(y_high - y_low);
    y_low = std::floor(y_low / y_step) * y_step, y_high = std::ceil(y_high / y_step) * y_step;
    const auto place_x = [&](double v) {
      return left + (v - x_low) / (x_high - x_low) * (width - left - right);
    };
    const auto place_y = [&](double v) {
      return height - bottom - (v - y_low) / (y_high - y_low) * (height - top - bottom);
    };
    std::string out =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 360\" font-family=\"sans-serif\" "
        "font-size=\"13\">\n<rect width=\"640\" height=\"360\" fill=\"#fff\"/>\n";
    out += text(width / 2, 22, "middle", title_, "font-weight=\"bold\" ");
    out += text(width / 2, height - 8, "middle", x_label_);
    out += "<g transform=\"translate(16 190) rotate(-90)\">" + text(0, 0, "middle", y_label_) + "</g>\n";
    for (double y = y_low; y < y_high + y_step / 2; y += y_step) {
      out += line(left, place_y(y), width - right, place_y(y), "#ddd");
      out += text(left - 6, place_y(y) + 4, "end", number(y, y_step));
    }
    const double x_step =
        logarithmic_ ? std::max(1.0, std::ceil((x_high - x_low) / 8)) : step_of(x_high - x_low);
    for (double x = std::ceil(x_low / x_step - 1e-9) * x_step; x < x_high + x_step * 1e-9; x += x_step) {
      out += line(place_x(x), height - bottom, place_x(x), height - bottom + 5, "#333");
      out += text(place_x(x), height - bottom + 19, "middle",
                  logarithmic_ ? "1e" + number(x, 1) : number(x, x_step));
    }
    out += line(left, height - bottom, width - right, height - bottom, "#333");
    constexpr std::array colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"};
    double legend = top + 12 + legend_ * (height - top - bottom);
    for (std::size_t i = 0; i < curves_.size(); ++i) {
      const std::string colour = colours[i % colours.size()];
      std::string points;
      for (const auto& [x, y] : curves_[i].points) {
        const std::string at_x = number(place_x(along(x)), 0.1), at_y = number(place_y(y), 0.1);
        if (curves_[i].dots)
          out += "<circle cx=\"" + at_x + "\" cy=\"" + at_y + "\" r=\"3\" fill=\"" + colour + "\"/>\n";
        points += at_x + "," + at_y + " ";
      }
      if (!curves_[i].dots)
        out += "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"" + colour + "\" points=\"" + points +
               "\"/>\n";
      out += text(width - right - 4, legend, "end", curves_[i].name, "fill=\"" + colour + "\" ");
      legend += 17;
    }
    return out + "</svg>\n";
  }

  double along(double x) const { return logarithmic_ ? std::log10(x) : x; }
  /// A round number, about a fifth of a range.
  static double step_of(double range) {
    const double rough = range / 5, power = std::pow(10, std::floor(std::log10(rough)));
    for (const double nice : {1.0, 2.0, 5.0})
      if (nice * power >= rough) return nice * power;
    return 10 * power;
  }
  /// With as many digits as steps of this size need.
  static std::string number(double value, double step) {
    const int digits = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
    char buffer[40];
    const int length = std::snprintf(buffer, sizeof buffer, "%.*f", digits, value + 0.0);
    return {buffer, static_cast<std::size_t>(length)};
  }
  static std::string line(double x1, double y1, double x2, double y2, const std::string& colour) {
    return "<line x1=\"" + number(x1, 0.1) + "\" y1=\"" + number(y1, 0.1) + "\" x2=\"" + number(x2, 0.1) +
           "\" y2=\"" + number(y2, 0.1) + "\" stroke=\"" + colour + "\"/>\n";
  }
  static std::string text(double x, double y, const std::string& anchor, const std::string& words,
                          const std::string& more = {}) {
    return "<text x=\"" + number(x, 0.1) + "\" y=\"" + number(y, 0.1) + "\" text-anchor=\"" + anchor + "\" " +
           more + ">" + words + "</text>\n";
  }

  std::string title_, x_label_, y_label_;
  std::vector<Curve> curves_;
  bool logarithmic_ = false;
  double legend_ = 0;
};

}  // namespace course
