// Gradients: by hand, by a tape of forty lines, by the library's tape, and by differences; and the step that
// training consists of.
//
//   chain rule           dL/dx = sum over the operations y that read x of dL/dy dy/dx
//   central difference   dL/dx ~ (L(x + h) - L(x - h)) / 2h          error: h^2 of the formula, 1e-16/h of
//   rounding a step               w = w - a dL/dw
//
// Sources: Linnainmaa 1970; Griewank, Walther 2008, "Evaluating Derivatives".
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/autograd/functions.hpp>
#include <tl/autograd/gradcheck.hpp>

#include "figure.hpp"
#include "plane.hpp"

namespace {

using tl::Index, tl::Tensor, tl::Var;

// [tape]
/// A tape for numbers: each record is an operation that was executed, and how its result moves with its
/// inputs.
class Tape {
 public:
  struct Input {
    std::size_t record;
    double slope;  ///< of the result by this input, at the values it had
  };
  struct Record {
    std::string operation;
    double value, gradient;
    std::vector<Input> inputs;
  };

  std::size_t leaf(std::string name, double value) { return add(std::move(name), value, {}); }
  std::size_t multiply(std::size_t a, std::size_t b) {
    return add("multiply", at(a) * at(b), {{a, at(b)}, {b, at(a)}});
  }
  std::size_t plus(std::size_t a, std::size_t b) { return add("plus", at(a) + at(b), {{a, 1}, {b, 1}}); }
  std::size_t sigmoid(std::size_t x) {
    const double y = 1 / (1 + std::exp(-at(x)));
    return add("sigmoid", y, {{x, y * (1 - y)}});
  }
  std::size_t minus_log(std::size_t x) { return add("minus_log", -std::log(at(x)), {{x, -1 / at(x)}}); }

  void backward() {
    records.back().gradient = 1;  // dL/dL
    for (std::size_t i = records.size(); i-- > 0;)
      for (const Input& input : records[i].inputs)
        records[input.record].gradient += records[i].gradient * input.slope;
  }

  std::vector<Record> records;

