// What every command of tl does when something is wrong around it: its exit status, one line on standard
// error, and no part of a file left behind.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <tl/data/encode.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/npy.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/nn/layers.hpp>

#include "programs/program.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

/// A network with 64 features, two classes of ten photos, and a tensor.
struct Place {
  TemporaryFolder folder;
  std::string model = folder / "model.onnx", photos = folder / "photos", tensor = folder / "x.npy";

  Place() {
    const RandomScope scope(1, 0);
    const auto network = nn::sequential<float>(
        {std::make_shared<nn::Conv2d<float>>(nn::Conv2dOptions{.in = 3, .out = 64}),
         std::make_shared<nn::AdaptiveAveragePool2d<float>>(), std::make_shared<nn::Flatten<float>>(),
         std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = 64, .out = 2})});
    const auto traced = nn::trace<float>(*network, Tensor<float>::zeros({1, 3, 8, 8}));
    io::set_labels(traced->metadata(), {"blue", "red"});
    traced->metadata()[io::preprocess_key] = "resize=8x8,std=255";
    onnx::save(*traced, model);
    for (const char* name : {"blue", "red"}) {
      fs::create_directories(fs::path(photos) / name);
      for (int i = 0; i < 10; ++i) {
        data::Image image(9, 9);
        for (Index b = 0; b < image.bytes(); ++b)
          image.data()[b] = static_cast<std::uint8_t>(b % 3 == (name[0] == 'r' ? 0 : 2) ? 200 + i : 10 * i);
        data::write_png(fs::path(photos) / name / (std::to_string(i) + ".png"), image);
      }
    }
    io::write_npy(tensor, Tensor<float>::zeros({400, 3, 8, 8}));
  }
  std::string path(std::string_view name) const { return folder / name; }

  /// Commands that write files; `out` is the first part of the file's path.
  std::vector<Words> writing(const std::string& out) const {
    return {
        {"run", model, "--input", tensor, "--output", out + ".npy"},
        {"features", model, photos, "--out", out + ".npy"},
        {"finetune", photos, "--weights", model, "--method", "features", "--out", out + ".onnx"},
        {"find-lr", photos, "--weights", model, "--method", "head", "--steps", "10", "--svg", out + ".svg"},
        {"export", model, out + ".onnx"}};
  }
  /// Commands that print, which all do.
  std::vector<Words> printing() const {
    std::vector<Words> all = writing(path("printed"));
    all.insert(all.end(), {{"inspect", model},
                           {"predict", model, photos},
                           {"evaluate", model, photos},
                           {"doctor", model},
                           {"bench", model, "--seconds", "0"},
                           {"completion", "bash"},
                           {"man"}});
    return all;
  }
  /// Commands that read photos of a folder.
  std::vector<Words> reading(const std::string& images) const {
    return {{"predict", model, images},
            {"evaluate", model, images},
            {"features", model, images, "--out", path("f.npy")},
            {"finetune", images, "--weights", model, "--out", path("new.onnx")},
            {"find-lr", images, "--weights", model}};
  }
  /// No file of this beginning, whole, in part or temporary.
  void has_no(const std::string& name) const {
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      CAPTURE(entry.path());
      CHECK_FALSE(entry.path().filename().string().starts_with(name));
    }
  }
};

std::string quoted(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += " '" + word + "'";
  return line;
}

void check_told(const Outcome& o, int status, const std::string& part) {
  CAPTURE(o.out, o.err);
  CHECK(o.status == status);
  CHECK(is_one_line(o.err));
  CHECK(o.err.starts_with("tl: "));
  CHECK(o.err.find(part) != std::string::npos);
}

/// Whether a process has a handler of Ctrl-C (SigCgt in /proc/PID/status, proc(5)).
bool minds_interrupts(pid_t process) {
  const std::string file = "/proc/" + std::to_string(process) + "/status";
  std::FILE* status = std::fopen(file.c_str(), "r");
  if (status == nullptr) return false;
  unsigned long long caught = 0;
  for (char line[256]; std::fgets(line, sizeof line, status) != nullptr;)
    std::sscanf(line, "SigCgt: %llx", &caught);
  std::fclose(status);
  return (caught >> (SIGINT - 1) & 1) != 0;
}

}  // namespace

TEST_CASE("tl: every command names an option that it does not know") {
  for (const char* command : {"inspect", "run", "predict", "evaluate", "features", "finetune", "find-lr",
                              "export", "doctor", "bench", "completion", "man"})
    check_refused({command, "--qiet"}, "unknown option '--qiet': did you mean '--quiet'? see tl " +
                                           std::string(command) + " --help");
}

