// Ten steps in double by the processes that mpirun started; the first prints what it has then. For
// test_mpi.py.
#include <cstdio>

#include <tl/dist/mpi.hpp>

#include "dist/ten_steps.hpp"

int main() {
  tl::dist::MpiGroup group;
  for (const auto& [name, norm] :
       {std::pair("frozen", tl::test::Norm::frozen), std::pair("shared", tl::test::Norm::shared),
        std::pair("local", tl::test::Norm::local)}) {
    const std::vector<double> state = tl::test::after_ten_steps(&group, norm);
    // Of all processes, to see that they are alike.
    for (const double value : tl::gather(group, state)) {
      if (group.is_first()) std::printf("%s %.17g\n", name, value);
    }
  }
}
