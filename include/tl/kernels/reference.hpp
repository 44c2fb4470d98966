// Every kernel as plain loops: what the tests compare with, and the shortest way to read what a kernel
// computes.
#pragma once

#include <tl/kernels/reference/adamw.hpp>
#include <tl/kernels/reference/batchnorm.hpp>
#include <tl/kernels/reference/conv.hpp>
#include <tl/kernels/reference/elementwise.hpp>
#include <tl/kernels/reference/gemm.hpp>
#include <tl/kernels/reference/pool.hpp>
#include <tl/kernels/reference/reduce.hpp>
#include <tl/kernels/reference/sgd.hpp>
#include <tl/kernels/reference/softmax.hpp>
#include <tl/kernels/reference/transpose.hpp>
