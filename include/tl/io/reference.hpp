// A reference inside a model: an input, the output that it must give, and a few values of every layer
// between, so that another machine, version or program can be proved to compute the same, or where it begins
// to differ.
//
// In the model's metadata: tl.reference.input and tl.reference.output are .npy files in base64 (RFC 4648);
// tl.reference.layers has a line for each value of the network, its name, its largest size and a few
// elements, separated by tabs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/core/base64.hpp>
#include <tl/core/numbers.hpp>
#include <tl/core/rng.hpp>
#include <tl/graph/graph.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/npy.hpp>

namespace tl::io {

/// A value of a network, by a few of its elements in logical order, the first and the last among them.
struct Fingerprint {
  std::string name;              ///< of the value, in the graph
  double largest = 0;            ///< absolute
  std::vector<double> elements;  ///< at most a few
};

/// What a network gave when it was saved, to compare with elsewhere.
struct Reference {
  Tensor<float> input;              ///< a batch, such as (1,3,H,W)
  Tensor<float> output;             ///< what the network made of it
  std::vector<Fingerprint> layers;  ///< in the order of computation
};

namespace reference_impl {

inline Fingerprint parse_line(std::string_view line) {
  Fingerprint result;
  const std::size_t name_end = std::min(line.find('\t'), line.size());
  result.name = line.substr(0, name_end);
  std::vector<double> numbers;
  for (std::size_t at = name_end; at < line.size();) {
    double number = 0;
    const auto [end, error] = std::from_chars(line.data() + at + 1, line.data() + line.size(), number);
    TL_CHECK(error == std::errc{}, "a line of its layers is damaged");
    numbers.push_back(number);
    at = static_cast<std::size_t>(end - line.data());
    TL_CHECK(at == line.size() || line[at] == '\t', "a line of its layers is damaged");
  }
  TL_CHECK(!numbers.empty(), "a line of its layers is damaged");
  result.largest = numbers[0];
  result.elements.assign(numbers.begin() + 1, numbers.end());
  return result;
}

}  // namespace reference_impl

/// Of a value: up to eight elements at equal distances.
template <class T>
Fingerprint fingerprint(std::string name, const Tensor<T>& value) {
  constexpr Index most = 8;
  const Tensor<T> plain = value.plain();
  Fingerprint result{.name = std::move(name), .largest = 0, .elements = {}};
  for (const T element : plain.span()) result.largest = std::max(result.largest, std::abs(double{element}));
  const Index count = std::min(most, plain.size());
  for (Index k = 0; k < count; ++k) {
    const Index at = count == 1 ? 0 : k * (plain.size() - 1) / (count - 1);
    result.elements.push_back(double{plain.data()[at]});
  }
  return result;
}

/// An input that is the same everywhere: for images (N,C,H,W) squares of random colours, whose differences no
/// pooling averages out; normal numbers for others.
inline Tensor<float> reference_input(const Shape& shape) {
  Tensor<float> x = Tensor<float>::empty(shape);
  float* to = x.mutable_data();
  const bool image = shape.rank() == 4 && shape.size() > 0;
  const Index width = image ? shape[3] : 1, pixels = image ? shape[2] * shape[3] : 1;
  constexpr Index squares = 7;
  for (Index i = 0; i < x.size(); ++i) {
    const Index row = i % pixels / width, column = i % width;
    const Index square = image ? row * squares / shape[2] * squares + column * squares / width : 0;
    to[i] = static_cast<float>(
        Rng(1, static_cast<std::uint64_t>(i / pixels), static_cast<std::uint64_t>(square)).normal());
  }
  return x;
}

/// The values that the nodes of a network of one input compute from x, in order, node by node.
template <class T>
std::vector<Tensor<T>> layer_values(const Graph<T>& graph, const Tensor<T>& x) {
  TL_CHECK(graph.inputs().size() == 1, "[reference] expected a network with one input, got ",
           graph.inputs().size());
  std::vector<ValueId> wanted;
  for (const GraphNode<T>& node : graph.nodes()) wanted.push_back(node.output);
  const NoGrad no_grad;
  const Var<T> input(x);
  std::vector<Tensor<T>> values;
  for (const Var<T>& value : graph.run_until(std::span<const Var<T>>(&input, 1), {}, wanted))
    values.push_back(value.value());
  return values;
}

/// Computes the reference for an input and stores it in the network's metadata. Networks of one input and
/// output.
inline void set_reference(Graph<float>& graph, const Tensor<float>& input) {
  TL_CHECK(graph.outputs().size() == 1, "[reference] expected a network with one output, got ",
           graph.outputs().size());
  const std::vector<Tensor<float>> values = layer_values(graph, input);
  std::string layers;
  for (std::size_t n = 0; n < values.size(); ++n) {
    const GraphNode<float>& node = graph.nodes()[n];
    const std::string& name = graph.value(node.output).name;
    if (name.find_first_of("\t\n") != std::string::npos) continue;
    const Fingerprint print = fingerprint(name, values[n]);
    layers += name;
    std::vector<double> numbers = {print.largest};
    numbers.insert(numbers.end(), print.elements.begin(), print.elements.end());
    for (const double number : numbers) {
      layers += '\t' + shortest(static_cast<float>(number));
    }
    layers += '\n';
    if (node.output == graph.outputs()[0])
      graph.metadata[reference_output_key] = to_base64(encode_npy(values[n]));
  }
  graph.metadata[reference_input_key] = to_base64(encode_npy(input));
  graph.metadata[reference_layers_key] = std::move(layers);
}

/// The reference of a model that has one. Throws when it is damaged.
inline Reference reference(const Metadata& metadata) {
  try {
    const auto tensor = [&](const char* key) {
      const auto it = metadata.find(key);
      TL_CHECK(it != metadata.end(), "there is no ", key);
      return decode_npy<float>(from_base64(it->second));
    };
    Reference result{
        .input = tensor(reference_input_key), .output = tensor(reference_output_key), .layers = {}};
    const auto layers = metadata.find(reference_layers_key);
    if (layers == metadata.end()) return result;
    for (std::string_view rest = layers->second; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      result.layers.push_back(reference_impl::parse_line(rest.substr(0, end)));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return result;
  } catch (const Error& error) {
    fail("[reference] cannot read the reference in the model: ", error.what());
  }
}

/// The largest difference of two tensors over `scale` or, where that is larger, the largest size of an
/// element of `want`; infinite where their shapes differ, or where one is not a number and the other is.
template <class A, class B>
double relative_difference(const Tensor<A>& got, const Tensor<B>& want, double scale = 0) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (got.shape() != want.shape()) return infinity;
  const Tensor<A> a = got.plain();
  const Tensor<B> b = want.plain();
  double difference = 0, largest = scale;
  for (Index i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a.data()[i]), y = static_cast<double>(b.data()[i]);
    if (std::isnan(x) != std::isnan(y)) return infinity;
    if (std::isnan(x)) continue;
    largest = std::max(largest, std::abs(y));
    if (x != y) difference = std::max(difference, std::abs(x - y));
  }
  return difference == 0 ? 0 : difference / std::max(largest, std::numeric_limits<double>::min());
}

/// The same of the elements that a fingerprint holds.
inline double relative_difference(const Fingerprint& got, const Fingerprint& want, double scale = 0) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (got.elements.size() != want.elements.size()) return infinity;
  double difference = std::abs(got.largest - want.largest);
  for (std::size_t i = 0; i < want.elements.size(); ++i)
    difference = std::max(difference, std::abs(got.elements[i] - want.elements[i]));
  if (!(difference >= 0)) return infinity;  // not a number
  return difference == 0 ? 0
                         : difference / std::max({scale, want.largest, std::numeric_limits<double>::min()});
}

}  // namespace tl::io
