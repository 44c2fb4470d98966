// MpiGroup: the processes that mpirun started, as a ProcessGroup over MPI.
//
//   tl::dist::MpiGroup group;                       // once a program
//   options.group = &group;                         // of fine_tune; every process runs the same program
//
// Not part of tl.hpp: a program that includes it is compiled and linked with MPI (CMake: MPI::MPI_CXX).
// Standard: MPI 3.1, https://www.mpi-forum.org/docs/mpi-3.1/mpi31-report.pdf.
#pragma once

#include <algorithm>
#include <exception>
#include <vector>

// The C interface alone: the C++ one was removed from the standard.
#define OMPI_SKIP_MPICXX 1  // NOLINT(readability-identifier-naming): the name is OpenMPI's
#include <mpi.h>

#include <tl/core/process_group.hpp>

namespace tl::dist {

/// Begins MPI, and ends it. Used from one thread. While an exception ends its scope every process is ended,
/// as the others would wait for ever. An error inside MPI ends the program with MPI's own message.
class MpiGroup final : public ProcessGroup {
 public:
  MpiGroup() {
    int provided = 0, finalised = 0;
    MPI_Finalized(&finalised);
    TL_CHECK(finalised == 0, "[mpi] expected one MpiGroup a program, got another");
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    TL_CHECK(provided >= MPI_THREAD_FUNNELED, "[mpi] this MPI cannot be used beside threads");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm_dup(MPI_COMM_WORLD, &background_);  // its sums may be begun between any two other calls
  }
  ~MpiGroup() override {
    if (std::uncaught_exceptions() > exceptions_) abort(1);
    MPI_Comm_free(&background_);
    MPI_Finalize();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void sum(std::span<float> values) override { sum_of(values, MPI_FLOAT); }
  void sum(std::span<double> values) override { sum_of(values, MPI_DOUBLE); }
  void begin_sum(std::span<float> values) override { begin_sum_of(values, MPI_FLOAT); }
  void begin_sum(std::span<double> values) override { begin_sum_of(values, MPI_DOUBLE); }
  void advance() override {
    int done = 0;
    MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE);
    if (done != 0) requests_.clear();
  }
  void finish() override {
    MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE);
    requests_.clear();
  }
  void broadcast(std::span<std::byte> bytes, int root) override {
    in_pieces(bytes, [root](std::byte* begin, int count) {
      MPI_Bcast(begin, count, MPI_BYTE, root, MPI_COMM_WORLD);
    });
  }

  /// Ends every process of the group with this status.
  [[noreturn]] static void abort(int status) {
    MPI_Abort(MPI_COMM_WORLD, status);
    std::terminate();  // MPI_Abort does not return
  }

 private:
  /// MPI counts with int.
  template <class T, class Use>
  static void in_pieces(std::span<T> values, const Use& use) {
    constexpr std::size_t most = std::size_t{1} << 28;
    while (!values.empty()) {
      const std::size_t count = std::min(values.size(), most);
      use(values.data(), static_cast<int>(count));
      values = values.subspan(count);
    }
  }
  template <class T>
  static void sum_of(std::span<T> values, MPI_Datatype type) {
    in_pieces(values, [type](T* begin, int count) {
      MPI_Allreduce(MPI_IN_PLACE, begin, count, type, MPI_SUM, MPI_COMM_WORLD);
    });
  }
  template <class T>
  void begin_sum_of(std::span<T> values, MPI_Datatype type) {
    in_pieces(values, [this, type](T* begin, int count) {
      MPI_Iallreduce(MPI_IN_PLACE, begin, count, type, MPI_SUM, background_, &requests_.emplace_back());
    });
  }

  int rank_ = 0, size_ = 1, exceptions_ = std::uncaught_exceptions();
  MPI_Comm background_ = MPI_COMM_NULL;
  std::vector<MPI_Request> requests_;
};

}  // namespace tl::dist
