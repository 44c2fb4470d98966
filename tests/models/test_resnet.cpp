// ResNet-18, -34 and -50 against torchvision (tests/fixtures/resnet.json): names, logits, gradients,
// training.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <tl/kernels/conv_plan.hpp>
#include <tl/models/resnet.hpp>
#include <tl/optim/sgd.hpp>
#include "models/thread_checks.hpp"
#include "support/fixtures.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

namespace {

const Json& fixture() {
  static const Json json = read_fixture("resnet.json");
  return json;
}

template <class T>
std::shared_ptr<models::ResNet<T>> make(const std::string& name) {
  if (name == "resnet18") return models::resnet18<T>();
  if (name == "resnet34") return models::resnet34<T>();
  return models::resnet50<T>();
}

/// Gives a network the fixture's weights and statistics, each tensor from the hash of its torchvision name;
/// no gradients, nothing frozen.
template <class T>
void refill(models::ResNet<T>& network, const std::string& name) {
  std::map<std::string, Var<T>> by_name;
  for (const auto& list : {network.parameters(), network.buffers()}) {
    for (const nn::Named<T>& n : list) by_name[n.name] = n.var;
  }
  const Json& described = fixture()["models"][name];
  REQUIRE(by_name.size() == described.size());
  for (const Json& tensor : described) {
    const std::string role = tensor["name"];
    INFO(role);
    REQUIRE(by_name.count(role) == 1);
    Var<T>& var = by_name[role];
    REQUIRE(var.shape() == shape_of(tensor["shape"]));
    hash_fill(role, var.mutable_value().mutable_data(), var.value().size(), tensor["scale"],
              tensor["offset"]);
  }
  network.unfreeze();
  network.zero_grad();
}

/// The names of a model's parameters, in torchvision's order.
std::vector<std::string> parameter_names(const std::string& model) {
  std::vector<std::string> names;
  for (const Json& described : fixture()["models"][model]) {
    const std::string name = described["name"];
    if (name.find("running_") == std::string::npos) names.push_back(name);
  }
  return names;
}

template <class T>
Var<T> input_of(const Json& c) {
  return Var<T>(hash_tensor<T>(c["input"]["name"].get<std::string>(), shape_of(c["input"]["shape"])));
}

Tensor<std::int64_t> labels_of(const Json& c) {
  const auto labels = c["labels"].get<std::vector<std::int64_t>>();
  return Tensor<std::int64_t>::from(labels, {static_cast<Index>(labels.size())});
}

std::string title(const Json& c) {
  return c["model"].get<std::string>() + ", " + c["mode"].get<std::string>() + ", " +
         c["input"]["name"].get<std::string>();
}

template <class T>
void check_logits(const std::string& model, double tolerance) {
  const auto network = make<T>(model);
  refill(*network, model);
  std::vector<std::string> names;
  for (const auto& p : network->parameters()) names.push_back(p.name);
  CHECK(names == parameter_names(model));
  const NoGrad no_grad;
  for (const Json& c : fixture()["forward"]) {
    if (c["model"] != model) continue;
    INFO(title(c));
    network->train(c["mode"] == "train");
    check_sampled(network->forward(input_of<T>(c)).value(), c["logits"], tolerance);
  }
}

/// Loss, logits, all parameter gradients and what training does to the running statistics.
template <class T>
void check_gradients(models::ResNet<T>& network, const Json& c, double tolerance) {
  INFO(title(c));
  refill(network, "resnet18");
  network.train(c["mode"] == "train");
  const Var<T> logits = network.forward(input_of<T>(c));
  const Var<T> loss = cross_entropy(logits, labels_of(c));
  loss.backward();
  check_sampled(logits.value(), c["logits"], tolerance);
  CHECK(static_cast<double>(loss.item()) == Approx(c["loss"].get<double>()).epsilon(tolerance));
  REQUIRE(network.parameters().size() == c["grads"].size());
  for (const Json& gradient : c["grads"]) {
    const std::string name = gradient["name"];
    INFO(name);
    check_sampled(network.parameter(name).grad(), gradient, tolerance);
  }
  if (c["mode"] != "train") return;
  REQUIRE(network.buffers().size() == c["buffers"].size());
  for (std::size_t i = 0; i < c["buffers"].size(); ++i) {
    REQUIRE(network.buffers()[i].name == c["buffers"][i]["name"]);
    INFO(network.buffers()[i].name);
    check_sampled(network.buffers()[i].var.value(), c["buffers"][i], tolerance);
  }
}

/// Loss before each of 20 steps and after the last, and what they leave in parameters and statistics.
void check_training(const std::string& mode) {
  const Json& runs = fixture()["sgd"];
  const Json& c = *std::find_if(runs.begin(), runs.end(), [&](const Json& r) { return r["mode"] == mode; });
  const auto network = models::resnet18<double>();
  refill(*network, "resnet18");
  network->train();
  if (mode == "frozen") {
    network->freeze("*bn?.*");
    network->freeze("*downsample.1.*");
  }
  optim::Sgd<double> sgd(
      {{.params = network->parameters(), .lr = c["lr"]}},
      {.momentum = c["momentum"], .weight_decay = c["weight_decay"], .nesterov = c["nesterov"]});
  const Var<double> x = input_of<double>(c);
  const Json& losses = c["losses"];
  REQUIRE(losses.size() == 21);
  for (std::size_t step = 0; step < losses.size(); ++step) {
    const Var<double> loss = cross_entropy(network->forward(x), labels_of(c));
    INFO(mode << ", step " << step << ": " << loss.item() - losses[step].get<double>());
    CHECK(std::abs(loss.item() - losses[step].get<double>()) <= 1e-8);
    if (step + 1 == losses.size()) break;  // the last loss is read after 20 steps
    sgd.zero_grad();
    loss.backward();
    sgd.step();
    if (step + 2 < losses.size()) continue;
    for (const Json& left : c["parameters"]) {
      const std::string name = left["name"];
      INFO(name);
      const auto lists = {network->parameters(), network->buffers()};
      bool found = false;
      for (const auto& list : lists) {
        for (const nn::Named<double>& n : list) {
          if (n.name != name) continue;
          found = true;
          check_sampled(n.var.value(), left, 1e-9);
        }
      }
      CHECK(found);
    }
  }
}

}  // namespace

