// Shape: extents, products without overflow, axes counted from either end.
#include <limits>
#include <tl/core/shape.hpp>
#include <vector>

#include "support/catch.hpp"

using tl::Index;
using tl::Shape;

TEST_CASE("a shape has a rank, extents and a size") {
  const Shape shape{2, 3, 5, 7};
  CHECK(shape.rank() == 4);
  CHECK_FALSE(shape.empty());
  CHECK(shape[0] == 2);
  CHECK(shape[3] == 7);
  CHECK(shape.back() == 7);
  CHECK(shape.size() == 210);
  CHECK(std::vector<Index>(shape.begin(), shape.end()) == std::vector<Index>{2, 3, 5, 7});
}

TEST_CASE("a scalar has one element, an extent of 0 none") {
  CHECK(Shape{}.empty());
  CHECK(Shape{}.size() == 1);
  CHECK(Shape{3, 0, 5}.size() == 0);
}

TEST_CASE("shapes are equal when rank and extents are") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK(Shape{2, 3} != Shape{3, 2});
  CHECK(Shape{2} != Shape{2, 1});
  CHECK(Shape{} != Shape{0});
  Shape shape{2, 3, 4};
  shape[1] = 9;
  CHECK(shape == Shape{2, 9, 4});
}

TEST_CASE("an axis counts from either end") {
  const Shape shape{4, 5, 6};
  CHECK(shape.axis(0) == 0);
  CHECK(shape.axis(2) == 2);
  CHECK(shape.axis(-1) == 2);
  CHECK(shape.axis(-3) == 0);
  CHECK_THROWS_WITH(shape.axis(3), "[shape] expected an axis in [-3, 3), got 3 for (4,5,6)");
  CHECK_THROWS_AS(shape.axis(-4), tl::Error);
  CHECK_THROWS_AS(shape.axis(std::numeric_limits<Index>::min()), tl::Error);
  CHECK_THROWS_AS(Shape{}.axis(0), tl::Error);
}

TEST_CASE("eight dimensions fit, nine do not") {
  Shape shape{1, 2, 3, 4, 5, 6, 7};
  shape.push_back(8);
  CHECK(shape.rank() == Shape::max_rank);
  CHECK(shape.size() == 40320);
  CHECK_THROWS_WITH(shape.push_back(9),
                    "[shape] expected at most 8 dimensions, got one more after (1,2,3,4,5,6,7,8)");
  CHECK(shape.rank() == 8);
  CHECK_THROWS_AS((Shape{1, 2, 3, 4, 5, 6, 7, 8, 9}), tl::Error);
}

TEST_CASE("a negative extent is refused") {
  CHECK_THROWS_WITH((Shape{2, -1}), "[shape] expected extents of at least 0, got (2,-1)");
}

TEST_CASE("a size that does not fit an Index is refused, not wrapped") {
  const Index half = Index{1} << 32;
  CHECK(Shape{half, half / 4}.size() == Index{1} << 62);
  CHECK_THROWS_WITH((Shape{half, half}.size()), "[shape] too many elements in (4294967296,4294967296)");
  CHECK_THROWS_AS((Shape{std::numeric_limits<Index>::max(), 2}.size()), tl::Error);
}

TEST_CASE("a shape prints like the papers write it") {
  CHECK(tl::concat(Shape{}) == "()");
  CHECK(tl::concat(Shape{8}) == "(8)");
  CHECK(tl::concat(Shape{1, 3, 224, 224}) == "(1,3,224,224)");
}
