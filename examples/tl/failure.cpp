// What a command that failed says; see failure.hpp.
#include "failure.hpp"

#include <iostream>
#include <new>

#include <tl/core/file.hpp>
#include <tl/core/memory.hpp>

#include "common.hpp"

namespace program {

int complain(std::string_view what, int status) {
  std::cout.flush();
  std::cerr << "tl: " + printable(what) + "\n";
  return status;
}

int complain_of_exception() {
  try {
    throw;
  } catch (const tl::WriteError& error) {
    return complain(error.what(), could_not);
  } catch (const tl::Error& error) {
    return complain(error.what(), wrong_input);
  } catch (const tl::MemoryLimitError& error) {
    return complain(error.what(), could_not);
  } catch (const std::bad_alloc&) {
    return complain("there is not enough memory: use smaller images or batches", could_not);
  } catch (const std::exception& error) {
    return complain(error.what(), could_not);
  }
}

}  // namespace program
