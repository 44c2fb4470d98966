// Starting the tl program as a user starts it: what it prints, and its exit status.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <tl/core/file.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

namespace tl::test {

struct Outcome {
  int status = -1;
  std::string out, err;
};

/// Starts a program and waits for it. A signal that ended it gives 128 and its number, as in a shell.
inline Outcome start(std::vector<std::string> arguments) {
  const TemporaryFolder folder;
  const std::string out = folder / "out", err = folder / "err";
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  REQUIRE(::posix_spawn(&child, argv[0], &files, nullptr, argv.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&files);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(out), read_file(err)};
}

inline Outcome tl_program(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), TL_PROGRAM);
  return start(std::move(arguments));
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
