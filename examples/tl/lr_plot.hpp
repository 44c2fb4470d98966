// The curve of `tl find-lr` for people: as text, and as a picture.
#pragma once

#include <string>

#include <tl/train/find_lr.hpp>

namespace program {

/// A line for some of the points: rate, smoothed loss, and a bar as long as the loss.
std::string text_plot(const tl::train::LrCurve& curve);

/// An SVG file: loss by rate, which is on a logarithmic axis, with both suggestions marked.
std::string svg_plot(const tl::train::LrCurve& curve);

}  // namespace program
