// Heat maps: the colours, and how they cover an image.
#include <tl/data/heat_map.hpp>

#include <tl/data/decode.hpp>
#include <tl/data/encode.hpp>

#include "data/image_checks.hpp"
#include "support/catch.hpp"

using namespace tl;
using namespace tl::data;
using namespace tl::test;

TEST_CASE("inferno goes from black to light yellow, ever lighter") {
  CHECK(inferno(0) == Colour{0, 0, 4});
  CHECK(inferno(1) == Colour{252, 255, 164});
  CHECK(inferno(-1) == inferno(0));
  CHECK(inferno(2) == inferno(1));
  CHECK(inferno(0.5) == Colour{187, 55, 85});  // matplotlib's: 0.735683, 0.215906, 0.330245 of 255
  CHECK(inferno(1.0 / 32) == Colour{5.5, 3.5, 20});
  double before = -1;
  for (int i = 0; i <= 100; ++i) {
    const Colour c = inferno(i / 100.0);
    const double light = 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
    CHECK(light > before);
    before = light;
  }
}

TEST_CASE("heat covers an image by its opacity") {
  Image image(1, 2);
  const std::uint8_t pixels[] = {100, 200, 0, 10, 20, 30};
  std::copy(std::begin(pixels), std::end(pixels), image.data());
  const auto heat = Tensor<float>::from({0, 1}, {1, 2});
  CHECK(overlay_heat(image, heat, 0) == image);
  const Image half = overlay_heat(image, heat);
  const std::vector<int> got(half.data(), half.data() + 6);
  CHECK(got == std::vector<int>{50, 100, 2, 131, 138, 97});  // halves are rounded up
  const Image whole = overlay_heat(image, heat, 1);
  CHECK(std::vector<int>(whole.data(), whole.data() + 6) == std::vector<int>{0, 0, 4, 252, 255, 164});
  CHECK_THROWS_WITH(overlay_heat(image, Tensor<float>::zeros({2, 1})),
                    contains("expected heat of 1x2, got (2,1)"));
  CHECK_THROWS_WITH(overlay_heat(image, heat, 2), contains("opacity of 0 to 1, got 2"));
}

TEST_CASE("a JPEG is read as nearly the image that was written") {
  Image image(24, 40);
  for (Index y = 0; y < 24; ++y) {
    for (Index x = 0; x < 40; ++x) {
      const int pixel[] = {static_cast<int>(4 * x), static_cast<int>(8 * y), 90};
      std::copy(std::begin(pixel), std::end(pixel), image.row(y) + 3 * x);
    }
  }
  const std::string bytes = encode_jpeg(image, 95);
  const Image read = decode_image({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  REQUIRE(read.size() == image.size());
  int worst = 0;
  for (Index i = 0; i < image.bytes(); ++i)
    worst = std::max(worst, std::abs(read.data()[i] - image.data()[i]));
  CHECK(worst <= 6);
  CHECK(encode_jpeg(image, 20).size() < bytes.size());
  CHECK_THROWS_WITH(encode_jpeg(image, 0), contains("quality of 1 to 100"));
  CHECK_THROWS_WITH(encode_jpeg(Image(0, 4)), contains("[encode_jpeg]"));
}
