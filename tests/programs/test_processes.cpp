// tl finetune in several processes, started by mpirun.
#include <csignal>
#include <fstream>

#include <tl/io/checkpoint.hpp>

#include "programs/two_classes.hpp"

using namespace tl;
using namespace tl::test;
namespace fs = std::filesystem;

#ifdef TL_MPIRUN

namespace {

/// The words that start so many processes of the program.
std::vector<std::string> together(int processes, const std::vector<std::string>& words) {
  std::vector<std::string> all{"/usr/bin/env",
                               "OMPI_ALLOW_RUN_AS_ROOT=1",
                               "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
                               TL_MPIRUN,
                               "--oversubscribe",
                               "-n",
                               std::to_string(processes),
                               TL_PROGRAM};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

/// The processes that one has started.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream status(entry.path() / "stat");
    pid_t id = 0, its_parent = 0;
    std::string name, state;
    if (status >> id >> name >> state >> its_parent && its_parent == parent) children.push_back(id);
  }
  return children;
}

std::size_t count_of(const std::string& part, const std::string& text) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("tl finetune: two processes tell and write once, what one would", "[tl]") {
  const TwoClasses s;
  for (const std::string method : {"head", "full", "features"}) {
    CAPTURE(method);
    const std::vector<std::string> words = s.command({"--method", method});
    const Outcome alone = tl_program(words);
    REQUIRE(alone.status == 0);
    fs::remove(s.out);
    const Outcome o = start(together(2, words));
    CAPTURE(o.out, o.err);
    REQUIRE(o.status == 0);
    CHECK(fs::exists(s.out));
    CHECK(count_of("2 processes share each batch", o.out) == 1);
    CHECK(count_of("written: ", o.out) == 1);
    CHECK(o.out.substr(o.out.find("right for")) == alone.out.substr(alone.out.find("right for")));
  }
}

TEST_CASE("tl finetune: when one of two processes is killed all end, and the checkpoint is good", "[tl]") {
  const TwoClasses s;
  const std::string checkpoint = s.folder / "kept";
  const std::vector<std::string> words = s.command(
      {"--method", "full", "--epochs", "60", "--checkpoint", checkpoint, "--checkpoint-seconds", "0"});
  REQUIRE(start(together(2, words)).status == 0);
  const std::string whole = read_file(s.out);
  fs::remove(s.out);
  for (const std::size_t victim : {std::size_t{0}, std::size_t{1}}) {
    // Not before both train: of a process that dies before it has told mpirun of itself, that may wait for
    // ever.
    fs::remove(checkpoint + ".before");
    Started started(together(2, words));
    std::vector<pid_t> processes;
    wait_until([&] {
      processes = children_of(started.id());
      return fs::exists(checkpoint + ".before") && processes.size() == 2;
    });
    ::kill(processes[victim], SIGKILL);
    const Outcome o = started.wait();
    CAPTURE(o.out, o.err);
    CHECK(o.status != 0);
    CHECK(o.err.find("exited on signal 9") != std::string::npos);
    CHECK(!fs::exists(s.out));
    CHECK_NOTHROW(io::read_checkpoint(checkpoint));
  }
  const Outcome o = start(together(2, words));
  CAPTURE(o.out, o.err);
  REQUIRE(o.status == 0);
  CHECK(o.out.find("going on in epoch ") != std::string::npos);
  CHECK(read_file(s.out) == whole);
}

TEST_CASE("tl finetune: what is wrong in all processes is told once", "[tl]") {
  const TwoClasses s;
  const auto refused = [&](const std::vector<std::string>& words, const std::string& part) {
    const Outcome o = start(together(2, words));
    CAPTURE(o.out, o.err);
    CHECK(o.status == 2);
    CHECK(count_of("tl: ", o.err) == 1);
    CHECK(o.err.find(part) != std::string::npos);
  };
  refused({"finetune", "/nowhere"}, "tl: there is no folder '/nowhere'");
  refused(s.command({"--method", "full", "--batch", "1"}),
          "tl: a batch of 1 images cannot be shared by 2 processes: choose a larger one");
  refused(s.command({"--method", "head", "--cache", s.folder / "cache"}), "is for one process");
}

#endif
