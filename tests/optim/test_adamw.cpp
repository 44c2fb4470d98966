// AdamW against PyTorch, frozen parameters, layouts.
#include <vector>

#include <tl/autograd/functions.hpp>
#include <tl/optim/adamw.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using optim::AdamW;
using optim::AdamWOptions;

namespace {

template <class T>
Var<T> leaf(std::initializer_list<T> values) {
  return Var<T>(Tensor<T>::from(values, {static_cast<Index>(values.size())}), true);
}

/// Twenty steps that minimise sum w^4 / 4 from (1, -2) at the rate .1; w after each.
template <class T>
std::vector<std::vector<T>> twenty_steps(const AdamWOptions& options) {
  Var<T> w = leaf<T>({1, -2});
  AdamW<T> adamw({{.params = {{"w", w}}, .lr = .1}}, options);
  std::vector<std::vector<T>> rows;
  for (int i = 0; i < 20; ++i) {
    adamw.zero_grad();
    sum(power(w, T{4}) * T(.25)).backward();
    adamw.step();
    rows.push_back(values_of(w.value()));
  }
  return rows;
}

// torch.optim.AdamW([w], lr=.1) of PyTorch 2.9 in float64
const double pytorch[20][2] = {{0.899000001, -1.898000000125},
                               {0.8001475252951348, -1.7968148842302838},
                               {0.704931843375596, -1.6969592574887535},
                               {0.6146801170064298, -1.5989553214242653},
                               {0.5303789306229818, -1.5033121116814776},
                               {0.45259347676138617, -1.4105046378441903},
                               {0.3814898757259293, -1.3209552884386757},
                               {0.31692181876559705, -1.235019476678692},
                               {0.2585352264914209, -1.1529767164505071},
                               {0.2058607397915451, -1.0750273810352426},
                               {0.1583826305655065, -1.001294569498168},
                               {0.11558441114506147, -0.9318299603316714},
                               {0.0769760538796144, -0.8666223154854515},
                               {0.04210832671719817, -0.8056073548342821},
                               {0.01057877087677888, -0.7486779475231079},
                               {-0.017967425011804587, -0.6956938593710104},
                               {-0.043839481335414196, -0.6464905796236154},
                               {-0.06730463123095003, -0.600886984963453},
                               {-0.08859242269793112, -0.5586917704757336},
                               {-0.10789921588747403, -0.5197086898792237}};

}  // namespace

TEST_CASE("AdamW gives PyTorch's numbers") {
  const auto in_double = twenty_steps<double>({});
  const auto in_float = twenty_steps<float>({});
  for (std::size_t i = 0; i < 20; ++i) {
    for (std::size_t k = 0; k < 2; ++k) {
      CHECK(std::abs(in_double[i][k] - pytorch[i][k]) < 1e-14);
      CHECK(std::abs(static_cast<double>(in_float[i][k]) - pytorch[i][k]) < 1e-6);
    }
  }
  const auto last = [](const AdamWOptions& options) { return twenty_steps<double>(options).back(); };
  const auto check = [](const std::vector<double>& got, double first, double second) {
    CHECK(got[0] == Approx(first).epsilon(1e-13));
    CHECK(got[1] == Approx(second).epsilon(1e-13));
  };
  check(last({.weight_decay = 0}), -0.1055388349571385, -0.5345606441475756);
  check(last({.beta1 = .5, .beta2 = .75, .eps = 1e-3, .weight_decay = .2}), 0.12909788422176682,
        -0.4561659420540463);
  check(last({.beta1 = 0, .beta2 = .5}), 0.06765733372480592, -0.46053725190495753);
}

TEST_CASE("AdamW passes frozen parameters over; each counts its own steps") {
  auto frozen = leaf<double>({1}), trained = leaf<double>({1}), fresh = leaf<double>({1});
  AdamW<double> adamw({{.params = {{"frozen", frozen}, {"trained", trained}}, .lr = .5, .weight_decay = 0}});
  AdamW<double> other({{.params = {{"fresh", fresh}}, .lr = .5, .weight_decay = 0}});
  const auto gradients = [&] {
    for (Var<double> w : {frozen, trained, fresh}) w.set_grad(Tensor<double>::ones({1}));
  };
  gradients();
  frozen.set_requires_grad(false);
  const std::uint64_t version = frozen.value().version();
  adamw.step();
  CHECK(frozen.item() == 1);
  CHECK(frozen.value().version() == version);
  CHECK(trained.item() == Approx(.5));
  for (const optim::Slot<double>& slot : adamw.slots()) {
    INFO(slot.name);
    CHECK(slot.tensor->defined() == (slot.name.find("frozen") == std::string::npos));
    if (slot.tensor->defined()) CHECK(slot.tensor->shape() == slot.shape);
  }
  frozen.set_requires_grad(true);
  gradients();
  adamw.step();
  other.step();
  CHECK(frozen.item() == fresh.item());
}

TEST_CASE("AdamW: the step's factor multiplies the rate, and with it the decay") {
  auto w = leaf<double>({1}), slow = leaf<double>({1});
  AdamW<double> adamw({{.params = {{"w", w}}, .lr = .1}}, {.weight_decay = .5});
  AdamW<double> other({{.params = {{"slow", slow}}, .lr = .05, .weight_decay = .5}});
  for (Var<double> v : {w, slow}) v.set_grad(Tensor<double>::ones({1}));
  adamw.step(.5);
  other.step();
  CHECK(w.item() == slow.item());
  CHECK(w.item() == Approx(1 - .05 * .5 - .05));
}

TEST_CASE("AdamW: gradients in another layout than their parameter") {
  const auto value = hash_tensor<double>("w", {2, 3, 2, 2}, 1, 0, Layout::channels_last);
  Var<double> w(value.clone(), true);
  AdamW<double> adamw({{.params = {{"w", w}}, .lr = 1}}, {.weight_decay = 0});
  const auto gradient = hash_tensor<double>("g", {2, 3, 2, 2});
  w.set_grad(gradient);
  adamw.step();
  const double sign = gradient.at(1, 2, 0, 1) > 0 ? 1 : -1;
  CHECK(w.value().at(1, 2, 0, 1) == Approx(value.at(1, 2, 0, 1) - sign));
}

TEST_CASE("AdamW refuses impossible options") {
  const auto w = leaf<double>({1});
  const auto make = [&](double lr, const AdamWOptions& options) {
    AdamW<double>({{.params = {{"w", w}}, .lr = lr}}, options);
  };
  CHECK_THROWS_WITH(make(-1, {}), "[adamw] expected a rate of at least 0, got -1");
  CHECK_THROWS_WITH(make(.1, {.beta1 = 1}), "[adamw] expected beta1 and beta2 in [0, 1), got 1 and 0.999");
  CHECK_THROWS_WITH(make(.1, {.beta2 = -1}), "[adamw] expected beta1 and beta2 in [0, 1), got 0.9 and -1");
  CHECK_THROWS_WITH(make(.1, {.eps = 0}),
                    "[adamw] expected eps above 0 and a weight decay of at least 0, got 0 and 0.01");
}
