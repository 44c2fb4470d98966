// Tensor<T>: sharing and copying, layouts, versions, views and values kept beside a buffer.
#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include <tl/tensor/tensor.hpp>
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using Floats = Tensor<float>;

TEST_CASE("a tensor shares its buffer with its copies, not with its clones") {
  Floats a = Floats::from({1, 2, 3, 4, 5, 6}, {2, 3});
  Floats shared = a;
  const Floats copied = a.clone();
  CHECK(shared.shares_buffer(a));
  CHECK(!copied.shares_buffer(a));
  CHECK(!a.unique());
  CHECK(copied.unique());
  shared.set(10, 1, 2);
  CHECK(a.at(1, 2) == 10);
  CHECK(copied.at(1, 2) == 6);
}

TEST_CASE("creation") {
  CHECK(values_of(Floats::full({2, 2}, 3)) == std::vector<float>{3, 3, 3, 3});
  CHECK(Floats::ones({}).item() == 1);
  CHECK(Floats::scalar(5).rank() == 0);
  CHECK(Floats::zeros({0, 3}).size() == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(Floats::zeros({3}).data()) % 64 == 0);
  const Floats none;
  CHECK(!none.defined());
  CHECK(none.data() == nullptr);
  CHECK(none.size() == 0);
  CHECK(!none.clone().defined());
}

TEST_CASE("mistakes with tensors") {
  CHECK_THROWS_WITH(Floats::from({1, 2, 3}, {2, 2}), "[tensor] expected 4 values for shape (2,2), got 3");
  CHECK_THROWS_WITH(Floats::empty({2, 3}, Layout::channels_last),
                    "[tensor] expected shape (N,C,H,W) for channels_last, got (2,3)");
  const Floats x = Floats::zeros({2, 3});
  CHECK_THROWS_WITH(x.at(1), "[tensor] expected 2 indices for (2,3), got 1");
  CHECK_THROWS_WITH(x.at(1, 3), "[tensor] expected an index below 3 on axis 1, got 3");
  CHECK_THROWS_WITH(x.at(-1, 0), "[tensor] expected an index below 2 on axis 0, got -1");
  CHECK_THROWS_WITH(x.item(), "[item] expected one element, got shape (2,3)");
  CHECK_THROWS_WITH(Floats().item(), "[item] expected one element, got shape ()");
  CHECK_THROWS_WITH(x.reshape({4, 2}), "[reshape] expected 6 elements as in (2,3), got (4,2)");
}

TEST_CASE("an image has the same elements in both layouts") {
  for (const Shape& shape : {Shape{2, 3, 4, 5}, Shape{1, 19, 7, 3}, Shape{3, 1, 5, 5}, Shape{2, 17, 1, 1},
                             Shape{0, 3, 4, 4}, Shape{2, 64, 9, 9}}) {
    const Floats plain = hash_tensor<float>("x", shape);
    const Floats last = plain.to(Layout::channels_last);
    INFO(shape);
    CHECK(last.layout() == Layout::channels_last);
    CHECK(last.shape() == shape);
    bool same = true;
    for (Index n = 0; n < shape[0]; ++n)
      for (Index c = 0; c < shape[1]; ++c)
        for (Index h = 0; h < shape[2]; ++h)
          for (Index w = 0; w < shape[3]; ++w) {
            same = same && plain.at(n, c, h, w) == last.at(n, c, h, w) &&
                   last.data()[((n * shape[2] + h) * shape[3] + w) * shape[1] + c] == plain.at(n, c, h, w);
          }
    CHECK(same);
    CHECK(same_bits(last.plain(), plain));
  }
}

TEST_CASE("a change of layout that moves nothing shares the buffer") {
  const Floats pixel = hash_tensor<float>("x", {2, 5, 1, 1}), gray = hash_tensor<float>("x", {2, 1, 4, 3});
  CHECK(pixel.to(Layout::channels_last).shares_buffer(pixel));
  CHECK(gray.to(Layout::channels_last).shares_buffer(gray));
  const Floats image = hash_tensor<float>("x", {2, 3, 4, 4});
  CHECK(image.to(Layout::plain).shares_buffer(image));
  CHECK(!image.to(Layout::channels_last).shares_buffer(image));
  const Floats matrix = hash_tensor<float>("x", {2, 5});
  CHECK(matrix.to(Layout::channels_last).layout() == Layout::plain);  // only images have two layouts
}

