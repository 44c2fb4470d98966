// Files: read whole with a size limit, written whole or not at all.
//
// A file written here is seen by others either as it was before or complete: bytes go to a temporary beside
// it, reach the disk (fsync), and a rename puts them in place. A failure on the way removes the temporary.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tl/core/error.hpp>
#include <tl/core/memory.hpp>

namespace tl {

/// The system did not take what was to be written: a full disk, a limit to sizes.
class WriteError : public Error {
 public:
  using Error::Error;
};

/// For readers whose caller has no limit in mind.
inline constexpr std::size_t no_size_limit = std::numeric_limits<std::size_t>::max();

namespace file_impl {

/// An open file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }

  int get() const { return value_; }
  bool is_open() const { return value_ >= 0; }
  /// False when the system reports a late write error.
  bool close() { return ::close(std::exchange(value_, -1)) == 0; }

 private:
  int value_ = -1;
};

inline std::string reason(int error) { return std::generic_category().message(error); }

/// A regular file opened for reading, and its size in bytes.
struct Opened {
  Descriptor descriptor;
  std::size_t size = 0;
};

inline Opened open_to_read(const std::filesystem::path& path, std::size_t max_bytes = no_size_limit) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer; it has no effect on regular files.
  Opened file{Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK))};
  TL_CHECK(file.descriptor.is_open(), "cannot open '", path.string(), "': ", reason(errno));
  struct stat status = {};
  TL_CHECK(::fstat(file.descriptor.get(), &status) == 0, "cannot read '", path.string(),
           "': ", reason(errno));
  TL_CHECK(!S_ISDIR(status.st_mode), "cannot read '", path.string(), "': expected a file, got a directory");
  TL_CHECK(S_ISREG(status.st_mode), "cannot read '", path.string(), "': expected a regular file");
  file.size = static_cast<std::size_t>(status.st_size);
  TL_CHECK(file.size <= max_bytes, "cannot read '", path.string(), "': expected at most ", max_bytes,
           " bytes, got ", file.size);
  return file;
}

