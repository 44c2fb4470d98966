// Evaluation: every figure by hand, ties, and what cannot be counted.
#include <tl/train/metrics.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;
using train::Evaluation;

namespace {

/// Counts one image of these logits.
void add(Evaluation& e, const std::vector<float>& logits, std::int64_t label) {
  e.add(Tensor<float>::from(logits, {1, static_cast<Index>(logits.size())}),
        Tensor<std::int64_t>::from({label}, {1}));
}

}  // namespace

TEST_CASE("accuracy, confusion, precision, recall, F1 and balanced accuracy by hand") {
  Evaluation e(3);
  e.add(Tensor<float>::from({2, 1, 0, 0, 3, 1, 0, 1, 0, 1, 0, 2}, {4, 3}),
        Tensor<std::int64_t>::from({0, 0, 1, 1}, {4}));
  e.add(Tensor<float>::from({0, 0, 1, 5, 0, 0}, {2, 3}), Tensor<std::int64_t>::from({2, 0}, {2}));
  const std::vector<std::vector<Index>> confusion{{2, 1, 0}, {0, 1, 1}, {0, 0, 1}};
  for (Index label = 0; label < 3; ++label) {
    for (Index predicted = 0; predicted < 3; ++predicted) {
      CHECK(e.confusion(label, predicted) ==
            confusion[static_cast<std::size_t>(label)][static_cast<std::size_t>(predicted)]);
    }
  }
  CHECK(e.count() == 6);
  CHECK(e.correct() == 4);
  CHECK(e.accuracy() == Approx(4.0 / 6));
  CHECK(e.top5_accuracy() == 1);  // there are three classes

  const train::ClassFigures first = e.figures(0), second = e.figures(1), third = e.figures(2);
  CHECK(first.images == 3);
  CHECK(first.predicted == 2);
  CHECK(first.recall() == Approx(2.0 / 3));
  CHECK(first.precision() == 1);
  CHECK(first.f1() == Approx(4.0 / 5));
  CHECK(second.recall() == 0.5);
  CHECK(second.precision() == 0.5);
  CHECK(second.f1() == 0.5);
  CHECK(third.recall() == 1);
  CHECK(third.precision() == 0.5);
  CHECK(third.f1() == Approx(2.0 / 3));
  CHECK(e.balanced_accuracy() == Approx((2.0 / 3 + 1.0 / 2 + 1) / 3));
}

TEST_CASE("the loss is the mean cross-entropy") {
  Evaluation e(2);
  CHECK(e.loss() == 0);
  const auto ln3 = static_cast<float>(std::log(3.0));  // probabilities 1/4 and 3/4
  add(e, {0, ln3}, 1);
  CHECK(e.loss() == Approx(std::log(4.0 / 3)).epsilon(1e-6));
  add(e, {0, ln3}, 0);
  CHECK(e.loss() == Approx((std::log(4.0 / 3) + std::log(4.0)) / 2).epsilon(1e-6));
  add(e, {-1000, 1000}, 0);
  CHECK(e.loss() == Approx((std::log(4.0 / 3) + std::log(4.0) + 2000) / 3).epsilon(1e-6));
}

TEST_CASE("the first of equal classes is predicted, and the first five are the top five") {
  Evaluation two(2);
  add(two, {1, 1}, 0);
  CHECK(two.correct() == 1);
  add(two, {1, 1}, 1);
  CHECK(two.correct() == 1);
  CHECK(two.confusion(1, 0) == 1);

  const std::vector<float> descending{6, 5, 4, 3, 2, 1}, equal(6, 1.F), peak{1, 1, 1, 1, 1, 2};
  const auto in_top5 = [](const std::vector<float>& logits, std::int64_t label) {
    Evaluation e(6);
    add(e, logits, label);
    return e.top5_accuracy() == 1;
  };
  for (const auto& logits : {descending, equal}) {
    CHECK(in_top5(logits, 4));
    CHECK(!in_top5(logits, 5));
  }
  CHECK(in_top5(peak, 3));
  CHECK(!in_top5(peak, 4));
  CHECK(in_top5(peak, 5));
}

TEST_CASE("classes without images or predictions have ratios of 0 and do not count in the mean") {
  Evaluation e(4);
  CHECK(e.accuracy() == 0);
  CHECK(e.top5_accuracy() == 0);
  CHECK(e.balanced_accuracy() == 0);
  add(e, {1, 0, 0, 0}, 0);
  add(e, {0, 1, 0, 0}, 2);
  CHECK(e.figures(3).recall() == 0);
  CHECK(e.figures(3).precision() == 0);
  CHECK(e.figures(3).f1() == 0);
  CHECK(e.figures(1).precision() == 0);
  CHECK(e.balanced_accuracy() == 0.5);
}

TEST_CASE("what cannot be counted is an error") {
  Evaluation e(3);
  CHECK_THROWS_WITH(add(e, {1, 2}, 0), contains("expected logits(N,3), labels(N), got (1,2), (1)"));
  CHECK_THROWS_WITH(add(e, {1, 2, 3}, 3), contains("expected labels below 3, got 3"));
  CHECK_THROWS_WITH(add(e, {1, 2, 3}, -1), contains("expected labels below 3, got -1"));
  CHECK_THROWS_WITH(add(e, {1, NAN, 3}, 0), contains("[evaluation] the network gives NaN"));
  CHECK_THROWS_WITH(e.confusion(0, 3), contains("expected classes below 3, got 0 and 3"));
  CHECK_THROWS_WITH(Evaluation(0), contains("at least one class, got 0"));
  CHECK(e.count() == 0);
}

TEST_CASE("evaluating leaves the network in its mode, without changing it, and counts what can be read") {
  const Photos photos(3);
  put_file(photos.set.train.samples[4].path, "broken");
  const ModelPtr model = small_resnet();
  const std::vector<Tensor<float>> before = state_of(*model);
  const data::Loader loader(photos.set.train, plain_steps, {.batch_size = 4});
  for (const bool training : {true, false}) {
    model->train(training);
    std::vector<Index> told;
    const Evaluation e =
        train::evaluate(*model, loader, [&](const Evaluation& so_far) { told.push_back(so_far.count()); });
    CHECK(told == std::vector<Index>{4, 7, 8});
    CHECK(e.count() == 8);
    CHECK(e.classes() == 3);
    CHECK(e.figures(1).images == 2);
    CHECK(model->is_training() == training);
  }
  CHECK(same_bits(state_of(*model), before));
}
