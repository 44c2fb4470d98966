// Fixtures made by PyTorch: reading them, and comparing tensors with their samples
// (tests/fixtures/README.md).
#pragma once

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "support/files.hpp"
#include "support/tensors.hpp"

namespace tl::test {

using Json = nlohmann::json;

inline Json read_fixture(std::string_view name) {
  std::ifstream file(source_path("tests/fixtures") / name);
  return Json::parse(file);
}

inline Shape shape_of(const Json& extents) {
  const auto list = extents.get<std::vector<Index>>();
  return Shape(std::span<const Index>(list));
}

/// How far a tensor is from a sampled one: the largest difference of a sample over the largest value of the
/// tensor (or the floor, where that is larger).
template <class T>
double sampled_difference(const Tensor<T>& tensor, const Json& want, double floor = 1e-30) {
  if (!tensor.defined() || tensor.shape() != shape_of(want["shape"])) return INFINITY;
  const std::vector<T> got = values_of(tensor);
  double worst = 0;
  for (std::size_t i = 0; i < want["index"].size(); ++i) {
    const auto value = static_cast<double>(got[want["index"][i].get<std::size_t>()]);
    const double difference = std::abs(value - want["values"][i].get<double>());
    worst = std::isfinite(difference) ? std::max(worst, difference) : INFINITY;
  }
  return worst / std::max(largest_value(tensor), floor);
}

/// Compares a tensor with a sampled one: each sample to tolerance * largest value, and the sum and the root
/// of the sum of squares to what errors of that size in every element can make of them.
template <class T>
void check_sampled(const Tensor<T>& tensor, const Json& want, double tolerance, double floor = 1e-30) {
  REQUIRE(tensor.defined());
  REQUIRE(tensor.shape() == shape_of(want["shape"]));
  CHECK(sampled_difference(tensor, want, floor) <= tolerance);
  double sum = 0, squares = 0;
  for (T v : tensor.span()) {
    sum += static_cast<double>(v);
    squares += static_cast<double>(v) * static_cast<double>(v);
  }
  const double count = static_cast<double>(tensor.size());
  const double error = tolerance * std::max(largest_value(tensor), floor);
  CHECK(std::abs(std::sqrt(squares) - want["l2"].get<double>()) <= error * std::sqrt(count));
  CHECK(std::abs(sum - want["sum"].get<double>()) <= error * count);
}

}  // namespace tl::test