TEST_CASE("ResNet names and logits are torchvision's in float", "[pytorch]") {
  for (const char* model : {"resnet18", "resnet34", "resnet50"}) check_logits<float>(model, 1e-4);
}

TEST_CASE("ResNet names and logits are torchvision's in double", "[pytorch]") {
  for (const char* model : {"resnet18", "resnet34", "resnet50"}) check_logits<double>(model, 1e-10);
}

TEST_CASE("ResNet-18's parameter gradients are torchvision's in double", "[pytorch]") {
  const auto network = models::resnet18<double>();
  for (const Json& c : fixture()["gradients"]) check_gradients(*network, c, 1e-10);
}

TEST_CASE("ResNet-18's parameter gradients are torchvision's in float on each instruction set", "[pytorch]") {
  const auto network = models::resnet18<float>();
  for (const Json& c : fixture()["gradients"]) {
    // Inputs of relu nearer to zero than `t` may come out on either side, and some gradients of the fixture
    // with them: there Winograd's rounding, up to 5e-6, is too coarse, and that of direct sums is not.
    std::optional<kernels::ScopedConvPlan> direct;
    if (c["kinks"]["t"].get<double>() < 5e-6) direct.emplace(kernels::ConvAlgorithm::direct);
    on_each_isa([&] { check_gradients(*network, c, 1e-3); });
  }
}

TEST_CASE("20 SGD steps of ResNet-18 in double follow PyTorch, batch normalisation in training",
          "[pytorch]") {
  check_training("train");
}

TEST_CASE("20 SGD steps of ResNet-18 in double follow PyTorch, batch normalisation frozen", "[pytorch]") {
  check_training("frozen");
}

TEST_CASE("ResNet-18 gives the same bits at any number of threads") {
  // 96 pixels: images of 24, 12, 6 and 3 in the stages, so that every algorithm of convolutions has its turn.
  const auto make = [] {
    const RandomScope scope(1, 0);
    return models::resnet18<float>(4);
  };
  check_same_bits_at_any_thread_count(make, nn::random_uniform<float>({4, 3, 96, 96}, 1, Rng(1)));
}

TEST_CASE("the network made for small images halves them as often as its weights card says") {
  const RandomScope scope(1, 0);
  const auto network = models::resnet_small<float>(10);
  Index count = 0;
  for (const auto& p : network->parameters()) count += p.var.value().size();
  CHECK(count == Approx(2.8e6).epsilon(.02));
  network->eval();
  const NoGrad no_grad;
  CHECK(network->forward(Var<float>(Tensor<float>::zeros({2, 3, 64, 64}))).shape() == Shape{2, 10});
}
