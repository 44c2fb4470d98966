// text: transfer learning with sentences. Vectors of words are learned from text without labels; a classifier
// of few labelled sentences then begins with them, or with random ones for comparison.
//
//   build/bin/text                 every task whose texts are on this machine
//   build/bin/text debian          descriptions of Debian packages alone
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "learning_curve.hpp"
#include "tasks.hpp"
#include "word_vectors.hpp"

namespace {

namespace fs = std::filesystem;
using tl::Index;

struct Options {
  std::vector<std::string> tasks;
  fs::path data, status = "/var/lib/dpkg/status", lists = "/var/lib/apt/lists", csv;
  std::vector<Index> sizes{5, 10, 20, 50, 100, 0};
  std::vector<std::string> near{"city", "music", "game", "mail", "film", "bad"};
  Index seeds = 5, width = 64, words = 2'000'000, min_count = 2;
};

fs::path default_data() {
  const char* shared = std::getenv("TL_SHARED");
  return fs::path(shared != nullptr ? shared : "../shared") / "data" / "text";
}

/// The tasks asked for; without any asked for, those whose texts are here.
std::vector<text::Task> read_tasks(const Options& o) {
  const bool all = o.tasks.empty();
  std::vector<text::Task> tasks;
  for (const std::string& name : all ? std::vector<std::string>{"trec", "sst2", "debian"} : o.tasks) {
    if (name == "debian") {
      std::vector<std::string> notes;
      const text::Packages packages = text::read_packages(o.status, o.lists, notes);
      if (all && packages.empty()) {
        std::cout << "without debian: no packages in '" << o.status.string() << "' and '" << o.lists.string()
                  << "'\n";
        continue;
      }
      tasks.push_back(text::debian(packages));
      tasks.back().notes.insert(tasks.back().notes.begin(), notes.begin(), notes.end());
      continue;
    }
    const fs::path file = o.data / (name == "trec" ? "TREC.train.all" : "stsa.binary.train");
    if (all && !fs::exists(file)) {
      std::cout << "without " << name << ": there is no '" << file.string() << "'\n";
      continue;
    }
    tasks.push_back(name == "trec" ? text::trec(o.data) : text::sst2(o.data));
  }
  TL_CHECK(!tasks.empty(), "no texts here: name their folder with --data, or lists of packages with --lists");
  return tasks;
}

tl::Tensor<float> pretrain(const Options& o, const text::Task& task, const text::Vocabulary& vocabulary) {
  std::vector<std::vector<Index>> sentences;
  Index words = 0;
  for (const text::Words& sentence : task.unlabelled) {
    sentences.push_back(vocabulary.numbers(sentence));
    words += static_cast<Index>(sentences.back().size());
  }
  text::SkipGramOptions options;
  options.width = o.width;
  options.epochs = std::clamp<Index>(o.words / std::max<Index>(1, words), 1, 30);
  std::printf("without labels: %zu sentences, %lld words, %lld different; read %lld times\n",
              sentences.size(), static_cast<long long>(words), static_cast<long long>(vocabulary.size()),
              static_cast<long long>(options.epochs));
  std::fflush(stdout);
  options.on_epoch = [&](Index epoch, double loss) {
    if (epoch == 0 || epoch + 1 == options.epochs)
      std::printf("  pass %lld: loss %.3f a pair\n", static_cast<long long>(epoch + 1), loss);
    std::fflush(stdout);
  };
  tl::Tensor<float> vectors = text::SkipGram(vocabulary, options).train(std::move(sentences));
  text::standardise(vectors, 0.3);
  for (const std::string& word : o.near) {
    const Index i = vocabulary.find(word);
    if (i < 0 || vocabulary.count(i) < 20) continue;
    std::printf("  near '%s':", word.c_str());
    for (const std::string& other : text::neighbours(vectors, vocabulary, i, 6))
      std::printf(" %s", other.c_str());
    std::printf("\n");
  }
  return vectors;
}

/// The mean difference and its standard error; both had the same labelled sentences with each seed.
void print_gain(const text::Result& random, const text::Result& other) {
  std::vector<double> gains;
  for (std::size_t i = 0; i < random.accuracies.size(); ++i)
    gains.push_back(other.accuracies[i] - random.accuracies[i]);
  const double error = text::deviation(gains) / std::sqrt(static_cast<double>(gains.size()));
  std::printf("  %+5.1f (%.1f)", 100 * text::mean(gains), 100 * error);
}

/// Prints the table of a task and adds it to `csv`.
void learning_curve(const Options& o, const text::Task& task, std::ostream& csv) {
  for (const std::string& note : task.notes) std::cout << "  " << note << '\n';
  std::cout << std::flush;
  const text::Vocabulary vocabulary(task.unlabelled, o.min_count);
  const text::LearningCurve curve(task, vocabulary, pretrain(o, task, vocabulary), o.seeds);
  std::printf(
      "accuracy in %% on %zu test sentences, mean and standard deviation of %lld trainings; rate and steps "
      "by "
      "%zu validation sentences\n  labelled a class",
      task.test.size(), static_cast<long long>(o.seeds), task.valid.size());
  for (const text::Method& method : text::methods) std::printf("%16s", method.name.c_str());
  std::printf("   gain: frozen   fine-tuned\n");
  for (const Index size : o.sizes) {
    std::printf("  %16s", size > 0 ? std::to_string(size).c_str() : "all");
    std::vector<text::Result> results;
    for (const text::Method& method : text::methods) {
      results.push_back(curve.measure(method, size));
      const text::Result& r = results.back();
      const double mean = text::mean(r.accuracies), deviation = text::deviation(r.accuracies);
      std::printf("   %5.1f +- %-4.1f", 100 * mean, 100 * deviation);
      csv << task.name << ',' << size << ',' << method.name << ',' << mean << ',' << deviation << ',' << r.lr
          << ',' << r.steps << '\n';
      std::fflush(stdout);
    }
    print_gain(results[0], results[1]);
    print_gain(results[0], results[2]);
    std::printf("\n");
    std::fflush(stdout);
  }
}

int run(const Options& o) {
  std::ostringstream csv;
  csv << "task,labelled_a_class,method,accuracy,deviation,rate,steps\n";
  for (const text::Task& task : read_tasks(o)) {
    const auto begin = std::chrono::steady_clock::now();
    std::printf("\n%s: %zu classes; %zu sentences for training, %zu for validation, %zu for the test\n",
                task.name.c_str(), task.classes.size(), task.train.size(), task.valid.size(),
                task.test.size());
    learning_curve(o, task, csv);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    std::printf("  %.0f s\n", seconds.count());
    std::fflush(stdout);
  }
  if (!o.csv.empty()) tl::write_file_atomically(o.csv, csv.str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  o.data = default_data();
  CLI::App app(
      "Learns vectors of words from text without labels, and classifies sentences with them: frozen, "
      "fine-tuned, and "
      "from random ones.");
  app.add_option("TASK", o.tasks, "trec, sst2, debian; default: those whose texts are here")
      ->check(CLI::IsMember({"trec", "sst2", "debian"}));
  app.add_option("--data", o.data, "folder with TREC.*.all and stsa.binary.*")->capture_default_str();
  app.add_option("--status", o.status, "list of the installed packages")->capture_default_str();
  app.add_option("--lists", o.lists, "folder with lists of available packages")->capture_default_str();
  app.add_option("--sizes", o.sizes, "labelled sentences a class; 0: all")
      ->delimiter(',')
      ->check(CLI::Range(0, 100000));
  app.add_option("--near", o.near, "words whose neighbours are shown")->delimiter(',');
  app.add_option("--seeds", o.seeds, "trainings for each figure")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--width", o.width, "of a word's vector")->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--words", o.words, "words to read for the vectors; the text is read again until then")
      ->capture_default_str()
      ->check(CLI::Range(Index{1}, Index{1} << 40));
  app.add_option("--min-count", o.min_count, "rarer words are left out")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--csv", o.csv, "also write the tables to this file");
  try {
    app.parse(argc, argv);
    return run(o);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const std::exception& error) {
    std::cerr << "text: " << error.what() << '\n';
    return 2;
  }
}
