// Several processes train one network: sums around a ring, shared batches, and what the wires allow.
//
//   sum of n numbers over P processes, each of which sends to the next one alone, in pieces of n / P:
//     P - 1 times  send a piece, add the one that arrives       then every process has one finished piece
//     P - 1 times  send the finished piece that came last       then every process has all
//   bytes that each sends = 2 (P - 1) / P * G
//
// The processes are threads here, and the wires queues; dist/mpi.hpp has the real ones. Sources: Patarasuk
// and Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations"; Li et al. 2020,
// https://arxiv.org/abs/2006.15704; Goyal et al. 2017, https://arxiv.org/abs/1706.02677.
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tl/tl.hpp>

#include "drawn.hpp"

namespace {

using tl::Index;
using Bytes = std::vector<std::byte>;

/// A wire to the next process: what is sent waits there until it is taken.
class Wire {
 public:
  void send(Bytes message) {
    const std::scoped_lock lock(mutex_);
    bytes_ += message.size();
    waiting_.push_back(std::move(message));
    arrived_.notify_one();
  }
  Bytes receive() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return !waiting_.empty(); });
    Bytes message = std::move(waiting_.front());
    waiting_.pop_front();
    return message;
  }
  std::size_t bytes() const { return bytes_; }  ///< sent so far

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Bytes> waiting_;
  std::size_t bytes_ = 0;
};

class RingGroup final : public tl::ProcessGroup {
 public:
  RingGroup(std::vector<Wire>& wires, int rank) : wires_(wires), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(wires_.size()); }
  void sum(std::span<float> values) override { sum_of(values); }
  void sum(std::span<double> values) override { sum_of(values); }
  // In the background would be faster; the result is the same when it is made up for in the end.
  void begin_sum(std::span<float> values) override {
    begun_.emplace_back([=, this] { sum_of(values); });
  }
  void begin_sum(std::span<double> values) override {
    begun_.emplace_back([=, this] { sum_of(values); });
  }
  void advance() override {}
  void finish() override {
    for (const auto& sum : std::exchange(begun_, {})) sum();
  }
  void broadcast(std::span<std::byte> bytes, int root) override {
    if (rank_ != root) std::ranges::copy(wire_from_before().receive(), bytes.begin());
    if ((rank_ + 1) % size() != root) wire_to_next().send({bytes.begin(), bytes.end()});
  }

  std::function<void()> after_step = [] {};

 private:
  // [ring]
  template <class T>
  void sum_of(std::span<T> values) {
    const int processes = size();
    const auto piece = [&](int number) {
      const auto p = static_cast<std::size_t>(processes),
                 i = static_cast<std::size_t>(number + processes) % p;
      return values.subspan(values.size() * i / p, values.size() * (i + 1) / p - values.size() * i / p);
    };
    for (int step = 0; step < processes - 1; ++step) {
      send(piece(rank_ - step));
      const std::vector<T> arrived = receive<T>();
      const std::span<T> mine = piece(rank_ - step - 1);
      for (std::size_t i = 0; i < mine.size(); ++i) mine[i] += arrived[i];
      after_step();
    }
    for (int step = 0; step < processes - 1; ++step) {
      send(piece(rank_ + 1 - step));
      std::ranges::copy(receive<T>(), piece(rank_ - step).begin());
      after_step();
    }
  }
  // [/ring]
  template <class T>
  void send(std::span<T> values) {
    const auto bytes = std::as_bytes(values);
    wire_to_next().send({bytes.begin(), bytes.end()});
  }
  template <class T>
  std::vector<T> receive() {
    const Bytes bytes = wire_from_before().receive();
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  Wire& wire_to_next() { return wires_[static_cast<std::size_t>(rank_)]; }
  Wire& wire_from_before() { return wires_[static_cast<std::size_t>((rank_ + size() - 1) % size())]; }

  std::vector<Wire>& wires_;
  int rank_;
  std::vector<std::function<void()>> begun_;
};

/// Runs work(group) in so many processes; returns the bytes that the first one sent.
template <class Work>
std::size_t as_processes(int count, const Work& work) {
  std::vector<Wire> wires(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank)
    threads.emplace_back([&, rank] {
      tl::set_num_threads(1);
      RingGroup group(wires, rank);
      work(group);
    });
  for (std::thread& thread : threads) thread.join();
  return wires[0].bytes();
}

void show_ring() {
  std::vector<std::vector<std::string>> told(3);
  as_processes(3, [&](RingGroup& group) {
    std::vector<double> values{1, 2, 3};
    for (double& v : values) v *= group.rank() == 0 ? 1 : group.rank() == 1 ? 10 : 100;
    auto& lines = told[static_cast<std::size_t>(group.rank())];
    group.after_step = [&] {
      std::string line;
      for (const double v : values) line += tl::concat(v < 100 ? v < 10 ? "   " : "  " : " ", v);
      lines.push_back(line);
    };
    group.after_step();
    group.sum(std::span<double>(values));
  });
  const char* steps[] = {"begin", "add", "add", "pass on", "pass on"};
  std::printf("%-10s%-16s%-16s%s\n", "", "process 0", "process 1", "process 2");
  for (std::size_t i = 0; i < 5; ++i)
    std::printf("%-8s%-16s%-16s%s\n", steps[i], told[0][i].c_str(), told[1][i].c_str(), told[2][i].c_str());
}

enum class Norm { frozen, shared, own };

