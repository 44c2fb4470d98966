// Resizing against Pillow, bit for bit, on every instruction set.
#include <tl/data/resize.hpp>

#include "data/image_checks.hpp"

using namespace tl;
using namespace tl::data;
using namespace tl::test;

namespace {

Filter filter_of(const std::string& name) {
  return name == "nearest" ? Filter::nearest : name == "bilinear" ? Filter::bilinear : Filter::bicubic;
}

}  // namespace

TEST_CASE("resize gives Pillow's pixels", "[data]") {
  for (kernels::Isa isa : kernels::available_isas()) {
    const kernels::ScopedIsa scoped(isa);
    std::ifstream cases(data_fixture("resize.txt"));
    int count = 0;
    Index number, height, width, to_height, to_width;
    std::string filter, hash;
    Box box;
    while (cases >> number >> height >> width >> to_height >> to_width >> filter >> box.left >> box.top >>
           box.right >> box.bottom >> hash) {
      INFO(name_of(isa) << ", case " << number << ": " << height << "x" << width << " to " << to_height << "x"
                        << to_width << " " << filter << ", box " << box.left << " " << box.top << " "
                        << box.right << " " << box.bottom);
      const Image image = hashed_image(concat("resize ", number), height, width);
      const Image resized = resize(image, to_height, to_width, filter_of(filter), box);
      CHECK(resized.size() == Size{to_height, to_width});
      CHECK(pixel_hash(resized) == hash);
      ++count;
    }
    CHECK(count > 500);
  }
}

TEST_CASE("a window of a resize is that part of the whole", "[data]") {
  const Image image = hashed_image("window", 61, 43);
  for (Filter filter : {Filter::nearest, Filter::bilinear, Filter::bicubic}) {
    for (const Size size :
         {Size{20, 20}, Size{100, 90}, Size{61, 20}, Size{20, 43}, Size{61, 43}, Size{9, 80}}) {
      const Image whole_image = resize(image, size.height, size.width, filter);
      const Window window{size.height / 3, size.width / 4, size.height / 2, size.width / 2};
      CHECK(resize_window(image, size, filter, whole(image), window) == crop(whole_image, window));
    }
  }
}

TEST_CASE("a flat image stays flat", "[data]") {
  for (Filter filter : {Filter::nearest, Filter::bilinear, Filter::bicubic}) {
    for (int colour : {0, 1, 127, 254, 255}) {
      CHECK(resize(plain_image(37, 23, colour), 11, 50, filter) == plain_image(11, 50, colour));
    }
  }
}

TEST_CASE("a very long image shrinks", "[data]") {
  CHECK(resize(plain_image(2, 60'000, 200), 2, 3, Filter::bicubic) == plain_image(2, 3, 200));
  CHECK(resize(plain_image(60'000, 2, 200), 3, 2, Filter::bilinear) == plain_image(3, 2, 200));
}

TEST_CASE("the shorter side", "[data]") {
  CHECK(short_side_size({375, 500}, 256) == Size{256, 341});
  CHECK(short_side_size({500, 375}, 256) == Size{341, 256});
  CHECK(short_side_size({300, 300}, 256) == Size{256, 256});
  CHECK(short_side_size({1, 1000}, 7) == Size{7, 7000});
  CHECK(resize_short_side(hashed_image("short", 30, 44), 15, Filter::bilinear).size() == Size{15, 22});
}

TEST_CASE("impossible resizes name what is wrong", "[data]") {
  const Image image = hashed_image("errors", 10, 12);
  CHECK_THROWS_WITH(resize(image, 0, 5, Filter::bicubic), contains("[resize]") && contains("0x5"));
  CHECK_THROWS_WITH(resize(Image(0, 3), 5, 5, Filter::bicubic), contains("0x3"));
  CHECK_THROWS_AS(resize(image, 5, 5, Filter::bicubic, {0, 0, 13, 10}), Error);
  CHECK_THROWS_AS(resize(image, 5, 5, Filter::bicubic, {4, 0, 4, 10}), Error);
  CHECK_THROWS_AS(resize(image, 5, 5, Filter::bicubic, {-1, 0, 4, 10}), Error);
  CHECK_THROWS_AS(resize_window(image, {5, 5}, Filter::bicubic, whole(image), {3, 0, 3, 5}), Error);
  CHECK_THROWS_AS(short_side_size({10, 10}, 0), Error);
  CHECK_THROWS_AS(crop(image, {0, 0, 11, 5}), Error);
}
