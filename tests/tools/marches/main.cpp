// Two files that include tl, compiled with different -march flags, link into one program and agree.
#include <cmath>
#include <cstdio>

#include "result.hpp"

namespace {

/// The same sums by plain loops over integers.
Result expected() {
  double conv = 0, gradient = 0;
  for (long n = 0; n < 2; ++n)
    for (long o = 0; o < 6; ++o)
      for (long i = 0; i < 7; ++i)
        for (long j = 0; j < 5; ++j)
          for (long c = 0; c < 5; ++c)
            for (long k = 0; k < 3; ++k)
              for (long l = 0; l < 3; ++l) {
                const long x = (((n * 5 + c) * 9 + i + k) * 7 + j + l) % 11 - 2;
                conv += static_cast<double>(x * ((((o * 5 + c) * 3 + k) * 3 + l) % 7 - 2));
                gradient += static_cast<double>(x);
              }
  return {.conv = conv, .gradient = gradient};
}

}  // namespace

int main() {
#if defined(__GNUC__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2")) {
    std::puts("skipped: \"tools/marches\" needs a processor with AVX2");
    return 0;
  }
#endif
  const Result truth = expected(), first = run_first(), second = run_second();
  std::printf("conv %g %g %g, gradient %g %g %g, loss %.9g %.9g\n", truth.conv, first.conv, second.conv,
              truth.gradient, first.gradient, second.gradient, first.loss, second.loss);
  const bool exact = first.conv == truth.conv && second.conv == truth.conv &&
                     first.gradient == truth.gradient && second.gradient == truth.gradient;
  const bool close = first.loss > 0 && std::abs(first.loss - second.loss) <= 1e-6 * first.loss;
  return exact && close ? 0 : 1;
}
