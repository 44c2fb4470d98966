// What is compiled once for programs of many files: the kernels, and what is large above them, for float.
//
// Define TL_KERNELS_PRECOMPILED in all files of a program, and the headers only declare these functions. One
// more file holds them:
//   #define TL_KERNELS_IMPLEMENTATION
//   #include <tl/tl.hpp>
// CMake's target tl::kernels does both. Without these macros the headers hold everything.
#pragma once

/// 1 where kernels and functions of several files are defined and not only declared.
#if !defined(TL_KERNELS_PRECOMPILED) || defined(TL_KERNELS_IMPLEMENTATION)
#define TL_KERNELS_DEFINE 1
#else
#define TL_KERNELS_DEFINE 0
#endif

/// Before functions that are no templates and are compiled with the kernels.
#if defined(TL_KERNELS_PRECOMPILED) || defined(TL_KERNELS_IMPLEMENTATION)
#define TL_KERNELS_INLINE
#else
#define TL_KERNELS_INLINE inline
#endif

/// After a template: an instance that is compiled with the kernels.
///   TL_PRECOMPILED(Model<float> load<float>(const std::filesystem::path&))
#if defined(TL_KERNELS_IMPLEMENTATION)
#define TL_PRECOMPILED(...) template __VA_ARGS__;
#elif defined(TL_KERNELS_PRECOMPILED)
#define TL_PRECOMPILED(...) extern template __VA_ARGS__;
#else
#define TL_PRECOMPILED(...)
#endif