/// Fills `to` from byte `offset` on; an error when the file ends before.
inline void read_exactly(const Opened& file, const std::filesystem::path& path, std::size_t offset, char* to,
                         std::size_t count) {
  for (std::size_t done = 0; done < count;) {
    const ssize_t got =
        ::pread(file.descriptor.get(), to + done, count - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    TL_CHECK(got >= 0, "cannot read '", path.string(), "': ", reason(errno));
    TL_CHECK(got > 0, "cannot read '", path.string(), "': it ended after ", offset + done,
             " bytes, expected ", offset + count, " (was it changed meanwhile?)");
    done += static_cast<std::size_t>(got);
  }
}

inline void write_all(const Descriptor& file, const std::filesystem::path& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw WriteError(concat("cannot write '", path.string(), "': ", reason(errno)));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace file_impl

/// Size of a regular file in bytes. Throws when it is missing or a directory.
inline std::size_t file_size(const std::filesystem::path& path) { return file_impl::open_to_read(path).size; }

/// The whole file. Throws when it is missing, a directory, larger than max_bytes, or ends early.
inline std::string read_file(const std::filesystem::path& path, std::size_t max_bytes = no_size_limit) {
  const file_impl::Opened file = file_impl::open_to_read(path, max_bytes);
  std::string bytes(file.size, '\0');
  file_impl::read_exactly(file, path, 0, bytes.data(), bytes.size());
  return bytes;
}

/// The same for large files: into memory that is not cleared first and is used again afterwards.
inline AlignedArray<char> read_bytes(const std::filesystem::path& path,
                                     std::size_t max_bytes = no_size_limit) {
  const file_impl::Opened file = file_impl::open_to_read(path, max_bytes);
  AlignedArray<char> bytes(file.size);
  file_impl::read_exactly(file, path, 0, bytes.data(), bytes.size());
  return bytes;
}

/// A file that stays open, to be read in parts later on. The name may meanwhile belong to another file; that
/// this one was written to is an error.
class OpenFile {
 public:
  /// Throws where it cannot be opened or is larger than `max_bytes`.
  explicit OpenFile(std::filesystem::path path, std::size_t max_bytes = no_size_limit)
      : path_(std::move(path)), file_(file_impl::open_to_read(path_, max_bytes)), written_(last_write()) {}

  std::size_t size() const { return file_.size; }  ///< bytes

  /// Fills `to` with `count` bytes from byte `offset` on.
  void read(std::size_t offset, char* to, std::size_t count) const {
    file_impl::read_exactly(file_, path_, offset, to, count);
    const timespec now = last_write();
    TL_CHECK(now.tv_sec == written_.tv_sec && now.tv_nsec == written_.tv_nsec, "cannot read '",
             path_.string(), "': it was changed since it was opened: load it again");
  }

 private:
  timespec last_write() const {
    struct stat status = {};
    TL_CHECK(::fstat(file_.descriptor.get(), &status) == 0, "cannot read '", path_.string(),
             "': ", file_impl::reason(errno));
    return status.st_mtim;
  }

  std::filesystem::path path_;
  file_impl::Opened file_;
  timespec written_;
};

/// Fills `to` with `count` bytes of a file from byte `offset` on. Throws when the file does not reach that
/// far.
inline void read_file_part(const std::filesystem::path& path, std::size_t offset, char* to,
                           std::size_t count) {
  const file_impl::Opened file = file_impl::open_to_read(path);
  TL_CHECK(offset <= file.size && count <= file.size - offset, "cannot read '", path.string(), "': expected ",
           count, " bytes from byte ", offset, " on, but it has ", file.size);
  file_impl::read_exactly(file, path, offset, to, count);
}

/// A file without a name, to put aside what does not fit into memory. It is gone when it is closed, however
/// the program ends.
class TemporaryFile {
 public:
  /// In `folder`; throws where that cannot be written to.
  explicit TemporaryFile(const std::filesystem::path& folder = std::filesystem::temp_directory_path())
      : folder_(folder) {
    file_.descriptor = file_impl::Descriptor(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file_.descriptor.is_open()) {  // not every file system has O_TMPFILE
      std::string name = (folder / "tl-XXXXXX").string();
      file_.descriptor = file_impl::Descriptor(::mkstemp(name.data()));
      TL_CHECK(file_.descriptor.is_open(), "cannot write in '", folder.string(),
               "': ", file_impl::reason(errno));
      ::unlink(name.c_str());
    }
  }

  std::size_t size() const { return file_.size; }  ///< bytes so far
  /// Adds to the end; throws where there is no room.
  void append(std::string_view bytes) {
    file_impl::write_all(file_.descriptor, folder_, bytes);
    file_.size += bytes.size();
  }
  /// Fills `to` with `count` bytes from byte `offset` on. Safe from several threads.
  void read(std::size_t offset, char* to, std::size_t count) const {
    file_impl::read_exactly(file_, folder_, offset, to, count);
  }

 private:
  std::filesystem::path folder_;
  file_impl::Opened file_;
};

/// A file written piece by piece that appears, whole, at commit(). Without a commit nothing is left behind.
class AtomicFile {
 public:
  /// Opens a temporary beside `path`; throws where that cannot be written.
  explicit AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
    TL_CHECK(path_.has_filename(), "cannot write '", path_.string(), "': expected the name of a file");
    std::error_code ignored;  // what else is wrong with the path, opening it will tell
    TL_CHECK(!std::filesystem::is_directory(path_, ignored), "cannot write '", path_.string(),
             "': expected a file, got a directory");
    for (int attempt = 0; !descriptor_.is_open() && attempt < 1000; ++attempt) {
      temporary_ = path_;
      temporary_ += concat(".", ::getpid(), ".", attempt, ".tmp");
      descriptor_ = file_impl::Descriptor(
          ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
      if (!descriptor_.is_open() && errno != EEXIST) break;
    }
    TL_CHECK(descriptor_.is_open(), "cannot write '", path_.string(), "': ", file_impl::reason(errno));
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    if (!committed_) ::unlink(temporary_.c_str());
  }

  /// Adds to the end; throws where there is no room.
  void write(std::string_view bytes) { file_impl::write_all(descriptor_, path_, bytes); }

  /// Puts the bytes written so far in place of the file. To be called once, last.
  void commit() {
    if (::fsync(descriptor_.get()) != 0 || !descriptor_.close())
      throw WriteError(concat("cannot write '", path_.string(), "': ", file_impl::reason(errno)));
    TL_CHECK(std::rename(temporary_.c_str(), path_.c_str()) == 0, "cannot write '", path_.string(),
             "': ", file_impl::reason(errno));
    committed_ = true;
    // The rename itself must survive a power cut too; not every file system can do this, so it may fail.
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
    const file_impl::Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (opened.is_open()) ::fsync(opened.get());
  }

 private:
  std::filesystem::path path_, temporary_;
  file_impl::Descriptor descriptor_;
  bool committed_ = false;
};

/// Writes the whole file, or leaves everything as it was and throws.
inline void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace tl
