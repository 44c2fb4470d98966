// Checkpoints: a training as a file, from which it goes on with the same bits.
//
// A .safetensors file of io/training_state.hpp with the SHA-256 of all that in its metadata. The checkpoint
// before the last stays beside it, as PATH.before: where the last one is damaged or missing, that one is
// read.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include <tl/core/sha256.hpp>
#include <tl/io/safetensors.hpp>
#include <tl/io/training_state.hpp>

namespace tl::io {

/// Where the checkpoint before the last is kept.
inline std::filesystem::path checkpoint_before(std::filesystem::path path) { return path += ".before"; }

/// Whether there is a checkpoint at `path`, or the one before it.
inline bool has_checkpoint(const std::filesystem::path& path) {
  return std::filesystem::exists(path) || std::filesystem::exists(checkpoint_before(path));
}

/// Removes both files, if they are there.
inline void remove_checkpoint(const std::filesystem::path& path) {
  std::filesystem::remove(path);
  std::filesystem::remove(checkpoint_before(path));
}

namespace checkpoint_impl {

inline constexpr const char* digest_key = "tl.sha256";

inline std::string digest(const NamedTensors& content) {
  Sha256 hash;
  hash.add(encode_safetensors(content));
  return hex(hash.finish());
}

inline NamedTensors read_one(const std::filesystem::path& path) {
  NamedTensors content = read_safetensors(path);
  const auto named = content.metadata.extract(digest_key);
  TL_CHECK(!named.empty(), "[checkpoint] '", path.string(),
           "' is not a checkpoint of a training: its metadata have no SHA-256");
  TL_CHECK(named.mapped() == digest(content), "[checkpoint] '", path.string(),
           "' is damaged: it does not have the SHA-256 that it says");
  return content;
}

}  // namespace checkpoint_impl

/// Writes a checkpoint, whole or not at all. The one that was there becomes the one before.
inline void write_checkpoint(const std::filesystem::path& path, NamedTensors content) {
  content.metadata[checkpoint_impl::digest_key] = checkpoint_impl::digest(content);
  AtomicFile file(path);
  file.write(encode_safetensors(content));
  if (std::filesystem::exists(path)) {
    const std::filesystem::path before = checkpoint_before(path);
    std::filesystem::remove(before);
    std::error_code no_links;  // as on a memory card: then the name is free until the next line
    std::filesystem::create_hard_link(path, before, no_links);
    if (no_links) std::filesystem::rename(path, before);
  }
  file.commit();
}

/// Reads the last checkpoint. Where it is damaged or missing the one before takes its place, and a note says
/// so. Throws when neither is whole.
inline NamedTensors read_checkpoint(const std::filesystem::path& path,
                                    const std::function<void(const std::string&)>& note = {}) {
  const std::filesystem::path before = checkpoint_before(path);
  if (!std::filesystem::exists(before)) return checkpoint_impl::read_one(path);
  try {
    return checkpoint_impl::read_one(path);
  } catch (const Error& error) {
    NamedTensors content = checkpoint_impl::read_one(before);
    if (note) note(concat(error.what(), ": going on from the checkpoint before it"));
    std::error_code ignored;  // it was read, whatever can be written here
    std::filesystem::rename(before, path, ignored);
    return content;
  }
}

/// Writes model, optimiser and `state`.
inline void save_checkpoint(const std::filesystem::path& path, nn::Module<float>& model,
                            optim::Optimiser<float>& optimiser, std::map<std::string, std::string> state) {
  write_checkpoint(path, training_state(model, optimiser, {{}, std::move(state)}));
}

/// Puts a checkpoint back into a model and an optimiser built the same way; returns the state. Throws, and
/// changes nothing, when it belongs to others.
inline std::map<std::string, std::string> load_checkpoint(
    const std::filesystem::path& path, nn::Module<float>& model, optim::Optimiser<float>& optimiser,
    const std::function<void(const std::string&)>& note = {}) {
  try {
    return put_back(read_checkpoint(path, note), model, optimiser).metadata;
  } catch (const Error& error) {
    fail("[checkpoint] '", path.string(), "': ", error.what());
  }
}

}  // namespace tl::io
