// Augmentation as text.
#include <tl/data/augment_spec.hpp>

#include "support/catch.hpp"

using namespace tl;
using namespace tl::data;
using namespace tl::test;

TEST_CASE("presets of augmentation", "[data]") {
  CHECK(parse_augment("none").does_nothing());
  CHECK(parse_augment("light").crop == AugmentCrop::random_resized);
  CHECK(parse_augment("light").scale[0] == 0.7);
  CHECK(parse_augment("light").brightness == 0);
  CHECK(parse_augment("photos").scale == Augment{}.scale);
  CHECK(parse_augment("photos").contrast == Augment{}.contrast);
  CHECK(parse_augment("small").crop == AugmentCrop::padded);
}

TEST_CASE("what is named is varied, and nothing else, but for what the preset varies", "[data]") {
  const Augment a = parse_augment("flip=0.25,rotation=10,scale=0.5/0.9,ratio=0.8/1.25,color=0.2");
  CHECK(a.flip == 0.25);
  CHECK(a.rotation == 10);
  CHECK(a.crop == AugmentCrop::random_resized);
  CHECK(a.scale == std::array<double, 2>{0.5, 0.9});
  CHECK(a.ratio == std::array<double, 2>{0.8, 1.25});
  CHECK((a.brightness == 0.2 && a.contrast == 0.2 && a.saturation == 0.2));

  const Augment flip = parse_augment("flip=1");
  CHECK(flip.crop == AugmentCrop::none);
  CHECK((flip.rotation == 0 && flip.brightness == 0));
  CHECK(parse_augment("scale=0.5").scale == std::array<double, 2>{0.5, 1});
  CHECK(parse_augment("scale=0.5").ratio == Augment{}.ratio);
  CHECK(parse_augment("shift=3").padding == 3);
  CHECK(parse_augment("shift=3").crop == AugmentCrop::padded);
  const Augment over = parse_augment("photos,rotation=5,saturation=0");
  CHECK((over.rotation == 5 && over.saturation == 0 && over.contrast == Augment{}.contrast));
}

TEST_CASE("augmentation that makes no sense is refused", "[data]") {
  const auto refused = [](std::string_view spec, std::string_view part) {
    INFO(spec);
    CHECK_THROWS_WITH(parse_augment(spec), contains(std::string(part)));
  };
  refused("", "expected none, light, photos or small");
  refused("heavy", "'heavy': expected none, light, photos or small");
  refused("flip=0.5,light", "'light': expected a preset at the beginning");
  refused("flip=0.5,", "expected a preset at the beginning");
  refused("flip=2", "a probability of flips in 0 to 1, got 2");
  refused("flip=", "'flip=': expected a number, got ''");
  refused("flip=nan", "expected a number");
  refused("flip=0.5x", "expected a number, got '0.5x'");
  refused("rotation=200", "0 to 180 degrees");
  refused("scale=0.9/0.5", "expected 0 < scale <= 1");
  refused("scale=0.1/0.2/0.3", "expected a number");
  refused("ratio=0/1", "a ratio above 0");
  refused("shift=1.5", "expected whole pixels");
  refused("shift=1e300", "expected whole pixels");
  refused("color=1.5", "colour changes in 0 to 1");
  refused("blur=3", "'blur=3': expected flip=");
}
