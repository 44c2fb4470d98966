// The gradients of every operation: against central differences in double, and in float against double on
// each instruction set. One table of cases serves both; images come in both layouts, in every mixture.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <tl/autograd/functions.hpp>
#include <tl/autograd/gradcheck.hpp>
#include <tl/kernels/conv_plan.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

namespace {

struct Input {
  Shape shape;
  double scale = 1, offset = 0;  // elements offset + scale u, u in [-1, 1)
};

template <class T>
using Values = std::vector<Var<T>>;
template <class T>
using Function = std::function<Var<T>(const Values<T>&)>;

struct Case {
  template <class F>
  Case(std::string case_name, std::vector<Input> case_inputs, F f, double tolerance = 1e-5)
      : name(std::move(case_name)),
        inputs(std::move(case_inputs)),
        in_double(f),
        in_float(f),
        float_tolerance(tolerance) {}

  std::string name;
  std::vector<Input> inputs;
  Function<double> in_double;
  Function<float> in_float;
  double float_tolerance;  // of float gradients: largest difference over largest value
};

template <class V>
using Scalar = typename V::value_type::value_type;  // of a Values<T>: T

/// A constant like the table's inputs, for what takes no gradient.
template <class T>
Var<T> constant(std::string_view name, const Shape& shape, double scale = 1, double offset = 0) {
  return Var<T>(hash_tensor<T>(name, shape, scale, offset));
}

std::vector<Case> arithmetic() {
  std::vector<Case> cases;
  const std::vector<std::pair<Shape, Shape>> shapes{{{3, 5}, {3, 5}},
                                                    {{4, 7}, {7}},
                                                    {{4, 1}, {1, 7}},
                                                    {{2, 3, 5}, {}},
                                                    {{}, {11}},
                                                    {{2, 1, 3, 1, 5}, {7, 1, 4, 1}},
                                                    {{2, 5, 3, 7}, {2, 5, 3, 7}},
                                                    {{2, 5, 3, 7}, {1, 5, 1, 1}},
                                                    {{2, 5, 1, 1}, {2, 1, 3, 7}},
                                                    {{5, 1, 1}, {2, 5, 3, 7}}};
  for (const auto& [a, b] : shapes) {
    const std::string at = concat(" ", a, " ", b);
    cases.push_back({"add" + at, {{a}, {b}}, [](const auto& v) { return v[0] + v[1]; }});
    cases.push_back({"sub" + at, {{a}, {b}}, [](const auto& v) { return v[0] - v[1]; }});
    cases.push_back({"mul" + at, {{a}, {b}}, [](const auto& v) { return v[0] * v[1]; }});
    cases.push_back({"pow" + at, {{a, .5, 1}, {b, 2}}, [](const auto& v) { return pow(v[0], v[1]); }});
    cases.push_back({"maximum" + at, {{a}, {b}}, [](const auto& v) { return maximum(v[0], v[1]); }});
    cases.push_back({"minimum" + at, {{a}, {b}}, [](const auto& v) { return minimum(v[0], v[1]); }});
    cases.push_back({"where" + at, {{a}, {b}}, [mask = a](const auto& v) {
                       using T = Scalar<std::decay_t<decltype(v)>>;
                       const Var<T> zero(Tensor<T>::scalar(0));
                       return where(greater(constant<T>("mask", mask), zero), v[0], v[1]);
                     }});
    cases.push_back({"div" + at, {{a}, {b, .5, 2}}, [](const auto& v) { return v[0] / v[1]; }});
  }
  cases.push_back({"one value twice", {{{3, 4}}}, [](const auto& v) { return v[0] * v[0] + v[0]; }});
  cases.push_back({"value and number", {{{3, 4}}}, [](const auto& v) { return (v[0] + 2) * 3; }});
  for (double p : {2.0, 3.0, .5, -1.0, 1.7}) {
    cases.push_back({concat("power ", p), {{{3, 7}, .5, 1}}, [p](const auto& v) { return power(v[0], p); }});
  }
  return cases;
}

std::vector<Case> functions_of_one_value() {
  const Input x{{2, 3, 5, 7}, 4};
  const Input positive{{2, 3, 5, 7}, .875, 1};
  return {
      {"neg", {x}, [](const auto& v) { return -v[0]; }},
      {"relu", {x}, [](const auto& v) { return relu(v[0]); }},
      {"relu6", {{{3, 37}, 9}}, [](const auto& v) { return relu6(v[0]); }},
      {"clip", {x}, [](const auto& v) { return clip(v[0], -.5, 2.25); }},
      {"leaky_relu", {x}, [](const auto& v) { return leaky_relu(v[0], .2); }},
      {"sigmoid", {x}, [](const auto& v) { return sigmoid(v[0]); }},
      {"tanh", {x}, [](const auto& v) { return tanh(v[0]); }},
      {"silu", {x}, [](const auto& v) { return silu(v[0]); }},
      {"hard_swish", {x}, [](const auto& v) { return hard_swish(v[0]); }},
      {"hard_sigmoid", {x}, [](const auto& v) { return hard_sigmoid(v[0]); }},
      {"gelu", {x}, [](const auto& v) { return gelu(v[0]); }},
      {"elu", {x}, [](const auto& v) { return elu(v[0], .7); }},
      {"selu", {x}, [](const auto& v) { return selu(v[0]); }},
      {"softplus", {x}, [](const auto& v) { return softplus(v[0]); }},
      {"mish", {x}, [](const auto& v) { return mish(v[0]); }},
      {"erf", {x}, [](const auto& v) { return erf(v[0]); }},
      {"exp", {x}, [](const auto& v) { return exp(v[0]); }},
      {"log", {positive}, [](const auto& v) { return log(v[0]); }},
      {"sqrt", {positive}, [](const auto& v) { return sqrt(v[0]); }},
      {"abs", {x}, [](const auto& v) { return abs(v[0]); }},
      {"reciprocal", {positive}, [](const auto& v) { return reciprocal(v[0]); }},
      {"softmax last", {{{3, 17}, 3}}, [](const auto& v) { return softmax(v[0]); }},
      {"softmax channels", {x}, [](const auto& v) { return softmax(v[0], 1); }},
      {"softmax first", {{{7, 5}, 3}}, [](const auto& v) { return softmax(v[0], 0); }},
      {"log_softmax last", {{{3, 17}, 3}}, [](const auto& v) { return log_softmax(v[0]); }},
      {"log_softmax channels", {x}, [](const auto& v) { return log_softmax(v[0], -3); }},
      {"dropout in training",
       {x},
       [](const auto& v) {
         const RandomScope scope(3, 5);  // the same mask every time
         return dropout(v[0], .4, {.training = true});
       }},
      {"dropout in inference", {x}, [](const auto& v) { return dropout(v[0], .4, {}); }},
  };
}

std::vector<Case> products() {
  std::vector<Case> cases;
  const std::vector<std::pair<Shape, Shape>> shapes{
      {{3, 4}, {4, 5}},       {{17, 33}, {33, 19}},      {{1, 65}, {65, 7}},  {{13, 9}, {9, 1}},
      {{4, 5, 6}, {4, 6, 3}}, {{2, 1, 3, 7}, {5, 7, 4}}, {{3, 4, 5}, {5, 6}}, {{4, 5}, {2, 3, 5, 2}}};
  for (const auto& [a, b] : shapes) {
    cases.push_back(
        {concat("matmul ", a, " ", b), {{a}, {b}}, [](const auto& v) { return matmul(v[0], v[1]); }});
  }
  cases.push_back(
      {"linear", {{{5, 23}}, {{7, 23}, .25}, {{7}}}, [](const auto& v) { return linear(v[0], v[1], v[2]); }});
  cases.push_back(
      {"linear without bias", {{{1, 37}}, {{3, 37}, .25}}, [](const auto& v) { return linear(v[0], v[1]); }});
  return cases;
}

std::vector<Case> takes() {
  return {
      {"take channels",
       {{{2, 5, 3, 4}}},
       [](const auto& v) {
         return take(v[0], 1, {4, 0, 0, 2});
       }},
      {"take rows",
       {{{2, 5, 3, 4}}},
       [](const auto& v) {
         return take(v[0], -2, {2, 1, 0, 1, 2});
       }},
      {"take columns", {{{2, 5, 3, 4}}}, [](const auto& v) { return take(v[0], 3, {1}); }},
      {"take of a matrix",
       {{{3, 7}}},
       [](const auto& v) {
         return take(v[0], 0, {2, 2, 1});
       }},
  };
}

std::vector<Case> transposed_convolutions() {
  std::vector<Case> cases;
  const auto add = [&](const std::string& name, const Shape& x, const Shape& w,
                       const ops::ConvTranspose2d& options) {
    cases.push_back({"conv_transpose2d " + name + " without bias", {{x}, {w, .5}}, [options](const auto& v) {
                       return conv_transpose2d(v[0], v[1], options);
                     }});
    cases.push_back({"conv_transpose2d " + name,
                     {{x}, {w, .5}, {{w[1] * options.groups}, .5}},
                     [options](const auto& v) { return conv_transpose2d(v[0], v[1], v[2], options); }});
  };
  add("plain", {1, 3, 5, 4}, {3, 4, 3, 2}, {});
  add("stride", {2, 3, 5, 4}, {3, 2, 4, 4}, {.stride = {2, 2}, .padding = {1, 1, 1, 1}});
  add("asymmetric", {2, 4, 3, 5}, {4, 3, 3, 2},
      {.stride = {3, 2}, .padding = {0, 1, 2, 0}, .output_padding = {2, 1}});
  add("dilated", {1, 3, 4, 5}, {3, 2, 3, 3}, {.padding = {1, 2, 0, 1}, .dilation = {2, 3}});
  add("groups", {2, 6, 4, 3}, {6, 2, 3, 3}, {.stride = {2, 1}, .groups = 3});
  add("depthwise", {1, 5, 4, 3}, {5, 1, 3, 3}, {.stride = {2, 2}, .groups = 5});
  return cases;
}

std::vector<Case> convolutions() {
  std::vector<Case> cases;
  const auto add = [&](const std::string& name, const Shape& x, const Shape& w, const ops::Conv2d& options) {
    const double scale = std::sqrt(3.0 / static_cast<double>(w[1] * w[2] * w[3]));
    cases.push_back({"conv2d " + name + " without bias", {{x}, {w, scale}}, [options](const auto& v) {
                       return conv2d(v[0], v[1], options);
                     }});
    cases.push_back({"conv2d " + name, {{x}, {w, scale}, {{w[0]}, .5}}, [options](const auto& v) {
                       return conv2d(v[0], v[1], v[2], options);
                     }});
  };
  add("plain", {1, 3, 7, 5}, {4, 3, 3, 3}, {});
  add("same", {2, 5, 9, 6}, {7, 5, 3, 3}, {.padding = {1, 1, 1, 1}});
  // Wide enough for Winograd in float, forward and backward.
  const auto add_wide = [&](Index n, Index size, kernels::ConvAlgorithm winograd) {
    const kernels::ConvShape shape{.n = n,
                                   .h = size,
                                   .w = size,
                                   .c = 33,
                                   .oh = size,
                                   .ow = size,
                                   .o = 35,
                                   .kh = 3,
                                   .kw = 3,
                                   .pad_top = 1,
                                   .pad_left = 1};
    REQUIRE(kernels::conv_plan<float>(shape) == kernels::ConvPlan{winograd, winograd, winograd});
    add(concat("wide, ", kernels::name_of(winograd)), {n, 33, size, size}, {35, 33, 3, 3},
        {.padding = {1, 1, 1, 1}});
  };
  add_wide(8, 8, kernels::ConvAlgorithm::winograd_4x4);
  add_wide(24, 2, kernels::ConvAlgorithm::winograd_2x2);
  add("stride", {2, 4, 9, 7}, {5, 4, 3, 3}, {.stride = {2, 2}, .padding = {1, 1, 1, 1}});
  add("asymmetric", {1, 3, 8, 9}, {4, 3, 3, 2}, {.stride = {3, 2}, .padding = {0, 1, 2, 3}});
  add("dilated", {1, 3, 9, 11}, {4, 3, 3, 2}, {.padding = {2, 0, 1, 2}, .dilation = {2, 3}});
  add("pointwise", {2, 19, 3, 4}, {11, 19, 1, 1}, {});
  add("pointwise with stride", {2, 8, 5, 4}, {5, 8, 1, 1}, {.stride = {2, 2}});
  add("stem", {1, 3, 17, 15}, {9, 3, 7, 7}, {.stride = {2, 2}, .padding = {3, 3, 3, 3}});
  add("one pixel", {2, 7, 1, 1}, {5, 7, 3, 3}, {.padding = {1, 1, 1, 1}});
  add("groups", {2, 6, 6, 5}, {10, 3, 3, 3}, {.padding = {1, 1, 1, 1}, .groups = 2});
  add("depthwise", {2, 13, 6, 5}, {13, 1, 3, 3}, {.padding = {1, 1, 1, 1}, .groups = 13});
  add("depthwise 5x5 with stride", {1, 19, 8, 7}, {19, 1, 5, 5},
      {.stride = {2, 2}, .padding = {1, 2, 2, 1}, .groups = 19});
  add("depthwise with multiplier", {1, 5, 5, 6}, {15, 1, 3, 3}, {.padding = {1, 1, 1, 1}, .groups = 5});
  return cases;
}

std::vector<Case> pools() {
  const Input x{{2, 5, 7, 6}};
  const ops::PoolWindow resnet{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}};
  const ops::PoolWindow odd{.kernel = {2, 3}, .stride = {2, 1}, .padding = {1, 0, 0, 1}, .ceil = true};
  const ops::PoolWindow dilated{.kernel = {3, 2}, .stride = {1, 2}, .dilation = {2, 3}};
  return {
      {"max_pool2d", {x}, [=](const auto& v) { return max_pool2d(v[0], resnet); }},
      {"max_pool2d odd", {x}, [=](const auto& v) { return max_pool2d(v[0], odd); }},
      {"max_pool2d dilated", {x}, [=](const auto& v) { return max_pool2d(v[0], dilated); }},
      {"average_pool2d", {x}, [=](const auto& v) { return average_pool2d(v[0], resnet); }},
      {"average_pool2d with padding", {x}, [=](const auto& v) { return average_pool2d(v[0], resnet, true); }},
      {"average_pool2d odd", {x}, [=](const auto& v) { return average_pool2d(v[0], odd); }},
      {"average_pool2d odd with padding",
       {x},
       [=](const auto& v) { return average_pool2d(v[0], odd, true); }},
      {"adaptive_average_pool2d",
       {x},
       [](const auto& v) {
         return adaptive_average_pool2d(v[0], {3, 4});
       }},
      {"adaptive_average_pool2d up",
       {{{1, 3, 3, 2}}},
       [](const auto& v) {
         return adaptive_average_pool2d(v[0], {5, 4});
       }},
      {"adaptive_max_pool2d",
       {x},
       [](const auto& v) {
         return adaptive_max_pool2d(v[0], {3, 4});
       }},
      {"adaptive_max_pool2d up",
       {{{1, 3, 3, 2}}},
       [](const auto& v) {
         return adaptive_max_pool2d(v[0], {5, 4});
       }},
      {"global_average_pool2d", {x}, [](const auto& v) { return global_average_pool2d(v[0]); }},
      {"global_max_pool2d", {x}, [](const auto& v) { return global_max_pool2d(v[0]); }},
  };
}

