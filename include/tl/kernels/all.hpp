// Every kernel. Programs of many files compile this once; isa.hpp tells how.
#pragma once

#include <tl/kernels/batchnorm.hpp>
#include <tl/kernels/conv.hpp>
#include <tl/kernels/depthwise.hpp>
#include <tl/kernels/elementwise.hpp>
#include <tl/kernels/gemm.hpp>
#include <tl/kernels/pool.hpp>
#include <tl/kernels/reduce.hpp>
#include <tl/kernels/resample.hpp>
#include <tl/kernels/sgd.hpp>
#include <tl/kernels/softmax.hpp>
#include <tl/kernels/transpose.hpp>
