// The commands of the tl program, one file each. add_X() puts X on the command line; when the user gives that
// command, what it does becomes the chosen one.
//
// A command throws tl::Error when the user gave something wrong, Failure (common.hpp) when it could not be
// done.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace program {

using Command = std::function<void()>;

void add_inspect(CLI::App& app, Command& chosen);
void add_run(CLI::App& app, Command& chosen);
void add_predict(CLI::App& app, Command& chosen);
void add_evaluate(CLI::App& app, Command& chosen);
/// `words` are those of the command line, for its report.
void add_finetune(CLI::App& app, Command& chosen, const std::vector<std::string>& words);
void add_find_lr(CLI::App& app, Command& chosen);
void add_features(CLI::App& app, Command& chosen);
void add_doctor(CLI::App& app, Command& chosen);
void add_bench(CLI::App& app, Command& chosen);
void add_export(CLI::App& app, Command& chosen);
void add_completion(CLI::App& app, Command& chosen);
void add_manual(CLI::App& app, Command& chosen);

}  // namespace program
