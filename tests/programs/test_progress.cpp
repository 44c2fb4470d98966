// Progress of tl: a bar on a terminal, lines in a log, nothing where it is unwanted.
#include <cstdlib>
#include <string>
#include <thread>

#include <tl/data/encode.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/nn/layers.hpp>

#include "../../examples/tl/progress.hpp"
#include "programs/program.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
namespace fs = std::filesystem;

namespace {

/// What `work` writes to standard error, which is a file meanwhile.
template <class Work>
std::string log_of(const Work& work) {
  const TemporaryFolder folder;
  const std::string file = folder / "log";
  std::fflush(stderr);
  const int before = ::dup(STDERR_FILENO), log = ::open(file.c_str(), O_WRONLY | O_CREAT, 0600);
  REQUIRE(::dup2(log, STDERR_FILENO) >= 0);
  work();
  std::fflush(stderr);
  ::dup2(before, STDERR_FILENO);
  ::close(before);
  ::close(log);
  return read_file(file);
}

/// What a program writes to a terminal of 100 columns that stands for its standard error.
std::string on_terminal(std::vector<std::string> arguments) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  REQUIRE(terminal >= 0);
  REQUIRE((::grantpt(terminal) == 0 && ::unlockpt(terminal) == 0));
  const int other_end = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
  winsize size{};
  size.ws_col = 100;
  REQUIRE(::ioctl(other_end, TIOCSWINSZ, &size) == 0);
  Started started(std::move(arguments), -1, other_end);
  ::close(other_end);
  std::string text;
  char part[4096];
  for (ssize_t got = 0; (got = ::read(terminal, part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(got));
  ::close(terminal);
  CHECK(started.wait().status == 0);
  return text;
}

}  // namespace

TEST_CASE("progress: a log has a line for each pause, without control characters, and none of a short run") {
  const auto steps = [](std::chrono::milliseconds pause) {
    return log_of([&] {
      program::Progress progress("epoch 1/3", 400, "images", pause);
      for (Index done = 1; done <= 4; ++done) {
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
        progress.update(100 * done, "loss 0.5", 61.25);
      }
    });
  };
  CHECK(steps(std::chrono::seconds(10)).empty());
  const std::string log = steps(std::chrono::milliseconds(1));
  CAPTURE(log);
  CHECK(std::count(log.begin(), log.end(), '\n') == 4);
  CHECK(log.starts_with("epoch 1/3   25 %  100/400  61.2 images/s  0:00 left  loss 0.5\n"));
  CHECK(log.find_first_of("\r\x1b") == std::string::npos);

  program::quiet = true;
  CHECK(steps(std::chrono::milliseconds(1)).empty());
  program::quiet = false;
}

TEST_CASE("progress: a terminal has a bar that goes away; --quiet leaves only results") {
  const TemporaryFolder folder;
  const RandomScope scope(1, 0);
  const auto network = nn::sequential<float>(
      {std::make_shared<nn::Conv2d<float>>(nn::Conv2dOptions{.in = 3, .out = 4}),
       std::make_shared<nn::AdaptiveAveragePool2d<float>>(), std::make_shared<nn::Flatten<float>>(),
       std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = 4, .out = 2})});
  const auto traced = nn::trace<float>(*network, Tensor<float>::zeros({1, 3, 8, 8}));
  traced->metadata()[io::preprocess_key] = "resize=8x8,std=255";
  const std::string model = folder / "model.onnx", photos = folder / "photos", out = folder / "new.onnx";
  onnx::save(*traced, model);
  for (int i = 0; i < 40; ++i) {
    const fs::path path = fs::path(photos) / (i % 2 == 0 ? "even" : "odd") / concat(i, ".png");
    fs::create_directories(path.parent_path());
    data::Image image(8, 8);
    for (Index b = 0; b < image.bytes(); ++b) image.data()[b] = static_cast<std::uint8_t>(i + b);
    data::write_png(path, image);
  }
  write_file_atomically(fs::path(photos) / "odd" / "broken.jpg", "text");

  const std::string bar = on_terminal({TL_PROGRAM, "predict", model, photos});
  CAPTURE(bar);
  CHECK_THAT(bar, contains("\r\x1b[Kpredicting  [####") && contains("40/41") && contains(" images/s") &&
                      contains(" left"));
  CHECK_THAT(bar, contains("note: ") && contains("broken.jpg"));
  const std::string epochs = on_terminal({TL_PROGRAM, "finetune", photos, "--weights", model, "--method",
                                          "full", "--epochs", "1", "--out", out});
  CHECK_THAT(epochs, contains("epoch 1/1  [") && contains("  loss ") && contains("  accuracy "));

  CHECK(on_terminal({TL_PROGRAM, "predict", model, photos, "--quiet"}).empty());
  const Outcome loud = tl_program({"predict", model, photos});
  const Outcome quiet = tl_program({"predict", model, photos, "-q"});
  CHECK_THAT(loud.err, contains("broken.jpg"));
  CHECK(loud.err.find_first_of("\r\x1b") == std::string::npos);
  CHECK(quiet.err.empty());
  CHECK(quiet.out == loud.out);
  const Outcome trained =
      tl_program({"finetune", photos, "--weights", model, "--method", "features", "--out", out, "-q"});
  CHECK(trained.status == 0);
  CHECK((trained.out + trained.err).empty());
  CHECK(fs::exists(out));
}
