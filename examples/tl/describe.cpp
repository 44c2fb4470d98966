// The command line of the program as data; see describe.hpp.
#include "describe.hpp"

#include <algorithm>
#include <sstream>

namespace program {

namespace {

OptionFacts facts_of(const CLI::Option& option) {
  OptionFacts facts;
  if (option.get_positional()) {
    facts.names.push_back(option.get_name(true, false));
  } else {
    for (const std::string& name : option.get_snames()) facts.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) facts.names.push_back("--" + name);
  }
  if (option.get_type_size() != 0) facts.value = option.get_type_name();
  facts.description = option.get_description();
  facts.required = option.get_required();
  facts.many = option.get_expected_max() == CLI::detail::expected_max_vector_size;
  return facts;
}

CommandFacts facts_of(const CLI::App& command) {
  CommandFacts facts{command.get_name(), command.get_description(), command.get_footer(), {}, {}};
  for (const CLI::Option* option : command.get_options())
    (option->get_positional() ? facts.arguments : facts.options).push_back(facts_of(*option));
  return facts;
}

}  // namespace

std::vector<CommandFacts> describe(const CLI::App& app) {
  std::vector<CommandFacts> all{facts_of(app)};
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    all.push_back(facts_of(*command));
  return all;
}

Candidates candidates(const std::string& value) {
  Candidates found;
  const auto add_endings = [&](const std::vector<std::string>& more) {
    found.endings.insert(found.endings.end(), more.begin(), more.end());
  };
  std::istringstream alternatives(value);
  for (std::string one; std::getline(alternatives, one, '|');) {
    if (one == "MODEL") {
      add_endings({"onnx"});
    } else if (one == "WEIGHTS") {
      add_endings({"pth", "pt", "safetensors"});
    } else if (one == "IMAGE") {
      add_endings({"jpg", "jpeg", "jpe", "jfif", "png", "bmp"});
    } else if (one == "FILE") {
      found.any_file = true;
    } else if (one == "FOLDER") {
      found.folders = true;
    } else if (one[0] >= 'a' && one[0] <= 'z') {
      const std::size_t colon = one.find(':');
      found.words.push_back(colon == std::string::npos ? one : one.substr(0, colon + 1));
    }
  }
  return found;
}

}  // namespace program
