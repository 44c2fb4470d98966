// What a pickle of tensors is made of, as plain data. Nothing of it is code, and nothing of it is run.
//
// A pickle names classes and functions of Python; the table below has all that stand for tensors and what
// holds them in state dictionaries. Everything else is refused by its name.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <tl/core/error.hpp>
#include <tl/core/shape.hpp>
#include <tl/io/elements.hpp>

namespace tl::io::pth {

struct Value;

struct None {};
/// A whole number of more than 64 bits, in two's complement, little-endian.
struct BigNumber {
  std::string_view bytes;
};
struct Sequence {
  std::vector<Value*> items;  ///< of a tuple or a list
};
struct Dictionary {
  std::vector<std::pair<Value*, Value*>> entries;  ///< of one key given twice the last counts
};

/// A class or function that may be called.
enum class Callable { ordered_dict, size, tensor, parameter };
/// The class of a storage.
struct StorageClass {
  Element element = Element::float32;
};

/// A run of elements of one type that tensors are views of. Its bytes lie outside the pickle.
struct Storage {
  Element element = Element::float32;
  Index count = 0;
  std::string_view key;
};
/// A view of a storage as the pickle describes it: nothing of it has been checked.
struct StoredTensor {
  const Storage* storage = nullptr;
  Index offset = 0;
  const Sequence *extents = nullptr, *steps = nullptr;
};

struct Value {
  std::variant<None, bool, std::int64_t, double, std::string_view, BigNumber, Sequence, Dictionary, Callable,
               StorageClass, const Storage*, StoredTensor>
      is;

  template <class T>
  const T* get() const {
    return std::get_if<T>(&is);
  }
};

/// The value as a T; throws when it is something else.
template <class T>
const T& expect(const Value& value, std::string_view what) {
  const T* found = value.get<T>();
  TL_CHECK(found != nullptr, "expected ", what, " in its pickle, got something else");
  return *found;
}

/// What "module" and "name" of a pickle stand for; throws for all that is not in the table.
inline Value find_global(std::string_view module, std::string_view name) {
  struct Known {
    std::string_view module, name;
    std::variant<Callable, StorageClass> is;
  };
  static const Known known[] = {
      {"collections", "OrderedDict", Callable::ordered_dict},
      {"torch", "Size", Callable::size},
      {"torch._utils", "_rebuild_tensor", Callable::tensor},
      {"torch._utils", "_rebuild_tensor_v2", Callable::tensor},
      {"torch._utils", "_rebuild_parameter", Callable::parameter},
      {"torch.nn.parameter", "Parameter", Callable::parameter},
      {"torch", "FloatStorage", StorageClass{Element::float32}},
      {"torch", "DoubleStorage", StorageClass{Element::float64}},
      {"torch", "HalfStorage", StorageClass{Element::float16}},
      {"torch", "BFloat16Storage", StorageClass{Element::bfloat16}},
      {"torch", "LongStorage", StorageClass{Element::whole64}},
      {"torch", "IntStorage", StorageClass{Element::whole32}},
      {"torch", "ShortStorage", StorageClass{Element::whole16}},
      {"torch", "CharStorage", StorageClass{Element::whole8}},
      {"torch", "ByteStorage", StorageClass{Element::whole8}},
      {"torch", "BoolStorage", StorageClass{Element::whole8}},
  };
  for (const Known& k : known) {
    if (k.module != module || k.name != name) continue;
    return std::visit([](const auto& is) { return Value{is}; }, k.is);
  }
  fail("it asks for ", module, ".", name,
       ", which is not a tensor: save a state dictionary, torch.save(model.state_dict(), ...)");
}

}  // namespace tl::io::pth
