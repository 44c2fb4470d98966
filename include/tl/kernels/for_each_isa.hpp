// Includes one implementation file once for each instruction set; meant to be included many times.
//
// A kernel header declares its entry points, then, only where definitions are wanted, defines them:
//
//   template <class T> void scale(Index n, T factor, T* x);        // float and double
//
//   #if TL_KERNELS_DEFINE
//   #define TL_KERNELS_IMPL <tl/kernels/impl/scale.inl>
//   #include <tl/kernels/for_each_isa.hpp>
//   namespace tl::kernels {
//   template <class T> void scale(Index n, T factor, T* x) { TL_KERNELS_DISPATCH(scale<T>, n, factor, x); }
//   TL_KERNELS_INSTANTIATE(scale)
//   }
//   #endif
//
// The implementation (impl/*.inl, no include guard, no #include) opens `namespace tl::kernels::TL_ISA` and is
// compiled once for each of
//
//   TL_ISA       TL_ISA_LEVEL   TL_ISA_BYTES (of a vector)
//   portable     0              16
//   avx2         1              32
//   avx512       2              64
//
// inside a region that turns the instruction set on, and contraction of a*b + c off; nor does g++ there turn
// short copying loops into calls of memmove. Its vectors come from
// simd.hpp. Everything else it needs, the standard headers above all, the kernel header includes before: what
// is first declared inside a region would take its target along into code that other processors run.
//
// Vector code may stand in functions, templates and lambdas inside the region, a body given to parallel_for
// included: the lambda keeps the region's target and parallel_for, which does not have it, calls it. It may
// not stand under an OpenMP pragma, nor in lambdas given to std algorithms that must be inlined to be fast.
#include <tl/kernels/isa.hpp>

#ifndef TL_KERNELS_DISPATCH
#if TL_KERNELS_X86
#include <immintrin.h>
/// Returns function(arguments...) of the active instruction set's namespace.
#define TL_KERNELS_DISPATCH(function, ...)                     \
  do {                                                         \
    switch (::tl::kernels::active_isa()) {                     \
      case ::tl::kernels::Isa::avx512:                         \
        return ::tl::kernels::avx512::function(__VA_ARGS__);   \
      case ::tl::kernels::Isa::avx2:                           \
        return ::tl::kernels::avx2::function(__VA_ARGS__);     \
      default:                                                 \
        return ::tl::kernels::portable::function(__VA_ARGS__); \
    }                                                          \
  } while (false)
#else
#define TL_KERNELS_DISPATCH(function, ...) return ::tl::kernels::portable::function(__VA_ARGS__)
#endif

/// Emits an entry point for float and double in the one file that compiles the kernels; nothing elsewhere.
#ifdef TL_KERNELS_IMPLEMENTATION
#define TL_KERNELS_INSTANTIATE(function)              \
  template decltype(function<float>) function<float>; \
  template decltype(function<double>) function<double>;
#else
#define TL_KERNELS_INSTANTIATE(function)
#endif

/// For the small functions of a kernel's inner loops.
#define TL_INLINE inline __attribute__((always_inline))
/// Unrolls the loop that follows completely (up to 32 times); neither compiler does it by itself at -O2.
#if defined(__clang__)
#define TL_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TL_UNROLL _Pragma("GCC unroll 32")
#endif
#endif  // TL_KERNELS_DISPATCH

#ifdef TL_KERNELS_IMPL

#define TL_ISA portable
#define TL_ISA_LEVEL 0
#define TL_ISA_BYTES 16
#if defined(__clang__)
#pragma float_control(push)
#pragma clang fp contract(off)
#else
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off", "no-tree-loop-distribute-patterns")
#endif
#include TL_KERNELS_IMPL
#if defined(__clang__)
#pragma float_control(pop)
#else
#pragma GCC pop_options
#endif
#undef TL_ISA
#undef TL_ISA_LEVEL
#undef TL_ISA_BYTES

#if TL_KERNELS_X86

#define TL_ISA avx2
#define TL_ISA_LEVEL 1
#define TL_ISA_BYTES 32
#if defined(__clang__)
#pragma float_control(push)
#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off", "no-tree-loop-distribute-patterns")
#pragma GCC target("avx2,fma")
#endif
#include TL_KERNELS_IMPL
#if defined(__clang__)
#pragma clang attribute pop
#pragma float_control(pop)
#else
#pragma GCC pop_options
#endif
#undef TL_ISA
#undef TL_ISA_LEVEL
#undef TL_ISA_BYTES

#define TL_ISA avx512
#define TL_ISA_LEVEL 2
#define TL_ISA_BYTES 64
#if defined(__clang__)
#pragma float_control(push)
#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off", "no-tree-loop-distribute-patterns")
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
#endif
#include TL_KERNELS_IMPL
#if defined(__clang__)
#pragma clang attribute pop
#pragma float_control(pop)
#else
#pragma GCC pop_options
#endif
#undef TL_ISA
#undef TL_ISA_LEVEL
#undef TL_ISA_BYTES

#endif  // TL_KERNELS_X86

#undef TL_KERNELS_IMPL
#endif  // TL_KERNELS_IMPL
