// Words as vectors, learned from text without labels, and what they are worth to a classifier of sentences.
//
//   skip-gram with negative sampling: vector v of a word, vectors u of a neighbour (t = 1) and of words drawn
//   at random (t = 0)
//     loss = - sum over j of  log sigmoid(v.u_j) where t_j = 1,  log sigmoid(-v.u_j) elsewhere
//     dv   = sum over j of (sigmoid(v.u_j) - t_j) u_j           du_j = (sigmoid(v.u_j) - t_j) v
//
// The text is drawn, as the course's flowers are: sentences on four topics, mostly of words that all topics
// share. Writes words.svg and words_curve.svg. Source: Mikolov et al. 2013, https://arxiv.org/abs/1310.4546.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/tl.hpp>

#include "../text/classifier.hpp"
#include "../text/word_vectors.hpp"
#include "figure.hpp"

namespace {

using tl::Index;

constexpr std::array<std::string_view, 4> topics{"sea", "kitchen", "music", "garden"};
constexpr std::array<std::string_view, 4> topic_words{
    "sea boat harbour wave sail anchor tide island captain shore gull deck storm rudder mast crew net reef "
    "whale lighthouse current rope beach pier hull cabin voyage port salt fleet",
    "soup pan oven flour knife butter onion recipe cook dish plate sugar kettle spoon bread pepper stew "
    "grill cheese sauce dough apron pot garlic meal table fork supper lid jam",
    "song violin chorus drum piano concert melody tune singer opera band guitar rhythm chord flute organ "
    "choir stage duet trumpet note verse harmony cello ballad score encore bass waltz lyric",
    "rose hedge spade seed lawn tulip soil pruning orchard weed blossom shrub ivy compost bulb fence daisy "
    "rake greenhouse vine moss stem path bee lily trellis mulch pond petal root"};
constexpr std::string_view shared_words =
    "the a of in on and with near was is had saw found made left took old new small good she he we they then "
    "again before after today often";

/// Topic by topic a list of words; the last one is what all share.
std::vector<text::Words> word_lists() {
  std::vector<text::Words> lists;
  for (const std::string_view list : topic_words) lists.push_back(text::words_of(list));
  lists.push_back(text::words_of(shared_words));
  return lists;
}

// [sentence]
/// Eight words, of which about a quarter tell the topic; one in ten of these is drawn from any topic.
text::Sentence draw_sentence(const std::vector<text::Words>& lists, tl::Rng& random) {
  const std::size_t topic = random.below(4);
  text::Sentence sentence{{}, static_cast<Index>(topic)};
  for (int i = 0; i < 8; ++i) {
    const bool tells = i == 3 || random.chance(0.15);
    const std::size_t list = !tells ? 4 : random.chance(0.1) ? random.below(4) : topic;
    sentence.words.push_back(lists[list][random.below(lists[list].size())]);
  }
  return sentence;
}
// [/sentence]

std::vector<text::Sentence> draw_sentences(std::size_t count, std::uint64_t key) {
  tl::Rng random(13, key);
  const std::vector<text::Words> lists = word_lists();
  std::vector<text::Sentence> sentences;
  while (sentences.size() < count) sentences.push_back(draw_sentence(lists, random));
  return sentences;
}

/// A row of a table is a product with a vector of zeros and a one; a step of skip-gram by hand and by tape.
void by_hand() {
  using T = tl::Tensor<double>;
  // [look_up]
  const tl::Var<double> table(T::from({0.1, 0.2, 0.3, 0.4, 0.5, 0.6}, {3, 2}), true);
  const auto rows = tl::embedding(table, tl::Tensor<std::int64_t>::from({2, 0, 2}, {3}));
  const auto same = tl::matmul(tl::Var<double>(T::from({0, 0, 1, 1, 0, 0, 0, 0, 1}, {3, 3})), table);
  tl::sum(rows).backward();
  // [/look_up]
  std::printf(
      "rows 2, 0, 2 of a table, and one-hot rows times the table: %s; gradient of the rows: %.0f %.0f %.0f\n",
      std::equal(rows.value().data(), rows.value().data() + 6, same.value().data()) ? "equal" : "different",
      table.grad().data()[0], table.grad().data()[2], table.grad().data()[4]);

  // [step]
  const tl::Var<double> v(T::from({0.5, -0.2}, {1, 2}), true);
  const tl::Var<double> u(T::from({0.1, 0.4, -0.3, 0.2, 0.6, 0.1}, {3, 2}), true);
  const std::array<double, 3> truth{1, 0, 0};
  std::array<double, 2> dv{};
  std::array<double, 6> du{};
  for (std::size_t j = 0; j < 3; ++j) {
    const double* uj = u.value().data() + 2 * j;
    const double score = v.value().data()[0] * uj[0] + v.value().data()[1] * uj[1];
    const double error = 1 / (1 + std::exp(-score)) - truth[j];
    for (std::size_t k = 0; k < 2; ++k) {
      dv[k] += error * uj[k];
      du[2 * j + k] = error * v.value().data()[k];
    }
  }
  const auto scores = tl::sum(v * u, {1});  // (1,D) x (3,D) -> (3)
  const auto loss = tl::binary_cross_entropy(scores, tl::Var<double>(T::from({1, 0, 0}, {3}))) * 3;
  loss.backward();
  // [/step]
  double difference = 0;
  for (std::size_t k = 0; k < 2; ++k) difference = std::max(difference, std::abs(dv[k] - v.grad().data()[k]));
  for (std::size_t k = 0; k < 6; ++k) difference = std::max(difference, std::abs(du[k] - u.grad().data()[k]));
  std::printf("one step, dv = (%.4f, %.4f); by hand and by tape: %s\n\n", dv[0], dv[1],
              difference < 1e-12 ? "equal within 1e-12" : "DIFFERENT");
}

/// Words between two pairs of topics: horizontally from garden to sea, vertically from kitchen to music.
void draw_words(const tl::Tensor<float>& vectors, const text::Vocabulary& vocabulary) {
  const std::vector<text::Words> lists = word_lists();
  const auto width = static_cast<std::size_t>(vectors.shape(1));
  const auto row = [&](const std::string& word) {
    return vectors.data() + static_cast<std::size_t>(vocabulary.find(word)) * width;
  };
  const auto centre = [&](std::size_t topic) {
    std::vector<double> mean(width, 0.0);
    for (const std::string& word : lists[topic])
      for (std::size_t k = 0; k < width; ++k)
        mean[k] += static_cast<double>(row(word)[k]) / static_cast<double>(lists[topic].size());
    return mean;
  };
  const std::vector<double> sea = centre(0), kitchen = centre(1), music = centre(2), garden = centre(3);
  course::Figure figure("words of four topics", "garden to sea", "kitchen to music");
  for (std::size_t list = 0; list < 5; ++list) {
    std::vector<std::pair<double, double>> points;
    for (const std::string& word : lists[list]) {
      double x = 0, y = 0;
      for (std::size_t k = 0; k < width; ++k) {
        x += static_cast<double>(row(word)[k]) * (sea[k] - garden[k]);
        y += static_cast<double>(row(word)[k]) * (music[k] - kitchen[k]);
      }
      points.emplace_back(x, y);
    }
    figure.add(list < 4 ? std::string(topics[list]) : "shared", std::move(points), true);
  }
  figure.write("words.svg");
}

}  // namespace

