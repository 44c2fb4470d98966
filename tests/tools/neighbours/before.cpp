// tl-expected before our headers.
#if __has_include(<tl/expected.hpp>)
#include <tl/expected.hpp>
#endif
#include <tl/tl.hpp>

#include "neighbours.hpp"

std::string with_neighbour_before() { return use_both(); }