/// A batch of drawn flowers, (count,3,12,12), of which a process takes those from `begin` on.
std::pair<tl::Tensor<double>, tl::Tensor<std::int64_t>> flowers(Index first, Index count) {
  constexpr Index side = 12;
  auto images = tl::Tensor<double>::empty({count, 3, side, side}, tl::Layout::channels_last);
  auto labels = tl::Tensor<std::int64_t>::empty({count});
  double* to = images.mutable_data();
  for (Index i = 0; i < count; ++i) {
    const auto number = static_cast<std::uint64_t>(first + i);
    const tl::data::Image image = course::draw(number % 4, number, side);
    for (Index b = 0; b < image.bytes(); ++b) *to++ = image.data()[b] / 127.5 - 1;
    labels.mutable_data()[i] = static_cast<std::int64_t>(number % 4);
  }
  return {images, labels};
}

std::shared_ptr<tl::nn::Module<double>> small_network() {
  using namespace tl::nn;
  const tl::RandomScope first_weights(14, 0);
  return sequential<double>(
      {std::make_shared<Conv2d<double>>(Conv2dOptions{.in = 3, .out = 8, .kernel = 3, .padding = 1}),
       std::make_shared<BatchNorm2d<double>>(BatchNormOptions{.channels = 8}),
       std::make_shared<Relu<double>>(), std::make_shared<AdaptiveAveragePool2d<double>>(),
       std::make_shared<Flatten<double>>(),
       std::make_shared<Dense<double>>(DenseOptions{.in = 8, .out = 4})});
}

/// The parameters after ten steps on batches of 12. No group: one process has the whole batch.
std::vector<double> ten_steps(tl::ProcessGroup* group, Norm norm, bool weigh = true) {
  constexpr Index batch = 12;
  const auto network = small_network();
  network->train();
  if (norm == Norm::frozen) network->freeze("1.*");
  tl::optim::Sgd<double> sgd({{.params = network->parameters(), .lr = 0.1}}, {.momentum = 0.9});
  std::unique_ptr<tl::dist::GradientSum<double>> gradients;
  if (group != nullptr) gradients = std::make_unique<tl::dist::GradientSum<double>>(*group, sgd);
  const tl::Share share = tl::Share::of(group);
  for (Index step = 0; step < 10; ++step) {
    const Index begin = share.begin(batch), mine = share.end(batch) - begin;
    const auto part = flowers(step * batch + begin, mine);
    // [step]
    const tl::ops::SharedStatistics statistics(norm == Norm::shared ? group : nullptr);
    const auto loss = tl::cross_entropy(network->forward(tl::Var<double>(part.first)), part.second);
    if (group != nullptr) {
      const double weight = static_cast<double>(mine) / static_cast<double>(batch);
      gradients->backward(loss, weigh ? weight : 1.0 / group->size());
    } else {
      loss.backward();
    }
    sgd.step();
    sgd.zero_grad();
    // [/step]
  }
  std::vector<double> all;
  for (const auto& p : network->parameters())
    all.insert(all.end(), p.var.value().span().begin(), p.var.value().span().end());
  return all;
}

std::string difference(int processes, Norm norm, bool weigh = true) {
  const std::vector<double> alone = ten_steps(nullptr, norm);
  std::vector<std::vector<double>> all(static_cast<std::size_t>(processes));
  as_processes(processes, [&](RingGroup& group) {
    all[static_cast<std::size_t>(group.rank())] = ten_steps(&group, norm, weigh);
  });
  double most = 0;
  for (std::size_t i = 0; i < alone.size(); ++i) most = std::max(most, std::abs(all[0][i] - alone[i]));
  for (const auto& other : all)
    if (other != all[0]) return "processes differ";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", most);
  return most < 1e-12 ? "below 1e-12" : text;
}

// [efficiency]
/// Of `machines` that each compute a step in `step` seconds and sum `bytes` of gradients over wires of
/// `gigabits` a second, 50 microseconds a message; the backward pass, two thirds of the step, hides the sum.
double efficiency(double step, double bytes, double machines, double gigabits) {
  const double travel =
      2 * (machines - 1) / machines * bytes / (gigabits * 1e9 / 8) + 2 * (machines - 1) * 50e-6;
  return step / (step + std::max(0.0, travel - 2.0 / 3 * step));
}
// [/efficiency]

}  // namespace

int main() try {
  show_ring();
  std::printf("\nbytes that each sends to sum 1,000 numbers of 8 bytes:");
  for (const int processes : {2, 4, 8}) {
    const std::size_t bytes = as_processes(processes, [](RingGroup& group) {
      std::vector<double> values(1000, 1.0);
      group.sum(std::span<double>(values));
    });
    std::printf("  %d: %zu", processes, bytes);
  }
  std::printf(
      "\n\nten steps, difference of the parameters from those of one process\n%-11s%-14s%-14s%-8s%s\n",
      "processes", "frozen norm", "shared", "own", "frozen, parts weighed alike");
  for (const int processes : {2, 3, 5})
    std::printf("%-11d%-14s%-14s%-8s%s\n", processes, difference(processes, Norm::frozen).c_str(),
                difference(processes, Norm::shared).c_str(), difference(processes, Norm::own).c_str(),
                difference(processes, Norm::frozen, false).c_str());
  std::printf("\nefficiency, computed         1 Gbit/s  10 Gbit/s  25 Gbit/s\n");
  for (const double machines : {2.0, 8.0, 64.0}) {
    std::printf("ResNet-18, %2.0f machines   ", machines);
    for (const double gigabits : {1.0, 10.0, 25.0})
      std::printf("%11.2f", efficiency(0.53, 46.8e6, machines, gigabits));
    std::printf("\n");
  }
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
