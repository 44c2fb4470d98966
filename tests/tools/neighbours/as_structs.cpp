// The names that other libraries use in namespace tl are free. Any entity of these names but a struct would
// clash here; a struct would clash in as_namespaces.cpp.
#include <tl/tl.hpp>

namespace tl {
struct expected {};
struct optional {};
struct function_ref {};
struct generator {};
struct detail {};
struct in_place {};
}  // namespace tl
