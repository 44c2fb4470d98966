// Calibration and single predictions, by hand.
#include <tl/train/calibration.hpp>
#include <tl/train/metrics.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;
using train::Calibration;
using train::Prediction;

TEST_CASE("calibration by hand") {
  Calibration c;
  CHECK(c.error() == 0);
  c.add(0.95, true);
  c.add(0.95, true);
  c.add(0.99, false);
  c.add(0.55, true);
  c.add(0.60, false);
  CHECK(c.images() == 5);
  REQUIRE(c.bins().size() == 10);
  CHECK(c.bins()[9].images == 3);
  CHECK(c.bins()[9].accuracy() == Approx(2.0 / 3));
  CHECK(c.bins()[9].confidence() == Approx((0.95 + 0.95 + 0.99) / 3));
  CHECK(c.bins()[5].images == 2);
  CHECK(c.bins()[5].accuracy() == 0.5);
  CHECK(c.bins()[5].confidence() == Approx(0.575));
  CHECK(c.bins()[0].images == 0);
  CHECK(c.bins()[0].accuracy() == 0);
  CHECK(c.bins()[0].confidence() == 0);
  // 3/5 |2/3 - 2.89/3| + 2/5 |1/2 - 0.575|
  CHECK(c.error() == Approx(0.6 * 0.89 / 3 + 0.4 * 0.075));
}

TEST_CASE("calibration: a bin holds its upper end, the first one 0 too, and their number may be another") {
  Calibration c;
  c.add(0.5, true);  // (0.4, 0.5]
  c.add(1, true);
  c.add(0, false);
  CHECK(c.bins()[4].images == 1);
  CHECK(c.bins()[9].images == 1);
  CHECK(c.bins()[0].images == 1);
  CHECK(c.error() == Approx(0.5 / 3));
  Calibration one(1);
  one.add(0.9, true);
  one.add(0.7, false);
  CHECK(one.error() == Approx(0.3));
  CHECK_THROWS_WITH(Calibration(0), contains("at least one bin, got 0"));
  CHECK_THROWS_WITH(c.add(1.5, true), contains("expected a probability, got 1.5"));
  CHECK_THROWS_WITH(c.add(NAN, true), contains("expected a probability, got"));
}

TEST_CASE("predictions of single images by hand") {
  const auto ln3 = static_cast<float>(std::log(3.0));  // probabilities 1/5, 3/5, 1/5
  const std::vector<Prediction> all = train::judge(Tensor<float>::from({0, ln3, 0, 0, ln3, 0}, {2, 3}),
                                                   Tensor<std::int64_t>::from({1, 2}, {2}));
  REQUIRE(all.size() == 2);
  CHECK(all[0].correct());
  CHECK(all[0].rank == 0);
  CHECK(all[0].confidence == Approx(0.6).epsilon(1e-6));
  CHECK(all[0].loss == Approx(-std::log(0.6)).epsilon(1e-6));
  CHECK_FALSE(all[1].correct());
  CHECK(all[1].predicted == 1);
  CHECK(all[1].rank == 2);
  CHECK(all[1].label_probability() == Approx(0.2).epsilon(1e-6));
  const Calibration c(all);
  CHECK(c.images() == 2);
  CHECK(c.error() == Approx(0.1).epsilon(1e-5));
}

TEST_CASE("the highest losses come first, equal ones in their order") {
  std::vector<Prediction> all(5);
  const double losses[] = {0.5, 2, 0.1, 2, 1};
  for (std::size_t i = 0; i < 5; ++i) {
    all[i].sample = static_cast<Index>(i);
    all[i].loss = losses[i];
  }
  std::vector<Index> order;
  for (const Prediction& p : train::top_losses(all, 4)) order.push_back(p.sample);
  CHECK(order == std::vector<Index>{1, 3, 4, 0});
  CHECK(train::top_losses(all, 9).size() == 5);
  CHECK(train::top_losses({}, 3).empty());
}

TEST_CASE("confusions are the mistakes, the most frequent first") {
  train::Evaluation e(3);
  const std::pair<Index, Index> seen[] = {{0, 0}, {0, 1}, {2, 1}, {2, 1}, {1, 0}};
  for (const auto& [label, predicted] : seen) e.add(Prediction{.label = label, .predicted = predicted});
  const std::vector<train::Confusion> list = train::confusions(e);
  REQUIRE(list.size() == 3);
  CHECK((list[0].label == 2 && list[0].predicted == 1 && list[0].count == 2));
  CHECK((list[1].label == 0 && list[1].predicted == 1 && list[1].count == 1));
  CHECK((list[2].label == 1 && list[2].predicted == 0));
}

TEST_CASE(
    "predictions over a loader are the evaluation's, image by image, without those that cannot be read") {
  const Photos photos(3);
  put_file(photos.set.train.samples[4].path, "broken");
  const ModelPtr model = small_resnet();
  model->train();
  const data::Loader loader(photos.set.train, plain_steps, {.batch_size = 4});
  const std::vector<Prediction> all = train::predictions(*model, loader);
  const train::Evaluation whole = train::evaluate(*model, loader);
  CHECK(model->is_training());
  std::vector<Index> samples;
  train::Evaluation summed(3);
  for (const Prediction& p : all) {
    samples.push_back(p.sample);
    CHECK(p.label == photos.set.train.samples[static_cast<std::size_t>(p.sample)].label);
    summed.add(p);
  }
  CHECK(samples == std::vector<Index>{0, 1, 2, 3, 5, 6, 7, 8});
  CHECK(summed.correct() == whole.correct());
  CHECK(summed.loss() == whole.loss());
}
