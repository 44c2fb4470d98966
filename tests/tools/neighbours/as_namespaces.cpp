// The names that other libraries use in namespace tl are free: see as_structs.cpp.
#include <tl/tl.hpp>

namespace tl {
namespace expected {}
namespace optional {}
namespace function_ref {}
namespace generator {}
namespace detail {}
namespace in_place {}
}  // namespace tl
