// What the page of the browser does (examples/playground), without the page.
#include "../../examples/playground/learner.hpp"

#include "programs/two_classes.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

namespace {

/// The network that comes with tl, at the smallest size that it takes, so that the test is quick.
playground::Learner opened() {
  return playground::Learner(source_path("weights/resnet_small.onnx").string(), 32);
}

void add_photos(playground::Learner& learner, const TwoClasses& two) {
  for (const data::Sample& sample : data::image_folder(two.photos).train.samples)
    learner.add(data::read_image(sample.path), sample.label);
}

}  // namespace

TEST_CASE("playground: learns two things, and gives a file that answers alike") {
  const TwoClasses two;
  playground::Learner learner = opened();
  add_photos(learner, two);
  CHECK(learner.count(0) + learner.count(1) == data::image_folder(two.photos).train.size());
  learner.begin({"blue", "red"});
  const double first = learner.step(1).loss;
  const auto last = learner.step(99);
  CHECK(last.steps == 100);
  CHECK(last.accuracy == 1);
  CHECK(last.loss < 0.8 * first);

  const data::Image photo = data::read_image(two.photos + "/red/0.png");
  const std::vector<float> p = learner.predict(photo);
  REQUIRE(p.size() == 2);
  CHECK(p[1] > p[0]);
  CHECK(p[0] + p[1] == Approx(1));
  const data::Image seen = learner.explain(photo, 1);
  CHECK(seen.height() == 32);

  const std::string path = two.folder / "model.onnx";
  write_file_atomically(path, learner.file());
  const Model<float> read = onnx::load<float>(path);
  CHECK(io::labels(read.graph().metadata) == std::vector<std::string>{"blue", "red"});
  const data::Preprocess prepare = transfer::preprocess_of(read.graph()).steps;
  const Tensor<float> again = softmax(Var<float>(read.predict(prepare.apply(photo)))).value();
  CHECK(again.data()[1] == Approx(p[1]).margin(1e-5));
}

TEST_CASE("playground: refuses to learn without photos, and forgets") {
  const TwoClasses two;
  playground::Learner learner = opened();
  CHECK_THROWS_WITH(learner.step(1), Catch::Contains("training has not begun"));
  CHECK_THROWS_WITH(learner.begin({"blue"}), Catch::Contains("at least two classes"));
  add_photos(learner, two);
  CHECK_THROWS_WITH(learner.begin({"blue", "red", "green"}), Catch::Contains("'green' has no photo yet"));
  learner.begin({"blue", "red"});
  learner.step(1);
  learner.forget();
  CHECK(learner.count(0) == 0);
  CHECK_THROWS_WITH(learner.predict(data::read_image(two.photos + "/red/0.png")),
                    Catch::Contains("nothing was learned yet"));
}
