// What tl finetune makes of a network: which part is frozen, how that part runs, and what is trained.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <tl/transfer/method.hpp>

#include "common.hpp"

namespace program {

/// The plan of a method for a network as it is, its own last layer in the place of a new one.
struct TrainingPlan {
  std::string method;
  Index layers = 0, frozen_layers = 0;          ///< nodes of the file; those before the cut
  Index tensors = 0;                            ///< parameters and buffers of the frozen part
  Index batch_norms = 0, batch_norms_left = 0;  ///< of the frozen part; as it runs
  std::vector<std::pair<std::string, Index>>
      operations;      ///< of the frozen part as it runs, with their number
  std::string cut;     ///< the value that what is trained reads
  tl::Shape features;  ///< its shape for one image
  Index trained = 0;   ///< elements of parameters
};

/// `example` is the shape of one image, (1,3,H,W). What is frozen in the graph already stays so, and nothing
/// of it is changed. A training from scratch leaves its batch normalisations free.
TrainingPlan training_plan(const tl::Graph<float>& graph, const tl::transfer::Method& method,
                           const tl::Shape& example, bool freeze_batch_norm = true);
/// Lines of a name and what it is, for people.
std::vector<std::pair<std::string, std::string>> lines_of(const TrainingPlan& plan);
void print(const TrainingPlan& plan);
Json to_json(const TrainingPlan& plan);

}  // namespace program
