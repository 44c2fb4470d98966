// Features of a data set in memory, in a file, and kept between runs: the same bits from each, and nothing
// taken that does not belong to the image, the network and the preprocessing at hand.
#include <algorithm>
#include <array>

#include <tl/transfer/features.hpp>
#include <tl/transfer/layers.hpp>
#include <tl/transfer/stored_features.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;
using transfer::store_features;
using transfer::StoredFeatures;
using transfer::StoreOptions;
using transfer::StoreResult;

namespace {

/// A network whose output is the features.
ModelPtr extractor() { return pooled_network(); }

Tensor<float> values_of(const StoreResult& result) { return result.features.in_memory().values; }

StoreOptions with_cache(const TemporaryFolder& cache) {
  StoreOptions options{.batch_size = 5};
  options.cache = cache.path();
  return options;
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  return files;
}

std::vector<Tensor<float>> images_of(const data::Loader& loader, std::uint64_t epoch) {
  std::vector<Tensor<float>> images;
  for (data::Batch& batch : loader.epoch(epoch)) images.push_back(batch.images);
  return images;
}

}  // namespace

TEST_CASE("features are the same in memory, in a file and kept, broken images left out") {
  const Photos photos(4);
  put_file(photos.set.train.samples[5].path, "not an image");
  const ModelPtr model = extractor();
  const transfer::Features want =
      transfer::compute_features(*model, data::Loader(photos.set.train, plain_steps, {.batch_size = 5}));
  const TemporaryFolder cache;
  StoreOptions in_file{.batch_size = 5};
  in_file.memory = 0;
  for (const StoreOptions& options :
       {StoreOptions{.batch_size = 5}, in_file, with_cache(cache), with_cache(cache)}) {
    const StoreResult result = store_features(*model, photos.set.train, plain_steps, options);
    CHECK(same_bits(values_of(result), want.values));
    CHECK(result.features.samples == want.samples);
    CHECK(result.features.labels == std::vector<std::int64_t>{0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2});
    REQUIRE(result.skipped.size() == 1);
    CHECK(result.skipped[0].path == photos.set.train.samples[5].path);
  }
}

TEST_CASE("features agree to 1e-5 whatever the batch they were computed in, kept or not", "[cache]") {
  // The size of a batch may decide how a convolution is computed, and so how it rounds.
  const Photos photos(4);
  const auto steps = data::Preprocess::parse("resize=48,crop=48,mean=100,std=60,rgb");
  const RandomScope scope(1, 0);
  const ModelPtr network =
      nn::trace<float>(*models::resnet_small<float>(3), Tensor<float>::zeros({1, 3, 48, 48}));
  transfer::freeze_all_but_last(*network, 1);
  const auto prefix =
      transfer::split_at(network->graph(), transfer::frozen_cut(network->graph()), {1, 3, 48, 48}).prefix;
  const auto features = [&](Index batch_size, const std::filesystem::path& cache) {
    StoreOptions options{.batch_size = batch_size};
    options.cache = cache;
    return values_of(store_features(*prefix, photos.set.train, steps, options));
  };
  const TemporaryFolder cache;
  const Tensor<float> one_by_one = features(1, {}), kept = features(12, cache.path());
  CHECK(largest_value(one_by_one) > 0);
  CHECK(relative_difference(kept, one_by_one) <= 1e-5);
  CHECK(same_bits(features(5, cache.path()), kept));
  CHECK(same_bits(features(12, {}), kept));
}

