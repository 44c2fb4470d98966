// FitState: where a training stands between two steps, and that as tensors and text for a checkpoint.
//
// With the network and the optimiser it is all that fit() needs to go on to the same bits: order and changes
// of the images, dropout and mixup follow from seed, epoch and step.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <tl/core/numbers.hpp>
#include <tl/io/named_tensors.hpp>
#include <tl/train/metrics.hpp>
#include <tl/train/snapshot.hpp>

namespace tl::train {

/// What an epoch brought. Training figures are those of the moving network on augmented images.
struct EpochReport {
  Index epoch = 0;                    ///< counted from 0
  Index epochs = 0;                   ///< of the whole training
  Index images = 0;                   ///< trained on
  double loss = 0;                    ///< mean cross-entropy
  double accuracy = 0;                ///< share of the images
  double seconds = 0;                 ///< of training, without validation
  std::optional<Evaluation> valid{};  ///< after the epoch; none without validation images
};

/// Where a training stands between two steps.
struct FitState {
  Index epoch = 0;                        ///< in progress, counted from 0
  Index batches = 0;                      ///< of its loader that are behind it
  Index steps = 0;                        ///< of this epoch; fewer, where a batch was left out
  double loss_sum = 0;                    ///< of this epoch's images so far
  double seconds = 0;                     ///< of this epoch so far
  std::optional<Evaluation> moving{};     ///< of this epoch so far
  std::vector<EpochReport> history{};     ///< of the epochs that are done
  std::optional<Snapshot<float>> best{};  ///< the network after the best of them, where it is kept
};

/// Figures as text and back, bit for bit: sizes, and the pairs of classes that were seen.
struct EvaluationText {
  /// One line.
  static std::string write(const Evaluation& e) {
    std::ostringstream text;
    text << e.classes_ << ' ' << e.top5_ << ' ' << shortest(e.loss_);
    for (std::size_t i = 0; i < e.confusion_.size(); ++i) {
      if (e.confusion_[i] > 0) text << ' ' << i << ' ' << e.confusion_[i];
    }
    return text.str();
  }

  /// Back from it; throws for text that write() does not make.
  static Evaluation read(const std::string& text, Index classes) {
    std::istringstream in(text);
    const auto its_classes = number<Index>(in);
    TL_CHECK(its_classes == classes, "[fit_state] expected figures of ", classes, " classes, got ",
             its_classes);
    Evaluation e(classes);
    e.top5_ = count(in);
    e.loss_ = number<double>(in);
    while (in >> std::ws, in.good()) {
      const auto place = number<std::size_t>(in);
      TL_CHECK(place < e.confusion_.size(), "[fit_state] expected a pair of ", e.classes_, " classes, got ",
               place);
      const auto n = count(in);
      e.confusion_[place] = n;
      e.count_ += n;
      const auto side = static_cast<std::size_t>(classes);
      if (place / side == place % side) e.correct_ += n;
    }
    return e;
  }

  /// The next word as a number of things: small enough that sums of a file's worth of them have a meaning.
  static Index count(std::istream& in) {
    const auto n = number<Index>(in);
    TL_CHECK(n >= 0 && n <= std::numeric_limits<std::int32_t>::max(), "[fit_state] expected a count, got ",
             n);
    return n;
  }

  /// A whole word as a number; throws for others.
  template <class Number>
  static Number number_of(const std::string& word) {
    const std::optional<Number> value = parse_number<Number>(word);
    TL_CHECK(value, "[fit_state] expected a number, got '", word, "'");
    return *value;
  }
  /// The next word as a number.
  template <class Number>
  static Number number(std::istream& in) {
    std::string word;
    in >> word;
    return number_of<Number>(word);
  }
};

/// Adds a state to what a checkpoint keeps.
inline void keep(const FitState& state, io::NamedTensors& kept) {
  kept.metadata["fit"] =
      concat(state.epoch, ' ', state.batches, ' ', state.steps, ' ', shortest(state.loss_sum), ' ',
             shortest(state.seconds), ' ', state.history.size());
  if (state.moving) kept.metadata["fit.moving"] = EvaluationText::write(*state.moving);
  for (std::size_t i = 0; i < state.history.size(); ++i) {
    const EpochReport& r = state.history[i];
    const std::string name = concat("fit.epoch", i);
    kept.metadata[name] = concat(r.epoch, ' ', r.epochs, ' ', r.images, ' ', shortest(r.loss), ' ',
                                 shortest(r.accuracy), ' ', shortest(r.seconds));
    if (r.valid) kept.metadata[name + ".valid"] = EvaluationText::write(*r.valid);
  }
  if (!state.best) return;
  for (const auto& [name, value] : state.best->values()) kept.tensors["kept/best/" + name] = value;
}

/// The tensors of a checkpoint below `prefix`, by the rest of their names.
inline std::map<std::string, Tensor<float>> below(const io::NamedTensors& kept, const std::string& prefix) {
  std::map<std::string, Tensor<float>> found;
  for (const auto& [name, tensor] : kept.tensors) {
    if (name.starts_with(prefix)) found[name.substr(prefix.size())] = tensor;
  }
  return found;
}

/// The state that keep() added, of a network and so many classes. Throws when there is none.
inline FitState kept_state(const io::NamedTensors& kept, const nn::Module<float>& network, Index classes) {
  const auto text = [&](const std::string& name) {
    const auto found = kept.metadata.find(name);
    TL_CHECK(found != kept.metadata.end(), "[fit_state] the checkpoint lacks '", name, "'");
    return found->second;
  };
  const auto evaluation = [&](const std::string& name) -> std::optional<Evaluation> {
    if (!kept.metadata.contains(name)) return {};
    return EvaluationText::read(text(name), classes);
  };
  FitState state;
  std::istringstream in(text("fit"));
  for (Index* n : {&state.epoch, &state.batches, &state.steps}) *n = EvaluationText::count(in);
  for (double* x : {&state.loss_sum, &state.seconds}) *x = EvaluationText::number<double>(in);
  const auto epochs = EvaluationText::number<std::size_t>(in);
  state.moving = evaluation("fit.moving");
  for (std::size_t i = 0; i < epochs; ++i) {
    const std::string name = concat("fit.epoch", i);
    std::istringstream line(text(name));
    EpochReport r;
    for (Index* n : {&r.epoch, &r.epochs, &r.images}) *n = EvaluationText::count(line);
    for (double* x : {&r.loss, &r.accuracy, &r.seconds}) *x = EvaluationText::number<double>(line);
    r.valid = evaluation(name + ".valid");
    state.history.push_back(std::move(r));
  }
  const auto best = below(kept, "kept/best/");
  if (!best.empty()) state.best.emplace(network, best);
  return state;
}

}  // namespace tl::train
