// A freeze survives every change of mode: random networks, random patterns of freeze() and unfreeze() by
// glob, random train(), eval() and steps. What is frozen keeps its bits; everything else moves.
#include <memory>
#include <string>
#include <vector>

#include <tl/autograd/functions.hpp>
#include <tl/nn/layers.hpp>
#include <tl/optim/adamw.hpp>
#include <tl/optim/sgd.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;

namespace {

using Network = std::shared_ptr<nn::Module<float>>;

const Shape images{6, 3, 8, 8};
constexpr Index classes = 3;

/// One to three convolutions, most with a BatchNorm, then one or two fully connected layers: as modules, or
/// as a Model, which runs by a plan that folds what is frozen.
Network random_network(Rng& rng, std::uint64_t seed) {
  const RandomScope scope(seed, 0);
  auto network = std::make_shared<nn::Sequential<float>>();
  Index width = images[1];
  for (auto convolutions = 1 + rng.below(3); convolutions > 0; --convolutions) {
    const Index out = 2 + static_cast<Index>(rng.below(7));
    const bool norm = rng.chance(0.8);
    network->push_back(std::make_shared<nn::Conv2d<float>>(
        nn::Conv2dOptions{.in = width, .out = out, .kernel = 3, .padding = 1, .bias = !norm}));
    if (norm)
      network->push_back(std::make_shared<nn::BatchNorm2d<float>>(nn::BatchNormOptions{.channels = out}));
    network->push_back(std::make_shared<nn::Silu<float>>());
    width = out;
  }
  network->push_back(std::make_shared<nn::AdaptiveAveragePool2d<float>>());
  network->push_back(std::make_shared<nn::Flatten<float>>());
  if (rng.chance(0.5)) {
    network->push_back(std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = width, .out = 5}));
    network->push_back(std::make_shared<nn::Silu<float>>());
    width = 5;
  }
  network->push_back(std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = width, .out = classes}));
  if (rng.chance(0.5)) return network;
  return nn::trace<float>(*network, Tensor<float>::zeros({1, images[1], images[2], images[3]}));
}

std::unique_ptr<optim::Optimiser<float>> random_optimiser(Rng& rng, const nn::Module<float>& network) {
  std::vector<optim::ParameterGroup<float>> groups{{.params = network.parameters(), .lr = 0.02}};
  if (rng.chance(0.5)) return std::make_unique<optim::AdamW<float>>(groups);
  return std::make_unique<optim::Sgd<float>>(groups, optim::SgdOptions{.weight_decay = 1e-3});
}

/// Everything, all of a layer, all weights, all biases, or one parameter.
std::string random_glob(Rng& rng, const nn::Module<float>& network) {
  const auto parameters = network.parameters();
  const std::string name = parameters[rng.below(parameters.size())].name;
  switch (rng.below(5)) {
    case 0:
      return "*";
    case 1:
      return name.substr(0, name.find('.')) + ".*";
    case 2:
      return "*.weight";
    case 3:
      return "*bias";
    default:
      return name;
  }
}

/// What is trained by what was asked, kept beside the network.
class Expected {
 public:
  explicit Expected(const nn::Module<float>& network) {
    for (const auto& p : network.parameters()) names_.push_back(p.name);
    trained_.assign(names_.size(), true);
  }
  void set(const std::string& glob, bool trained) {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (nn::glob_match(glob, names_[i])) trained_[i] = trained;
    }
  }
  const std::vector<bool>& trained() const { return trained_; }
  /// Whether any parameter is trained whose name begins like this.
  bool any(const std::string& prefix) const {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (trained_[i] && names_[i].starts_with(prefix)) return true;
    }
    return false;
  }

 private:
  std::vector<std::string> names_;
  std::vector<bool> trained_;
};

/// One random change of what is trained.
void freeze_or_thaw(Rng& rng, nn::Module<float>& network, Expected& expected) {
  const std::string glob = random_glob(rng, network);
  const bool trained = rng.chance(0.4);
  CHECK((trained ? network.unfreeze(glob) : network.freeze(glob)) > 0);
  expected.set(glob, trained);
}

struct Counts {
  Index frozen = 0, moved = 0, still_statistics = 0, moved_statistics = 0;
};

/// Forward, backward and a step, sometimes with a change of mind before the step; then every parameter and
/// every buffer is looked at.
void step_and_check(Rng& rng, std::uint64_t seed, nn::Module<float>& network,
                    optim::Optimiser<float>& optimiser, Expected& expected, bool training, Counts& counts) {
  const std::vector<Tensor<float>> before = state_of(network);
  const std::vector<bool> in_backward = expected.trained();
  std::vector<bool> norm_trains;
  for (const auto& b : network.buffers())
    norm_trains.push_back(training && expected.any(b.name.substr(0, b.name.find("running"))));

  const auto x = hash_tensor<float>(concat("x", seed), images);
  const Var<float> loss =
      cross_entropy(network.forward(Var<float>(x)), Tensor<std::int64_t>::from({0, 1, 2, 0, 1, 2}, {6}));
  if (expected.any("")) loss.backward();
  if (rng.chance(0.3)) freeze_or_thaw(rng, network, expected);
  optimiser.step();
  optimiser.zero_grad();

  const std::vector<Tensor<float>> after = state_of(network);
  const auto parameters = network.parameters(), buffers = network.buffers();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    INFO("parameter " << parameters[i].name);
    CHECK(parameters[i].var.requires_grad() == expected.trained()[i]);
    const bool moves = in_backward[i] && expected.trained()[i];
    CHECK(same_bits(before[i], after[i]) != moves);
    ++(moves ? counts.moved : counts.frozen);
  }
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    INFO("buffer " << buffers[i].name);
    CHECK(same_bits(before[parameters.size() + i], after[parameters.size() + i]) != norm_trains[i]);
    ++(norm_trains[i] ? counts.moved_statistics : counts.still_statistics);
  }
}

}  // namespace

TEST_CASE("a freeze survives every change of mode, and everything else moves") {
  Counts counts;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    INFO("seed " << seed);
    Rng rng(seed, 0x667265657a65);
    const Network network = random_network(rng, seed);
    const auto optimiser = random_optimiser(rng, *network);
    Expected expected(*network);
    bool training = network->is_training();
    for (std::uint64_t action = 0; action < 14; ++action) {
      INFO("action " << action);
      switch (rng.below(4)) {
        case 0:
          training = rng.chance(0.6);
          training ? network->train() : network->eval();
          break;
        case 1:
          freeze_or_thaw(rng, *network, expected);
          break;
        default:
          step_and_check(rng, 100 * seed + action, *network, *optimiser, expected, training, counts);
      }
    }
  }
  // Each of the four was seen often enough to mean something.
  CHECK(std::min({counts.frozen, counts.moved, counts.still_statistics, counts.moved_statistics}) > 500);
}
