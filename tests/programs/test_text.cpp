// The example examples/text: its readers, and the whole program on a few made-up packages.
#include <cstdio>
#include <string>
#include <vector>

#include "../examples/text/learning_curve.hpp"
#include "../examples/text/tasks.hpp"
#include "../examples/text/word_vectors.hpp"
#include "programs/program.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tl;
using namespace tl::test;

namespace {

text::Sentence sentence(const std::string& words, Index label) { return {text::words_of(words), label}; }

/// Forty packages of two sections that share no word but "with", with an extended description each.
std::string made_up_status() {
  const std::vector<std::string> play{"puzzle", "arcade", "dungeon", "racing", "cards"};
  const std::vector<std::string> hear{"mixer", "synthesizer", "player", "recorder", "sampler"};
  std::string status;
  for (std::size_t i = 0; i < 40; ++i) {
    const bool games = i % 2 == 0;
    const auto& nouns = games ? play : hear;
    const std::string &a = nouns[i / 2 % 5], &b = nouns[i / 10 % 5];
    status += "Package: p" + std::to_string(i) +
              "\nStatus: install ok installed\nSection: " + (games ? "games" : "sound") +
              "\nDescription: " + a + " with " + b + " number" + std::to_string(i) + "\n " +
              (games ? "Fun levels of " : "Loud tracks of ") + a + " and " + b + ".\n\n";
  }
  return status;
}

}  // namespace

TEST_CASE("text: words are runs of letters in lower case, and numbers are one word") {
  CHECK(text::words_of("What does 12 o'clock, MP3-players mean?") ==
        text::Words{"what", "does", "0", "o'clock", "mp3", "players", "mean"});
  CHECK(text::words_of("cr\xc3\xa8me") == text::Words{"cr\xc3\xa8me"});
  CHECK(text::words_of("").empty());
  CHECK(text::words_of(" .,!? ").empty());
}

TEST_CASE("text: labelled lines, and the line that is damaged") {
  const TemporaryFolder folder;
  const auto file = folder / "sentences";
  write_file_atomically(file, "5 How far is it ?\r\n\n0 .\n3 Who was Galileo ?");
  const auto read = text::read_labelled(file, 6);
  REQUIRE(read.size() == 3);
  CHECK(read[0].label == 5);
  CHECK(read[0].words == text::Words{"how", "far", "is", "it"});
  CHECK(read[1].words.empty());
  CHECK(read[2].label == 3);

  for (const std::string bad :
       {"6 Who ?", "-1 Who ?", "Who ?", "1", "1 ", "1\tWho ?", "99999999999999999999 Who ?"}) {
    CAPTURE(bad);
    write_file_atomically(file, "1 A line .\n" + bad + "\n");
    CHECK_THROWS_WITH(text::read_labelled(file, 6),
                      contains("line 2: expected a label in [0, 6), a space and a "
                               "sentence, got '" +
                               bad + "'"));
  }
  write_file_atomically(file, "\n\n");
  CHECK_THROWS_WITH(text::read_labelled(file, 6), contains("expected sentences, got none"));
}

TEST_CASE("text: stanzas of package lists, joined by name") {
  text::Packages packages;
  text::add_packages(
      "Package: zork\nSource: adventure (1.0)\nSection: non-free/games\nConffiles:\n /etc/zork abc\n"
      "Description: text adventure\n\nPackage: zork-data\nSection: games\nSource: adventure\n",
      packages);
  text::add_packages(
      "Package: zork\nDescription-md5: 00\nDescription-en: text adventure\n You are in a maze\n of "
      "passages.\n .\n"
      "  - all alike\n\nno field\nPackage: other\nDescription: of no section",
      packages);
  REQUIRE(packages.size() == 3);
  const text::Package& zork = packages["zork"];
  CHECK(zork.source == "adventure");
  CHECK(zork.section == "games");
  CHECK(zork.summary == "text adventure");
  REQUIRE(zork.paragraphs.size() == 2);
  CHECK(text::words_of(zork.paragraphs[0]) == text::words_of("you are in a maze of passages"));
  CHECK(text::words_of(zork.paragraphs[1]) == text::Words{"all", "alike"});
  CHECK(packages["zork-data"].summary.empty());
  CHECK(packages["other"].section.empty());
}

TEST_CASE("text: nothing that is held out is read without labels") {
  text::Packages packages;
  text::add_packages(made_up_status(), packages);
  for (auto& [name, package] : packages) package.source = name;
  const text::Task task = text::debian(packages);
  CHECK(task.classes == std::vector<std::string>{"games", "sound"});
  CHECK(task.test.size() == 10);
  CHECK(task.valid.size() == 4);
  CHECK(task.train.size() == 26);
  for (const auto* part : {&task.test, &task.valid}) {
    for (const text::Sentence& s : *part) {
      for (const text::Words& words : task.unlabelled) CHECK(words != s.words);
      for (const text::Sentence& t : task.train) CHECK(t.words != s.words);
    }
  }
  packages.clear();
  CHECK_THROWS_WITH(text::debian(packages), contains("expected two sections or more"));
}

