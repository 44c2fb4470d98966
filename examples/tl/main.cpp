// tl: transfer learning from the command line.
//
//   tl predict resnet18.onnx photo.jpg
//
// Exit status 0: done; 1: it could not be done; 2: the command line or the input is wrong. What went wrong
// is one line on standard error. Ctrl-C and a closed pipe end it by their signals: 130 and 141 in a shell.
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include <unistd.h>

#include <tl/core/memory.hpp>
#include <tl/kernels/isa.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "failure.hpp"
#include "help.hpp"

namespace {

using program::Command;

/// The line that Ctrl-C ends with; on a terminal it takes the place of a bar.
const char* stopped = "tl: stopped by Ctrl-C\n";

/// Ctrl-C ends the program as the signal does, with a line before it. A shell that had it ignored still has.
void tell_of_interrupt() {
  struct sigaction action = {};
  if (::sigaction(SIGINT, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) return;
  if (::isatty(STDERR_FILENO) != 0) stopped = "\r\x1b[Ktl: stopped by Ctrl-C\n";
  action = {};
  action.sa_handler = [](int signal) {  // may call only what is safe in handlers of signals
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, stopped, std::strlen(stopped));
    ::raise(signal);
  };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
}

/// What can stand in place of an argument that nothing is known about: commands, or the options of the one
/// given.
std::string suggestion(const CLI::App& app, const std::string& word) {
  const std::vector<CLI::App*> given = app.get_subcommands();
  std::vector<std::string> names;
  if (given.empty()) {
    for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  } else {
    for (const CLI::Option* option : given[0]->get_options())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  const std::string name = program::nearest(word, names);
  return name.empty() ? "" : "did you mean '" + name + "'? ";
}

/// One line about a command line that cannot be understood.
std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<CLI::App*> given = app.get_subcommands();
  const std::string help = given.empty() ? "see tl --help" : "see tl " + given[0]->get_name() + " --help";
  const std::vector<std::string> unknown = app.remaining(true);
  if (unknown.empty()) return std::string(error.what()) + ": " + help;
  const std::string& word = unknown[0];
  const std::string kind = word.starts_with("-") ? "option" : given.empty() ? "command" : "argument";
  return (kind == "argument" ? "one argument too many, '" : "unknown " + kind + " '") + word +
         "': " + suggestion(app, word) + help;
}

Command parse(CLI::App& app, int argc, char** argv) {
  Command chosen;
  app.option_defaults()->take_last();  // of an option given twice
  program::add_inspect(app, chosen);
  program::add_run(app, chosen);
  program::add_predict(app, chosen);
  program::add_evaluate(app, chosen);
  std::vector<std::string> words(argv, argv + argc);
  if (!words.empty()) words[0] = app.get_name();
  program::add_finetune(app, chosen, words);
  program::add_find_lr(app, chosen);
  program::add_features(app, chosen);
  program::add_doctor(app, chosen);
  program::add_bench(app, chosen);
  program::add_export(app, chosen);
  program::add_completion(app, chosen);
  program::add_manual(app, chosen);
  for (CLI::App* command : app.get_subcommands({})) program::add_common(*command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return [&app, help] { app.exit(help); };
  } catch (const CLI::ParseError& error) {
    tl::fail(explain(app, error));
  }
  TL_CHECK(chosen, "no command was given: see tl --help");
  return chosen;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);  // `tl predict ... | head` ends quietly, whatever the caller's setting
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of writing
  tell_of_interrupt();
  std::ios::sync_with_stdio(false);
  CLI::App app(
      "Transfer learning on the CPU: inspect, use, judge and fine-tune image networks\nin .onnx files.",
      "tl");
  app.formatter(std::make_shared<program::HelpFormatter>());
  app.set_version_flag("--version", "tl " TL_VERSION, "print the version and exit");
  app.footer("Example: tl predict resnet18.onnx photo.jpg\n`tl COMMAND --help` tells about one command.");
  try {
    const Command command = parse(app, argc, argv);
    tl::kernels::active_isa();   // a wrong TL_ISA is told once, and not from within parallel work
    tl::MemoryPool::instance();  // nor a wrong TL_MAX_MEMORY
    command();
    std::cout.flush();
    if (!std::cout)
      return program::complain("standard output cannot be written: is the disk full?", program::could_not);
    return EXIT_SUCCESS;
  } catch (...) {
    return program::complain_of_exception();
  }
}
