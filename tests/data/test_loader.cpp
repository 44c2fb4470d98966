// The loader: the same bits at any number of threads, broken files, errors, and stopping early.
#include <chrono>
#include <set>
#include <tl/data/loader.hpp>

#include "data/image_checks.hpp"

using namespace tl;
using namespace tl::data;
using namespace tl::test;

namespace {

/// Twenty-three images of different sizes in three classes.
struct Photos {
  TemporaryFolder folder;
  Dataset dataset;

  explicit Photos(Index count = 23) {
    dataset.class_names = {"a", "b", "c"};
    for (Index i = 0; i < count; ++i) {
      const auto path = folder / concat(100 + i, ".png");
      put_image(path, hashed_image(concat("photo ", i), 20 + i % 5, 22 + i % 7));
      dataset.samples.push_back({path, i % 3});
    }
  }
};

/// All batches, kept.
std::vector<Batch> all_of(const Loader& loader, std::uint64_t epoch) {
  std::vector<Batch> batches;
  for (Batch& batch : loader.epoch(epoch)) batches.push_back(batch);
  return batches;
}

bool same(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Batch& x, const Batch& y) {
    return x.samples == y.samples && x.images.shape() == y.images.shape() &&
           std::memcmp(x.images.data(), y.images.data(), static_cast<std::size_t>(x.images.size()) * 4) ==
               0 &&
           std::equal(x.labels.data(), x.labels.data() + x.labels.size(), y.labels.data(),
                      y.labels.data() + y.labels.size());
  });
}

const Preprocess steps = Preprocess::parse("resize=18,bicubic,crop=16,mean=127,std=128");

}  // namespace

TEST_CASE("batches hold what preprocessing makes of each image", "[data]") {
  const Photos photos;
  const Loader loader(photos.dataset, steps, {.batch_size = 5});
  CHECK(loader.batches() == 5);
  CHECK(loader.size() == Size{16, 16});
  Index next = 0, batches = 0;
  for (const Batch& batch : loader.epoch(0)) {
    ++batches;
    REQUIRE(batch.images.shape() == Shape{batches < 5 ? 5 : 3, 3, 16, 16});
    CHECK(batch.images.layout() == Layout::channels_last);
    for (Index i = 0; i < batch.size(); ++i, ++next) {
      CHECK(batch.samples[static_cast<std::size_t>(i)] == next);
      CHECK(batch.labels.at(i) == next % 3);
      const Tensor<float> alone =
          steps.apply(read_image(photos.dataset.samples[static_cast<std::size_t>(next)].path));
      CHECK(std::equal(alone.data(), alone.data() + alone.size(), batch.images.data() + i * alone.size()));
    }
  }
  CHECK(batches == 5);
  CHECK(next == 23);
  CHECK(loader.skipped().empty());
}

TEST_CASE("the same bits at any number of threads", "[data]") {
  const Photos photos;
  for (const std::size_t cache : {std::size_t{0}, std::size_t{10'000'000}}) {
    LoaderOptions options{.batch_size = 4,
                          .shuffle = true,
                          .seed = 11,
                          .augment = Augment{.rotation = 5},
                          .cache_bytes = cache};
    std::vector<std::vector<Batch>> first;
    for (const int threads : {1, 2, 3, 8}) {
      options.threads = threads;
      options.ahead = threads;
      const Loader loader(photos.dataset, steps, options);
      const std::vector<std::vector<Batch>> epochs = {all_of(loader, 0), all_of(loader, 1)};
      CHECK(!same(epochs[0], epochs[1]));
      if (first.empty()) first = epochs;
      CHECK(same(epochs[0], first[0]));
      CHECK(same(epochs[1], first[1]));
    }
    // An epoch does not depend on those before it.
    CHECK(same(all_of(Loader(photos.dataset, steps, options), 1), first[1]));
  }
}

