// tl: transfer learning on the CPU. The whole library.
#pragma once

#include <tl/autograd/functions.hpp>
#include <tl/autograd/gradcheck.hpp>
#include <tl/graph/graph.hpp>
#include <tl/graph/trace.hpp>
#include <tl/models/resnet.hpp>
#include <tl/nn/layers.hpp>
#include <tl/nn/model.hpp>
#include <tl/optim/schedule.hpp>
#include <tl/optim/sgd.hpp>
