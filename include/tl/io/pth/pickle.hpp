// Unpickler: Python's pickle format, for tensors and what holds them. It executes nothing.
//
// A pickle is a program for a machine with a stack and a memo. The opcodes here are those that torch.save
// uses, in protocols 2 to 5; any other, and any class or function outside find_global, is refused by name.
// Source: Lib/pickletools.py of CPython, which describes each opcode.
//
// Every object takes a byte of the pickle at least and lies in one list, so that memory is bounded, cycles
// are harmless and nothing here recurses.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <tl/core/error.hpp>
#include <tl/io/pth/pickle_bytes.hpp>
#include <tl/io/pth/value.hpp>

namespace tl::io::pth {

class Unpickler {
 public:
  /// `bytes` must outlive the unpickler: texts are parts of them.
  explicit Unpickler(std::string_view bytes) : bytes_(bytes), size_(bytes.size()) {}

  /// Reads one pickle, to its STOP. The value lives as long as the unpickler.
  const Value& load() {
    stack_.clear();
    marks_.clear();
    memo_.clear();
    for (;;) {
      const std::size_t at = size_ - rest().size();
      const auto opcode = bytes_.number<unsigned char>();
      if (opcode == '.') break;
      TL_CHECK(run_scalar(opcode) || run_container(opcode) || run_object(opcode), "its pickle has opcode ",
               static_cast<int>(opcode), " at byte ", at, ", which state dictionaries do without");
    }
    TL_CHECK(stack_.size() == 1 && marks_.empty(), "its pickle is damaged: its end leaves ", stack_.size(),
             " values");
    return *stack_.front();
  }

  /// What follows the pickles read so far.
  std::string_view rest() const { return bytes_.rest(); }
  /// The storages that the pickles read so far name, by key.
  const std::map<std::string_view, Storage>& storages() const { return storages_; }

 private:
  /// A state dictionary takes about 25 a tensor.
  static constexpr std::size_t most_objects = 1'000'000;

  // ---- The stack ----

  void push(Value value) {
    TL_CHECK(objects_.size() < most_objects, "its pickle has more than ", most_objects, " objects");
    stack_.push_back(&objects_.emplace_back(std::move(value)));
  }
  /// The topmost value above the last mark.
  Value& top() {
    TL_CHECK(stack_.size() > (marks_.empty() ? 0 : marks_.back()),
             "its pickle is damaged: its stack is empty");
    return *stack_.back();
  }
  const Value& pop() {
    const Value& value = top();
    stack_.pop_back();
    return value;
  }
  /// Removes the topmost `count` values, or all above the last mark and the mark.
  std::vector<Value*> pop_many(std::size_t count) {
    TL_CHECK(count <= stack_.size() - (marks_.empty() ? 0 : marks_.back()),
             "its pickle is damaged: its stack is empty");
    std::vector<Value*> values(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return values;
  }
  std::vector<Value*> pop_to_mark() {
    TL_CHECK(!marks_.empty(), "its pickle is damaged: a mark is missing");
    std::vector<Value*> values = pop_many(stack_.size() - marks_.back());
    marks_.pop_back();
    return values;
  }

  // ---- The opcodes; each function is false for those of others ----

  bool run_scalar(unsigned char opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        check_protocol(bytes_.number<std::uint8_t>());
        return true;
      case 0x95:  // FRAME: how much follows, for readers that fetch it piece by piece
        bytes_.number<std::uint64_t>();
        return true;
      case 'N':  // NONE
        return push({None{}}), true;
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        return push({opcode == 0x88}), true;
      case 'J':  // BININT
        return push({std::int64_t{bytes_.number<std::int32_t>()}}), true;
      case 'K':  // BININT1
        return push({std::int64_t{bytes_.number<std::uint8_t>()}}), true;
      case 'M':  // BININT2
        return push({std::int64_t{bytes_.number<std::uint16_t>()}}), true;
      case 0x8a:  // LONG1
        return push(bytes_.long_number()), true;
      case 'G':  // BINFLOAT
        return push({bytes_.big_endian_double()}), true;
      case 'X':  // BINUNICODE
      case 'T':  // BINSTRING, from Python 2
        return push({bytes_.take(bytes_.number<std::uint32_t>())}), true;
      case 0x8c:  // SHORT_BINUNICODE
      case 'U':   // SHORT_BINSTRING, from Python 2
        return push({bytes_.take(bytes_.number<std::uint8_t>())}), true;
      default:
        return false;
    }
  }

  bool run_container(unsigned char opcode) {
    switch (opcode) {
      case '(':  // MARK
        return marks_.push_back(stack_.size()), true;
      case '0':  // POP
        return pop(), true;
      case ')':  // EMPTY_TUPLE
      case ']':  // EMPTY_LIST
        return push({Sequence{}}), true;
      case '}':  // EMPTY_DICT
        return push({Dictionary{}}), true;
      case 't':  // TUPLE
        return push({Sequence{pop_to_mark()}}), true;
      case 0x85:  // TUPLE1
      case 0x86:  // TUPLE2
      case 0x87:  // TUPLE3
        return push({Sequence{pop_many(opcode - 0x84u)}}), true;
      case 'a':  // APPEND
        return append(pop_many(1)), true;
      case 'e':  // APPENDS
        return append(pop_to_mark()), true;
      case 's':  // SETITEM
        return set_items(pop_many(2)), true;
      case 'u':  // SETITEMS
        return set_items(pop_to_mark()), true;
      default:
        return false;
    }
  }

