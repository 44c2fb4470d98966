// Several processes that train together: mpirun -n 2 tl finetune ...
#pragma once

#include <functional>

#include <tl/core/process_group.hpp>

namespace program {

/// How many processes mpirun started this one with, itself among them.
int started_together();

/// Calls `work` with the processes that mpirun started, null where there is one. What goes wrong in one
/// process is told, and ends all. Throws when the program was built without MPI and is one of several.
void with_processes(const std::function<void(tl::ProcessGroup*)>& work);

}  // namespace program