TEST_CASE("strides and memory order tell where elements lie") {
  const Strides plain = strides_of({2, 3, 4, 5}, Layout::plain);
  CHECK(std::vector<Index>(plain.begin(), plain.begin() + 4) == std::vector<Index>{60, 20, 5, 1});
  const Strides last = strides_of({2, 3, 4, 5}, Layout::channels_last);
  CHECK(std::vector<Index>(last.begin(), last.begin() + 4) == std::vector<Index>{60, 1, 15, 3});
  const auto order = memory_order({2, 3, 4, 5}, Layout::channels_last);
  CHECK(std::vector<int>(order.begin(), order.begin() + 4) == std::vector<int>{0, 2, 3, 1});
}

TEST_CASE("reshape keeps the row-major order, whatever the layout") {
  const Floats plain = hash_tensor<float>("x", {2, 3, 4, 5});
  const Floats last = plain.to(Layout::channels_last);
  CHECK(plain.reshape({6, 20}).shares_buffer(plain));
  CHECK(same_bits(last.reshape({6, 20}), plain.reshape({6, 20})));
  CHECK(Floats::zeros({0, 4}).reshape({2, 0}).shape() == Shape{2, 0});
}

TEST_CASE("cast converts values and keeps the layout") {
  const auto x = Tensor<double>::from({1.75, -2.25, 3, 4}, {1, 2, 1, 2}).to(Layout::channels_last);
  const auto integers = x.cast<std::int64_t>();
  CHECK(integers.layout() == Layout::channels_last);
  CHECK(values_of(integers) == std::vector<std::int64_t>{1, -2, 3, 4});
  CHECK(x.cast<double>().shares_buffer(x));
}

TEST_CASE("the version grows with every access for writing, through any tensor of the buffer") {
  Floats x = Floats::zeros({4});
  const std::uint64_t before = x.version();
  CHECK(x.data()[0] == 0);
  CHECK(x.version() == before);
  Floats view = x.reshape({2, 2});
  view.mutable_data()[0] = 1;
  CHECK(x.version() == before + 1);
  x.set(2, 1);
  CHECK(view.version() == before + 2);
  CHECK(x.clone().version() != 0);
}

TEST_CASE("what is derived from a tensor is kept until its elements change") {
  Floats x = Floats::full({3}, 2);
  int made = 0;
  const auto doubled = [&] {
    ++made;
    return std::vector<float>(3, 2 * x.data()[0]);
  };
  const auto first = x.derived<std::vector<float>>(1, doubled);
  CHECK(x.derived<std::vector<float>>(1, doubled) == first);
  CHECK(made == 1);
  x.derived<std::vector<float>>(2, doubled);  // another key
  CHECK(made == 2);
  x.mutable_data()[0] = 5;
  CHECK(x.derived<std::vector<float>>(2, doubled)->front() == 10);
  CHECK(made == 3);
  CHECK(first->front() == 4);                        // handed out before, still whole
  CHECK(*x.derived<int>(2, [] { return 7; }) == 7);  // another type under the same key
}

TEST_CASE("derived values are made once when several threads ask") {
  const Floats x = Floats::full({3}, 2);
  std::atomic<int> made = 0, wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 100; ++k) wrong += *x.derived<int>(9, [&] { return ++made; }) != 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(made == 1);
  CHECK(wrong == 0);
}

TEST_CASE("deferred elements are read when they are asked for, once") {
  std::atomic<int> reads{0};
  const auto read = [&reads](float* to) {
    ++reads;
    std::iota(to, to + 6, 1.0f);
  };
  Floats x = Floats::deferred({2, 3}, read);
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.is_deferred());
  CHECK(x.reshape({3, 2}).is_deferred());
  CHECK(x.clone().at(1, 2) == 6);  // a copy does not keep them
  CHECK(x.is_deferred());
  CHECK(reads == 1);

  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { right += x.at(0, 1) == 2; });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 4);
  CHECK(reads == 2);
  CHECK_FALSE(x.is_deferred());
  CHECK(x.version() == 0);
  x.mutable_data()[0] = 7;
  CHECK(x.clone().at(0, 0) == 7);

  Floats fails = Floats::deferred({2}, [](float*) { fail("the file is gone"); });
  CHECK_THROWS_WITH(fails.data(), "the file is gone");
  CHECK_THROWS_WITH(fails.mutable_data(), "the file is gone");
  CHECK(fails.is_deferred());
}
