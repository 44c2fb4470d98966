// The form of --help; see help.hpp.
#include "help.hpp"

#include <sstream>

namespace program {

namespace {

constexpr std::size_t column = 24, widest = 80;

/// A name and what it is: side by side where that fits into a line, else in lines below each other.
std::string entry(const std::string& name, const std::string& description) {
  std::string text, line = "  " + name;
  const bool wide = line.size() + 2 > column;
  if (wide && line.size() + 2 + description.size() <= widest) return line + "  " + description + '\n';
  if (wide) {
    text = line + '\n';
    line.clear();
  }
  line.resize(column, ' ');
  std::istringstream words(description);
  for (std::string word; words >> word;) {
    if (line.size() > column && line.size() + 1 + word.size() > widest) {
      text += line + '\n';
      line.assign(column, ' ');
    }
    line += (line.size() == column ? "" : " ") + word;
  }
  return text + line + '\n';
}

/// What an option takes, whether it may be repeated and whether it must be there.
std::string value_of(const CLI::Option& option) {
  if (option.get_type_size() == 0) return {};
  const bool many = option.get_expected_max() == CLI::detail::expected_max_vector_size;
  return " " + option.get_type_name() + (many ? " ..." : "") + (option.get_required() ? " REQUIRED" : "");
}

}  // namespace

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  return entry(make_option_name(option, is_positional) + (is_positional ? "" : value_of(*option)),
               make_option_desc(option));
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  return entry(command->get_name(), command->get_description());
}

}  // namespace program