int main() try {
  by_hand();

  // [pretrain]
  std::vector<text::Words> unlabelled;
  for (const text::Sentence& s : draw_sentences(6000, 1)) unlabelled.push_back(s.words);
  const text::Vocabulary vocabulary(unlabelled, 2);
  std::vector<std::vector<Index>> numbers;
  for (const text::Words& words : unlabelled) numbers.push_back(vocabulary.numbers(words));
  text::SkipGramOptions options{.width = 16, .window = 7, .epochs = 6};
  options.on_epoch = [](Index epoch, double loss) {
    std::printf("pass %d: loss %.2f a pair\n", static_cast<int>(epoch) + 1, loss);
  };
  tl::Tensor<float> vectors = text::SkipGram(vocabulary, options).train(std::move(numbers));
  text::standardise(vectors, 0.3);
  // [/pretrain]
  for (const char* word : {"boat", "soup", "song", "rose", "the"}) {
    std::printf("near %s:", word);
    for (const std::string& near : text::neighbours(vectors, vocabulary, vocabulary.find(word), 5))
      std::printf(" %s", near.c_str());
    std::printf("\n");
  }
  draw_words(vectors, vocabulary);

  // [order]
  const std::vector<text::Sentence> turned{{text::words_of("the whale saw the captain"), 0},
                                           {text::words_of("the captain saw the whale"), 0}};
  const std::vector<Index> both{0, 1};
  const text::Batch batch = text::make_batch(text::make_bags(turned, vocabulary), both);
  const tl::Tensor<float> means = text::sentence_vectors(tl::Var<float>(vectors), batch).value();
  // [/order]
  double apart = 0;
  for (Index k = 0; k < 16; ++k)
    apart = std::max(apart, static_cast<double>(std::abs(means.data()[k] - means.data()[16 + k])));
  std::printf("'the whale saw the captain' and 'the captain saw the whale': %s\n\n",
              apart < 1e-6 ? "the same vector" : "different");

  // [curve]
  const text::Bags valid = text::make_bags(draw_sentences(200, 2), vocabulary);
  const text::Bags test = text::make_bags(draw_sentences(400, 3), vocabulary);
  const std::array<std::string, 3> ways{"random", "frozen", "fine-tuned"};
  std::array<std::vector<std::pair<double, double>>, 3> curves;
  std::printf("%-10s%10s%10s%12s   right of 400, mean of 3\n", "sentences", "random", "frozen", "fine-tuned");
  for (const std::size_t count : {4u, 8u, 20u, 80u, 400u, 1600u}) {
    std::printf("%-10zu", count);
    for (std::size_t way = 0; way < 3; ++way) {
      text::Accuracies best;
      for (const double rate : {0.1, 0.3, 1.0, 3.0}) {  // the rate that is best in validation
        text::Accuracies sum;
        for (std::uint64_t seed = 0; seed < 3; ++seed) {
          const text::Bags train = text::make_bags(draw_sentences(count, 10 + seed), vocabulary);
          const auto begin =
              way == 0 ? tl::nn::random_normal<float>(vectors.shape(), 0.03, tl::Rng(seed)) : vectors;
          const text::Accuracies one = text::fit(
              begin, train, valid, test,
              {.classes = 4, .train_vectors = way != 1, .lr = rate, .steps = 150, .batch = 32, .seed = seed});
          sum.valid += one.valid / 3;
          sum.test += one.test / 3;
        }
        if (sum.valid > best.valid) best = sum;
      }
      std::printf("%*.0f", way == 2 ? 12 : 10, 400 * best.test);
      curves[way].emplace_back(static_cast<double>(count), 100 - 100 * best.test);
    }
    std::printf("\n");
  }
  // [/curve]
  course::Figure figure("sentences on four topics", "labelled sentences", "wrong, %");
  figure.logarithmic();
  for (std::size_t way = 0; way < 3; ++way) figure.add(ways[way], curves[way]);
  figure.write("words_curve.svg");
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
