// Gradients summed over processes: ten steps as one process takes them, and how buckets are formed.
#include <tl/autograd/gradcheck.hpp>

#include "dist/ten_steps.hpp"
#include "support/catch.hpp"
#include "support/tensors.hpp"
#include "support/thread_group.hpp"

using namespace tl;
using namespace tl::test;

namespace {

/// The state after ten steps of each process.
std::vector<std::vector<double>> of_processes(int count, Norm norm, std::size_t bucket_bytes = 1024) {
  std::vector<std::vector<double>> states(static_cast<std::size_t>(count));
  as_processes(count, [&](ThreadGroup& group) {
    states[static_cast<std::size_t>(group.rank())] = after_ten_steps(&group, norm, bucket_bytes);
  });
  return states;
}

}  // namespace

TEST_CASE("processes that share batches take the steps of one that has them whole") {
  for (const Norm norm : {Norm::frozen, Norm::shared}) {
    const std::vector<double> alone = after_ten_steps(nullptr, norm);
    for (const int count : {1, 2, 3, 4}) {
      const auto states = of_processes(count, norm);
      CHECK(largest_difference(states[0], alone) < 1e-8);
      for (const std::vector<double>& state : states) CHECK(state == states[0]);
    }
  }
}

TEST_CASE("with statistics of their own the steps differ, and all processes are alike still") {
  const std::vector<double> alone = after_ten_steps(nullptr, Norm::local);
  const auto states = of_processes(2, Norm::local);
  CHECK(largest_difference(states[0], alone) > 1e-4);
  CHECK(states[1] == states[0]);
}

TEST_CASE("buckets of any size give the same sums") {
  const auto small = of_processes(2, Norm::shared, 1), large = of_processes(2, Norm::shared, 1 << 30);
  CHECK(small[0] == large[0]);
}

TEST_CASE("sums begin while gradients are still computed, in the same order in every process") {
  as_processes(2, [](ThreadGroup& group) {
    Var<double> first(Tensor<double>::full({4}, 2.0), true), last(Tensor<double>::full({4}, 3.0), true);
    const optim::Sgd<double> sgd({{.params = {{"first", first}, {"last", last}}, .lr = 1}});
    dist::GradientSum<double> gradients(group, sgd, 1);
    // `last` is read last, so that its gradient is final first; `first` is read twice.
    const Var<double> loss = sum((first * first + first) * last);
    gradients.backward(loss, 0.5);
    const auto lock = group.alone();
    CHECK(group.sums_begun == 2);
    CHECK(values_of(last.grad()) == std::vector<double>(4, 6));
    CHECK(values_of(first.grad()) == std::vector<double>(4, 15));
  });
}

TEST_CASE("a parameter that the loss of a process does not reach adds nothing there") {
  as_processes(2, [](ThreadGroup& group) {
    Var<double> a(Tensor<double>::full({1}, 2.0), true), b(Tensor<double>::full({1}, 3.0), true);
    const optim::Sgd<double> sgd({{.params = {{"a", a}, {"b", b}}, .lr = 1}});
    dist::GradientSum<double> gradients(group, sgd);
    gradients.backward(group.is_first() ? sum(a) : sum(a * b), 1);
    const auto lock = group.alone();
    CHECK(a.grad().item() == 1 + 3);
    CHECK(b.grad().item() == 2);
  });
}

TEST_CASE("what is frozen or thawed between steps is left out or taken up") {
  as_processes(2, [](ThreadGroup& group) {
    Var<double> a(Tensor<double>::full({1}, 2.0), true), b(Tensor<double>::full({1}, 3.0), true);
    optim::Sgd<double> sgd({{.params = {{"a", a}, {"b", b}}, .lr = 1}});
    dist::GradientSum<double> gradients(group, sgd);
    for (const bool trained : {true, false, true}) {
      b.set_requires_grad(trained);
      gradients.backward(sum(a * b), 1);
      const auto lock = group.alone();
      CHECK(a.grad().item() == 6);
      CHECK(b.grad().defined() == trained);
      sgd.zero_grad();
    }
  });
}

TEST_CASE("buffers that differ become their mean, others are not written to") {
  as_processes(2, [](ThreadGroup& group) {
    nn::BatchNorm2d<float> norm(nn::BatchNormOptions{.channels = 2});
    std::vector<nn::Named<float>> buffers = norm.buffers();
    buffers[0].var.mutable_value().mutable_data()[0] = static_cast<float>(group.rank());
    const std::uint64_t before = buffers[1].var.value().version();
    dist::average_buffers(group, norm);
    const auto lock = group.alone();
    REQUIRE(buffers.size() == 2);
    CHECK(buffers[0].var.value().data()[0] == 0.5f);
    CHECK(buffers[0].var.value().data()[1] == 0);
    CHECK(buffers[1].var.value().version() == before);
  });
}

TEST_CASE("the error of one process ends the others") {
  CHECK_THROWS_WITH(as_processes(2,
                                 [](ThreadGroup& group) {
                                   if (group.rank() == 1) fail("the disk is full");
                                   any(group, false);
                                 }),
                    "the disk is full");
}
