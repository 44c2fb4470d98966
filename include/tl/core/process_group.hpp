// ProcessGroup: processes, perhaps on several machines, that work on one training.
//
// All of them make the same calls in the same order; a call ends when every process has made it. dist/mpi.hpp
// has the one over MPI; code that only shares work needs no more than this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <tl/core/shape.hpp>

namespace tl {

/// Processes that work on one training. All make the same calls in the same order; a call ends when every
/// process has made it.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  virtual int rank() const = 0;                  ///< of this process, from 0 on
  virtual int size() const = 0;                  ///< number of processes
  bool is_first() const { return rank() == 0; }  ///< rank 0, which writes files and messages

  /// Values become their sums over all processes: the same bits in each.
  virtual void sum(std::span<float> values) = 0;
  /// The same in double.
  virtual void sum(std::span<double> values) = 0;

  /// The same in the background: nobody may touch the values before finish(). advance() lets the sums that
  /// were begun go on, wherever a process can spare the moment.
  virtual void begin_sum(std::span<float> values) = 0;
  /// The same in double.
  virtual void begin_sum(std::span<double> values) = 0;
  /// Lets the sums in the background go on; does not wait.
  virtual void advance() = 0;
  /// Waits until the sums in the background are done.
  virtual void finish() = 0;

  /// The bytes of process `root` become everybody's.
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;

 protected:
  ProcessGroup() = default;
};

/// Where a process stands among those that share work: all of it, where there is no group.
struct Share {
  Index index = 0;  ///< which share, from 0
  Index count = 1;  ///< of how many

  /// This process's; all, where `group` is null.
  static Share of(const ProcessGroup* group) {
    return group == nullptr ? Share{} : Share{group->rank(), group->size()};
  }
  /// Of n things, the first one of this share and the first one after it: shares follow each other.
  Index begin(Index n) const { return n * index / count; }
  /// The first one behind this share.
  Index end(Index n) const { return n * (index + 1) / count; }
};

/// True in every process when it is in one of them.
inline bool any(ProcessGroup& group, bool mine) {
  double count = mine ? 1 : 0;
  group.sum({&count, 1});
  return count > 0;
}

/// The text of process `root`, in every process.
inline std::string broadcast_text(ProcessGroup& group, std::string text, int root) {
  std::uint64_t length = text.size();
  group.broadcast(std::as_writable_bytes(std::span(&length, 1)), root);
  text.resize(length);
  group.broadcast(std::as_writable_bytes(std::span(text)), root);
  return text;
}

/// The texts of all processes, by rank, in every process.
inline std::vector<std::string> gather_texts(ProcessGroup& group, const std::string& mine) {
  std::vector<std::string> all;
  all.reserve(static_cast<std::size_t>(group.size()));
  for (int rank = 0; rank < group.size(); ++rank)
    all.push_back(broadcast_text(group, rank == group.rank() ? mine : std::string(), rank));
  return all;
}

/// The values of all processes, one after the other by rank, in every process.
template <class T>
std::vector<T> gather(ProcessGroup& group, const std::vector<T>& mine) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> all;
  for (int rank = 0; rank < group.size(); ++rank) {
    std::uint64_t count = mine.size();
    group.broadcast(std::as_writable_bytes(std::span(&count, 1)), rank);
    const std::size_t before = all.size();
    all.resize(before + count);
    const std::span<T> part(all.data() + before, count);
    if (rank == group.rank()) std::copy(mine.begin(), mine.end(), part.begin());
    group.broadcast(std::as_writable_bytes(part), rank);
  }
  return all;
}

}  // namespace tl
