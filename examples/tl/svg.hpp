// Pieces of SVG pictures, and axes that people can read. Coordinates are pixels of the picture, y downwards.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace program::svg {

/// A line; `style` holds further attributes.
std::string line(double x1, double y1, double x2, double y2, const std::string& style);
/// Text beside, before or around a point, by its anchor: start, end or middle. It must be escaped.
std::string label(double x, double y, const std::string& anchor, const std::string& text);
/// A curve through points.
std::string polyline(const std::vector<std::pair<double, double>>& points, const std::string& style);

/// Round numbers, about `count` of them, the first at most `low` and the last at least `high`; at least so
/// far apart.
std::vector<double> ticks(double low, double high, int count, double least_step = 0);
/// A number with as many digits as a step between ticks needs.
std::string tick_text(double value, double step);

}  // namespace program::svg
