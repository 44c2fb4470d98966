// Looks at a value that was never set, in memory that another array gave back: valgrind must report it, so
// that its silence about the library means something (memcheck.sh).
#include <algorithm>

#include <tl/core/memory.hpp>

int main() {
  constexpr std::size_t count = 1 << 16;  // large enough for the pool
  tl::AlignedArray<float> before(count);
  std::fill_n(before.data(), count, 1.0F);
  before = tl::AlignedArray<float>();
  tl::AlignedArray<float> after(count);
  return after.data()[5] > 0 ? 0 : 3;
}
