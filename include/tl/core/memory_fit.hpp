// Whether batches of images fit below the pool's limit of memory, and which would.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <string_view>

#include <tl/core/memory.hpp>
#include <tl/core/shape.hpp>

namespace tl {

/// Batches of so many images of so many pixels.
struct BatchSize {
  Index images = 1;  ///< at least 1
  Index height = 0;  ///< in pixels
  Index width = 0;   ///< in pixels

  /// The same number of images, whose shorter side has `side` pixels.
  BatchSize with_side(Index side) const {
    const double factor = static_cast<double>(side) / static_cast<double>(std::min(height, width));
    const auto scaled = [factor](Index extent) { return std::llround(static_cast<double>(extent) * factor); };
    return {images, scaled(height), scaled(width)};
  }
};

/// Bytes in use at most with batches of a size; may throw tl::Error for images that are too small.
using BytesOf = std::function<std::size_t(const BatchSize&)>;

namespace memory_fit_impl {

/// The largest n in [1,end) that fits, 0 where none does. What holds for one holds for all below it.
template <class Fits>
Index largest(Index end, const Fits& fits) {
  Index low = 0, high = end;
  while (high - low > 1) {
    const Index middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace memory_fit_impl

/// The largest number of images up to that of `wanted` that fits into the limit; 0 where none does.
inline Index images_that_fit(const BatchSize& wanted, const BytesOf& bytes) {
  const std::size_t limit = MemoryPool::instance().limit();
  if (limit == MemoryPool::no_limit) return wanted.images;
  return memory_fit_impl::largest(wanted.images + 1, [&](Index images) {
    return bytes({images, wanted.height, wanted.width}) <= limit;
  });
}

/// The largest shorter side below that of `wanted` with which as many images fit; 0 where none does.
inline Index side_that_fits(const BatchSize& wanted, const BytesOf& bytes) {
  const std::size_t limit = MemoryPool::instance().limit();
  const auto fits = [&](Index side, bool too_small) {
    try {
      return bytes(wanted.with_side(side)) <= limit;
    } catch (const Error&) {
      return too_small;
    }
  };
  const Index side = memory_fit_impl::largest(std::min(wanted.height, wanted.width),
                                              [&](Index middle) { return fits(middle, true); });
  return side > 0 && fits(side, false) ? side : 0;
}

/// Throws MemoryLimitError where batches of this size would take more than the limit: how much, and which
/// batch or size would fit. `what` begins the sentence, such as "training".
inline void check_fits(std::string_view what, const BatchSize& wanted, const BytesOf& bytes) {
  const std::size_t limit = MemoryPool::instance().limit();
  if (limit == MemoryPool::no_limit) return;
  const std::size_t needed = bytes(wanted);
  if (needed <= limit) return;
  const auto pixels = [](const BatchSize& size) { return concat(size.height, 'x', size.width, " pixels"); };
  const auto batches = [](Index images) {
    return images == 1 ? std::string("single images") : concat("batches of ", images, " images");
  };
  const Index images = images_that_fit(wanted, bytes), side = side_that_fits(wanted, bytes);
  std::string advice;
  if (images > 0) advice = concat("a batch of at most ", images, " fits");
  if (side > 0)
    advice += concat(images > 0 ? ", or a size" : "a size", " of at most ", pixels(wanted.with_side(side)),
                     images > 0 ? "" : " fits");
  if (advice.empty()) {
    const BatchSize single{1, wanted.height, wanted.width};
    const Index smallest = wanted.images > 1 ? side_that_fits(single, bytes) : 0;
    advice = smallest > 0
                 ? concat("only single images of at most ", pixels(single.with_side(smallest)), " fit")
                 : std::string("no batch and no size of images fits");
  }
  throw MemoryLimitError(concat(what, " with ", batches(wanted.images), " of ", pixels(wanted), " takes ",
                                byte_size_text(needed), " of memory, the limit is ", byte_size_text(limit),
                                ": ", advice));
}

}  // namespace tl