TEST_CASE("rows keep the layout of the batches they came from") {
  const Photos photos(2);
  const auto conv = nn::sequential<float>(
      {std::make_shared<nn::Conv2d<float>>(nn::Conv2dOptions{.in = 3, .out = 4, .kernel = 3, .padding = 1})});
  const auto model = nn::trace<float>(*conv, Tensor<float>::zeros({1, 3, 16, 16}));
  StoreOptions in_file;
  in_file.memory = 0;
  const StoredFeatures features = store_features(*model, photos.set.train, plain_steps, in_file).features;
  CHECK(features.rows->format().layout == Layout::channels_last);
  const transfer::FeatureLoader loader(features, photos.set.train, {.batch_size = 6});
  const data::Loader images(photos.set.train, plain_steps, {.batch_size = 6});
  for (const data::Batch& batch : loader.epoch(0)) {
    CHECK(batch.images.layout() == Layout::channels_last);
    CHECK(same_bits(batch.images, model->predict(images_of(images, 0).at(0))));
  }
}

TEST_CASE("epoch e trains on view e mod K, which is what a loader gives in that epoch") {
  const Photos photos(2);
  const ModelPtr model = extractor();
  const TemporaryFolder cache;
  data::LoaderOptions varied{.batch_size = 6, .seed = 9};
  varied.augment = data::Augment{};
  const data::Loader images(photos.set.train, plain_steps, varied);
  for (const bool kept : {false, true}) {
    StoreOptions options{.batch_size = 6, .views = 2, .augment = data::Augment{}, .seed = 9};
    if (kept) options.cache = cache.path();
    const StoredFeatures features = store_features(*model, photos.set.train, plain_steps, options).features;
    CHECK(features.rows->count() == 12);
    const transfer::FeatureLoader loader(features, photos.set.train, {.batch_size = 6});
    for (std::uint64_t epoch = 0; epoch < 4; ++epoch) {
      const Tensor<float> want = model->predict(images_of(images, epoch % 2).at(0));
      Index batches = 0;
      for (const data::Batch& batch : loader.epoch(epoch)) {
        CHECK(same_bits(batch.images, want));
        ++batches;
      }
      CHECK(batches == 1);
    }
  }
  CHECK_THROWS_WITH(store_features(*model, photos.set.train, plain_steps, {.views = 2}),
                    contains("one view of images that are not varied"));
}

TEST_CASE("kept features are used again, and nothing is used for another image, network or preprocessing",
          "[cache]") {
  const Photos photos(4);
  const ModelPtr model = extractor();
  const TemporaryFolder cache;
  const auto computed = [&](const Model<float>& network, const data::Preprocess& steps = plain_steps,
                            const StoreOptions& options = StoreOptions{}) {
    StoreOptions o = options;
    o.cache = cache.path();
    o.batch_size = 12;
    const StoreResult kept = store_features(network, photos.set.train, steps, o);
    o.cache.clear();
    CHECK(same_bits(values_of(kept), values_of(store_features(network, photos.set.train, steps, o))));
    return kept.computed;
  };
  CHECK(computed(*model) == 12);
  CHECK(computed(*model) == 0);
  CHECK(computed(*extractor()) == 0);  // another network of the same weights

  std::filesystem::rename(photos.set.train.samples[3].path, photos.folder / "moved.png");
  std::filesystem::copy(photos.set.train.samples[4].path, photos.set.train.samples[3].path);
  CHECK(computed(*model) == 0);  // the image is known
  put_image(photos.set.train.samples[3].path, hashed_image("new", 16, 16));
  CHECK(computed(*model) == 1);

  CHECK(computed(*model, data::Preprocess::parse("resize=16,crop=16,mean=99,std=60,rgb")) == 12);
  StoreOptions varied{.views = 2, .augment = data::Augment{}};
  CHECK(computed(*model, plain_steps, varied) == 24);
  CHECK(computed(*model, plain_steps, varied) == 0);
  varied.seed = 1;
  CHECK(computed(*model, plain_steps, varied) == 24);
  varied.augment.flip = 0.25;
  CHECK(computed(*model, plain_steps, varied) == 24);

  Var<float> weight = model->parameter("0.weight");
  weight.mutable_value().mutable_data()[0] += 1e-3f;
  CHECK(computed(*model) == 12);
  for (const kernels::Isa isa : kernels::available_isas()) {
    const kernels::ScopedIsa scope(isa);
    CHECK(computed(*model) == (isa == kernels::available_isas().back() ? 0 : 12));
  }
}

