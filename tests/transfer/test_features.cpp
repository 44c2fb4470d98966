// The frozen prefix: where it ends, its two halves, and features computed once.
#include <tl/transfer/stored_features.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;
using transfer::FeatureLoader;
using transfer::Features;
using V = Var<float>;

namespace {

/// The operation that computes the value where the network is cut; "input" where none does.
std::string cut_behind(const Model<float>& model) {
  const int node = model.graph().producer(transfer::frozen_cut(model.graph()));
  return node < 0 ? "input" : model.graph().nodes()[static_cast<std::size_t>(node)].name;
}

/// The name of the i-th node of an operation, counted from 0.
std::string node_name(const Model<float>& model, std::string_view operation, int i) {
  for (const GraphNode<float>& node : model.graph().nodes()) {
    if (node.operation->name() == operation && i-- == 0) return node.name;
  }
  return "none";
}

ModelPtr frozen(const ModelPtr& model, const std::vector<std::string>& globs) {
  for (const std::string& glob : globs) REQUIRE(model->freeze(glob) > 0);
  return model;
}

const std::vector<std::string> stem{"conv1.*", "bn1.*"};
const std::vector<std::string> stem_and_block{"conv1.*", "bn1.*", "layer1.*"};

/// Features (n,2) whose values tell the sample and the position, of samples 0, 10, 20, ...
Features numbered(Index n) {
  Features f{Tensor<float>::empty({n, 2}), Tensor<std::int64_t>::empty({n}), {}};
  for (Index i = 0; i < n; ++i) {
    f.values.set(static_cast<float>(10 * i), i, 0);
    f.values.set(static_cast<float>(10 * i + 1), i, 1);
    f.labels.set(i % 3, i);
    f.samples.push_back(10 * i);
  }
  return f;
}

std::vector<data::Batch> batches_of(const FeatureLoader& loader, std::uint64_t epoch) {
  std::vector<data::Batch> batches;
  for (data::Batch& batch : loader.epoch(epoch)) batches.push_back(batch);
  return batches;
}

}  // namespace

TEST_CASE("a chain is cut behind the last node below which nothing is trained") {
  const ModelPtr model = pooled_network();
  CHECK(cut_behind(*model) == "input");
  CHECK(cut_behind(*frozen(model, {"0.weight"})) == node_name(*model, "flatten", 0));
  CHECK(cut_behind(*frozen(model, {"*"})) == node_name(*model, "linear", 0));
  model->unfreeze("0.weight");
  CHECK(cut_behind(*model) == "input");
}

TEST_CASE("a cut falls behind a block or before it, not into it") {
  CHECK(cut_behind(*small_resnet()) == "input");
  const ModelPtr conv_only = frozen(small_resnet(), {"conv1.*"});
  CHECK(cut_behind(*conv_only) == node_name(*conv_only, "conv2d", 0));
  const ModelPtr before = frozen(small_resnet(), stem);
  CHECK(cut_behind(*before) == node_name(*before, "relu", 0));
  const ModelPtr inside = frozen(frozen(small_resnet(), stem), {"layer1.0.conv1.*", "layer1.0.bn1.*"});
  CHECK(cut_behind(*inside) == node_name(*inside, "relu", 0));
  const ModelPtr behind = frozen(small_resnet(), stem_and_block);
  CHECK(cut_behind(*behind) == node_name(*behind, "relu", 2));
  // The second block's shortcut is trained and reads what its frozen branch reads.
  const ModelPtr shortcut =
      frozen(frozen(small_resnet(), stem_and_block), {"layer2.0.conv*", "layer2.0.bn*"});
  CHECK(cut_behind(*shortcut) == node_name(*shortcut, "relu", 2));
  const ModelPtr later_only = frozen(small_resnet(), {"layer1.*", "layer2.*", "fc.*"});
  CHECK(cut_behind(*later_only) == "input");
  const ModelPtr all_but_head = frozen(small_resnet(), {"conv*", "bn*", "layer*"});
  CHECK(cut_behind(*all_but_head) == node_name(*all_but_head, "flatten", 0));
}

TEST_CASE("a dropout that belongs to a trained layer is behind the cut, one among frozen layers is not") {
  const ModelPtr model = pooled_network(std::make_shared<nn::Dropout<float>>(ops::Dropout{.5}));
  model->freeze("0.weight");
  CHECK(cut_behind(*model) == node_name(*model, "flatten", 0));

  const ModelPtr among =
      pooled_network(std::make_shared<nn::Dropout<float>>(ops::Dropout{.5}),
                     std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = 8, .out = 8}));
  frozen(among, {"0.weight", "5.*"});
  CHECK(cut_behind(*among) == node_name(*among, "linear", 0));
}

TEST_CASE("only networks of one input and one output are cut") {
  Graph<float> graph;
  const ValueId x = graph.add_input("x", {1, 4});
  graph.set_outputs({graph.add_node("relu", ops::Relu{}, {x}), x});
  CHECK_THROWS_WITH(transfer::frozen_cut(graph), contains("one input and one output, got 1 and 2"));
}

