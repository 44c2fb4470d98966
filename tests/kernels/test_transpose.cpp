// Strided copies and transposes against the plain loops.
#include <tl/kernels/reference/transpose.hpp>
#include <tl/kernels/transpose.hpp>
#include "kernels/kernel_checks.hpp"

using namespace tl::kernels;
using namespace kernel_checks;

namespace {

/// 1, 2, 3, ... so that every element but those of narrow types can be told from the others.
template <class T>
std::vector<T> counted(Index n) {
  std::vector<T> values(size_of(n));
  for (Index i = 0; i < n; ++i)
    values[size_of(i)] = static_cast<T>(i % 251 + 1 + (sizeof(T) > 1 ? i / 251 * 251 : 0));
  return values;
}

std::vector<Index> dense_strides(const std::vector<Index>& extents) {
  std::vector<Index> strides(extents.size(), 1);
  for (std::size_t i = extents.size(); i-- > 1;) strides[i - 1] = strides[i] * extents[i];
  return strides;
}

}  // namespace

TEMPLATE_TEST_CASE("transposes move every element", "[transpose]", std::uint8_t, std::int32_t, std::int64_t,
                   float, double) {
  using T = TestType;
  const Index sides[] = {0, 1, 2, 3, 4, 5, 7, 16, 33, 64, 259};
  for (const Index batch : {1, 3}) {
    for (const Index rows : sides) {
      for (const Index columns : sides) {
        INFO(batch << " x " << rows << " x " << columns);
        const auto x = counted<T>(batch * rows * columns);
        std::vector<T> y(x.size() + 1, T(77)), want(y);
        for (Index b = 0; b < batch; ++b) {
          for (Index r = 0; r < rows; ++r) {
            for (Index c = 0; c < columns; ++c) {
              want[size_of((b * columns + c) * rows + r)] = x[size_of((b * rows + r) * columns + c)];
            }
          }
        }
        transpose(batch, rows, columns, x.data(), y.data());
        CHECK(y == want);
      }
    }
  }
}

TEST_CASE("images change between planes and channels-last and back", "[transpose]") {
  const Index n = 2, h = 37, w = 41;
  for (const Index c : {1, 2, 3, 4, 5, 64, 67}) {
    const auto planes = counted<float>(n * c * h * w);
    std::vector<float> images(planes.size()), back(planes.size());
    nchw_to_nhwc(n, c, h * w, planes.data(), images.data());
    nhwc_to_nchw(n, c, h * w, images.data(), back.data());
    CHECK(back == planes);
    CHECK(images[size_of(((1 * h + 30) * w + 20) * c + c - 1)] ==
          planes[size_of(((1 * c + c - 1) * h + 30) * w + 20)]);
  }
}

TEMPLATE_TEST_CASE("copies between any strides match the plain loops", "[transpose]", std::uint8_t, float,
                   double) {
  using T = TestType;
  struct Case {
    const char* name;
    std::vector<Index> extents, strides_src, strides_dst;  // no strides_dst: dense
    Index first_src = 0;
  };
  const Case cases[] = {
      {"a scalar", {}, {}, {}},
      {"nothing", {3, 0, 2}, {1, 1, 1}, {}},
      {"a dense block", {3, 70, 200}, {14000, 200, 1}, {}},
      {"one value repeated", {50000}, {0}, {}},
      {"rows repeated", {40, 70}, {0, 1}, {}},
      {"columns repeated", {40, 70}, {1, 0}, {}},
      {"reversed", {40, 70}, {70, -1}, {}, 69},
      {"every other", {20, 35}, {140, 2}, {}},
      {"a window into a larger array", {3, 5, 6}, {42, 6, 1}, {80, 8, 1}},
      {"two axes swapped", {2, 30, 40, 5}, {6000, 5, 150, 1}, {}},
      {"axes reversed", {9, 10, 11, 12}, {1, 9, 90, 990}, {}},
      {"channels to the back, into a frame", {2, 20, 30, 6}, {3600, 30, 1, 600}, {6000, 240, 6, 1}},
      {"channels to the front, into a frame", {2, 6, 20, 30}, {3600, 1, 180, 6}, {7000, 1100, 40, 1}},
      {"every other place of dst", {20, 35}, {1, 20}, {70, 2}},
      {"dst transposed", {70, 300}, {300, 1}, {1, 70}},
      {"rank 8", {2, 3, 1, 2, 3, 2, 1, 4}, {1, 2, 5, 6, 12, 36, 7, 72}, {}},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    const int rank = static_cast<int>(c.extents.size());
    const auto strides_dst = c.strides_dst.empty() ? dense_strides(c.extents) : c.strides_dst;
    const auto src = counted<T>(60000);
    std::vector<T> dst(60000, T(0)), want(dst);
    reference::copy_strided(rank, c.extents.data(), c.strides_src.data(), src.data() + c.first_src,
                            strides_dst.data(), want.data());
    if (c.strides_dst.empty()) {
      copy_strided(rank, c.extents.data(), c.strides_src.data(), src.data() + c.first_src, dst.data());
    } else {
      copy_strided(rank, c.extents.data(), c.strides_src.data(), src.data() + c.first_src, strides_dst.data(),
                   dst.data());
    }
    CHECK(dst == want);
  }
}

TEMPLATE_TEST_CASE("copies have the same bytes at any thread count", "[transpose]", std::uint8_t, float,
                   double) {
  using T = TestType;
  const Index extents[] = {3, 40, 50, 24}, swapped[] = {48000, 24, 960, 1};
  const Index strides[] = {48000, 1200, 24, 1};
  const auto x = counted<T>(3 * 48000);
  check_same_bits_at_any_thread_count([&] {
    std::vector<T> all, y(x.size());
    transpose(3, 2000, 24, x.data(), y.data());
    append(all, y);
    copy_strided(4, extents, swapped, x.data(), y.data());
    append(all, y);
    copy_strided(4, extents, strides, x.data(), swapped, y.data());
    append(all, y);
    return all;
  });
}
