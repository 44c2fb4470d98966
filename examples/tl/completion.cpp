// tl completion: what a shell needs to complete command lines of this program, made of the same definitions
// that read them.
#include <algorithm>

#include "commands.hpp"
#include "common.hpp"
#include "describe.hpp"

namespace program {

namespace {

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : std::string(between)) + part;
  return text;
}

std::vector<std::string> option_names(const CommandFacts& command) {
  std::vector<std::string> names;
  for (const OptionFacts& option : command.options)
    names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

// ---- bash ----

constexpr const char* bash_functions =
    R"(# Completion of tl for bash, written by `tl completion bash`. Try it: source <(tl completion bash)

# _tl_files WORD ENDING...: files of these endings that begin with the word, and folders; without endings all.
_tl_files() {
  local word=$1 file ending
  shift
  compopt -o filenames 2> /dev/null
  while IFS= read -r file; do
    if [ $# = 0 ] || [ -d "${file/#\~\//$HOME/}" ]; then
      COMPREPLY+=("$file")
      continue
    fi
    for ending; do
      if [[ ${file,,} == *".$ending" ]]; then COMPREPLY+=("$file"); fi
    done
  done < <(compgen -f -- "$word")
}

_tl_folders() {
  compopt -o filenames 2> /dev/null
  while IFS= read -r; do COMPREPLY+=("$REPLY"); done < <(compgen -d -- "$1")
}

# _tl_words WORD CHOICE...
_tl_words() {
  local word=$1
  shift
  while IFS= read -r; do COMPREPLY+=("$REPLY"); done < <(compgen -W "$*" -- "$word")
  [[ ${COMPREPLY[0]-} != *: ]] || compopt -o nospace 2> /dev/null
}

_tl() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' at=0 valued='' i
  COMPREPLY=()
  if [ "$word" = = ]; then # --option=value comes as three words
    word=''
  elif [ "$before" = = ]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} != -* ]]; then
      command=${COMP_WORDS[i]}
      break
    fi
  done
)";

/// The commands that fill COMPREPLY with what can stand for a value.
std::string bash_action(const std::string& value) {
  const Candidates c = candidates(value);
  std::vector<std::string> actions;
  if (!c.words.empty()) actions.push_back("_tl_words \"$word\" " + joined(c.words, " "));
  if (c.any_file) {
    actions.emplace_back("_tl_files \"$word\"");
  } else if (!c.endings.empty()) {
    actions.push_back("_tl_files \"$word\" " + joined(c.endings, " "));
  } else if (c.folders) {
    actions.emplace_back("_tl_folders \"$word\"");
  }
  return actions.empty() ? ":" : joined(actions, "; ");
}

std::string bash_completion(const std::vector<CommandFacts>& commands) {
  std::string valued, values, arguments, options;
  for (const CommandFacts& command : commands) {
    const std::string name = &command == &commands[0] ? "" : command.name;
    std::vector<std::string> taking;
    for (const OptionFacts& option : command.options) {
      if (option.value.empty()) continue;
      taking.insert(taking.end(), option.names.begin(), option.names.end());
      std::vector<std::string> patterns;
      for (const std::string& one : option.names) patterns.push_back(name + ":" + one);
      values += "    " + joined(patterns, " | ") + ") " + bash_action(option.value) + "; return ;;\n";
    }
    if (!taking.empty()) valued += "    " + name + ") valued='" + joined(taking, " ") + "' ;;\n";
    for (std::size_t i = 0; i < command.arguments.size(); ++i) {
      const OptionFacts& argument = command.arguments[i];
      arguments += "      " + name + ":" + (argument.many ? "*" : std::to_string(i)) + ") " +
                   bash_action(argument.value) + " ;;\n";
    }
    if (!name.empty())
      options += "    " + name + ") _tl_words \"$word\" " + joined(option_names(command), " ") + " ;;\n";
  }
  std::vector<std::string> first;
  for (std::size_t i = 1; i < commands.size(); ++i) first.push_back(commands[i].name);
  for (const std::string& name : option_names(commands[0])) first.push_back(name);
  return std::string(bash_functions) + "  case $command in\n" + valued +
         "  esac\n"
         "  for ((i++; i < COMP_CWORD; i++)); do\n"
         "    case ${COMP_WORDS[i]} in\n"
         "      = | :) ((i++)) ;;\n"
         "      -*) [[ \" $valued \" != *\" ${COMP_WORDS[i]} \"* || ${COMP_WORDS[i + 1]} == = ]] || ((i++)) "
         ";;\n"
         "      *) ((at++)) ;;\n"
         "    esac\n"
         "  done\n"
         "  case $command:$before in\n" +
         values +
         "  esac\n"
         "  if [[ $word != -* ]]; then\n"
         "    case $command:$at in\n" +
         arguments +
         "    esac\n"
         "    [ ${#COMPREPLY[@]} = 0 ] || return 0\n"
         "  fi\n"
         "  case $command in\n"
         "    '') _tl_words \"$word\" " +
         joined(first, " ") + " ;;\n" + options + "  esac\n}\n\ncomplete -F _tl tl\n";
}

