// Instruction sets: which ones the kernels are compiled for, and which one runs.
//
// Every kernel is compiled for each instruction set below, in a namespace of the same name, and the fastest
// one the processor has is chosen at run time: users compile with plain -O2 and no -march. The environment
// variable TL_ISA=portable|avx2|avx512 chooses another.
// Programs of many files compile them once: core/precompiled.hpp. How a kernel header is written is told in
// for_each_isa.hpp.
#pragma once

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <tl/core/error.hpp>
#include <tl/core/precompiled.hpp>

#ifndef TL_KERNELS_X86  // 0 leaves the portable kernels alone, which compiles in a third of the time
#if defined(__x86_64__) && defined(__GNUC__)
#define TL_KERNELS_X86 1
#else
#define TL_KERNELS_X86 0
#endif
#endif

namespace tl::kernels {

/// portable: 128-bit vectors of the compiler; avx2: AVX2 and FMA; avx512: AVX-512 F, BW, DQ and VL.
enum class Isa { portable, avx2, avx512 };

/// "portable", "avx2" or "avx512", as TL_ISA takes it
constexpr std::string_view name_of(Isa isa) {
  return isa == Isa::portable ? "portable" : isa == Isa::avx2 ? "avx2" : "avx512";
}

/// The instruction sets this processor has, slowest first; portable is always there.
inline std::vector<Isa> available_isas() {
  std::vector<Isa> isas{Isa::portable};
#if TL_KERNELS_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    isas.push_back(Isa::avx2);
    if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
        __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0) {
      isas.push_back(Isa::avx512);
    }
  }
#endif
  return isas;
}

namespace internal {

inline Isa choose_isa(const char* wish) {
  const std::vector<Isa> isas = available_isas();
  if (wish == nullptr || *wish == '\0') return isas.back();
  std::string names;
  for (Isa isa : isas) {
    if (name_of(isa) == wish) return isa;
    names += (names.empty() ? "" : ", ") + std::string(name_of(isa));
  }
  fail("[isa] expected TL_ISA to be one of ", names, " on this processor, got ", wish);
}

inline std::atomic<Isa>& chosen_isa() {
  static std::atomic<Isa> isa{choose_isa(std::getenv("TL_ISA"))};
  return isa;
}

}  // namespace internal

/// The instruction set the kernels use. Throws tl::Error when TL_ISA names one that is not to be had.
inline Isa active_isa() { return internal::chosen_isa().load(std::memory_order_relaxed); }

/// Makes the kernels of the whole process use one available instruction set for a while: for tests.
class ScopedIsa {
 public:
  /// Until the scope ends; throws tl::Error where the processor does not have it.
  explicit ScopedIsa(Isa isa)
      : before_(internal::chosen_isa().exchange(internal::choose_isa(name_of(isa).data()))) {}
  ScopedIsa(const ScopedIsa&) = delete;
  ScopedIsa& operator=(const ScopedIsa&) = delete;
  ~ScopedIsa() { internal::chosen_isa() = before_; }

 private:
  Isa before_;
};

}  // namespace tl::kernels
