// Charts of a report: SVG that follows the page's colours, each with its numbers in a table below it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <tl/train/calibration.hpp>

namespace program::report {

/// A curve: y by x, x ascending.
struct Series {
  std::string name;
  std::vector<double> x{}, y{};
};

struct Chart {
  std::string id;  ///< unique in the page
  std::string title;
  std::string description;  ///< what is to be seen, in a sentence, also for those who cannot see it
  std::string x_name;
  std::vector<Series> series{};  ///< one or two
  bool percent = false;          ///< y are shares of 1
  bool whole = false;            ///< x are whole numbers
  double mark = -1;              ///< an x with a line through it; below 0: none
  std::string mark_name{};
};

/// One or two curves over the same kind of x.
std::string line_chart(const Chart& chart);

/// A bar for each bin as high as its accuracy, beside the diagonal on which a calibrated network's bars end.
std::string reliability_diagram(const tl::train::Calibration& calibration);

}  // namespace program::report
