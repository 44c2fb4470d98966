// The choice of the instruction set, and Vec<T> on each of them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include <tl/core/parallel.hpp>
#include <tl/core/rng.hpp>
#include <tl/kernels/simd.hpp>
#include "support/catch.hpp"

#define TL_KERNELS_IMPL "kernels/probe_simd.inl"
#include <tl/kernels/for_each_isa.hpp>

using namespace tl::kernels;

namespace {

template <class T>
void check_active_vec() {
  TL_KERNELS_DISPATCH(check_vec<T>);
}
std::string_view active_namespace() { TL_KERNELS_DISPATCH(own_name); }

}  // namespace

TEST_CASE("the active instruction set is an available one and can be changed for a while", "[isa]") {
  const std::vector<Isa> isas = available_isas();
  REQUIRE(isas.front() == Isa::portable);
  const Isa before = active_isa();
  CHECK(std::count(isas.begin(), isas.end(), before) == 1);
  for (const Isa isa : isas) {
    const ScopedIsa scope(isa);
    CHECK(active_isa() == isa);
    CHECK(active_namespace() == name_of(isa));
  }
  CHECK(active_isa() == before);
}

TEST_CASE("TL_ISA chooses by name and refuses what is not there", "[isa]") {
  CHECK(internal::choose_isa(nullptr) == available_isas().back());
  CHECK(internal::choose_isa("") == available_isas().back());
  CHECK(internal::choose_isa("portable") == Isa::portable);
  CHECK_THROWS_WITH(
      internal::choose_isa("sse9"),
      Catch::Contains("[isa] expected TL_ISA to be one of portable") && Catch::Contains("got sse9"));
}

TEMPLATE_TEST_CASE("vectors compute lane by lane on each instruction set", "[isa]", float, double) {
  for (const Isa isa : available_isas()) {
    const ScopedIsa scope(isa);
    INFO("instruction set " << name_of(isa));
    check_active_vec<TestType>();
  }
}
