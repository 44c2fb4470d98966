// Preprocessing: spec strings, geometry against torchvision's conventions on Pillow, normalisation.
#include <tl/data/preprocess.hpp>

#include "data/image_checks.hpp"

using namespace tl;
using namespace tl::data;
using namespace tl::test;

TEST_CASE("a spec string is read", "[data]") {
  const Preprocess lite = Preprocess::parse("resize=256,bicubic,crop=224,mean=127,std=128,rgb");
  CHECK(lite.resize_short == 256);
  CHECK(!lite.resize_exact);
  CHECK(lite.filter == Filter::bicubic);
  CHECK(lite.crop == Size{224, 224});
  CHECK(lite.mean == std::array<double, 3>{127, 127, 127});
  CHECK(lite.std == std::array<double, 3>{128, 128, 128});
  CHECK(lite.order == ColourOrder::rgb);

  const Preprocess other =
      Preprocess::parse(" bgr , std=58.395/57.12/57.375,mean=1/2.5/-3,crop=100x60, resize=120x80");
  CHECK(other.order == ColourOrder::bgr);
  CHECK(other.resize_exact == Size{120, 80});
  CHECK(!other.resize_short);
  CHECK(other.crop == Size{100, 60});
  CHECK(other.mean == std::array<double, 3>{1, 2.5, -3});
  CHECK(other.std == std::array<double, 3>{58.395, 57.12, 57.375});
}

TEST_CASE("spec strings survive a round trip", "[data]") {
  for (const char* spec : {"resize=256,bicubic,crop=224,mean=127,std=128,rgb", "bilinear,mean=0,std=1,rgb",
                           "resize=31x17,nearest,mean=123.675/116.28/103.53,std=0.1/1e-05/255,bgr",
                           "resize=9,bilinear,crop=3x4,mean=-1,std=255,bgr"}) {
    CHECK(Preprocess::parse(spec).to_string() == spec);
    CHECK(Preprocess::parse(Preprocess::parse(spec).to_string()) == Preprocess::parse(spec));
  }
  CHECK(Preprocess::imagenet().to_string() ==
        "resize=256,bilinear,crop=224,mean=123.675/116.28/103.53,std=58.395/57.12/57.375,rgb");
}

TEST_CASE("a faulty spec string names the faulty part", "[data]") {
  const auto message = [](const char* spec) {
    try {
      (void)Preprocess::parse(spec);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK_THAT(message("resize=256,crop=0"), contains("'crop=0'") && contains("1 to 10000"));
  CHECK_THAT(message("resize=0x5"), contains("'resize=0x5'"));
  CHECK_THAT(message("resize=-3"), contains("'resize=-3'"));
  CHECK_THAT(message("resize=10001"), contains("'resize=10001'"));
  CHECK_THAT(message("resize=25q"), contains("'25q'"));
  CHECK_THAT(message("resize="), contains("'resize='"));
  CHECK_THAT(message("resize"), contains("'resize'"));
  CHECK_THAT(message("resize=5x"), contains("'resize=5x'"));
  CHECK_THAT(message("std=1/0/1"), contains("'std=1/0/1'") && contains("above 0"));
  CHECK_THAT(message("std=-2"), contains("above 0"));
  CHECK_THAT(message("std=nan"), contains("'std=nan'"));
  CHECK_THAT(message("mean=inf"), contains("'mean=inf'"));
  CHECK_THAT(message("mean=1/2"), contains("one value or three"));
  CHECK_THAT(message("mean=1/2/3/4"), contains("one value or three"));
  CHECK_THAT(message("mean=1//3"), contains("'mean=1//3'"));
  CHECK_THAT(message("bicubic=3"), contains("no value"));
  CHECK_THAT(message("rgb,bgr"), contains("'bgr'") && contains("once"));
  CHECK_THAT(message("crop=3,crop=4"), contains("'crop=4'"));
  CHECK_THAT(message("lanczos"), contains("'lanczos'") && contains("bicubic"));
  CHECK_THAT(message("size=224"), contains("'size=224'"));
  CHECK_THAT(message(""), contains("expected one of"));
  CHECK_THAT(message("rgb,,bicubic"), contains("''"));
}

TEST_CASE("values set by hand are checked too", "[data]") {
  Preprocess preprocess = Preprocess::imagenet();
  CHECK_NOTHROW(preprocess.check());
  preprocess.std[1] = 0;
  CHECK_THROWS_AS(preprocess.check(), Error);
  preprocess = Preprocess::imagenet();
  preprocess.resize_exact = Size{3, 3};
  CHECK_THROWS_AS(preprocess.check(), Error);
  preprocess = Preprocess::imagenet();
  preprocess.crop = Size{0, 3};
  CHECK_THROWS_AS(preprocess.check(), Error);
}

TEST_CASE("resize and crop give torchvision's pixels", "[data]") {
  std::ifstream cases(data_fixture("preprocess.txt"));
  int count = 0;
  Index number, height, width, to_height, to_width;
  std::string spec, hash;
  while (cases >> number >> height >> width >> spec >> to_height >> to_width >> hash) {
    INFO("case " << number << ": " << height << "x" << width << ", " << spec);
    const Preprocess preprocess = Preprocess::parse(spec);
    const Image result = preprocess.geometry(hashed_image(concat("preprocess ", number), height, width));
    CHECK(result.size() == Size{to_height, to_width});
    CHECK(preprocess.output_size({height, width}) == result.size());
    CHECK(pixel_hash(result) == hash);
    ++count;
  }
  CHECK(count == 12);
}

TEST_CASE("pixels are normalised into channels_last tensors", "[data]") {
  const Image image = hashed_image("normalise", 5, 7);
  const auto expect = [&](const Preprocess& preprocess, bool reversed) {
    const Tensor<float> tensor = preprocess.apply(image);
    CHECK(tensor.shape() == Shape{1, 3, 5, 7});
    CHECK(tensor.layout() == Layout::channels_last);
    for (Index c = 0; c < 3; ++c) {
      for (Index y = 0; y < 5; ++y) {
        for (Index x = 0; x < 7; ++x) {
          const double pixel = image.row(y)[3 * x + (reversed ? 2 - c : c)];
          const auto i = static_cast<std::size_t>(c);
          REQUIRE(tensor.at(0, c, y, x) ==
                  static_cast<float>((pixel - preprocess.mean[i]) / preprocess.std[i]));
        }
      }
    }
  };
  expect(Preprocess::parse("mean=10/20.5/-3,std=1/2/3,rgb"), false);
  expect(Preprocess::parse("mean=10/20.5/-3,std=1/2/3,bgr"), true);

  const Preprocess crop = Preprocess::parse("crop=3,mean=1,std=2");
  auto batch = Tensor<float>::zeros({2, 3, 3, 3}, Layout::channels_last);
  crop.apply(image, {3, 3}, batch.mutable_data() + 27);
  const Tensor<float> alone = crop.apply(image);
  CHECK(std::equal(alone.data(), alone.data() + 27, batch.data() + 27));
  CHECK(std::all_of(batch.data(), batch.data() + 27, [](float v) { return v == 0; }));
  CHECK_THROWS_WITH(crop.apply(image, {4, 4}, batch.mutable_data()), contains("4x4") && contains("3x3"));
}

TEST_CASE("a long thin image does not fill the memory", "[data]") {
  const Image thin = plain_image(1, 20'000, 9);
  CHECK_THROWS_WITH(Preprocess::parse("resize=256").geometry(thin), contains("too large"));
  CHECK(Preprocess::parse("resize=256,crop=224").geometry(thin) == plain_image(224, 224, 9));
}
