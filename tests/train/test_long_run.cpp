// Long trainings: memory and open files after two thousand steps are what they were after a hundred.
#include <malloc.h>

#include <filesystem>
#include <iterator>

#include <tl/optim/sgd.hpp>
#include <tl/train/fit.hpp>

#include "transfer/networks.hpp"

using namespace tl;
using namespace tl::test;

namespace {

/// Bytes that the program has asked for and not given back. (What the system counts as resident also grows
/// with the arenas of threads that have ended.)
std::size_t bytes_in_use() {
  const struct mallinfo2 heap = ::mallinfo2();
  return heap.uordblks + heap.hblkhd + MemoryPool::instance().bytes_in_use();
}

std::ptrdiff_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return std::distance(begin(files), end(files));
}

}  // namespace

TEST_CASE("two thousand steps take no memory after the first hundred, and leave no file open") {
  const Photos photos(10);
  const data::Loader train(photos.set.train, plain_steps,
                           {.batch_size = 6, .shuffle = true, .augment = data::Augment{}});
  const data::Loader valid(photos.set.train, plain_steps);
  const ModelPtr model = pooled_network();
  optim::Sgd<float> sgd({{.params = model->parameters(), .lr = 0.01}}, {.momentum = 0.9});
  std::size_t bytes = 0;
  std::ptrdiff_t files = 0;
  train::FitOptions options{.epochs = 400};  // of five steps
  options.on_epoch = [&](const train::EpochReport& r) {
    if (r.epoch == 19) bytes = bytes_in_use(), files = open_files();
  };
  REQUIRE(train::fit(*model, sgd, train, options, &valid).size() == 400);
  REQUIRE(files > 0);
  CHECK(bytes_in_use() < bytes + (std::size_t{1} << 19));  // the reports of 400 epochs are in it
  CHECK(open_files() == files);
}
