// A race on purpose, which the thread sanitizer must report: so that its silence in the other tests means
// something.
#include <iostream>

#include <tl/core/parallel.hpp>

int main() {
  tl::set_num_threads(2);
  tl::Index sum = 0;
  tl::parallel_for(1000000, 1, [&](tl::Index begin, tl::Index) { sum += begin; });
  std::cout << sum << '\n';
}