TEST_CASE("prefix and rest are the whole to the bit, in inference and in training") {
  const Shape example{1, 3, 16, 16};
  const auto x = hash_tensor<float>("x", {5, 3, 16, 16});
  const auto labels = Tensor<std::int64_t>::from({0, 1, 2, 1, 0}, {5});
  const std::vector<std::vector<std::string>> choices{
      {}, stem, stem_and_block, {"conv*", "bn*", "layer*"}, {"conv*", "bn*", "layer*", "fc.weight"}, {"*"}};
  for (const std::vector<std::string>& globs : choices) {
    const ModelPtr whole = frozen(small_resnet(), globs), other = frozen(small_resnet(), globs);
    INFO("cut behind " << cut_behind(*other));
    const transfer::SplitModel<float> parts =
        transfer::split_at(other->graph(), transfer::frozen_cut(other->graph()), example);
    CHECK(parts.prefix->parameters().size() + parts.rest->parameters().size() == other->parameters().size());
    CHECK(same_bits(parts.rest->predict(parts.prefix->predict(x)), whole->predict(x)));
    if (globs == std::vector<std::string>{"*"}) continue;

    cross_entropy(whole->forward(V(x)), labels).backward();
    cross_entropy(parts.rest->forward(V(parts.prefix->predict(x))), labels).backward();
    for (const nn::Named<float>& p : whole->parameters()) {
      INFO(p.name);
      const V mine = other->parameter(p.name);
      CHECK(p.var.grad().defined() == p.var.requires_grad());
      CHECK(mine.grad().defined() == p.var.requires_grad());
      if (p.var.requires_grad()) CHECK(same_bits(mine.grad(), p.var.grad()));
    }
    CHECK(same_bits(state_of(*whole, "*running*"), state_of(*other, "*running*")));
  }
}

TEST_CASE("features are those of every image that can be read, in order") {
  const Photos photos(4);
  put_file(photos.set.train.samples[5].path, "not an image");
  const ModelPtr model = frozen(small_resnet(), stem_and_block);
  const auto parts = transfer::split_at(model->graph(), transfer::frozen_cut(model->graph()), {1, 3, 16, 16});
  const data::Loader loader(photos.set.train, plain_steps, {.batch_size = 5});
  std::vector<Index> told;
  const Features features =
      transfer::compute_features(*parts.prefix, loader, [&](Index done) { told.push_back(done); });
  CHECK(told == std::vector<Index>{5, 9, 11});
  CHECK(features.samples == std::vector<Index>{0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11});
  CHECK(values_of(features.labels) == std::vector<std::int64_t>{0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2});
  REQUIRE(features.values.shape() == Shape{11, 8, 8, 8});
  const FeatureLoader alone(features, photos.set.train, {.batch_size = 1});
  for (const data::Batch& batch : alone.epoch(0)) {
    const auto sample = static_cast<std::size_t>(batch.samples[0]);
    const Tensor<float> image = plain_steps.apply(data::read_image(photos.set.train.samples[sample].path));
    CHECK(same_bits(batch.images, parts.prefix->predict(image)));
    CHECK(batch.images.layout() == features.values.layout());
    CHECK(batch.labels.at(0) == photos.set.train.samples[sample].label);
  }
}

TEST_CASE("a data set of broken images has no features") {
  const Photos photos(1);
  for (const data::Sample& sample : photos.set.train.samples) put_file(sample.path, "broken");
  const ModelPtr model = pooled_network();
  CHECK_THROWS_WITH(
      transfer::compute_features(*model, data::Loader(photos.set.train, plain_steps, {.batch_size = 2})),
      "[features] none of the images could be read");
}

TEST_CASE("batches of features are those of a loader of images") {
  const Photos photos(4);
  for (const bool shuffle : {false, true}) {
    Features features = numbered(12);
    for (Index i = 0; i < 12; ++i) features.samples[static_cast<std::size_t>(i)] = i;
    const FeatureLoader mine(features, photos.set.train, {.batch_size = 5, .shuffle = shuffle, .seed = 4});
    const data::Loader images(photos.set.train, plain_steps,
                              {.batch_size = 5, .shuffle = shuffle, .seed = 4});
    CHECK(mine.batches() == images.batches());
    for (std::uint64_t number = 0; number < 3; ++number) {
      const std::vector<data::Batch> batches = batches_of(mine, number);
      std::size_t i = 0;
      for (const data::Batch& batch : images.epoch(number)) CHECK(batches.at(i++).samples == batch.samples);
      CHECK(batches.size() == i);
    }
    CHECK((batches_of(mine, 0)[0].samples == batches_of(mine, 1)[0].samples) == !shuffle);
  }
}

TEST_CASE("a batch of features holds its samples' rows and labels") {
  const FeatureLoader loader(numbered(7), {}, {.batch_size = 4, .shuffle = true, .seed = 2});
  Index seen = 0;
  for (const data::Batch& batch : loader.epoch(3)) {
    CHECK(batch.images.shape() == Shape{batch.size(), 2});
    for (Index i = 0; i < batch.size(); ++i, ++seen) {
      const Index sample = batch.samples[static_cast<std::size_t>(i)];
      CHECK(batch.images.at(i, 0) == static_cast<float>(sample));
      CHECK(batch.images.at(i, 1) == static_cast<float>(sample + 1));
      CHECK(batch.labels.at(i) == sample / 10 % 3);
    }
  }
  CHECK(seen == 7);
  const FeatureLoader large(numbered(7), {}, {.batch_size = 100});
  CHECK(large.batches() == 1);
  CHECK(batches_of(large, 0).at(0).size() == 7);
  CHECK_THROWS_WITH(FeatureLoader(numbered(2), {}, {.batch_size = 0}), contains("at least 1, got 0"));
}
