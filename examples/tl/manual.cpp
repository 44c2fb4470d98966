// tl man: the manual page tl(1) in roff (man(7)), made of the same definitions that read the command line.
#include <algorithm>
#include <sstream>

#include "commands.hpp"
#include "common.hpp"
#include "describe.hpp"

namespace program {

namespace {

/// Text that roff prints as it stands: a hyphen stays one that can be copied, quotes stay straight.
std::string roff(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else if (c == '\'') {
      result += "\\(aq";
    } else if (c == '`') {
      result += "\\(ga";
    } else {
      result += c;
    }
  }
  return result.starts_with('.') ? "\\&" + result : result;
}

std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + roff(text) + "\\fR"; }

std::string entry_of(const OptionFacts& option) {
  std::string names;
  for (const std::string& name : option.names) names += (names.empty() ? "" : ", ") + bold(name);
  const std::string value = option.value.empty() ? "" : " " + italic(option.value);
  return ".TP\n" + names + value + "\n" + roff(option.description) + "\n";
}

/// "tl features --out FILE [OPTIONS] MODEL FOLDER"
std::string usage_of(const CommandFacts& command) {
  std::string usage = bold("tl " + command.name);
  for (const OptionFacts& option : command.options) {
    if (option.required) usage += " " + bold(option.names.back()) + " " + italic(option.value);
  }
  usage += " [" + italic("OPTIONS") + "]";
  for (const OptionFacts& argument : command.arguments)
    usage += " " + italic(argument.names[0]) + (argument.many ? "..." : "");
  return usage;
}

std::string section_of(const CommandFacts& command) {
  std::string text = ".SS tl " + roff(command.name) + "\n" + roff(command.description) + ".\n.PP\n" +
                     usage_of(command) + "\n";
  for (const OptionFacts& argument : command.arguments)
    text += ".TP\n" + italic(argument.names[0]) + "\n" + roff(argument.description) + "\n";
  for (const OptionFacts& option : command.options) {
    if (option.names.back() != "--help" && option.names.back() != "--quiet") text += entry_of(option);
  }
  return text + ".PP\n" + roff(command.example) + "\n";
}

constexpr const char* closing = R"(.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
It could not be done, for example because the disk is full or a training was stopped.
.TP
.B 2
The command line or the input is wrong.
.PP
Ctrl\-C ends the other commands by the signal SIGINT, a closed pipe ends any by SIGPIPE; a shell calls these 130 and 141.
.SH ENVIRONMENT
.TP
.B TL_ISA
The instruction set to use in place of the best one: portable, avx2 or avx512.
.TP
.B OMP_NUM_THREADS
The number of processors, where
.B \-\-threads
is not given.
.TP
.B TMPDIR
Where large features are put while a training lasts.
)";

std::string manual(const std::vector<CommandFacts>& commands) {
  std::string text =
      ".\\\" Written by `tl man`.\n"
      ".TH TL 1 2026-11-26 \"tl " TL_VERSION
      "\" \"User Commands\"\n"
      ".SH NAME\ntl \\- transfer learning from the command line\n"
      ".SH SYNOPSIS\n";
  for (std::size_t i = 1; i < commands.size(); ++i)
    text += (i > 1 ? ".br\n" : "") + usage_of(commands[i]) + "\n";
  text += ".SH DESCRIPTION\n" + roff(commands[0].description) +
          "\n.PP\nResults are on standard output; notes, errors and progress on standard error. An error is "
          "one line.\n"
          ".PP\nEvery command knows these options:\n";
  for (const OptionFacts& option : commands[1].options) {
    if (option.names.back() == "--help" || option.names.back() == "--quiet") text += entry_of(option);
  }
  text += ".SH COMMANDS\n";
  for (std::size_t i = 1; i < commands.size(); ++i) text += section_of(commands[i]);
  return text + closing;
}

}  // namespace

void add_manual(CLI::App& app, Command& chosen) {
  CLI::App* command = app.add_subcommand("man", "The manual page of tl");
  command->footer("Example: tl man | man -l -");
  command->callback([&app, &chosen] { chosen = [&app] { std::cout << manual(describe(app)); }; });
}

}  // namespace program
