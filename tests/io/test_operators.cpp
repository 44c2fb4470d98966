// Operators that the importer takes apart or writes by name: against the formula of the ONNX specification,
// and the same again after saving.
#include <cmath>
#include <functional>

#include "io/operator_results.hpp"

using namespace tl;
using namespace tl::test;

namespace {

double softplus_of(double x) { return std::log1p(std::exp(x)); }

/// Mean and variance of some elements.
struct Moments {
  double mean = 0, variance = 0;
  explicit Moments(const std::vector<double>& values) {
    for (const double v : values) mean += v / static_cast<double>(values.size());
    for (const double v : values) variance += (v - mean) * (v - mean) / static_cast<double>(values.size());
  }
  double apply(double x, double epsilon) const { return (x - mean) / std::sqrt(variance + epsilon); }
};

}  // namespace

TEST_CASE("activations by their ONNX names", "[operators]") {
  const Tensor<double> x = image();
  const auto check_each = [&](const Tensor<double>& y, const std::function<double(double)>& f) {
    check(y, image_shape, [&](Index n, Index c, Index i, Index j) { return f(x.at(n, c, i, j)); });
  };
  check_each(result("Elu", {}, [](OnnxModel& m) { m.with("alpha", 0.7f); }),
             [](double v) { return v > 0 ? v : 0.7 * std::expm1(v); });
  check_each(result("Selu", {}),
             [](double v) { return 1.0507009873554805 * (v > 0 ? v : 1.6732632423543772 * std::expm1(v)); });
  check_each(result("Softplus", {}), [](double v) { return softplus_of(v); });
  check_each(result("Mish", {}, {}, 18), [](double v) { return v * std::tanh(softplus_of(v)); });
  check_each(result("Erf", {}), [](double v) { return std::erf(v); });
  check_each(result("Gelu", {}, {}, 20), [](double v) { return v * (1 + std::erf(v / std::sqrt(2.0))) / 2; });
  check_each(result(
                 "Gelu", {}, [](OnnxModel& m) { m.with("approximate", "tanh"); }, 20),
             [](double v) {
               return v / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v)));
             });
  const Tensor<float> slope = hash_tensor<float>("slope", {6, 1, 1}, 0.5, 0.25);
  check(result("PRelu", {"slope"},
               [](OnnxModel& m) {
                 m.weight("slope", {6, 1, 1});
               }),
        image_shape, [&](Index n, Index c, Index i, Index j) {
          const double v = x.at(n, c, i, j);
          return v > 0 ? v : static_cast<double>(slope.at(c, 0, 0)) * v;
        });
}

TEST_CASE("normalisations by their ONNX names", "[operators]") {
  const Tensor<double> x = image();
  const auto weight = [](const char* name, Index c) {
    return static_cast<double>(hash_tensor<float>(name, {6}, 0.5, 0.25).at(c));
  };
  check(result("InstanceNormalization", {"s", "b"},
               [&](OnnxModel& m) { m.with("epsilon", 0.01f).weight("s", {6}).weight("b", {6}); }),
        image_shape, [&](Index n, Index c, Index i, Index j) {
          std::vector<double> values;
          for (Index k = 0; k < 20; ++k) values.push_back(x.at(n, c, k / 4, k % 4));
          return Moments(values).apply(x.at(n, c, i, j), 0.01) * weight("s", c) + weight("b", c);
        });

  const Tensor<float> s = hash_tensor<float>("s", {5, 4}, 0.5, 0.25),
                      b = hash_tensor<float>("b", {5, 4}, 0.5, 0.25);
  check(result("LayerNormalization", {"s", "b"},
               [&](OnnxModel& m) {
                 m.with("axis", 2).weight("s", {5, 4}).weight("b", {5, 4});
               }),
        image_shape, [&](Index n, Index c, Index i, Index j) {
          std::vector<double> values;
          for (Index k = 0; k < 20; ++k) values.push_back(x.at(n, c, k / 4, k % 4));
          return Moments(values).apply(x.at(n, c, i, j), 1e-5) * static_cast<double>(s.at(i, j)) +
                 static_cast<double>(b.at(i, j));
        });

  for (const Index opset : {18, 21}) {
    const Index weights = opset < 21 ? 3 : 6;
    const Tensor<float> scale = hash_tensor<float>("s", {weights}, 0.5, 0.25),
                        shift = hash_tensor<float>("b", {weights}, 0.5, 0.25);
    check(result(
              "GroupNormalization", {"s", "b"},
              [&](OnnxModel& m) { m.with("num_groups", 3).weight("s", {weights}).weight("b", {weights}); },
              opset),
          image_shape, [&](Index n, Index c, Index i, Index j) {
            std::vector<double> values;
            for (Index k = 0; k < 40; ++k) values.push_back(x.at(n, c / 2 * 2 + k / 20, k % 20 / 4, k % 4));
            const Index w = opset < 21 ? c / 2 : c;
            return Moments(values).apply(x.at(n, c, i, j), 1e-5) * static_cast<double>(scale.at(w)) +
                   static_cast<double>(shift.at(w));
          });
  }

  check(result("LRN", {},
               [&](OnnxModel& m) {
                 m.with("size", 4).with("alpha", 0.3f).with("beta", 0.6f).with("bias", 1.5f);
               }),
        image_shape, [&](Index n, Index c, Index i, Index j) {
          double sum = 0;
          for (Index k = std::max<Index>(0, c - 1); k <= std::min<Index>(5, c + 2); ++k)
            sum += x.at(n, k, i, j) * x.at(n, k, i, j);
          return x.at(n, c, i, j) / std::pow(1.5 + 0.3 / 4 * sum, 0.6);
        });
}

