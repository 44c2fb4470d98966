// What the two files compute.
#pragma once

struct Result {
  double conv = 0;      ///< sum over a convolution of small integers: exact
  double gradient = 0;  ///< sum of its weights' gradient: exact
  double loss = 0;      ///< of a classifier on top
};

Result run_first();
Result run_second();
