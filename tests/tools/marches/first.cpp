// Compiled for an old processor.
#include "network.hpp"

Result run_first() { return run_network(); }