TEST_CASE("positions by their ONNX names", "[operators]") {
  const Tensor<double> x = image();
  const Index list[] = {5, 0, 5, 3};
  check(result("Gather", {"list"},
               [&](OnnxModel& m) {
                 m.with("axis", 1).integers("list", {5, 0, -1, 3});
               }),
        {2, 4, 5, 4}, [&](Index n, Index c, Index i, Index j) { return x.at(n, list[c], i, j); });

  const auto padded = [&](const char* mode, const std::function<Index(Index, Index)>& at) {
    check(result("Pad", {"pads"},
                 [&](OnnxModel& m) {
                   m.with("mode", mode).integers("pads", {0, 0, 2, 1, 0, 0, 1, 3});
                 }),
          {2, 6, 8, 8},
          [&](Index n, Index c, Index i, Index j) { return x.at(n, c, at(i - 2, 5), at(j - 1, 4)); });
  };
  padded("reflect", [](Index i, Index n) { return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i; });
  padded("edge", [](Index i, Index n) { return std::clamp<Index>(i, 0, n - 1); });
  padded("wrap", [](Index i, Index n) { return (i + n) % n; });

  check(result("Tile", {"times"},
               [&](OnnxModel& m) {
                 m.integers("times", {1, 1, 2, 3});
               }),
        {2, 6, 10, 12}, [&](Index n, Index c, Index i, Index j) { return x.at(n, c, i % 5, j % 4); });

  check(result("Resize", {"", "scales"},
               [&](OnnxModel& m) {
                 m.with("coordinate_transformation_mode", "asymmetric")
                     .with("nearest_mode", "floor")
                     .weight("scales", {4}, {1, 1, 2, 3});
               }),
        {2, 6, 10, 12}, [&](Index n, Index c, Index i, Index j) { return x.at(n, c, i / 2, j / 3); });

  const Graph<double> two =
      onnx::to_graph<double>(onnx::decode_model(OnnxModel(17)
                                                    .input("x", {2, 6, 5, 4})
                                                    .output("y")
                                                    .integers("sizes", {2, 6, 10, 4})
                                                    .node("Resize", {"x", "", "", "sizes"}, {"y"})
                                                    .with("mode", "linear")
                                                    .bytes(),
                                                "two"),
                             ".");
  check(run(two, x), {2, 6, 10, 4}, [&](Index n, Index c, Index i, Index j) {
    const double at = std::clamp((static_cast<double>(i) + 0.5) / 2 - 0.5, 0.0, 4.0);
    const Index low = static_cast<Index>(at), high = std::min<Index>(4, low + 1);
    const double f = at - static_cast<double>(low);
    return (1 - f) * x.at(n, c, low, j) + f * x.at(n, c, high, j);
  });
}

TEST_CASE("a transposed convolution with a wanted output", "[operators]") {
  const Tensor<double> x = image();
  const Tensor<float> w = hash_tensor<float>("w", {6, 2, 3, 3}, 0.5, 0.25),
                      b = hash_tensor<float>("b", {2}, 0.5, 0.25);
  // 11 x 9 without padding: one row and one column are cut off, at the beginning as the specification has it.
  check(
      result("ConvTranspose", {"w", "b"},
             [&](OnnxModel& m) {
               m.with("strides", std::vector<Index>{2, 2})
                   .with("output_shape", std::vector<Index>{10, 8})
                   .weight("w", {6, 2, 3, 3})
                   .weight("b", {2});
             }),
      {2, 2, 10, 8}, [&](Index n, Index o, Index i, Index j) {
        double sum = static_cast<double>(b.at(o));
        for (Index c = 0; c < 6; ++c)
          for (Index k = 0; k < 3; ++k)
            for (Index l = 0; l < 3; ++l) {
              const Index row = i + 1 - k, column = j + 1 - l;
              if (row < 0 || column < 0 || row % 2 != 0 || column % 2 != 0 || row / 2 >= 5 || column / 2 >= 4)
                continue;
              sum += static_cast<double>(w.at(c, o, k, l)) * x.at(n, c, row / 2, column / 2);
            }
        return sum;
      });
}

TEST_CASE("signals are images of one row", "[operators]") {
  OnnxModel model(17);
  model.input("x", {0, 3, 9}).output("y").weight("w", {4, 3, 3}).weight("b", {4});
  model.node("Conv", {"x", "w", "b"}, {"c"})
      .with("strides", std::vector<Index>{2})
      .with("pads", std::vector<Index>{1, 1});
  model.node("MaxPool", {"c"}, {"y"}).with("kernel_shape", std::vector<Index>{2});
  const Tensor<double> x = hash_tensor<double>("signal", {2, 3, 9});
  const Tensor<float> w = hash_tensor<float>("w", {4, 3, 3}, 0.5, 0.25),
                      b = hash_tensor<float>("b", {4}, 0.5, 0.25);
  const Tensor<double> y = outcome(model, x);
  REQUIRE(y.shape() == Shape{2, 4, 4});
  const auto conv = [&](Index n, Index o, Index i) {
    double sum = static_cast<double>(b.at(o));
    for (Index c = 0; c < 3; ++c)
      for (Index k = 0; k < 3; ++k) {
        const Index at = 2 * i - 1 + k;
        if (at >= 0 && at < 9) sum += static_cast<double>(w.at(o, c, k)) * x.at(n, c, at);
      }
    return sum;
  };
  for (Index n = 0; n < 2; ++n)
    for (Index o = 0; o < 4; ++o)
      for (Index i = 0; i < 4; ++i)
        CHECK(y.at(n, o, i) == Approx(std::max(conv(n, o, i), conv(n, o, i + 1))).epsilon(1e-9));
}
