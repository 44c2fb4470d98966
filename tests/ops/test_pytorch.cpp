// Every operation against PyTorch: results and gradients of tests/fixtures/ops.json, in double and in float,
// for plain and channels-last images. The schema stands in tests/fixtures/make_ops.py.
#include <cmath>
#include <functional>
#include <map>
#include <numbers>
#include <string>
#include <vector>

#include <tl/autograd/functions.hpp>
#include "support/fixtures.hpp"

using namespace tl;
using namespace tl::test;

namespace {

/// What a case gives to an operation: float inputs in order, integers apart, attributes.
template <class T>
struct Arguments {
  std::vector<Var<T>> x;
  Tensor<std::int64_t> integers;
  const Json& attrs;
};

std::vector<Index> indices(const Json& list) { return list.get<std::vector<Index>>(); }
std::vector<int> permutation(const Json& attrs) { return attrs["perm"].get<std::vector<int>>(); }
Index axis(const Json& attrs) { return attrs["axis"]; }
ops::Size2 size(const Json& pair) { return {pair[0], pair[1]}; }

ops::PoolWindow window(const Json& attrs) {
  const Index h = attrs["padding"][0], w = attrs["padding"][1];
  return {.kernel = size(attrs["kernel"]),
          .stride = size(attrs["stride"]),
          .padding = {h, w, h, w},
          .dilation = attrs.contains("dilation") ? size(attrs["dilation"]) : ops::Size2{},
          .ceil = attrs["ceil_mode"]};
}

template <class T>
Var<T> convolve(const Arguments<T>& a) {
  const Json& pads = a.attrs["pads"];
  const ops::Conv2d options{.stride = size(a.attrs["stride"]),
                            .padding = {pads[0], pads[1], pads[2], pads[3]},
                            .dilation = size(a.attrs["dilation"]),
                            .groups = a.attrs["groups"]};
  return a.x.size() == 3 ? conv2d(a.x[0], a.x[1], a.x[2], options) : conv2d(a.x[0], a.x[1], options);
}

/// Of the two forms of gelu, the library has the exact one; the other is written with its operations.
template <class T>
Var<T> gelu_of(const Arguments<T>& a) {
  if (a.attrs["approximate"] == "none") return gelu(a.x[0]);
  const Var<T>& x = a.x[0];
  const auto root = static_cast<T>(std::sqrt(2 / std::numbers::pi));
  const Var<T> inner = (x + power(x, 3) * static_cast<T>(0.044715)) * root;
  return x * (tanh(inner) + T{1}) * static_cast<T>(0.5);
}

template <class T>
Var<T> pad_of(const Arguments<T>& a) {
  std::vector<Index> before, after;
  for (const Json& axis : a.attrs["pads"]) {
    before.push_back(axis[0]);
    after.push_back(axis[1]);
  }
  return pad(a.x[0], before, after, a.attrs["value"]);
}

template <class T>
Var<T> slice_of(const Arguments<T>& a) {
  std::vector<ops::Slice::Range> ranges;
  for (std::size_t i = 0; i < a.attrs["starts"].size(); ++i) {
    ranges.push_back({static_cast<Index>(i), a.attrs["starts"][i], a.attrs["stops"][i], a.attrs["steps"][i]});
  }
  return slice(a.x[0], ranges);
}

template <class T>
Var<T> cross_entropy_of(const Arguments<T>& a) {
  CrossEntropyOptions options{.smoothing = a.attrs["label_smoothing"]};
  if (a.x.size() == 2) options.class_weights = a.x[1].value().template cast<double>();
  return cross_entropy(a.x[0], a.integers, options);
}

template <class T>
Var<T> batch_norm_of(const Arguments<T>& a) {
  return batch_norm(a.x[0], a.x[1], a.x[2], a.x[3], a.x[4], {.training = a.attrs["training"]},
                    {.epsilon = a.attrs["eps"], .momentum = a.attrs["momentum"]});
}

/// PyTorch's names and ours.
template <class T>
const std::map<std::string, std::function<Var<T>(const Arguments<T>&)>>& functions() {
  using A = const Arguments<T>&;
  static const std::map<std::string, std::function<Var<T>(A)>> table{
      {"add", [](A a) { return a.x[0] + a.x[1]; }},
      {"sub", [](A a) { return a.x[0] - a.x[1]; }},
      {"mul", [](A a) { return a.x[0] * a.x[1]; }},
      {"div", [](A a) { return a.x[0] / a.x[1]; }},
      {"pow_scalar", [](A a) { return power(a.x[0], a.attrs["exponent"]); }},
      {"matmul", [](A a) { return matmul(a.x[0], a.x[1]); }},
      {"linear",
       [](A a) { return a.x.size() == 3 ? linear(a.x[0], a.x[1], a.x[2]) : linear(a.x[0], a.x[1]); }},
      {"conv2d", convolve<T>},
      {"max_pool2d", [](A a) { return max_pool2d(a.x[0], window(a.attrs)); }},
      {"avg_pool2d",
       [](A a) { return average_pool2d(a.x[0], window(a.attrs), a.attrs["count_include_pad"]); }},
      {"adaptive_avg_pool2d", [](A a) { return adaptive_average_pool2d(a.x[0], size(a.attrs["output"])); }},
      {"adaptive_max_pool2d", [](A a) { return adaptive_max_pool2d(a.x[0], size(a.attrs["output"])); }},
      {"global_avg_pool2d", [](A a) { return global_average_pool2d(a.x[0]); }},
      {"global_max_pool2d", [](A a) { return global_max_pool2d(a.x[0]); }},
      {"batch_norm", batch_norm_of<T>},
      {"relu", [](A a) { return relu(a.x[0]); }},
      {"relu6", [](A a) { return relu6(a.x[0]); }},
      {"sigmoid", [](A a) { return sigmoid(a.x[0]); }},
      {"tanh", [](A a) { return tanh(a.x[0]); }},
      {"silu", [](A a) { return silu(a.x[0]); }},
      {"hardswish", [](A a) { return hard_swish(a.x[0]); }},
      {"hardsigmoid", [](A a) { return hard_sigmoid(a.x[0]); }},
      {"exp", [](A a) { return exp(a.x[0]); }},
      {"log", [](A a) { return log(a.x[0]); }},
      {"sqrt", [](A a) { return sqrt(a.x[0]); }},
      {"abs", [](A a) { return abs(a.x[0]); }},
      {"neg", [](A a) { return -a.x[0]; }},
      {"gelu", gelu_of<T>},
      {"clip", [](A a) { return clip(a.x[0], a.attrs["min"], a.attrs["max"]); }},
      {"leaky_relu", [](A a) { return leaky_relu(a.x[0], a.attrs["alpha"]); }},
      {"softmax", [](A a) { return softmax(a.x[0], axis(a.attrs)); }},
      {"log_softmax", [](A a) { return log_softmax(a.x[0], axis(a.attrs)); }},
      {"pad", pad_of<T>},
      {"slice", slice_of<T>},
      {"concat", [](A a) { return concat(a.x, axis(a.attrs)); }},
      {"reshape", [](A a) { return reshape(a.x[0], indices(a.attrs["shape"])); }},
      {"transpose", [](A a) { return transpose(a.x[0], permutation(a.attrs)); }},
      {"mean", [](A a) { return mean(a.x[0], indices(a.attrs["axes"]), a.attrs["keepdim"]); }},
      {"sum", [](A a) { return sum(a.x[0], indices(a.attrs["axes"]), a.attrs["keepdim"]); }},
      {"embedding", [](A a) { return embedding(a.x[0], a.integers); }},
      {"cross_entropy", cross_entropy_of<T>},
      {"mse", [](A a) { return mean_squared_error(a.x[0], a.x[1]); }},
  };
  return table;
}

template <class T>
void check_case(const Json& c, Layout layout, double tolerance) {
  const std::string id = c["id"], op = c["op"];
  INFO(id << ", images " << layout);
  Arguments<T> arguments{{}, {}, c["attrs"]};
  std::map<std::string, Var<T>> by_role;
  std::map<std::string, bool> differentiated;
  for (const Json& gradient : c["grads"]) differentiated[gradient["role"]] = true;
  for (const Json& input : c["inputs"]) {
    const std::string role = input["role"];
    const Shape shape = shape_of(input["shape"]);
    if (input.contains("values")) {
      arguments.integers =
          Tensor<std::int64_t>::from(input["values"].get<std::vector<std::int64_t>>(), shape);
      continue;
    }
    const Tensor<T> x = hash_tensor<T>(id + "/" + role, shape, input["scale"], input["offset"], layout);
    arguments.x.push_back(by_role[role] = Var<T>(x, differentiated[role]));
  }

  const auto function = functions<T>().find(op);
  REQUIRE(function != functions<T>().end());
  const Var<T> y = function->second(arguments);
  for (const Json& output : c["outputs"]) {  // others than y are running statistics, moved in place
    check_sampled(output["role"] == "y" ? y.value() : by_role[output["role"]].value(), output, tolerance);
  }
  y.backward(hash_tensor<T>(id + "/r", y.shape()));
  for (const Json& gradient : c["grads"]) {
    INFO("gradient of " << gradient["role"].get<std::string>());
    // PyTorch's own gradient of hardsigmoid multiplies by 1/6 rounded to float, in double too. That of a
    // saturated softmax, y (dy - sum y dy), is nothing but the rounding of a difference of values around 1.
    const double known = op == "hardsigmoid" ? 4e-8 : 0, floor = id == "softmax/large" ? 1 : 1e-30;
    check_sampled(by_role[gradient["role"]].grad(), gradient, std::max(tolerance, known), floor);
  }
}

template <class T>
void check_all(double tolerance) {
  const Json fixture = read_fixture("ops.json");
  REQUIRE(fixture["cases"].size() > 300);
  for (const Json& c : fixture["cases"]) {
    const bool images = std::any_of(c["inputs"].begin(), c["inputs"].end(),
                                    [](const Json& input) { return input["shape"].size() == 4; });
    check_case<T>(c, Layout::plain, tolerance);
    if (images) check_case<T>(c, Layout::channels_last, tolerance);
  }
}

}  // namespace

TEST_CASE("every operation agrees with PyTorch in double", "[pytorch]") { check_all<double>(1e-10); }

TEST_CASE("every operation agrees with PyTorch in float", "[pytorch]") { check_all<float>(1e-5); }
