// Which batches and sizes fit below a limit, and what is said when none does.
#include <tl/core/memory_fit.hpp>

#include "support/catch.hpp"
#include "support/memory_limit.hpp"

using namespace tl;
using tl::test::contains;
using tl::test::ScopedLimit;

namespace {

/// 1000 bytes, and one for each pixel of a batch; images of fewer than eight pixels are an error.
std::size_t example(const BatchSize& size) {
  TL_CHECK(size.height >= 8 && size.width >= 8, "too small");
  return static_cast<std::size_t>(1000 + size.images * size.height * size.width);
}

}  // namespace

TEST_CASE("the largest batch and size that fit are found") {
  const ScopedLimit limit(5000);
  CHECK(images_that_fit({10, 20, 20}, example) == 10);
  CHECK(images_that_fit({11, 20, 20}, example) == 10);
  CHECK(images_that_fit({10, 64, 64}, example) == 0);
  CHECK(side_that_fits({10, 40, 40}, example) == 20);
  CHECK(side_that_fits({1, 100, 200}, example) == 44);  // 44 x 88
  CHECK(side_that_fits({100, 40, 40}, example) == 0);
  CHECK_NOTHROW(check_fits("work", {10, 20, 20}, example));
}

TEST_CASE("what does not fit is told with what would") {
  const ScopedLimit limit(5000);
  CHECK_THROWS_AS(check_fits("work", {11, 20, 20}, example), MemoryLimitError);
  CHECK_THROWS_WITH(check_fits("work", {40, 20, 20}, example),
                    "work with batches of 40 images of 20x20 pixels takes 16.6 KiB of memory, the limit is "
                    "4.9 KiB: a batch of at most 10 fits, or a size of at most 10x10 pixels");
  CHECK_THROWS_WITH(check_fits("work", {2, 64, 64}, example),
                    contains(": a size of at most 44x44 pixels fits"));
  CHECK_THROWS_WITH(check_fits("work", {60, 16, 16}, example),
                    contains(": a batch of at most 15 fits, or a size of at most 8x8 pixels"));
  CHECK_THROWS_WITH(check_fits("work", {90, 10, 10}, example), contains(": a batch of at most 40 fits"));
  CHECK_THROWS_WITH(check_fits("work", {100, 100, 100}, example),
                    contains(": only single images of at most 63x63 pixels fit"));
  const ScopedLimit tiny(900);
  CHECK_THROWS_WITH(check_fits("work", {1, 20, 20}, example),
                    contains("with single images of") && contains("no batch and no size of images fits"));
}

TEST_CASE("without a limit nothing is asked") {
  const ScopedLimit none(MemoryPool::no_limit);
  const BytesOf never = [](const BatchSize&) -> std::size_t { throw std::logic_error("asked"); };
  CHECK_NOTHROW(check_fits("work", {1, 20, 20}, never));
  CHECK(images_that_fit({7, 20, 20}, never) == 7);
}