TEST_CASE("shuffling shows every sample once", "[data]") {
  const Photos photos;
  const Loader loader(photos.dataset, steps, {.batch_size = 6, .shuffle = true, .seed = 5});
  std::vector<Index> order;
  for (const Batch& batch : loader.epoch(3))
    order.insert(order.end(), batch.samples.begin(), batch.samples.end());
  CHECK(!std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (Index i = 0; i < 23; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);

  const Loader full(photos.dataset, steps, {.batch_size = 6, .shuffle = true, .drop_last = true, .seed = 5});
  CHECK(full.batches() == 3);
  std::set<Index> seen;
  for (const Batch& batch : full.epoch(3)) {
    CHECK(batch.size() == 6);
    seen.insert(batch.samples.begin(), batch.samples.end());
  }
  CHECK(seen.size() == 18);
}

TEST_CASE("the shares of a batch, put together, are the batch", "[data]") {
  const Photos photos;
  for (const Index count : {2, 3, 5}) {
    LoaderOptions options{.batch_size = 4, .shuffle = true, .seed = 3, .augment = Augment{}};
    const std::vector<Batch> whole = all_of(Loader(photos.dataset, steps, options), 1);
    std::vector<Batch> together(whole.size());
    for (Index index = 0; index < count; ++index) {
      options.share = {index, count};
      const std::vector<Batch> part = all_of(Loader(photos.dataset, steps, options), 1);
      REQUIRE(part.size() == whole.size());  // those of no image too
      for (std::size_t i = 0; i < part.size(); ++i) {
        const std::size_t before = together[i].samples.size();
        together[i].samples.insert(together[i].samples.end(), part[i].samples.begin(), part[i].samples.end());
        const Index image = Image::channels * 16 * 16;
        REQUIRE(part[i].images.size() == part[i].size() * image);
        CHECK(std::equal(part[i].images.data(), part[i].images.data() + part[i].images.size(),
                         whole[i].images.data() + static_cast<Index>(before) * image));
      }
    }
    for (std::size_t i = 0; i < whole.size(); ++i) CHECK(together[i].samples == whole[i].samples);
  }
}

TEST_CASE("broken images are named and left out", "[data]") {
  Photos photos;
  put_file(photos.dataset.samples[2].path, "not an image");
  const std::string whole = read_file(photos.dataset.samples[9].path);
  put_file(photos.dataset.samples[9].path, whole.substr(0, whole.size() / 2));
  std::filesystem::remove(photos.dataset.samples[21].path);
  std::filesystem::remove(photos.dataset.samples[22].path);
  std::filesystem::remove(photos.dataset.samples[20].path);
  for (const int threads : {1, 3}) {
    const Loader loader(photos.dataset, steps, {.batch_size = 5, .threads = threads});
    for (std::uint64_t epoch = 0; epoch < 2; ++epoch) {
      std::vector<Index> sizes, samples;
      for (const Batch& batch : loader.epoch(epoch)) {
        sizes.push_back(batch.size());
        CHECK(batch.images.shape(0) == batch.size());
        CHECK(batch.labels.shape(0) == batch.size());
        for (Index i = 0; i < batch.size(); ++i) {
          const Index sample = batch.samples[static_cast<std::size_t>(i)];
          samples.push_back(sample);
          const Tensor<float> alone =
              steps.apply(read_image(photos.dataset.samples[static_cast<std::size_t>(sample)].path));
          CHECK(
              std::equal(alone.data(), alone.data() + alone.size(), batch.images.data() + i * alone.size()));
          CHECK(batch.labels.at(i) == sample % 3);
        }
      }
      CHECK(sizes == std::vector<Index>{4, 4, 5, 5});  // the last batch, wholly broken, does not come
      CHECK(std::is_sorted(samples.begin(), samples.end()));
      CHECK(samples.size() == 18);
    }
    const std::vector<Skipped> skipped = loader.skipped();
    REQUIRE(skipped.size() == 5);
    CHECK(skipped[0].path == photos.dataset.samples[2].path);
    CHECK_THAT(skipped[0].reason, contains("102.png") && contains("expected JPEG, PNG or BMP"));
    CHECK(skipped[1].path == photos.dataset.samples[9].path);
    CHECK_THAT(skipped[4].reason, contains("122.png"));
  }
}

TEST_CASE("strict loading stops at the first broken image", "[data]") {
  Photos photos;
  put_file(photos.dataset.samples[13].path, "broken");
  put_file(photos.dataset.samples[11].path, "broken");
  for (const int threads : {1, 4}) {
    const Loader loader(photos.dataset, steps, {.batch_size = 5, .strict = true, .threads = threads});
    Index batches = 0;
    const auto run = [&] {
      for (const Batch& batch : loader.epoch(0)) batches += batch.size() > 0 ? 1 : 0;
    };
    CHECK_THROWS_WITH(run(), contains("111.png"));
    CHECK(batches == 2);
  }
}

TEST_CASE("an epoch may be left early", "[data]") {
  const Photos photos;
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < 40; ++round) {
    const Loader loader(photos.dataset, steps,
                        {.batch_size = 2, .threads = 1 + round % 4, .ahead = 1 + round % 3});
    Epoch epoch = loader.epoch(static_cast<std::uint64_t>(round));
    for (int i = 0; i < round % 5; ++i) CHECK(epoch.next().has_value());
  }
  std::optional<Epoch> outlives;
  {
    const Loader loader(photos.dataset, steps, {.batch_size = 2});
    struct Make {
      const Loader& loader;
      operator Epoch() const { return loader.epoch(0); }
    };
    outlives.emplace(Make{loader});
  }
  Index batches = 0;
  while (outlives->next()) ++batches;
  CHECK(batches == 12);
  CHECK(!outlives->next());
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(30));
}