TEST_CASE("text: a vocabulary counts, and leaves out what is rare or unknown") {
  const text::Vocabulary v({{"a", "b", "a"}, {"c", "a", "b"}}, 2);
  REQUIRE(v.size() == 2);
  CHECK(v.word(0) == "a");
  CHECK(v.count(0) == 3);
  CHECK(v.total() == 5);
  CHECK(v.find("c") == -1);
  CHECK(v.numbers({"b", "c", "a"}) == std::vector<Index>{1, 0});
}

TEST_CASE("text: a batch pads, and its sentence vectors are means by hand") {
  const text::Vocabulary v({{"a", "a", "a", "b", "b", "c"}}, 1);
  const std::vector<text::Sentence> sentences{sentence("a c", 1), sentence("unknown", 0),
                                              sentence("b b a", 1)};
  const text::Bags bags = text::make_bags(sentences, v);
  const std::vector<Index> chosen{2, 1, 0};
  const text::Batch batch = text::make_batch(bags, chosen);
  CHECK(batch.words.shape() == Shape{3, 3});
  CHECK(batch.weights.shape() == Shape{3, 3, 1});
  const Var<float> table(Tensor<float>::from({3, 0, 0, 6, 9, 9}, {3, 2}));
  const Tensor<float> means = text::sentence_vectors(table, batch).value();
  const std::vector<float> want{1, 4, 0, 0, 6, 4.5f};
  for (Index i = 0; i < 6; ++i) CHECK(means.data()[i] == Approx(want[static_cast<std::size_t>(i)]));
}

TEST_CASE("text: words of the same company become neighbours") {
  std::vector<text::Words> lines;
  Rng rng(1);
  const auto one_of = [&](const text::Words& words) { return words[rng.below(words.size())]; };
  for (int i = 0; i < 600; ++i) {
    lines.push_back({one_of({"cat", "dog"}), one_of({"eats", "sleeps"}), one_of({"fish", "meat"})});
    lines.push_back({one_of({"car", "bus"}), one_of({"drives", "stops"}), one_of({"here", "there"})});
  }
  const text::Vocabulary v(lines, 1);
  std::vector<std::vector<Index>> numbers;
  for (const text::Words& line : lines) numbers.push_back(v.numbers(line));
  text::SkipGramOptions options;
  options.width = 8;
  options.subsample = 1;
  options.batch = 64;
  std::vector<double> losses;
  options.on_epoch = [&](Index, double loss) { losses.push_back(loss); };
  Tensor<float> vectors = text::SkipGram(v, options).train(numbers);
  CHECK(losses.back() < losses.front());
  text::standardise(vectors, 0.3);
  const text::Words animals{"cat", "dog", "eats", "sleeps", "fish", "meat"};
  for (const std::string& word : text::neighbours(vectors, v, v.find("cat"), 5))
    CHECK(std::find(animals.begin(), animals.end(), word) != animals.end());
}

TEST_CASE("text: the program learns made-up packages, and writes its table") {
  const TemporaryFolder folder;
  const std::string program = std::string(TL_PROGRAMS_FOLDER) + "/text", csv = folder / "curve.csv";
  write_file_atomically(folder / "status", made_up_status());
  const Outcome o =
      start({program, "debian", "--status", folder / "status", "--lists", folder / "none", "--csv", csv,
             "--sizes", "5,0", "--seeds", "2", "--width", "16", "--words", "20000"});
  CAPTURE(o.err, o.out);
  REQUIRE(o.status == 0);
  CHECK(o.out.find("debian: 2 classes; 26 sentences for training, 4 for validation, 10 for the test") !=
        std::string::npos);
  const std::string table = read_file(csv);
  CHECK(std::count(table.begin(), table.end(), '\n') == 7);
  CHECK(table.starts_with("task,labelled_a_class,method,accuracy,deviation,rate,steps\ndebian,5,random,"));
  const std::size_t row = table.find("debian,0,fine-tuned,");
  REQUIRE(row != std::string::npos);
  CHECK(std::stod(table.substr(row + 20)) >= 0.9);

  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {program, "debian", "--status", folder / "none", "--lists", folder / "none"},
           {program, "trec", "--data", folder / "none"},
           {program, "--data", folder / "none", "--status", folder / "none", "--lists", folder / "none"}}) {
    const Outcome refused = start(arguments);
    CAPTURE(arguments, refused.err);
    CHECK(refused.status == 2);
    CHECK(is_one_line(refused.err));
    CHECK(refused.err.starts_with("text: "));
  }
}
