// What a command that failed says, and the program's exit status: 1 where it could not be done, 2 where the
// command line or the input is wrong.
#pragma once

#include <string>
#include <string_view>

namespace program {

inline constexpr int could_not = 1, wrong_input = 2;

/// Writes "tl: WHAT" on standard error and returns the status.
int complain(std::string_view what, int status);
/// In a handler of exceptions: tells of the one being handled; returns the status.
int complain_of_exception();

}  // namespace program