/// Batch normalisation in a mode; the running statistics are new each time, for training moves them.
auto normalise(Mode mode) {
  return [mode](const auto& v) {
    using T = Scalar<std::decay_t<decltype(v)>>;
    const Shape channels{v[0].shape(1)};
    return batch_norm(v[0], v[1], v[2], constant<T>("mean", channels, .125),
                      constant<T>("var", channels, .5, 1), mode);
  };
}

std::vector<Case> normalisations() {
  std::vector<Case> cases;
  for (const bool training : {true, false}) {
    for (const Shape& x : {Shape{3, 5, 4, 3}, Shape{2, 19, 1, 3}, Shape{7, 11}, Shape{5, 1, 2, 2}}) {
      const Shape channels{x[1]};
      cases.push_back({concat("batch_norm ", x, training ? " in training" : " in inference"),
                       {{x, 1, .5}, {channels, .25, 1}, {channels, .125}},
                       normalise({.training = training})});
    }
  }
  return cases;
}

std::vector<Case> shapes() {
  const Input x{{2, 3, 5, 4}};
  return {
      {"reshape",
       {x},
       [](const auto& v) {
         return reshape(v[0], {0, -1, 2});
       }},
      {"flatten", {x}, [](const auto& v) { return flatten(v[0]); }},
      {"transpose",
       {x},
       [](const auto& v) {
         return transpose(v[0], {0, 2, 3, 1});
       }},
      {"transpose cycle",
       {x},
       [](const auto& v) {
         return transpose(v[0], {3, 0, -3, 2});
       }},
      {"slice",
       {x},
       [](const auto& v) {
         return slice(v[0], {{1, 1, 3, 1}, {2, 0, 5, 2}});
       }},
      {"slice backwards",
       {x},
       [](const auto& v) {
         return slice(v[0], {{3, -1, -9, -2}, {0, 1, 2, 1}});
       }},
      {"concat", {x, {{2, 1, 5, 4}}, {{2, 7, 5, 4}}}, [](const auto& v) { return concat(v, 1); }},
      {"concat with itself",
       {{{3, 4}}},
       [](const auto& v) {
         return concat({v[0], v[0] * v[0]}, 0);
       }},
      {"pad",
       {x},
       [](const auto& v) {
         return pad(v[0], {0, 1, 2, 0}, {0, 0, 1, 3}, .5);
       }},
      {"pad and crop",
       {x},
       [](const auto& v) {
         return pad(v[0], {0, 0, -1, 2}, {0, -1, 0, -1});
       }},
      {"sum", {x}, [](const auto& v) { return sum(v[0]); }},
      {"sum image",
       {x},
       [](const auto& v) {
         return sum(v[0], {2, 3});
       }},
      {"sum kept",
       {x},
       [](const auto& v) {
         return sum(v[0], {0, -1}, true);
       }},
      {"mean", {x}, [](const auto& v) { return mean(v[0]); }},
      {"mean channels", {x}, [](const auto& v) { return mean(v[0], {1}); }},
      {"max", {x}, [](const auto& v) { return max(v[0]); }},
      {"max image",
       {x},
       [](const auto& v) {
         return max(v[0], {2, 3});
       }},
      {"max kept", {x}, [](const auto& v) { return max(v[0], {-1}, true); }},
      {"log_sum_exp channels", {x}, [](const auto& v) { return log_sum_exp(v[0] * 5, {1}); }},
      {"log_sum_exp kept",
       {x},
       [](const auto& v) {
         return log_sum_exp(v[0], {0, 2}, true);
       }},
      {"euclidean_norm channels", {x}, [](const auto& v) { return euclidean_norm(v[0], {1}); }},
      {"euclidean_norm kept",
       {x},
       [](const auto& v) {
         return euclidean_norm(v[0], {2, 3}, true);
       }},
      {"mean kept",
       {x},
       [](const auto& v) {
         return mean(v[0], {0, 2, 3}, true);
       }},
  };
}

