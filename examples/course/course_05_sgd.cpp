// Stochastic gradient descent: rates and momentum on a bowl, the noise of mini-batches, schedules, and the
// learning-rate finder on a small network.
//
//   v = mu v + dL/dw          (mu = 0: plain)
//   w = w - a f(t) v          with the schedule's factor f(t)
//
// Sources: Robbins, Monro 1951; Polyak 1964; Smith 2017, https://arxiv.org/abs/1506.01186; Goh 2017, "Why
// momentum really works", https://distill.pub/2017/momentum
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <tl/optim/schedule.hpp>
#include <tl/optim/sgd.hpp>
#include <tl/train/find_lr.hpp>

#include "figure.hpp"
#include "flowers.hpp"

namespace {

using tl::Index, tl::Tensor, tl::Var;
using Curve = std::vector<std::pair<double, double>>;

// [bowl]
/// Steps until L = (x^2 + 25 y^2) / 2 is below 1e-6 from (1,1); -1 when it is not after 1,000.
int steps_down(double rate, double momentum) {
  const Var<double> w(Tensor<double>::ones({2}), true);
  const Var<double> curvature(Tensor<double>::from({1, 25}, {2}));
  tl::optim::Sgd<double> sgd({{.params = {{"w", w}}, .lr = rate}}, {.momentum = momentum});
  for (int step = 0; step < 1000; ++step) {
    const Var<double> loss = tl::sum(curvature * w * w) * 0.5;
    if (loss.item() < 1e-6) return step;
    loss.backward();
    sgd.step();
    sgd.zero_grad();
  }
  return -1;
}
// [/bowl]

void bowl() {
  std::printf("steps down a bowl of curvatures 1 and 25\n");
  const double best = 2.0 / (1 + 25);
  for (const auto& [name, rate, momentum] :
       {std::tuple{"a tenth of the best rate", best / 10, 0.0}, std::tuple{"the best rate, 2/26", best, 0.0},
        std::tuple{"just above the limit of 2/25", 0.081, 0.0},
        std::tuple{"momentum 4/9, rate 1/9", 1.0 / 9, 4.0 / 9}})
    std::printf("  %-30s%5d\n", name, steps_down(rate, momentum));
}

/// The gradient of the loss of these samples, all parameters in one row.
std::vector<double> gradient_of(tl::nn::Module<float>& network, const course::Set& set,
                                std::span<const Index> samples) {
  const course::Set part = course::take(set, samples);
  network.zero_grad();
  tl::cross_entropy(network.forward(part.images), part.labels).backward();
  std::vector<double> gradient;
  for (const auto& p : network.parameters())
    for (const float g : p.var.grad().span()) gradient.push_back(static_cast<double>(g));
  network.zero_grad();
  return gradient;
}

/// How far the gradient of a few images is from that of all: mean |g_B - g|^2 / |g|^2.
void noise(const course::Set& set) {
  const course::Network network = course::small_network(4, 1);
  network->eval();  // running statistics: otherwise the images of a batch would not be independent
  const std::vector<Index> all = course::shuffled(set.size(), 0);
  const std::vector<double> full = gradient_of(*network, set, all);
  std::printf("\nnoise of the gradient, |g_B - g|^2 / |g|^2\n");
  constexpr int draws = 40;
  for (const std::size_t batch : {4U, 16U, 64U}) {
    // [noise]
    double distance = 0, length = 0;
    tl::Rng random(7, batch);
    std::vector<Index> samples(batch);
    for (int i = 0; i < draws; ++i) {
      for (Index& sample : samples) sample = all[random.below(all.size())];  // with replacement
      const std::vector<double> g = gradient_of(*network, set, samples);
      for (std::size_t k = 0; k < g.size(); ++k) distance += (g[k] - full[k]) * (g[k] - full[k]);
    }
    for (const double g : full) length += g * g;
    const double ratio = distance / draws / length;
    // [/noise]
    std::printf("  batches of %2zu  %6.2f   times the size: %.0f\n", batch, ratio,
                ratio * static_cast<double>(batch));
  }
}

struct Way {
  const char* name;
  double rate, momentum;
  tl::optim::ScheduleKind schedule = tl::optim::ScheduleKind::constant;
};

/// Trains for some epochs; returns the loss by step, smoothed, and prints where it ended.
Curve train(const Way& way, const course::Set& set, const course::Set& test) {
  // [epochs]
  const course::Network network = course::small_network(4, 1);
  constexpr Index epochs = 10, batch = 32;
  const Index steps_an_epoch = set.size() / batch;  // the last few images wait for the next epoch
  tl::optim::Sgd<float> sgd({{.params = network->parameters(), .lr = way.rate}}, {.momentum = way.momentum});
  const tl::optim::Schedule schedule{.kind = way.schedule, .total = epochs * steps_an_epoch};
  Index step = 0;
  Curve curve;
  double smoothed = std::log(4.0);  // of four classes that are equally likely
  for (Index epoch = 0; epoch < epochs; ++epoch) {
    const std::vector<Index> order = course::shuffled(set.size(), static_cast<std::uint64_t>(epoch));
    for (Index i = 0; i < steps_an_epoch; ++i, ++step) {
      const auto samples = std::span(order).subspan(static_cast<std::size_t>(i * batch), batch);
      const course::Set part = course::take(set, samples);
      const auto loss = tl::cross_entropy(network->forward(part.images), part.labels);
      loss.backward();
      sgd.step(schedule(step));
      sgd.zero_grad();
      smoothed = 0.9 * smoothed + 0.1 * static_cast<double>(loss.item());
      curve.emplace_back(static_cast<double>(step), smoothed);
    }
  }
  // [/epochs]
  std::printf("  %-32s%8.2f%10.0f\n", way.name, smoothed, 100 * course::accuracy(*network, test));
  return curve;
}

/// The loss while the rate rises from step to step.
tl::train::LrCurve find_rate(const course::Set& set) {
  // [finder]
  const course::Network network = course::small_network(4, 1);
  tl::optim::Sgd<float> sgd({{.params = network->parameters(), .lr = 1}});
  tl::train::LrSweep sweep(*network, sgd, {.lowest = 1e-4, .highest = 10, .steps = 60});
  const std::vector<Index> order = course::shuffled(set.size(), 0);
  for (std::size_t i = 0;; i = (i + 32) % (order.size() - 32)) {
    const course::Set part = course::take(set, std::span(order).subspan(i, 32));
    if (!sweep.take(tl::cross_entropy(network->forward(part.images), part.labels))) break;
  }
  return sweep.curve();  // network and optimiser are as they were
  // [/finder]
}

}  // namespace