// ---- zsh ----

/// Inside single quotes of a shell, where brackets and colons belong to the grammar of _arguments.
std::string zsh_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
      result += c;
    }
  }
  return result;
}

/// zsh compares letters as they stand.
std::vector<std::string> in_both_cases(std::vector<std::string> endings) {
  for (std::size_t i = 0, small = endings.size(); i < small; ++i) {
    std::string large = endings[i];
    std::transform(large.begin(), large.end(), large.begin(),
                   [](char c) { return static_cast<char>(c - 'a' + 'A'); });
    endings.push_back(std::move(large));
  }
  return endings;
}

/// ":MODEL:_files ..." of a value.
std::string zsh_action(const std::string& title, const std::string& value) {
  const Candidates c = candidates(value);
  std::string action = " ";
  if (!c.words.empty()) {
    std::vector<std::string> words;
    for (const std::string& word : c.words) words.push_back(zsh_text(word));
    action = "(" + joined(words, " ") + ")";
  } else if (c.any_file) {
    action = "_files";
  } else if (!c.endings.empty()) {
    action = "_files -g \"*.(" + joined(in_both_cases(c.endings), "|") + ")\"";
  } else if (c.folders) {
    action = "_files -/";
  }
  return ":" + zsh_text(title) + ":" + action;
}

std::string zsh_option(const OptionFacts& option) {
  const std::string repeated = option.many ? "*" : "";
  const std::string description = "[" + zsh_text(option.description) + "]";
  const std::string value = option.value.empty() ? "" : zsh_action(option.value, option.value);
  std::string lines;
  for (const std::string& name : option.names) {
    const std::string equals = !option.value.empty() && name.starts_with("--") ? "=" : "";
    lines += " \\\n        '" + repeated + name + equals + description + value + "'";
  }
  return lines;
}

std::string zsh_completion(const std::vector<CommandFacts>& commands) {
  std::string list, cases, first;
  for (const OptionFacts& option : commands[0].options) first += zsh_option(option);
  for (std::size_t i = 1; i < commands.size(); ++i) {
    const CommandFacts& command = commands[i];
    list += "        '" + command.name + ":" + zsh_text(command.description) + "'\n";
    cases += "      " + command.name + ")\n        _arguments";
    for (const OptionFacts& option : command.options) cases += zsh_option(option);
    for (std::size_t k = 0; k < command.arguments.size(); ++k) {
      const OptionFacts& argument = command.arguments[k];
      cases += " \\\n        '" + (argument.many ? "*" : std::to_string(k + 1)) +
               zsh_action(argument.names[0], argument.value) + "'";
    }
    cases += " ;;\n";
  }
  return "#compdef tl\n"
         "# Completion of tl for zsh, written by `tl completion zsh`. Put it as _tl into a folder of "
         "$fpath.\n\n"
         "_tl() {\n"
         "  local curcontext=$curcontext state line\n"
         "  typeset -A opt_args\n"
         "  _arguments -C" +
         first +
         " \\\n        '1: :->command' '*:: :->rest'\n"
         "  case $state in\n"
         "    command)\n"
         "      local -a commands=(\n" +
         list +
         "      )\n"
         "      _describe command commands ;;\n"
         "    rest)\n"
         "      case $words[1] in\n" +
         cases +
         "      esac ;;\n"
         "  esac\n"
         "}\n\n"
         "if [ \"$funcstack[1]\" = _tl ]; then _tl \"$@\"; else compdef _tl tl; fi\n";
}

}  // namespace

void add_completion(CLI::App& app, Command& chosen) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "What bash or zsh needs to complete commands of tl");
  command->add_option("SHELL", *shell, "bash or zsh")->required()->type_name("bash|zsh");
  command->footer("Example: source <(tl completion bash)");
  command->callback([shell, &app, &chosen] {
    chosen = [shell, &app] {
      TL_CHECK(*shell == "bash" || *shell == "zsh", "unknown shell '", *shell, "': expected bash or zsh");
      std::cout << (*shell == "bash" ? bash_completion(describe(app)) : zsh_completion(describe(app)));
    };
  });
}

}  // namespace program