std::vector<Case> lookups_and_losses() {
  const auto indices = [](std::initializer_list<std::int64_t> values, const Shape& shape) {
    return Tensor<std::int64_t>::from(values, shape);
  };
  std::vector<Case> cases{{"embedding",
                           {{{7, 5}}},
                           [=](const auto& v) {
                             return embedding(v[0], indices({3, 0, 3, 6, 1, 1}, {2, 3}));
                           }},
                          {"mean_squared_error",
                           {{{3, 5}}, {{3, 5}}},
                           [](const auto& v) { return mean_squared_error(v[0], v[1]); }},
                          {"mean_squared_error of images",
                           {{{2, 3, 2, 2}}, {{2, 3, 2, 2}}},
                           [](const auto& v) { return mean_squared_error(v[0], v[1]); }},
                          {"binary_cross_entropy",
                           {{{3, 5}}, {{3, 5}}},
                           [](const auto& v) { return binary_cross_entropy(v[0], v[1]); }},
                          {"binary_cross_entropy of images",
                           {{{2, 3, 2, 2}}, {{2, 3, 2, 2}}},
                           [](const auto& v) { return binary_cross_entropy(v[0], v[1]); }}};
  const auto labels = indices({4, 0, 2, 4, 1}, {5});
  for (double smoothing : {0.0, .1}) {
    for (const Tensor<double>& weights :
         {Tensor<double>{}, hash_tensor<double>("class weights", {5}, .75, 1)}) {
      const CrossEntropyOptions options{.smoothing = smoothing, .class_weights = weights};
      cases.push_back({concat("cross_entropy ", smoothing, weights.defined() ? " weighted" : ""),
                       {{{5, 5}, 2}},
                       [=](const auto& v) { return cross_entropy(v[0], labels, options); }});
    }
  }
  return cases;
}

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases = [] {
    std::vector<Case> all;
    for (const auto& family : {arithmetic, functions_of_one_value, products, takes, convolutions,
                               transposed_convolutions, pools, normalisations, shapes, lookups_and_losses}) {
      for (Case& c : family()) all.push_back(std::move(c));
    }
    return all;
  }();
  return cases;
}

