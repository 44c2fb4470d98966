// The three tasks: whose sentences, which classes, what is held out, and what is read without labels.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <tl/core/rng.hpp>

#include "corpus.hpp"
#include "debian.hpp"

namespace text {

namespace tasks_impl {

/// Moves `count` sentences, drawn at random, out of `from`; a fifth of them at most.
inline std::vector<Sentence> hold_out(std::vector<Sentence>& from, std::size_t count) {
  tl::Rng(1, 1).shuffle(from);
  count = std::min(count, from.size() / 5);
  std::vector<Sentence> held(from.end() - static_cast<std::ptrdiff_t>(count), from.end());
  from.resize(from.size() - count);
  return held;
}

/// Sentences of the test or of validation that also stand elsewhere would give their answer away.
inline void drop_held_out(Task& task) {
  std::set<Words> held;
  for (const auto* part : {&task.valid, &task.test}) {
    for (const Sentence& s : *part) held.insert(s.words);
  }
  const auto dropped = std::erase_if(task.train, [&](const Sentence& s) { return held.count(s.words) > 0; });
  std::erase_if(task.unlabelled, [&](const Words& words) { return held.count(words) > 0; });
  if (dropped > 0)
    task.notes.push_back(std::to_string(dropped) +
                         " training sentences are left out: they are also held out");
}

/// The training sentences without their labels.
inline std::vector<Words> without_labels(const std::vector<Sentence>& train) {
  std::vector<Words> result;
  for (const Sentence& s : train) result.push_back(s.words);
  return result;
}

/// Summaries and paragraphs of all packages but those of the given sources, each once.
inline std::vector<Words> descriptions(const Packages& packages, const std::set<std::string>& without) {
  std::unordered_set<std::string> seen;
  std::vector<Words> result;
  const auto add = [&](const std::string& line) {
    if (seen.insert(line).second) result.push_back(words_of(line));
  };
  for (const auto& [name, package] : packages) {
    if (without.count(package.source) > 0) continue;
    add(package.summary);
    for (const std::string& paragraph : package.paragraphs) add(paragraph);
  }
  return result;
}

}  // namespace tasks_impl

/// Questions by what they ask for (Li, Roth 2002, https://aclanthology.org/C02-1150/). 500 of the training
/// questions are held out for validation.
inline Task trec(const std::filesystem::path& folder) {
  Task task;
  task.name = "trec";
  task.classes = {"description", "entity", "abbreviation", "person", "place", "number"};
  task.train = read_labelled(folder / "TREC.train.all", 6);
  task.test = read_labelled(folder / "TREC.test.all", 6);
  task.valid = tasks_impl::hold_out(task.train, 500);
  tasks_impl::drop_held_out(task);
  task.unlabelled = tasks_impl::without_labels(task.train);
  return task;
}

/// Sentences of film reviews by opinion (Socher et al. 2013, https://aclanthology.org/D13-1170/).
inline Task sst2(const std::filesystem::path& folder) {
  Task task;
  task.name = "sst2";
  task.classes = {"negative", "positive"};
  task.train = read_labelled(folder / "stsa.binary.train", 2);
  task.valid = read_labelled(folder / "stsa.binary.dev", 2);
  task.test = read_labelled(folder / "stsa.binary.test", 2);
  tasks_impl::drop_held_out(task);
  task.unlabelled = tasks_impl::without_labels(task.train);
  return task;
}

/// Summaries of packages by section; sections that say what a program is for, not which language it is in.
/// One package a source, as those of a source resemble each other. A quarter of a class (at most 100) is for
/// the test, a tenth (at most 50) for validation, and nothing of their sources is read without labels.
inline Task debian(const Packages& packages) {
  const std::set<std::string> topics{"admin", "devel", "editors", "games", "graphics", "mail",
                                     "math",  "net",   "science", "sound", "text",     "web"};
  constexpr std::size_t fewest = 20;
  std::map<std::string, std::vector<const Package*>> of_section;
  std::set<std::string> sources, held;
  for (const auto& [name, package] : packages) {
    if (topics.count(package.section) > 0 && !package.summary.empty() &&
        sources.insert(package.source).second)
      of_section[package.section].push_back(&package);
  }
  Task task;
  task.name = "debian";
  for (auto& [section, list] : of_section) {
    if (list.size() < fewest) continue;
    const auto label = static_cast<tl::Index>(task.classes.size());
    task.classes.push_back(section);
    tl::Rng(1, 2, static_cast<std::uint64_t>(label)).shuffle(list);
    const std::size_t tests = std::min<std::size_t>(100, list.size() / 4);
    const std::size_t valids = std::min<std::size_t>(50, list.size() / 10);
    for (std::size_t i = 0; i < list.size(); ++i) {
      auto& part = i < tests ? task.test : i < tests + valids ? task.valid : task.train;
      part.push_back({words_of(list[i]->summary), label});
      if (i < tests + valids) held.insert(list[i]->source);
    }
  }
  TL_CHECK(task.classes.size() >= 2, "debian: expected two sections or more with ", fewest,
           " described packages each; name other lists with --lists and --status");
  task.unlabelled = tasks_impl::descriptions(packages, held);
  tasks_impl::drop_held_out(task);
  return task;
}

}  // namespace text