TEST_CASE("kept images need no file", "[data]") {
  Photos photos;
  const Loader plain(photos.dataset, steps, {.batch_size = 4});
  const Loader kept(photos.dataset, steps, {.batch_size = 4, .cache_bytes = 10'000'000});
  const std::vector<Batch> expected = all_of(plain, 0);
  CHECK(same(all_of(kept, 0), expected));
  for (const Sample& sample : photos.dataset.samples) std::filesystem::remove(sample.path);
  CHECK(same(all_of(kept, 1), expected));
  CHECK(kept.skipped().empty());
  CHECK(all_of(plain, 1).empty());
  CHECK(plain.skipped().size() == 23);
}

TEST_CASE("a full cache changes nothing", "[data]") {
  const Photos photos;
  LoaderOptions options{.batch_size = 4, .augment = Augment{}, .cache_bytes = 10'000'000, .cache_side = 17};
  const Loader large(photos.dataset, steps, options);
  options.cache_bytes = 3000;  // room for two images or three
  const Loader small(photos.dataset, steps, options);
  for (std::uint64_t epoch = 0; epoch < 2; ++epoch) CHECK(same(all_of(large, epoch), all_of(small, epoch)));
}

TEST_CASE("small images train with shifts, whatever is kept", "[data]") {
  const Photos photos;
  const Preprocess resized = Preprocess::parse("resize=12x12");
  LoaderOptions options{.batch_size = 4, .augment = Augment::small_images()};
  const Loader plain(photos.dataset, resized, options);
  options.cache_bytes = 10'000'000;
  const Loader kept(photos.dataset, resized, options);
  for (std::uint64_t epoch = 0; epoch < 2; ++epoch) CHECK(same(all_of(plain, epoch), all_of(kept, epoch)));
  CHECK(!same(all_of(kept, 0), all_of(kept, 1)));
}

TEST_CASE("the size of a batch comes from the images where nothing else tells it", "[data]") {
  TemporaryFolder folder;
  Dataset dataset{{}, {"a"}};
  for (int i = 0; i < 4; ++i) {
    dataset.samples.push_back({folder / concat(i, ".png"), 0});
    put_image(dataset.samples.back().path, plain_image(8, 10, i));
  }
  put_file(dataset.samples[0].path, "broken");
  const Loader loader(dataset, Preprocess{}, {.batch_size = 4});
  CHECK(loader.size() == Size{8, 10});
  const std::vector<Batch> batches = all_of(loader, 0);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0].images.shape() == Shape{3, 3, 8, 10});
  CHECK(batches[0].images.at(1, 0, 3, 4) == 2);

  put_image(dataset.samples[3].path, plain_image(8, 11, 3));
  CHECK_THROWS_WITH(all_of(loader, 0), contains("3.png") && contains("8x11") && contains("crop="));
  for (const Sample& sample : dataset.samples) put_file(sample.path, "broken");
  CHECK_THROWS_WITH(Loader(dataset, Preprocess{}), contains("none of 4 images") && contains("0.png"));
}

TEST_CASE("loader options are checked", "[data]") {
  const Photos photos(3);
  CHECK_THROWS_WITH(Loader(Dataset{}, steps), contains("at least one image"));
  CHECK_THROWS_WITH(Loader(photos.dataset, steps, {.batch_size = 0}), contains("batch size"));
  CHECK_THROWS_WITH(Loader(photos.dataset, steps, {.batch_size = 4, .drop_last = true}),
                    contains("do not fill"));
  CHECK_THROWS_WITH(Loader(photos.dataset, steps, {.threads = -1}), contains("threads"));
  CHECK_THROWS_WITH(Loader(photos.dataset, steps, {.ahead = 0}), contains("ahead"));
  CHECK_THROWS_AS(Loader(photos.dataset, steps, {.augment = Augment{.flip = 2}}), Error);
  Preprocess wrong = steps;
  wrong.std[0] = 0;
  CHECK_THROWS_AS(Loader(photos.dataset, wrong), Error);
}
