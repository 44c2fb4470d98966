// L-BFGS: the minimum of a smooth function of many variables.
//
//   d = -H g      H: the inverse of the curvature, from the last steps s and the changes y of the gradient
//
// Sources: Liu, Nocedal 1989, "On the limited memory BFGS method for large scale optimization", Mathematical
// Programming 45; the line search is the bisection for the weak Wolfe conditions of Lewis, Overton 2013,
// "Nonsmooth optimization via quasi-Newton methods", Mathematical Programming 141, algorithm 2.6.
#pragma once

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <vector>

#include <tl/core/shape.hpp>

namespace tl::transfer {

/// The value at x; writes the gradient, of x's size.
using Objective = std::function<double(const std::vector<double>& x, std::vector<double>& gradient)>;

/// Where it ends, and what it remembers.
struct LbfgsOptions {
  double tolerance = 1e-5;  ///< of the gradient's largest element, where it ends
  Index iterations = 1000;  ///< at most
  std::size_t memory = 10;  ///< steps that are remembered
};

/// Where it ended.
struct LbfgsResult {
  std::vector<double> x;  ///< the point
  double value = 0;       ///< the objective there
  double gradient = 0;    ///< its largest element; above the tolerance when the iterations did not suffice
  Index iterations = 0;   ///< that were needed
};

namespace lbfgs_impl {

using Vector = std::vector<double>;

inline double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
inline double largest(const Vector& a) {
  double most = 0;
  for (const double value : a) most = std::max(most, std::abs(value));
  return most;
}
/// a + factor b
inline Vector moved(const Vector& a, double factor, const Vector& b) {
  Vector sum(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) sum[i] = a[i] + factor * b[i];
  return sum;
}

struct Point {
  Vector x, gradient;
  double value = 0;
};

struct Step {
  Vector s, y;
  double curvature;  ///< s.y, above 0
};

/// -H g by the two loops over the remembered steps.
inline Vector direction(const Vector& gradient, const std::deque<Step>& steps) {
  Vector d = moved(Vector(gradient.size(), 0.0), -1, gradient);
  std::vector<double> shares(steps.size());
  for (std::size_t i = steps.size(); i-- > 0;) {
    shares[i] = dot(steps[i].s, d) / steps[i].curvature;
    d = moved(d, -shares[i], steps[i].y);
  }
  const double scale = steps.empty() ? 1 / std::max(1.0, std::sqrt(dot(gradient, gradient)))
                                     : steps.back().curvature / dot(steps.back().y, steps.back().y);
  for (double& value : d) value *= scale;
  for (std::size_t i = 0; i < steps.size(); ++i)
    d = moved(d, shares[i] - dot(steps[i].y, d) / steps[i].curvature, steps[i].s);
  return d;
}

/// Goes from a point along d to one that is lower, and where the slope is less; false where rounding hides
/// any such point.
inline bool search(const Objective& f, Point& at, const Vector& d) {
  constexpr double decrease = 1e-4, flattening = 0.9;
  const double slope = dot(at.gradient, d), rounding = 1e-15 * std::abs(at.value);
  double low = 0, high = std::numeric_limits<double>::infinity(), t = 1;
  for (int i = 0; i < 60; ++i) {
    Point next{moved(at.x, t, d), Vector(at.x.size())};
    next.value = f(next.x, next.gradient);
    if (!(next.value <= at.value + decrease * t * slope + rounding)) {
      high = t;
    } else if (dot(next.gradient, d) < flattening * slope) {
      low = t;
    } else {
      at = std::move(next);
      return true;
    }
    t = std::isinf(high) ? 2 * t : (low + high) / 2;
  }
  return false;
}

}  // namespace lbfgs_impl

/// Minimises f from x on.
inline LbfgsResult lbfgs(const Objective& f, std::vector<double> x, const LbfgsOptions& options = {}) {
  using namespace lbfgs_impl;
  Point at{std::move(x), {}};
  at.gradient.resize(at.x.size());
  at.value = f(at.x, at.gradient);
  std::deque<Step> steps;
  Index done = 0;
  for (; done < options.iterations && largest(at.gradient) > options.tolerance; ++done) {
    const Point before = at;
    if (!search(f, at, direction(at.gradient, steps))) break;
    Step step{moved(at.x, -1, before.x), moved(at.gradient, -1, before.gradient), 0};
    step.curvature = dot(step.s, step.y);
    if (step.curvature <= 0) continue;
    steps.push_back(std::move(step));
    if (steps.size() > options.memory) steps.pop_front();
  }
  const double gradient = largest(at.gradient);
  return {std::move(at.x), at.value, gradient, done};
}

}  // namespace tl::transfer
