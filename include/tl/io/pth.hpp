// PyTorch's files of weights (.pth, .pt): the tensors of a state dictionary.
//
//   tl::io::NamedTensors weights = tl::io::read_pth("resnet18.pth");
//
//   since 1.6   a zip archive: NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder
//   before      pickles one after the other: a magic number, the version, the machine, the object, the keys
//   of
//               the storages; then for each storage its count (8 bytes) and its elements
//
// Source: torch/serialization.py of PyTorch 2.9. Nothing in a file is ever executed (io/pth/pickle.hpp).
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include <tl/core/file.hpp>
#include <tl/core/memory.hpp>
#include <tl/io/named_tensors.hpp>
#include <tl/io/pth/pickle.hpp>
#include <tl/io/pth/state.hpp>
#include <tl/io/pth/zip.hpp>

namespace tl::io {

namespace pth {

/// What a storage takes; throws when no file can hold it.
inline std::uint64_t bytes_of(const Storage& storage) {
  std::uint64_t bytes = 0;
  TL_CHECK(!__builtin_mul_overflow(static_cast<std::uint64_t>(storage.count), io::bytes_of(storage.element),
                                   &bytes),
           "storage '", storage.key, "' is too large");
  return bytes;
}

/// The folder of data.pkl, with its slash: it is called as the file was when it was written.
inline std::string find_folder(const StorageBytes& entries) {
  constexpr std::string_view file = "data.pkl";
  for (const auto& [name, data] : entries) {
    const std::size_t slash = name.find('/');
    if (slash != std::string_view::npos && name.substr(slash + 1) == file)
      return std::string(name.substr(0, slash + 1));
  }
  fail("its zip archive has no data.pkl: expected a file that torch.save wrote");
}

/// The archive that torch.save writes since PyTorch 1.6.
inline NamedTensors decode_zip(std::string_view bytes) {
  const StorageBytes entries = zip_entries(bytes);
  const std::string folder = find_folder(entries);
  const auto order = entries.find(folder + "byteorder");
  TL_CHECK(order == entries.end() || order->second == "little",
           "expected little-endian elements, got byte order '", order->second, "'");
  Unpickler pickle(entries.at(folder + "data.pkl"));
  const Value& object = pickle.load();
  StorageBytes storages;
  for (const auto& [key, storage] : pickle.storages()) {
    const auto found = entries.find(concat(folder, "data/", key));
    TL_CHECK(found != entries.end(), "it lacks storage '", key, "'");
    TL_CHECK(found->second.size() == bytes_of(storage), "expected ", bytes_of(storage), " bytes of storage '",
             key, "', got ", found->second.size());
    storages[key] = found->second;
  }
  return read_state(object, storages, bytes.size());
}

/// Reads magic number, version and machine from the beginning of an older file.
inline void check_header(Unpickler& pickle) {
  constexpr std::string_view magic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
  const auto* number = pickle.load().get<BigNumber>();
  TL_CHECK(number != nullptr && number->bytes == magic,
           "it is a pickle, but not one of torch.save: ", advice);
  const auto version = expect<std::int64_t>(pickle.load(), "a version");
  TL_CHECK(version == 1001, "expected version 1001, got ", version);
  const Value* little = find(expect<Dictionary>(pickle.load(), "a machine"), "little_endian");
  const auto* is_little = little != nullptr ? little->get<bool>() : nullptr;
  TL_CHECK(is_little != nullptr && *is_little, "expected little-endian elements");
}

/// The pickles in a row that torch.save wrote before.
inline NamedTensors decode_pickles(std::string_view bytes) {
  Unpickler pickle(bytes);
  check_header(pickle);
  const Value& object = pickle.load();
  const Sequence& keys = expect<Sequence>(pickle.load(), "the keys of storages");
  std::string_view rest = pickle.rest();
  StorageBytes storages;
  for (const Value* item : keys.items) {
    const auto key = expect<std::string_view>(*item, "the key of a storage");
    const auto storage = pickle.storages().find(key);
    TL_CHECK(storage != pickle.storages().end(), "no tensor uses its storage '", key, "'");
    std::int64_t count = 0;
    TL_CHECK(rest.size() >= sizeof(count), "it ends before storage '", key, "'");
    std::memcpy(&count, rest.data(), sizeof(count));
    rest.remove_prefix(sizeof(count));
    TL_CHECK(count == storage->second.count, "expected ", storage->second.count, " elements of storage '",
             key, "', got ", count);
    const std::uint64_t size = bytes_of(storage->second);
    TL_CHECK(size <= rest.size(), "it ends inside storage '", key, "'");
    storages[key] = rest.substr(0, size);
    rest.remove_prefix(size);
  }
  TL_CHECK(storages.size() == pickle.storages().size(), "it lacks the elements of a storage");
  return read_state(object, storages, bytes.size());
}

}  // namespace pth

/// The tensors of a .pth file's bytes: of the state dictionary that it is, or that a checkpoint holds as
/// "state_dict", "model_state_dict", "model", "net" or "model_ema" (the first of these that it has).
///
/// float16, bfloat16 and double become float; whole numbers (num_batches_tracked) and what is no tensor are
/// left out. A "module." before all names is removed. Throws tl::Error when the file is damaged, when it is
/// big-endian, or when it holds anything that is not a tensor or a plain value.
inline NamedTensors decode_pth(std::string_view bytes) {
  if (bytes.starts_with("PK\3\4")) return pth::decode_zip(bytes);
  TL_CHECK(bytes.starts_with("\x80"), "it does not begin as files of torch.save do");
  return pth::decode_pickles(bytes);
}

/// Reads a .pth or .pt file; see decode_pth.
inline NamedTensors read_pth(const std::filesystem::path& path) {
  const AlignedArray<char> bytes = read_bytes(path);
  try {
    return decode_pth({bytes.data(), bytes.size()});
  } catch (const Error& error) {
    fail("[pth] cannot read '", path.string(), "': ", error.what());
  }
}

}  // namespace tl::io