 private:
  double at(std::size_t i) const { return records[i].value; }
  std::size_t add(std::string operation, double value, std::vector<Input> inputs) {
    records.push_back({std::move(operation), value, 0, std::move(inputs)});
    return records.size() - 1;
  }
};
// [/tape]

// [loss]
/// L = -log sigmoid(w x + b): a neuron that should say yes.
Var<double> neuron(const Var<double>& w, const Var<double>& x, const Var<double>& b) {
  return -tl::log(tl::sigmoid(w * x + b));
}
double neuron(double w, double x, double b) { return std::log(1 + std::exp(-(w * x + b))); }
// [/loss]

/// The error of two formulas by their step, for L = 1 / (1 + w^2): additions, products and a quotient, which
/// every machine rounds alike.
void how_good_is_a_difference() {
  const double w = 0.5, dw = -2 * w / ((1 + w * w) * (1 + w * w));
  std::vector<std::pair<double, double>> one_sided, central;
  // [difference]
  const auto loss = [](double v) { return 1 / (1 + v * v); };
  for (double h = 0.1; h > 1e-13; h /= 2) {
    const double forward = (loss(w + h) - loss(w)) / h, both = (loss(w + h) - loss(w - h)) / (2 * h);
    one_sided.emplace_back(h, std::log10(std::max(std::abs(forward - dw), 1e-13)));
    central.emplace_back(h, std::log10(std::max(std::abs(both - dw), 1e-13)));
  }
  // [/difference]
  course::Figure figure("Error of a difference quotient in double", "step h", "log10 of the error of dL/dw");
  figure.logarithmic();
  figure.lower_legend(0.8);
  figure.add("(L(w+h) - L(w)) / h", one_sided);
  figure.add("(L(w+h) - L(w-h)) / 2h", central);
  figure.write("tape.svg");
}

void one_neuron() {
  // [hand]
  const double w = 0.5, x = 2, b = -0.5;
  const double z = w * x + b, p = 1 / (1 + std::exp(-z));  // forward
  const double dp = -1 / p, dz = dp * p * (1 - p);         // backward; dz is p - 1
  const double dw = dz * x, db = dz;
  // [/hand]
  std::printf("by hand      dw %.4f  db %.4f\n", dw, db);

  // [records]
  Tape tape;
  const std::size_t leaf_w = tape.leaf("w", w), leaf_x = tape.leaf("x", x), leaf_b = tape.leaf("b", b);
  tape.minus_log(tape.sigmoid(tape.plus(tape.multiply(leaf_w, leaf_x), leaf_b)));
  tape.backward();
  // [/records]
  std::printf("own tape     dw %.4f  db %.4f\n", tape.records[leaf_w].gradient,
              tape.records[leaf_b].gradient);

  // [library]
  const Var<double> w_var(Tensor<double>::scalar(w), true), b_var(Tensor<double>::scalar(b), true);
  neuron(w_var, Var<double>(Tensor<double>::scalar(x)), b_var).backward();
  // [/library]
  std::printf("library      dw %.4f  db %.4f\n", w_var.grad().item(), b_var.grad().item());
  const double h = 1e-5;
  std::printf("differences  dw %.4f  db %.4f\n", (neuron(w + h, x, b) - neuron(w - h, x, b)) / (2 * h),
              (neuron(w, x, b + h) - neuron(w, x, b - h)) / (2 * h));
  std::printf("\n%-6s %-10s %8s %9s\n", "record", "operation", "value", "gradient");
  for (std::size_t i = 0; i < tape.records.size(); ++i) {
    const Tape::Record& record = tape.records[i];
    std::printf("%-6zu %-10s %8.4f %9.4f\n", i, record.operation.c_str(), record.value, record.gradient);
  }

  how_good_is_a_difference();
}

void descend() {
  const course::Points points = course::plane(50);
  // [step]
  const Var<double> x(points.x), y(points.y);
  Var<double> w(Tensor<double>::zeros({1, 3}), true);
  const double a = 0.1;
  for (int step = 0; step <= 200; ++step) {
    const Var<double> loss = tl::mean_squared_error(tl::linear(x, w), y);
    loss.backward();
    if (step == 0 || step == 1 || step == 10 || step == 50 || step == 200)
      std::printf("step %3d  loss %.4f  w %.3f %.3f %.3f\n", step, loss.item(), w.value().at(0, 0),
                  w.value().at(0, 1), w.value().at(0, 2));
    double* values = w.mutable_value().mutable_data();
    for (Index i = 0; i < w.grad().size(); ++i) values[i] = values[i] - a * w.grad().data()[i];
    w.zero_grad();  // gradients add up until they are taken away
  }
  // [/step]
}

// [wrong]
/// x^2 with a gradient that forgets the 2.
struct WrongSquare {
  static constexpr std::string_view name = "wrong_square";
  tl::Shape infer(const tl::Shape& x) const { return x; }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    return tl::mul(x, x);
  }
  static constexpr tl::Reads reads(int) { return {.inputs = 1}; }
  template <class T>
  void backward(const tl::Saved<T>& s, const Tensor<T>& dy, tl::GradSink<T>& d) const {
    d.add(0, tl::mul(dy, s.input(0)));
  }
};
// [/wrong]

void check() {
  // [gradcheck]
  const auto x = Tensor<double>::from({-1, 0.5, 2, 3}, {2, 2});
  const auto right = tl::gradcheck([](const auto& in) { return tl::softmax(in[0] * in[0]); }, {x});
  const auto wrong = tl::gradcheck([](const auto& in) { return tl::apply(WrongSquare{}, in[0]); }, {x});
  // [/gradcheck]
  std::printf("gradcheck of softmax(x x): %s; of wrong_square: %s, relative error %.2f\n",
              right ? "passed" : "failed", wrong ? "passed" : "failed", wrong.error);
}

void what_is_kept() {
  // [kept]
  Var<double> w(Tensor<double>::full({3}, 2), true);
  const Var<double> x(Tensor<double>::full({3}, 5));
  const Var<double> y = tl::sum(w * x * w);  // w is read twice: dw = 2 w x
  y.backward();
  std::printf("dw[0] of w x w: %.0f\n", w.grad().at(0));

  w.set_requires_grad(false);  // frozen
  std::printf("a record of frozen values: %s\n", (w * x).record() ? "yes" : "no");

  w.set_requires_grad(true);
  const Var<double> square = tl::sum(w * w);
  w.mutable_value().set(7, 0);  // the gradient of w w reads w
  try {
    square.backward();
  } catch (const tl::Error& error) {
    std::cout << error.what() << '\n';
  }
  // [/kept]
}

}  // namespace

int main() try {
  one_neuron();
  std::printf("\n");
  descend();
  std::printf("\n");
  check();
  what_is_kept();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