/// The inputs of a case; bit k of `layouts` puts the k-th image channels-last.
template <class T>
std::vector<Tensor<T>> inputs_of(const Case& c, unsigned layouts) {
  std::vector<Tensor<T>> inputs;
  unsigned image = 0;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    const Input& input = c.inputs[i];
    const bool last = input.shape.rank() == 4 && (layouts >> image++ & 1u) != 0;
    inputs.push_back(hash_tensor<float>(concat(c.name, "/", i), input.shape, input.scale, input.offset,
                                        last ? Layout::channels_last : Layout::plain)
                         .template cast<T>());
  }
  return inputs;
}

unsigned layout_mixtures(const Case& c) {
  const auto images =
      std::count_if(c.inputs.begin(), c.inputs.end(), [](const Input& i) { return i.shape.rank() == 4; });
  return 1u << images;
}

/// The result and the gradients of sum(y * r), with r from the hash.
template <class T>
std::vector<Tensor<T>> result_and_gradients(const Case& c, const Function<T>& f, unsigned layouts) {
  Values<T> leaves;
  for (Tensor<T>& input : inputs_of<T>(c, layouts)) leaves.emplace_back(std::move(input), true);
  const Var<T> y = f(leaves);
  y.backward(hash_tensor<float>(c.name + "/r", y.shape()).template cast<T>());
  std::vector<Tensor<T>> results{y.value()};
  for (const Var<T>& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

}  // namespace

TEST_CASE("gradients of every operation agree with central differences in double", "[gradcheck]") {
  for (const Case& c : all_cases()) {
    for (unsigned layouts = 0; layouts < layout_mixtures(c); ++layouts) {
      INFO(c.name << ", channels-last images: " << layouts << " (bits)");
      const GradcheckResult result = gradcheck(c.in_double, inputs_of<double>(c, layouts));
      INFO("error " << result.error << " of input " << result.worst_leaf);
      CHECK(result);
    }
  }
}

TEST_CASE("the gradient of one input alone is the same, and reads what the operation says it reads") {
  for (const Case& c : all_cases()) {
    const std::vector<Tensor<double>> together = result_and_gradients(c, c.in_double, 0);
    for (std::size_t wanted = 0; wanted < c.inputs.size(); ++wanted) {
      INFO(c.name << ", input " << wanted);
      Values<double> leaves;
      for (Tensor<double>& input : inputs_of<double>(c, 0)) {
        leaves.emplace_back(std::move(input), leaves.size() == wanted);
      }
      const Var<double> y = c.in_double(leaves);
      y.backward(hash_tensor<float>(c.name + "/r", y.shape()).cast<double>());
      for (std::size_t i = 0; i < leaves.size(); ++i) CHECK(leaves[i].grad().defined() == (i == wanted));
      CHECK(same_bits(leaves[wanted].grad(), together[wanted + 1]));
    }
  }
}

TEST_CASE("float gradients of every operation agree with double ones on each instruction set",
          "[gradcheck]") {
  for (const Case& c : all_cases()) {
    for (const unsigned layouts : {0u, layout_mixtures(c) - 1}) {
      const std::vector<Tensor<double>> truth = result_and_gradients(c, c.in_double, layouts);
      on_each_isa([&] {
        INFO(c.name << ", channels-last images: " << layouts << " (bits)");
        const std::vector<Tensor<float>> got = result_and_gradients(c, c.in_float, layouts);
        REQUIRE(got.size() == truth.size());
        for (std::size_t i = 0; i < got.size(); ++i) {
          INFO((i == 0 ? "result" : "gradient of input ") << i);
          REQUIRE(got[i].defined());
          CHECK(relative_difference(got[i], truth[i]) <= c.float_tolerance);
        }
      });
    }
  }
}

TEST_CASE("positions taken, and their gradient, have the same bits at any number of threads") {
  // The other operations leave threads to the kernels, whose tests ask the same.
  const Tensor<float> x = hash_tensor<float>("x", {40, 70, 9, 9});
  const std::vector<Index> indices{7, 3, 3, 69, 0, 7, 7};
  Tensor<float> y, dx;
  for (const int threads : {1, 2, 3, 8}) {
    const ScopedThreads scope(threads);
    INFO(threads << " threads");
    Var<float> input(x);
    input.set_requires_grad(true);
    const Var<float> taken = take(input, 1, indices);
    sum(taken * taken).backward();
    if (threads == 1) y = taken.value(), dx = input.grad();
    CHECK(same_bits(taken.value(), y));
    CHECK(same_bits(input.grad(), dx));
  }
}