int main() try {
  tl::set_num_threads(1);  // for a network this small
  bowl();
  const course::Set set = course::flowers({0, 1, 2, 3}, 128, 0, 32),
                    test = course::flowers({0, 1, 2, 3}, 100, 10000, 32);
  noise(set);

  const tl::train::LrCurve found = find_rate(set);
  std::printf("\nlearning-rate finder: steepest at %.2g, a tenth of the lowest at %.2g\n", found.steepest,
              found.tenth);
  Curve losses;
  for (const auto& point : found.points) losses.emplace_back(point.rate, point.smoothed);
  course::Figure finder("The loss while the rate rises", "learning rate", "loss, smoothed");
  finder.logarithmic();
  finder.add("momentum 0.9", losses);
  finder.write("find_lr.svg");

  using Kind = tl::optim::ScheduleKind;
  course::Figure figure("Training loss by step, four schedules of the same length", "step", "loss, smoothed");
  std::printf("\nfour kinds of flowers, 128 of each    loss  accuracy, %%\n");
  for (const Way& way : {Way{"rate 0.05, plain", 0.05, 0}, Way{"rate 0.05, momentum 0.9", 0.05, 0.9},
                         Way{"the same, cosine", 0.05, 0.9, Kind::cosine},
                         Way{"the same, one-cycle", 0.05, 0.9, Kind::one_cycle}})
    figure.add(way.name, train(way, set, test));
  figure.write("sgd.svg");
  train({"rate 0.0005, momentum 0.9", 0.0005, 0.9}, set, test);
  train({"rate 0.25, momentum 0.9", 0.25, 0.9}, set, test);
  train({"rate 5, momentum 0.9", 5, 0.9}, set, test);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
