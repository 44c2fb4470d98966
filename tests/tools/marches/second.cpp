// Compiled for a newer processor.
#include "network.hpp"

Result run_second() { return run_network(); }
