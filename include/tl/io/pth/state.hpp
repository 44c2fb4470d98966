// A state dictionary: which of a file's objects it is, and its tensors.
//
// Sizes, strides and offsets of tensors are checked here against the storages, before memory is taken.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <tl/core/error.hpp>
#include <tl/io/elements.hpp>
#include <tl/io/named_tensors.hpp>
#include <tl/io/pth/value.hpp>

namespace tl::io::pth {

/// The bytes of each storage, by its key.
using StorageBytes = std::map<std::string_view, std::string_view>;

inline constexpr std::string_view advice = "save a state dictionary, torch.save(model.state_dict(), ...)";

/// The value of a key, null where there is none.
inline const Value* find(const Dictionary& dictionary, std::string_view key) {
  const Value* found = nullptr;
  for (const auto& [k, value] : dictionary.entries) {
    const auto* text = k->get<std::string_view>();
    if (text != nullptr && *text == key) found = value;
  }
  return found;
}

/// Reads tensors of a file that add up to four elements a byte of it at most: float16 weights may be shared
/// eight times, float32 weights sixteen times, and a small file does not take much memory.
class TensorReader {
 public:
  TensorReader(const StorageBytes& storages, std::size_t file_bytes)
      : storages_(storages), elements_left_(static_cast<Index>(4 * file_bytes)) {}

  Tensor<float> read(const StoredTensor& stored) {
    const Shape shape = shape_of(*stored.extents);
    const Strides steps = steps_of(*stored.steps, shape);
    check_inside(stored, shape, steps);
    elements_left_ -= shape.size();
    TL_CHECK(elements_left_ >= 0,
             "its tensors have more elements than fit a file of this size, many times over");
    const auto begin = static_cast<std::size_t>(shape.size() > 0 ? stored.offset : 0);
    return read_elements(stored.storage->element,
                         storages_.at(stored.storage->key).data() + begin * bytes_of(stored.storage->element),
                         shape, steps);
  }

 private:
  static Shape shape_of(const Sequence& extents) {
    Shape shape;
    for (const Value* extent : extents.items) {
      shape.push_back(expect<std::int64_t>(*extent, "whole numbers as the size of a tensor"));
      TL_CHECK(shape.back() >= 0, "expected a size of at least 0, got ", shape);
    }
    shape.size();  // throws when it does not fit an Index
    return shape;
  }

  /// The steps of axes that have some, 0 for others: theirs can be any number.
  static Strides steps_of(const Sequence& steps, const Shape& shape) {
    TL_CHECK(static_cast<int>(steps.items.size()) == shape.rank(), "expected a stride for each axis of ",
             shape, ", got ", steps.items.size());
    Strides result{};
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const auto a = static_cast<std::size_t>(axis);
      result[a] = expect<std::int64_t>(*steps.items[a], "whole numbers as the strides of a tensor");
      TL_CHECK(result[a] >= 0, "expected strides of at least 0, got ", result[a]);
      if (shape[axis] <= 1) result[a] = 0;
    }
    return result;
  }

  static void check_inside(const StoredTensor& stored, const Shape& shape, const Strides& steps) {
    Index last = stored.offset;
    bool fits = last >= 0;
    for (int axis = 0; axis < shape.rank() && shape.size() > 0; ++axis) {
      Index span = 0;
      fits = fits && !__builtin_mul_overflow(shape[axis] - 1, steps[static_cast<std::size_t>(axis)], &span) &&
             !__builtin_add_overflow(last, span, &last);
    }
    TL_CHECK(fits && (shape.size() == 0 || last < stored.storage->count), "expected a tensor ", shape,
             " inside its storage of ", stored.storage->count, " elements");
  }

  const StorageBytes& storages_;
  Index elements_left_;
};

/// The dictionary whose tensors are wanted: one that a training's checkpoint holds under a usual name, or
/// else the object itself.
inline const Dictionary& find_state(const Value& object) {
  const auto* outer = object.get<Dictionary>();
  TL_CHECK(outer != nullptr, "it holds no dictionary of tensors: ", advice);
  const auto has_tensors = [](const Dictionary& dictionary) {
    for (const auto& [key, value] : dictionary.entries) {
      if (value->get<StoredTensor>() != nullptr) return true;
    }
    return false;
  };
  for (const char* key : {"state_dict", "model_state_dict", "model", "net", "model_ema"}) {
    const Value* inner = find(*outer, key);
    const auto* dictionary = inner != nullptr ? inner->get<Dictionary>() : nullptr;
    if (dictionary != nullptr && has_tensors(*dictionary)) return *dictionary;
  }
  TL_CHECK(has_tensors(*outer), "it holds no tensors by name: ", advice);
  return *outer;
}

/// The length of "module.", which DataParallel puts before each name, or 0 where one goes without.
inline std::size_t common_prefix(const Dictionary& state) {
  constexpr std::string_view prefix = "module.";
  for (const auto& [key, value] : state.entries) {
    const auto* name = key->get<std::string_view>();
    if (name != nullptr && value->get<StoredTensor>() != nullptr && !name->starts_with(prefix)) return 0;
  }
  return prefix.size();
}

/// The tensors of floating-point numbers in a state dictionary; what else it holds is left out.
inline NamedTensors read_state(const Value& object, const StorageBytes& storages, std::size_t file_bytes) {
  const Dictionary& state = find_state(object);
  const std::size_t prefix = common_prefix(state);
  TensorReader reader(storages, file_bytes);
  NamedTensors result;
  for (const auto& [key, value] : state.entries) {
    const auto* name = key->get<std::string_view>();
    const auto* stored = value->get<StoredTensor>();
    if (name == nullptr || stored == nullptr || !is_floating(stored->storage->element)) continue;
    try {
      result.tensors.insert_or_assign(std::string(name->substr(prefix)), reader.read(*stored));
    } catch (const Error& error) {
      fail("tensor '", *name, "': ", error.what());
    }
  }
  return result;
}

}  // namespace tl::io::pth