TEST_CASE("tl: a disk that is full, or a file that may not grow, is status 1 and leaves nothing") {
  const Place p;
  for (const Words& command : p.writing(p.path("new"))) {
    CAPTURE(command);
    check_told(shell(file_limit(2) + "exec \"$TL\"" + quoted(command)), 1, "cannot write '" + p.path("new"));
    p.has_no("new");
  }
  if (!fs::exists("/dev/full")) return;
  for (const Words& command : p.printing()) {
    CAPTURE(command);
    check_told(shell("exec \"$TL\"" + quoted(command) + " > /dev/full"), 1,
               "standard output cannot be written");
  }
}

TEST_CASE("tl: a place where nothing may be written is told before the work") {
  const Place p;
  for (const Words& command : p.writing("/proc/new")) check_refused(command, "cannot write '/proc/new");
}

TEST_CASE("tl finetune: no file is written twice") {
  const Place p;
  for (const char* option : {"--json-out", "--report"}) {
    check_refused({"finetune", p.photos, "--weights", p.model, "--out", p.path("new.onnx"), option,
                   p.path("photos/../new.onnx")},
                  "would be written twice");
  }
  p.has_no("new");
}

TEST_CASE("tl: a folder without images, and photos that cannot be read") {
  const Place p;
  fs::create_directories(p.path("empty"));
  for (const Words& command : p.reading(p.path("empty")))
    check_refused(command, "there is no image in folder");
  for (const Words& command : p.reading(p.path("none"))) check_refused(command, p.path("none"));
  for (const char* name : {"blue", "red"}) {
    fs::create_directories(fs::path(p.path("text")) / name);
    for (const char* file : {"1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"})
      write_file_atomically(fs::path(p.path("text")) / name / file, concat(name, " is text in ", file));
  }
  for (Words command : p.reading(p.path("text"))) {
    command.emplace_back("--quiet");  // which leaves the notes about each photo away
    CAPTURE(command);
    check_told(tl_program(command), 2, "");
  }
  p.has_no("new");
  p.has_no("f.npy");
}

TEST_CASE("tl: a network that cannot be used is refused by every command that reads one") {
  const Place p;
  write_file_atomically(p.path("text.onnx"), "I am a text file\n");
  for (const std::string& model : {p.path("none.onnx"), p.path("text.onnx")}) {
    check_refused({"features", model, p.photos, "--out", p.path("f.npy")}, model);
    check_refused({"finetune", p.photos, "--weights", model, "--out", p.path("new.onnx")}, model);
    check_refused({"find-lr", p.photos, "--weights", model}, model);
    check_refused({"doctor", model}, model);
  }
}

TEST_CASE("tl: a closed pipe ends every command by its signal, without a word") {
  const Place p;
  for (const Words& command : p.printing()) {
    CAPTURE(command);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    ::close(ends[0]);
    Words whole{TL_PROGRAM};
    whole.insert(whole.end(), command.begin(), command.end());
    Started started(whole, ends[1]);
    ::close(ends[1]);
    const Outcome o = started.wait();
    CAPTURE(o.err);
    CHECK(o.status == 128 + SIGPIPE);
    CHECK(o.err.empty());
  }
  const Outcome head = shell("\"$TL\" predict '" + p.model + "' '" + p.photos + "' | head -n 1");
  CHECK(head.status == 0);
  CHECK(is_one_line(head.out));
  CHECK(head.err.empty());
}

TEST_CASE("tl: Ctrl-C ends what takes long with one line, and leaves nothing") {
  if (!fs::exists("/proc/self/status")) return;
  const Place p;
  const fs::path original = fs::path(p.photos) / "red" / "0.png";
  for (int i = 0; i < 300; ++i)
    fs::create_hard_link(original, fs::path(p.photos) / "red" / concat("copy", i, ".png"));
  std::vector<Words> commands = p.reading(p.photos);
  for (Words& command : commands) command.insert(command.end(), {"--preprocess", "resize=512x512,std=255"});
  commands.push_back({"bench", p.model, "--seconds", "600"});
  for (const Words& command : commands) {
    CAPTURE(command);
    Words whole{TL_PROGRAM};
    whole.insert(whole.end(), command.begin(), command.end());
    const bool training = command[0] == "finetune";
    Started started(whole);
    wait_until([&] {
      return minds_interrupts(started.id()) &&
             (!training || started.out_so_far().find("photos") != std::string::npos);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ::kill(started.id(), SIGINT);
    Outcome o = started.wait();
    const std::size_t note =
        o.err.starts_with("note: ") ? o.err.find('\n') + 1 : 0;  // about the size of images
    o.err.erase(0, note);
    check_told(o, training ? 1 : 128 + SIGINT,
               training ? "stopped before the last epoch" : "stopped by Ctrl-C");
  }
  p.has_no("new");
  p.has_no("f.npy");
}
