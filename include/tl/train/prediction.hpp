// What a network says of single images whose class is known.
//
//   p = softmax(logits)    confidence = max p    loss = -ln p[label]
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <tl/kernels/softmax.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::train {

/// What a network said of one image.
struct Prediction {
  Index sample = -1;      ///< index into the data set, where one is known
  Index label = -1;       ///< the class it has
  Index predicted = -1;   ///< the most probable one, the first of equal ones
  Index rank = 0;         ///< classes before the label, by probability and then by index
  double confidence = 0;  ///< probability of the predicted class
  double loss = 0;        ///< cross-entropy, natural logarithm

  bool correct() const { return predicted == label; }           ///< whether these are the same
  double label_probability() const { return std::exp(-loss); }  ///< what the network gave to the right class
};

/// One prediction a row: logits:(N,classes), labels:(N) in [0,classes).
inline std::vector<Prediction> judge(const Tensor<float>& logits, const Tensor<std::int64_t>& labels) {
  TL_CHECK(logits.rank() == 2 && labels.shape() == Shape{logits.shape(0)} && logits.shape(1) >= 1,
           "[evaluation] expected logits(N,classes), labels(N), got ", logits.shape(), ", ", labels.shape());
  const Index n = logits.shape(0), classes = logits.shape(1);
  Tensor<float> log_probabilities = Tensor<float>::empty(logits.shape());
  kernels::log_softmax_forward(n, classes, logits.plain().data(), log_probabilities.mutable_data());
  std::vector<Prediction> result;
  for (Index i = 0; i < n; ++i) {
    const float* row = log_probabilities.data() + i * classes;
    const Index label = labels.data()[i];
    TL_CHECK(label >= 0 && label < classes, "[evaluation] expected labels below ", classes, ", got ", label);
    TL_CHECK(!std::isnan(row[label]),
             "[evaluation] the network gives NaN: damaged weights, or too large a learning rate");
    Prediction p{.label = label, .predicted = std::max_element(row, row + classes) - row};
    p.rank = std::count_if(row, row + classes, [&](float other) { return other > row[label]; }) +
             std::count(row, row + label, row[label]);
    p.confidence = std::min(1.0, std::exp(static_cast<double>(row[p.predicted])));
    p.loss = -static_cast<double>(row[label]);
    result.push_back(p);
  }
  return result;
}

/// The `count` predictions of highest loss, the highest first; of equal ones, the earlier first.
inline std::vector<Prediction> top_losses(std::vector<Prediction> predictions, std::size_t count) {
  std::stable_sort(predictions.begin(), predictions.end(),
                   [](const Prediction& a, const Prediction& b) { return a.loss > b.loss; });
  predictions.resize(std::min(count, predictions.size()));
  return predictions;
}

}  // namespace tl::train
