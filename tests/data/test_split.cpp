// Splits: stratified, seeded, duplicates on one side.
#include <set>
#include <tl/data/split.hpp>

#include "data/image_checks.hpp"

using namespace tl;
using namespace tl::data;
using namespace tl::test;

namespace {

/// A data set of small files: (content, label) each.
struct Files {
  TemporaryFolder folder;
  Dataset dataset;

  void add(const std::string& content, Index label) {
    const auto path = folder / concat(dataset.size(), ".jpg");
    put_file(path, content);
    dataset.samples.push_back({path, label});
    while (static_cast<Index>(dataset.class_names.size()) <= label) {
      dataset.class_names.push_back(std::to_string(dataset.class_names.size()));
    }
  }
  std::vector<Index> counts(const std::vector<Index>& part) const {
    return dataset.subset(part).class_counts();
  }
};

/// Every sample on exactly one side, and no content on both.
void check_partition(const Files& files, const Split& split) {
  std::set<Index> all(split.train.begin(), split.train.end());
  all.insert(split.valid.begin(), split.valid.end());
  CHECK(static_cast<Index>(all.size()) == files.dataset.size());
  CHECK(split.train.size() + split.valid.size() == all.size());
  CHECK(std::is_sorted(split.train.begin(), split.train.end()));
  CHECK(std::is_sorted(split.valid.begin(), split.valid.end()));
  std::set<std::string> trained;
  for (const Sample& sample : files.dataset.subset(split.train).samples)
    trained.insert(read_file(sample.path));
  for (const Sample& sample : files.dataset.subset(split.valid).samples) {
    CHECK(trained.count(read_file(sample.path)) == 0);
  }
}

}  // namespace

TEST_CASE("a fifth of every class is held out", "[data]") {
  Files files;
  for (int i = 0; i < 100; ++i) files.add(concat("file ", i), i < 50 ? 0 : i < 90 ? 1 : 2);
  const Split split = hold_out(files.dataset, 0.2, 7);
  check_partition(files, split);
  CHECK(files.counts(split.valid) == std::vector<Index>{10, 8, 2});

  CHECK(hold_out(files.dataset, 0.2, 7).valid == split.valid);
  CHECK(hold_out(files.dataset, 0.2, 8).valid != split.valid);
  CHECK(files.counts(hold_out(files.dataset, 0.5, 7).valid) == std::vector<Index>{25, 20, 5});
  CHECK_THROWS_AS(hold_out(files.dataset, 0.0), Error);
  CHECK_THROWS_AS(hold_out(files.dataset, 1.0), Error);
}

TEST_CASE("small classes have images on both sides", "[data]") {
  Files files;
  for (Index label = 0; label < 5; ++label) {
    for (Index i = 0; i <= label; ++i) files.add(concat("class ", label, " image ", i), label);
  }
  for (const double fraction : {0.01, 0.2, 0.9}) {
    const Split split = hold_out(files.dataset, fraction);
    check_partition(files, split);
    const std::vector<Index> train = files.counts(split.train), valid = files.counts(split.valid);
    CHECK(train[0] == 1);  // one image can only train
    for (std::size_t label = 1; label < 5; ++label) {
      CHECK(train[label] >= 1);
      CHECK(valid[label] >= 1);
    }
  }
}

TEST_CASE("duplicates stay on one side", "[data]") {
  Files files;
  for (int i = 0; i < 120; ++i) files.add(concat("picture ", i / 2 % 37), i % 74 < 40 ? 0 : 1);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Split split = hold_out(files.dataset, 0.2, seed);
    check_partition(files, split);
    for (Index count : files.counts(split.valid)) CHECK(count >= 6);
    for (const Split& fold : k_folds(files.dataset, 4, seed)) check_partition(files, fold);
  }
}

TEST_CASE("large groups of duplicates do not empty a side", "[data]") {
  Files files;
  for (int i = 0; i < 12; ++i) files.add(i < 7 ? "often" : "also often", 0);
  files.add("x", 1);
  files.add("x", 1);
  const Split split = hold_out(files.dataset, 0.2);
  check_partition(files, split);
  CHECK(files.counts(split.valid) ==
        std::vector<Index>{5, 0});  // the smaller group; "x" cannot be on both sides
}

TEST_CASE("a picture under two labels trains and does not validate", "[data]") {
  Files files;
  for (int i = 0; i < 20; ++i) files.add(concat("own ", i), i % 2);
  files.add("shared", 0);
  files.add("shared", 1);
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const Split split = hold_out(files.dataset, 0.2, seed);
    check_partition(files, split);
    CHECK(std::count(split.train.begin(), split.train.end(), 20) == 1);
    CHECK(std::count(split.train.begin(), split.train.end(), 21) == 1);
  }
}

TEST_CASE("equal sizes are not equal bytes", "[data]") {
  Files files;
  for (const char* content : {"abc", "abd", "abc", "abcd", "abd"}) files.add(content, 0);
  files.dataset.samples.push_back({files.folder / "missing.jpg", 0});
  const std::vector<std::vector<Index>> expected = {{0, 2}, {1, 4}, {3}, {5}};
  CHECK(duplicate_groups(files.dataset) == expected);
}

TEST_CASE("every sample validates in one fold", "[data]") {
  Files files;
  for (int i = 0; i < 53; ++i) files.add(concat("file ", i), i % 3 == 0 ? 0 : 1);
  const std::vector<Split> folds = k_folds(files.dataset, 5, 3);
  REQUIRE(folds.size() == 5);
  std::multiset<Index> validated;
  for (const Split& fold : folds) {
    check_partition(files, fold);
    validated.insert(fold.valid.begin(), fold.valid.end());
    const std::vector<Index> counts = files.counts(fold.valid);
    CHECK((counts[0] == 3 || counts[0] == 4));  // 18 of the first class
    CHECK(counts[1] == 7);                      // 35 of the second
  }
  CHECK(validated.size() == 53);
  CHECK(std::set<Index>(validated.begin(), validated.end()).size() == 53);
  CHECK(k_folds(files.dataset, 5, 3)[2].valid == folds[2].valid);
  CHECK(k_folds(files.dataset, 5, 4)[2].valid != folds[2].valid);
  CHECK_THROWS_AS(k_folds(files.dataset, 1), Error);
  CHECK_THROWS_AS(k_folds(files.dataset, 54), Error);
}

TEST_CASE("splits need labels", "[data]") {
  Files files;
  files.add("x", 0);
  files.dataset.samples[0].label = -1;
  CHECK_THROWS_WITH(hold_out(files.dataset), contains("without a label"));
}
