// The command line of the program as data, read from its CLI11 definitions: for completion and the manual
// page.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace program {

/// An option or an argument.
struct OptionFacts {
  std::vector<std::string> names;  ///< "-q" and "--quiet"; of an argument its one name
  std::string value;               ///< what it takes, such as "N", "MODEL" or "sgd|adamw"; empty for a flag
  std::string description;
  bool required = false, many = false;
};

struct CommandFacts {
  std::string name, description, example;
  std::vector<OptionFacts> options, arguments;
};

/// All commands, and under the program's own name what can stand before them.
std::vector<CommandFacts> describe(const CLI::App& app);

/// What can stand for a value.
struct Candidates {
  std::vector<std::string> words;    ///< "last:" where something must follow
  std::vector<std::string> endings;  ///< of files
  bool any_file = false, folders = false;

  bool files() const { return any_file || !endings.empty(); }
  bool none() const { return words.empty() && !files() && !folders; }
};

/// From what stands for a value in the help: alternatives divided by "|". Small letters are words; MODEL,
/// WEIGHTS, IMAGE, FILE and FOLDER are files of that kind; of others nothing is known.
Candidates candidates(const std::string& value);

}  // namespace program
