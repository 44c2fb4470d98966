// Starting the tl program as a user starts it: what it prints, and its exit status.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tl/core/file.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

namespace tl::test {

struct Outcome {
  int status = -1;
  std::string out, err;
  long peak_kib = 0;       ///< of resident memory
  double cpu_seconds = 0;  ///< of all its threads
};

/// A program that was started, to be waited for once.
class Started {
 public:
  /// Standard output and standard error go to files, or to what was opened for them before.
  explicit Started(std::vector<std::string> arguments, int out = -1, int err = -1) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    send(files, STDOUT_FILENO, out, out_);
    send(files, STDERR_FILENO, err, err_);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    REQUIRE(::posix_spawn(&child_, argv[0], &files, nullptr, argv.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&files);
  }

  pid_t id() const { return child_; }
  std::string out_so_far() const { return std::filesystem::exists(out_) ? read_file(out_) : ""; }

  /// A signal that ended it gives 128 and its number, as in a shell.
  Outcome wait() {
    int status = 0;
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    struct rusage usage = {};
    REQUIRE(::wait4(child_, &status, 0, &usage) == child_);
    const auto text = [](const std::string& path) {
      return std::filesystem::exists(path) ? read_file(path) : "";
    };
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text(out_), text(err_),
            usage.ru_maxrss, seconds(usage.ru_utime) + seconds(usage.ru_stime)};
  }

 private:
  static void send(posix_spawn_file_actions_t& files, int stream, int opened, const std::string& path) {
    if (opened < 0) {
      posix_spawn_file_actions_addopen(&files, stream, path.c_str(), O_WRONLY | O_CREAT, 0600);
    } else {
      posix_spawn_file_actions_adddup2(&files, opened, stream);
    }
  }

  TemporaryFolder folder_;
  std::string out_ = folder_ / "out", err_ = folder_ / "err";
  pid_t child_ = 0;
};

inline Outcome start(std::vector<std::string> arguments) { return Started(std::move(arguments)).wait(); }

/// A command of a shell, where $TL is the program.
inline Outcome shell(const std::string& command) {
  return start({"/bin/sh", "-c", "TL='" TL_PROGRAM "'; " + command});
}

/// For a shell: files may grow to so many blocks of 512 bytes. What coverage and the thread sanitizer write
/// for themselves they then do not.
inline std::string file_limit(int blocks) {
  return "export LLVM_PROFILE_FILE=/dev/null TEST_TMPDIR=/nowhere; ulimit -f " + std::to_string(blocks) +
         "; ";
}

inline Outcome tl_program(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), TL_PROGRAM);
  return start(std::move(arguments));
}

/// Half a minute at most. What held once need not hold again.
template <class Condition>
void wait_until(const Condition& holds) {
  bool held = holds();
  for (int i = 0; i < 3000 && !held; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    held = holds();
  }
  REQUIRE(held);
}

inline bool is_one_line(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n') == 1 && text.back() == '\n';
}

/// Expects status 2, one line on standard error that says `part`, and nothing on standard output.
inline void check_refused(const std::vector<std::string>& arguments, const std::string& part) {
  CAPTURE(arguments);
  const Outcome o = tl_program(arguments);
  CAPTURE(o.err);
  CHECK(o.status == 2);
  CHECK(o.out.empty());
  CHECK(o.err.starts_with("tl: "));
  CHECK(is_one_line(o.err));
  CHECK(o.err.find(part) != std::string::npos);
}

}  // namespace tl::test