TEST_CASE("a run that is stopped leaves what it computed, and the next goes on from there", "[cache]") {
  const Photos photos(4);
  const ModelPtr model = extractor();
  const TemporaryFolder cache;
  StoreOptions options = with_cache(cache);
  Index asked = 0;
  options.should_stop = [&] { return ++asked == 2; };
  const StoreResult first = store_features(*model, photos.set.train, plain_steps, options);
  CHECK(first.stopped);
  CHECK(first.computed == 10);
  CHECK(first.features.rows == nullptr);
  options.should_stop = {};
  std::vector<Index> told;
  options.on_rows = [&](Index rows) { told.push_back(rows); };
  const StoreResult second = store_features(*model, photos.set.train, plain_steps, options);
  CHECK(second.computed == 2);
  CHECK(told == std::vector<Index>{12});
  CHECK(second.features.samples.size() == 12);
}

TEST_CASE("of a damaged, cut or foreign file in the folder nothing is taken", "[cache]") {
  const Photos photos(2);
  const ModelPtr model = extractor();
  const TemporaryFolder cache;
  const StoreOptions options = with_cache(cache);
  const Tensor<float> want = values_of(store_features(*model, photos.set.train, plain_steps, options));
  const std::filesystem::path segment = files_in(cache.path()).at(0);
  const std::string whole = read_file(segment);
  const auto computed_with = [&](const std::string& bytes) {
    put_file(segment, bytes);
    const StoreResult result = store_features(*model, photos.set.train, plain_steps, options);
    CHECK(same_bits(values_of(result), want));
    return result.computed;
  };
  CHECK(computed_with(whole) == 0);
  for (std::size_t length = 0; length < whole.size(); length += 29) {
    CHECK(computed_with(whole.substr(0, length)) == 6);  // and written anew, under the same name
    CHECK(read_file(segment) == whole);
  }
  const std::size_t head = whole.size() - static_cast<std::size_t>(want.size()) * sizeof(float);
  for (std::size_t at = 0; at < head; at += 7) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    CHECK(computed_with(damaged) == 6);
  }
  put_file(segment.parent_path() / "killed.rows.123.0.tmp", whole.substr(0, 100));
  put_file(segment.parent_path() / "other.rows", "something else");
  CHECK(computed_with(whole) == 0);
}

TEST_CASE("two runs may fill the folder at once", "[cache]") {
  const TemporaryFolder folder;
  const Sha256Digest recipe = sha256("a network");
  transfer::FeatureCache one(folder.path(), recipe), two(folder.path(), recipe);
  std::vector<Sha256Digest> keys;
  for (int i = 0; i < 4; ++i) keys.push_back(sha256(concat("image ", i)));
  const Tensor<float> rows = hash_tensor<float>("rows", {4, 3});
  const auto part = [&](Index begin) {
    return Tensor<float>::from(rows.span().subspan(static_cast<std::size_t>(3 * begin), 6), {2, 3});
  };
  const std::span all(keys);
  one.append(all.subspan(0, 2), part(0));
  two.append(all.subspan(0, 2), part(0));
  one.flush();
  two.append(all.subspan(2, 2), part(2));
  two.flush();
  transfer::FeatureCache later(folder.path(), recipe);
  for (const Sha256Digest& key : keys) CHECK(later.contains(key));
  std::reverse(keys.begin(), keys.end());
  const auto got = later.rows(keys);
  std::filesystem::remove_all(folder.path());  // the user may delete it at any time
  for (Index i = 0; i < 4; ++i) {
    std::array<float, 3> row{};
    got->copy(i, row.data());
    CHECK(std::equal(row.begin(), row.end(), rows.data() + 3 * (3 - i)));
  }
  CHECK_THROWS_WITH(transfer::FeatureCache("/proc/none", recipe), contains("cannot write to the folder"));
}
