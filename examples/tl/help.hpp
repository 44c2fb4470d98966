// The form of --help: lines of at most 80 characters.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace program {

class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace program