  bool run_object(unsigned char opcode) {
    switch (opcode) {
      case 'q':  // BINPUT
        return memo_[bytes_.number<std::uint8_t>()] = &top(), true;
      case 'r':  // LONG_BINPUT
        return memo_[bytes_.number<std::uint32_t>()] = &top(), true;
      case 0x94:  // MEMOIZE
        return memo_[memo_.size()] = &top(), true;
      case 'h':  // BINGET
        return get(bytes_.number<std::uint8_t>()), true;
      case 'j':  // LONG_BINGET
        return get(bytes_.number<std::uint32_t>()), true;
      case 'c': {  // GLOBAL
        const std::string_view module = bytes_.line();
        return push(find_global(module, bytes_.line())), true;
      }
      case 0x93: {  // STACK_GLOBAL
        const auto names = pop_many(2);
        return push(find_global(expect<std::string_view>(*names[0], "the name of a module"),
                                expect<std::string_view>(*names[1], "the name of a class"))),
               true;
      }
      case 'Q':  // BINPERSID
        return push({storage(expect<Sequence>(pop(), "the description of a storage").items)}), true;
      case 'R': {  // REDUCE
        const auto call = pop_many(2);
        reduce(expect<Callable>(*call[0], "a function"), expect<Sequence>(*call[1], "arguments").items);
        return true;
      }
      case 'b':  // BUILD: attributes, such as the versions of modules that a state dictionary carries
        pop();
        expect<Dictionary>(top(), "a dictionary that has attributes");
        return true;
      default:
        return false;
    }
  }

  static void check_protocol(int protocol) {
    TL_CHECK(protocol >= 2 && protocol <= 5, "expected a pickle of protocol 2 to 5, got ", protocol);
  }
  void get(std::size_t index) {
    const auto found = memo_.find(index);
    TL_CHECK(found != memo_.end(), "its pickle is damaged: it has no memo ", index);
    stack_.push_back(found->second);
  }
  void append(const std::vector<Value*>& values) {
    auto* list = std::get_if<Sequence>(&top().is);
    TL_CHECK(list != nullptr, "its pickle is damaged: it appends to what is no list");
    list->items.insert(list->items.end(), values.begin(), values.end());
  }
  void set_items(const std::vector<Value*>& values) {
    auto* dictionary = std::get_if<Dictionary>(&top().is);
    TL_CHECK(dictionary != nullptr && values.size() % 2 == 0,
             "its pickle is damaged: it puts into what is no dictionary");
    for (std::size_t i = 0; i < values.size(); i += 2)
      dictionary->entries.emplace_back(values[i], values[i + 1]);
  }

  /// ("storage", class, key, device, count), in the older format with a view that must be None.
  const Storage* storage(std::span<Value* const> id) {
    TL_CHECK(id.size() >= 5 && expect<std::string_view>(*id[0], "a text") == "storage" &&
                 (id.size() == 5 || id[5]->get<None>() != nullptr),
             "expected storages of their own in its pickle, got views of others");
    const Storage s{expect<StorageClass>(*id[1], "the class of a storage").element,
                    expect<std::int64_t>(*id[4], "the size of a storage"),
                    expect<std::string_view>(*id[2], "the key of a storage")};
    const Storage& known = storages_.emplace(s.key, s).first->second;
    TL_CHECK(s.count >= 0 && known.count == s.count && known.element == s.element,
             "expected one size and type of storage '", s.key, "'");
    return &known;
  }

  void reduce(Callable callable, std::span<Value* const> arguments) {
    TL_CHECK(callable == Callable::ordered_dict ? arguments.empty() : !arguments.empty(),
             "its pickle calls something with ", arguments.size(), " arguments, which is not understood");
    if (callable == Callable::ordered_dict) {
      push({Dictionary{}});
    } else if (callable == Callable::tensor) {
      TL_CHECK(arguments.size() >= 4, "expected a storage, an offset, a size and strides of a tensor, got ",
               arguments.size(), " arguments");
      push({StoredTensor{expect<const Storage*>(*arguments[0], "a storage"),
                         expect<std::int64_t>(*arguments[1], "the offset of a tensor"),
                         &expect<Sequence>(*arguments[2], "the size of a tensor"),
                         &expect<Sequence>(*arguments[3], "the strides of a tensor")}});
    } else {  // the argument itself: copies of a long one could take any amount of memory
      if (callable == Callable::size) expect<Sequence>(*arguments[0], "a size");
      if (callable == Callable::parameter) expect<StoredTensor>(*arguments[0], "the tensor of a parameter");
      stack_.push_back(arguments[0]);
    }
  }

  PickleBytes bytes_;
  std::size_t size_;
  std::deque<Value> objects_;
  std::vector<Value*> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::size_t, Value*> memo_;
  std::map<std::string_view, Storage> storages_;
};

}  // namespace tl::io::pth
