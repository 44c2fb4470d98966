// Several processes that train together; see processes.hpp.
#include "processes.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <thread>

#include <unistd.h>

#include <tl/core/parallel.hpp>

#include "common.hpp"
#include "failure.hpp"

#ifdef TL_WITH_MPI
#include <tl/dist/mpi.hpp>
#endif

namespace program {

namespace {

/// A number that a starter of processes leaves in the environment; 1 where there is none.
int number_in_environment(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const char* text = std::getenv(name)) return std::max(1, std::atoi(text));
  }
  return 1;
}
#ifdef TL_WITH_MPI
/// Processes of one machine share its processors, unless somebody said how many threads each has.
void share_processors() {
  const int here = number_in_environment({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"});
  const auto processors = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  if (std::getenv("OMP_NUM_THREADS") == nullptr)
    tl::set_num_threads(std::clamp(processors / here, 1, tl::num_threads()));
}

/// mpirun ends the other processes with this signal when one has ended.
void tell_of_end() {
  struct sigaction action = {};
  action.sa_handler = [](int signal) {  // may call only what is safe in handlers of signals
    constexpr std::string_view text =
        "tl: ended from outside, as when another process of this training ends: with --checkpoint the same "
        "command goes on from there\n";
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    ::raise(signal);
  };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGTERM, &action, nullptr);
}
#endif

}  // namespace

/// By OpenMPI, or by starters of the PMI kind (MPICH, Intel MPI).
int started_together() { return number_in_environment({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}); }

void with_processes(const std::function<void(tl::ProcessGroup*)>& work) {
  if (started_together() == 1) return work(nullptr);
#ifdef TL_WITH_MPI
  tl::dist::MpiGroup group;
  share_processors();
  if (group.is_first()) {
    tell_of_end();
  } else {
    quiet = true;
  }
  try {
    work(&group);
  } catch (...) {
    // What goes wrong everywhere is told once: the first process ends the others before they speak.
    if (!group.is_first()) {
      std::this_thread::sleep_for(std::chrono::seconds(2));
      std::cerr << "process " << group.rank() << ": ";
    }
    tl::dist::MpiGroup::abort(complain_of_exception());
  }
#else
  tl::fail("this tl was built without MPI and cannot be one of ", started_together(),
           " processes: install MPI (Debian: libopenmpi-dev) and build it again");
#endif
}

}  // namespace program
