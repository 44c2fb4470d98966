// Augmentation: Pillow's colour arithmetic, properties of the random parts, and random numbers by key.
#include <set>
#include <tl/data/augment.hpp>

#include "data/image_checks.hpp"

using namespace tl;
using namespace tl::data;
using namespace tl::test;

TEST_CASE("brightness, contrast and saturation give Pillow's pixels", "[data]") {
  std::ifstream cases(data_fixture("enhance.txt"));
  int count = 0;
  std::string kind, hash;
  float factor;
  while (cases >> kind >> factor >> hash) {
    INFO(kind << " " << factor);
    Image image = hashed_image("enhance", 20, 30);
    (kind == "brightness" ? adjust_brightness
     : kind == "contrast" ? adjust_contrast
                          : adjust_saturation)(image, factor);
    CHECK(pixel_hash(image) == hash);
    ++count;
  }
  CHECK(count == 18);
}

TEST_CASE("a random resized crop keeps to its scale and proportions", "[data]") {
  std::set<float> widths;
  double area = 0;
  for (std::uint64_t i = 0; i < 500; ++i) {
    Rng rng(3, i);
    const Box box = random_resized_crop_box({300, 400}, {0.2, 0.8}, {0.75, 1.5}, rng);
    const double width = box.right - box.left, height = box.bottom - box.top;
    REQUIRE(box.left >= 0);
    REQUIRE(box.top >= 0);
    REQUIRE(box.right <= 400);
    REQUIRE(box.bottom <= 300);
    REQUIRE(width * height >= 0.2 * 120'000 * 0.98);
    REQUIRE(width * height <= 0.8 * 120'000 * 1.02);
    REQUIRE(width / height >= 0.75 * 0.98);
    REQUIRE(width / height <= 1.5 * 1.02);
    widths.insert(box.right - box.left);
    area += width * height / 120'000 / 500;
  }
  CHECK(widths.size() > 100);
  CHECK(area == Approx(0.5).margin(0.05));
}

TEST_CASE("where no random part fits, the central one is taken", "[data]") {
  Rng rng(0);
  const Box wide = random_resized_crop_box({10, 1000}, {1, 1}, {0.75, 4.0 / 3}, rng);
  CHECK((wide.left == 493 && wide.right == 506 && wide.top == 0 && wide.bottom == 10));
  const Box tall = random_resized_crop_box({1000, 9}, {1, 1}, {0.75, 4.0 / 3}, rng);
  CHECK((tall.top == 494 && tall.bottom == 506 && tall.left == 0 && tall.right == 9));
  const Box dot = random_resized_crop_box({1, 1}, {0.1, 0.2}, {0.75, 4.0 / 3}, rng);
  CHECK((dot.left == 0 && dot.right == 1 && dot.top == 0 && dot.bottom == 1));
}

TEST_CASE("mirroring, shifting and turning", "[data]") {
  const Image image = hashed_image("turn", 6, 9);
  Image mirrored = image.clone();
  flip_horizontal(mirrored);
  for (Index y = 0; y < 6; ++y) {
    for (Index x = 0; x < 9; ++x) {
      for (Index c = 0; c < 3; ++c) REQUIRE(mirrored.row(y)[3 * x + c] == image.row(y)[3 * (8 - x) + c]);
    }
  }
  for (const auto& [down, right] :
       {std::pair<Index, Index>{2, -3}, {-1, 4}, {0, 0}, {6, 0}, {0, -9}, {7, 12}}) {
    const Image moved = shifted(image, down, right);
    for (Index y = 0; y < 6; ++y) {
      for (Index x = 0; x < 9; ++x) {
        const Index from_y = y - down, from_x = x - right;
        const bool inside = from_y >= 0 && from_y < 6 && from_x >= 0 && from_x < 9;
        REQUIRE(moved.row(y)[3 * x + 1] == (inside ? image.row(from_y)[3 * from_x + 1] : 0));
      }
    }
  }
  CHECK(rotated(image, 0) == image);
  Image square = hashed_image("square", 7, 7);
  const Image quarter = rotated(square, 90);
  for (Index y = 0; y < 7; ++y) {
    for (Index x = 0; x < 7; ++x) REQUIRE(std::abs(quarter.row(y)[3 * x] - square.row(x)[3 * (6 - y)]) <= 1);
  }
  CHECK(rotated(plain_image(5, 8, 130), 33) == plain_image(5, 8, 130));
}

TEST_CASE("augmentation is keyed by seed, epoch and sample", "[data]") {
  const Image image = hashed_image("keyed", 50, 60);
  const Preprocess preprocess = Preprocess::parse("resize=36,crop=32");
  const Augment augment{.rotation = 10};
  const auto apply = [&](const AugmentKey& key) { return augment.apply(image, preprocess, {32, 32}, key); };
  const Image first = apply({1, 2, 3});
  CHECK(first.size() == Size{32, 32});
  CHECK(apply({1, 2, 3}) == first);
  CHECK(!(apply({1, 2, 4}) == first));
  CHECK(!(apply({1, 3, 3}) == first));
  CHECK(!(apply({2, 2, 3}) == first));
}

TEST_CASE("no augmentation is evaluation", "[data]") {
  const Image image = hashed_image("none", 50, 60);
  const Preprocess preprocess = Preprocess::parse("resize=36,crop=32");
  CHECK(Augment::none().does_nothing());
  CHECK(!Augment{}.does_nothing());
  CHECK(Augment::none().apply(image, preprocess, {32, 32}, {1, 2, 3}) == preprocess.geometry(image));
}

TEST_CASE("small images are shifted and mirrored", "[data]") {
  const Image image = hashed_image("small", 8, 8);
  const Augment augment = Augment::small_images();
  int mirrored = 0;
  std::set<std::pair<Index, Index>> shifts;
  for (std::uint64_t sample = 0; sample < 400; ++sample) {
    const Image result = augment.apply(image, Preprocess{}, {8, 8}, {0, 0, sample});
    bool found = false;
    for (int flip = 0; flip < 2 && !found; ++flip) {
      for (Index down = -4; down <= 4 && !found; ++down) {
        for (Index right = -4; right <= 4 && !found; ++right) {
          Image candidate = shifted(image, down, right);
          if (flip == 1) flip_horizontal(candidate);
          if (!(candidate == result)) continue;
          found = true;
          mirrored += flip;
          shifts.insert({down, right});
        }
      }
    }
    REQUIRE(found);
  }
  CHECK(shifts.size() > 70);  // of 81
  CHECK((mirrored > 150 && mirrored < 250));
}

TEST_CASE("augmentation refuses what makes no sense", "[data]") {
  CHECK_NOTHROW(Augment{}.check());
  CHECK_NOTHROW(Augment::none().check());
  CHECK_THROWS_AS((Augment{.scale = {0, 1}}).check(), Error);
  CHECK_THROWS_AS((Augment{.scale = {0.5, 0.2}}).check(), Error);
  CHECK_THROWS_AS((Augment{.ratio = {0, 1}}).check(), Error);
  CHECK_THROWS_AS((Augment{.padding = -1}).check(), Error);
  CHECK_THROWS_AS((Augment{.flip = 1.5}).check(), Error);
  CHECK_THROWS_AS((Augment{.rotation = -1}).check(), Error);
  CHECK_THROWS_AS((Augment{.brightness = 2}).check(), Error);
}
