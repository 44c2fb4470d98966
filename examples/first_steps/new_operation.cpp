// An operation of one's own: its struct, its gradient checked in double, and a network that learns with it.
//
//   y = x                     where x > 0        dx = dy
//   y = alpha (exp(x) - 1)    elsewhere          dx = dy (y + alpha)
//
// Source: Clevert, Unterthiner, Hochreiter 2015, https://arxiv.org/abs/1511.07289
#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/tl.hpp>

namespace {

// [struct]
/// Continuously differentiable exponential linear unit, element by element. Its gradient is a function of its
/// result.
struct Celu {
  static constexpr std::string_view name = "celu";
  double alpha = 1;

  tl::Shape infer(const tl::Shape& x) const {
    TL_CHECK(alpha > 0, "[celu] expected alpha above 0, got ", alpha);
    return x;
  }

  template <class T>
  tl::Tensor<T> forward(const tl::Tensor<T>& x) const {
    const T a = static_cast<T>(alpha);
    auto y = tl::Tensor<T>::empty(infer(x.shape()), x.layout());
    std::transform(x.data(), x.data() + x.size(), y.mutable_data(),
                   [a](T v) { return v > 0 ? v : a * std::expm1(v / a); });
    return y;
  }

  static constexpr tl::Reads reads(int) { return {.output = true}; }

  template <class T>
  void backward(const tl::Saved<T>& s, const tl::Tensor<T>& dy, tl::GradSink<T>& d) const {
    const T a = static_cast<T>(alpha);
    const tl::Tensor<T>& y = s.output();
    const tl::Tensor<T> g = dy.to(y.layout());
    auto dx = tl::Tensor<T>::empty(y.shape(), y.layout());
    std::transform(y.data(), y.data() + y.size(), g.data(), dx.mutable_data(),
                   [a](T v, T gradient) { return v > 0 ? gradient : gradient * (v / a + 1); });
    d.add(0, std::move(dx));
  }
};
// [/struct]

// [function]
template <class T>
tl::Var<T> celu(const tl::Var<T>& x, double alpha = 1) {
  return tl::apply(Celu{alpha}, x);
}
// [/function]

}  // namespace

int main() try {
  // [gradcheck]
  const auto checked = tl::gradcheck([](const auto& inputs) { return celu(inputs[0], 0.7); },
                                     {tl::Tensor<double>::from({-2, -0.5, -0.1, 0.3, 1, 4}, {2, 3})});
  std::cout << "gradcheck: " << (checked ? "passed" : "failed") << ", relative error " << checked.error
            << '\n';
  // [/gradcheck]
  if (!checked) return 1;

  // [layer]
  const auto model =
      tl::nn::sequential<float>({std::make_shared<tl::nn::Dense<>>(tl::nn::DenseOptions{.in = 2, .out = 8}),
                                 std::make_shared<tl::nn::Function<float, Celu>>(Celu{.alpha = 0.7}),
                                 std::make_shared<tl::nn::Dense<>>(tl::nn::DenseOptions{.in = 8, .out = 2})});
  // [/layer]

  // [training]
  const auto x = tl::Tensor<float>::from({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2});
  const auto exclusive_or = tl::Tensor<std::int64_t>::from({0, 1, 1, 0}, {4});
  tl::optim::Sgd<float> sgd({{.params = model->parameters(), .lr = 0.1}}, {.momentum = 0.9});
  for (int step = 0; step < 200; ++step) {
    const auto loss = tl::cross_entropy(model->forward(x), exclusive_or);
    loss.backward();
    sgd.step();
    sgd.zero_grad();
    if (step % 50 == 0) std::cout << "step " << step << "  loss " << loss.item() << '\n';
  }
  // [/training]

  tl::train::Evaluation figures(2);
  figures.add(model->forward(x).value(), exclusive_or);
  std::cout << figures.correct() << " of " << figures.count() << " right\n";

  // [graph]
  const auto graph = tl::nn::trace<float>(*model, x)->graph();
  for (const auto& node : graph.nodes()) std::cout << "node " << node.name << '\n';
  try {
    tl::onnx::encode(graph);
  } catch (const tl::Error& error) {
    std::cout << error.what() << '\n';
  }
  // [/graph]
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
