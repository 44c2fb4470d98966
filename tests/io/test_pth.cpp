// PyTorch's files of weights: what torch.save wrote (tests/fixtures/make_pth.py), in both formats, and files
// that are damaged or hostile, which are errors and never crashes.
#include <functional>
#include <string>
#include <vector>

#include <tl/io/pth.hpp>

#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using io::decode_pth;
using io::NamedTensors;

namespace {

std::string fixture(std::string_view name) { return read_file(source_path("tests/fixtures/pth") / name); }

void check_tensor(const NamedTensors& file, const std::string& name, const Shape& shape,
                  const std::vector<float>& values) {
  INFO(name);
  REQUIRE(file.tensors.count(name) == 1);
  CHECK(file.tensors.at(name).shape() == shape);
  CHECK(values_of(file.tensors.at(name)) == values);
}

// ---- Pickles by hand, in the older format, which needs no archive around them ----

std::string little_endian(std::uint64_t number, std::size_t bytes) {
  std::string text(bytes, '\0');
  std::memcpy(text.data(), &number, bytes);
  return text;
}
std::string text(const std::string& s) { return "X" + little_endian(s.size(), 4) + s; }
std::string number(std::int64_t n) { return "\x8a\x08" + little_endian(static_cast<std::uint64_t>(n), 8); }
std::string tuple(const std::string& items) { return "(" + items + "t"; }
std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}

/// A file of the older format: the object's pickle, the keys of the storages, and what follows.
std::string older_file(const std::string& object, const std::string& keys = "", const std::string& data = "",
                       const std::string& little = "\x88") {
  const std::string magic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  return magic + "\x80\x02M\xe9\x03." + "\x80\x02}" + text("little_endian") + little + "s." + "\x80\x02" +
         object + "." + "\x80\x02](" + keys + "e." + data;
}

std::string storage(std::int64_t count, const std::string& type = "FloatStorage") {
  return tuple(text("storage") + global("torch", type) + text("k") + text("cpu") + number(count) + "N") + "Q";
}

/// A file of one tensor "x" on a storage of four floats.
std::string one_tensor(std::int64_t offset, const std::string& size, const std::string& strides,
                       const std::string& on = storage(4)) {
  const std::string call = global("torch._utils", "_rebuild_tensor_v2") +
                           tuple(on + number(offset) + tuple(size) + tuple(strides) + "\x89}") + "R";
  return older_file("}" + text("x") + call + "s", text("k"), little_endian(4, 8) + std::string(16, '\0'));
}

// ---- Archives by hand ----

struct ZipEntry {
  std::string name, data;
  std::uint16_t flags = 0, method = 0;
  std::int64_t moved = 0;    ///< added to where the directory says it lies
  std::uint64_t longer = 0;  ///< added to the size that the directory says
  bool zip64 = false;        ///< its numbers stand in a zip64 field
};

std::string zip_file(const std::vector<ZipEntry>& entries) {
  std::string file, directory;
  for (const ZipEntry& e : entries) {
    const auto offset = static_cast<std::uint64_t>(static_cast<std::int64_t>(file.size()) + e.moved);
    const std::uint64_t size = e.data.size() + e.longer;
    file += "PK\3\4" + std::string(22, '\0') + little_endian(e.name.size(), 2) + std::string(2, '\0') +
            e.name + e.data;
    const std::string extra = e.zip64 ? little_endian(1, 2) + little_endian(24, 2) + little_endian(size, 8) +
                                            little_endian(size, 8) + little_endian(offset, 8)
                                      : "";
    const auto short_form = [&](std::uint64_t n) { return little_endian(e.zip64 ? 0xffffffffu : n, 4); };
    directory += "PK\1\2" + std::string(4, '\0') + little_endian(e.flags, 2) + little_endian(e.method, 2) +
                 std::string(8, '\0') + short_form(size) + short_form(size) +
                 little_endian(e.name.size(), 2) + little_endian(extra.size(), 2) + std::string(10, '\0') +
                 short_form(offset) + e.name + extra;
  }
  return file + directory + "PK\5\6" + std::string(4, '\0') + little_endian(entries.size(), 2) +
         little_endian(entries.size(), 2) + little_endian(directory.size(), 4) +
         little_endian(file.size(), 4) + std::string(2, '\0');
}

/// The entries of a file of one tensor "x" of two floats.
std::vector<ZipEntry> small_archive() {
  const std::string call = global("torch._utils", "_rebuild_tensor_v2") +
                           tuple(storage(2) + number(0) + tuple(number(2)) + tuple(number(1)) + "\x89}") +
                           "R";
  return {{"a/data.pkl", "\x80\x02}" + text("x") + call + "s."},
          {"a/data/k", std::string("\0\0\x80\x3f\0\0\0\xc0", 8)}};
}

}  // namespace

TEST_CASE("tensors of each type, shape and stride are those that PyTorch saved, in each format") {
  for (const char* name : {"state.pth", "state_older.pth", "state_4.pth"}) {
    INFO(name);
    const NamedTensors file = io::read_pth(source_path("tests/fixtures/pth") / name);
    const std::vector<float> numbers{-0.5f, -0.25f, 0, 0.25f, 0.5f, 0.75f};
    for (const char* type : {"float", "half", "bfloat16", "double"})
      check_tensor(file, type, {2, 3}, numbers);
    check_tensor(file, "transposed", {3, 2}, {-0.5f, 0.25f, -0.25f, 0.5f, 0, 0.75f});
    check_tensor(file, "parameter", {2, 3}, {-1, -0.5f, 0, 0.5f, 1, 1.5f});
    check_tensor(file, "shared.all", {8}, {0, 1, 2, 3, 4, 5, 6, 7});
    check_tensor(file, "shared.part", {2}, {2, 4});
    check_tensor(file, "scalar", {}, {7});
    check_tensor(file, "empty", {0, 3}, {});
    CHECK(file.tensors.size() == 10);  // whole numbers and truths are left out
    CHECK(file.metadata.empty());
  }
}

TEST_CASE("a training's checkpoint gives the tensors of its model, without the prefix of DataParallel") {
  const NamedTensors file = decode_pth(fixture("checkpoint.pth"));
  CHECK(file.tensors.size() == 2);
  check_tensor(file, "weight", {2, 3}, {0, 1, 2, 3, 4, 5});
  check_tensor(file, "bias", {2}, {-1, 1});
}

TEST_CASE("anything in a pickle that is not a tensor is refused by its name") {
  const std::string advice =
      "which is not a tensor: save a state dictionary, torch.save(model.state_dict(), ...)";
  CHECK_THROWS_WITH(decode_pth(fixture("model.pth")),
                    "it asks for torch.nn.modules.linear.Linear, " + advice);
  const std::string system = global("os", "system") + tuple(text("echo hello")) + "R";
  CHECK_THROWS_WITH(decode_pth(older_file(system)), "it asks for os.system, " + advice);
  const std::string by_stack = text("builtins") + text("eval") + "\x93" + tuple(text("1")) + "R";
  CHECK_THROWS_WITH(decode_pth(older_file(by_stack)), "it asks for builtins.eval, " + advice);
  const TemporaryFolder folder;
  write_file_atomically(folder / "x.pth", older_file(system));
  CHECK_THROWS_WITH(io::read_pth(folder / "x.pth"),
                    contains("[pth] cannot read '") && contains("x.pth': it asks for os.system"));
  for (const char opcode : {'i', 'o', '\x81', '\x92', '\x82', 'P', 'F', 'I', '2'})
    CHECK_THROWS_WITH(decode_pth(older_file("}" + text("x") + "N" + opcode)), contains("opcode"));
}

TEST_CASE("what is no state dictionary is told what to save") {
  for (const std::string& object :
       {std::string("N"), std::string("}"), text("x"), "}" + text("x") + number(3) + "s",
        "}" + text("state_dict") + "}" + text("epoch") + number(1) + "ss"}) {
    CHECK_THROWS_WITH(decode_pth(older_file(object)), contains("torch.save(model.state_dict(), ...)"));
  }
  CHECK_THROWS_WITH(decode_pth("\x80\x02}."), contains("not one of torch.save"));
  CHECK_THROWS_WITH(decode_pth("GIF89a"), contains("does not begin"));
  CHECK_THROWS_AS(decode_pth(""), Error);
}

TEST_CASE("every beginning of a file of torch.save is an error") {
  for (const char* name : {"state.pth", "state_older.pth", "state_4.pth", "checkpoint.pth"}) {
    const std::string bytes = fixture(name);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      INFO(name << ", " << length << " bytes");
      CHECK_THROWS_AS(decode_pth(std::string_view(bytes).substr(0, length)), Error);
    }
  }
}

TEST_CASE("a changed byte of a file of torch.save is an error or gives other values, and never a crash") {
  for (const char* name : {"state.pth", "state_older.pth", "state_4.pth"}) {
    const std::string bytes = fixture(name);
    std::size_t read = 0;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (const int change : {1, 2, 8, 64, 128, 255}) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ change);
        try {
          decode_pth(damaged);
          ++read;
        } catch (const Error&) {
        }
      }
    }
    INFO(name << ": " << read << " of " << 6 * bytes.size());
    CHECK(read > 0);                 // elements changed
    CHECK(read < 6 * bytes.size());  // and what describes them
  }
}

TEST_CASE("tensors must lie inside their storages") {
  const auto two = number(2), one = number(1), most = number(std::numeric_limits<std::int64_t>::max());
  CHECK(decode_pth(one_tensor(0, two + two, two + one)).tensors.at("x").shape() == Shape{2, 2});
  CHECK(decode_pth(one_tensor(2, two, one)).tensors.at("x").shape() == Shape{2});
  CHECK(decode_pth(one_tensor(3, one, most)).tensors.at("x").shape() == Shape{1});  // a step never made
  CHECK(decode_pth(one_tensor(9, number(0), one)).tensors.at("x").shape() == Shape{0});
  struct Case {
    std::int64_t offset;
    std::string size, strides;
  };
  const std::vector<Case> cases{{3, two, one},
                                {-1, two, one},
                                {0, two, number(4)},
                                {0, number(5), one},
                                {0, number(-1), one},
                                {0, two, number(-1)},
                                {0, two, ""},
                                {0, two, one + one},
                                {0, "N", one},
                                {0, two, most},
                                {0, two + two, most + most},
                                {0, most + most, one + one},
                                {0, text("2"), one},
                                {0, two, text("1")},
                                {0, "\x88", "\x88"},
                                {std::numeric_limits<std::int64_t>::max(), two, most},
                                {0, one + one + one + one + one + one + one + one + one,
                                 one + one + one + one + one + one + one + one + one}};
  for (const Case& c : cases) CHECK_THROWS_AS(decode_pth(one_tensor(c.offset, c.size, c.strides)), Error);
}

TEST_CASE("storages must be as long as the pickle says") {
  const auto two = number(2), one = number(1);
  CHECK_THROWS_WITH(decode_pth(one_tensor(0, two, one, storage(5))), contains("expected 5 elements"));
  for (const std::int64_t count : {std::int64_t{-1}, std::numeric_limits<std::int64_t>::max()})
    CHECK_THROWS_AS(decode_pth(one_tensor(0, two, one, storage(count))), Error);
  CHECK_THROWS_WITH(decode_pth(one_tensor(0, two, one, storage(4, "DoubleStorage"))),
                    contains("ends inside storage 'k'"));
  CHECK_THROWS_WITH(decode_pth(one_tensor(0, two, one, storage(4, "QInt8Storage"))),
                    contains("torch.QInt8Storage"));
  CHECK_THROWS_WITH(decode_pth(one_tensor(0, two, one, storage(4) + "0" + storage(3))),
                    contains("one size and type"));
  const std::string huge = little_endian(~std::uint64_t{0} >> 1, 8);
  CHECK_THROWS_AS(decode_pth(older_file("}", text("k"), huge)), Error);
  CHECK_THROWS_WITH(decode_pth(older_file("}", "", "", "\x89")), contains("little-endian"));
}

TEST_CASE("a small file does not take much memory") {
  CHECK_THROWS_WITH(decode_pth(fixture("expanded.pth")),
                    contains("more elements than fit a file of this size"));
  const std::string list_of_itself =
      "]q\x01h\x01"
      "a";
  CHECK_THROWS_WITH(decode_pth(older_file(list_of_itself)), contains("no dictionary"));
  const std::string dictionary_of_itself = "}q\x01" + text("state_dict") + "h\x01s";
  CHECK_THROWS_WITH(decode_pth(older_file(dictionary_of_itself)), contains("no tensors by name"));
  CHECK_THROWS_AS(decode_pth(older_file(std::string(500'000, ']') + std::string(499'999, 'a'))), Error);
  CHECK_THROWS_WITH(decode_pth(older_file(std::string(2'000'000, '}'))), contains("objects"));
  CHECK_THROWS_AS(decode_pth(older_file(std::string(1'000'000, '('))), Error);
}

TEST_CASE("pickles that take what is not there are errors") {
  for (const std::string& object : {std::string("0"),
                                    std::string("t"),
                                    std::string("("),
                                    std::string("(0"),
                                    std::string("\x85"),
                                    std::string("a"),
                                    std::string("e"),
                                    std::string("s"),
                                    std::string("R"),
                                    std::string("b"),
                                    std::string("Q"),
                                    std::string("q\x01"),
                                    std::string("h\x01"),
                                    std::string("\x94"),
                                    std::string("\x93"),
                                    std::string("NN"),
                                    std::string("N(a"),
                                    std::string("Na"),
                                    std::string("]}a"),
                                    std::string("}Ns"),
                                    std::string("N(NNu"),
                                    std::string("}(Nu"),
                                    std::string("NNb"),
                                    std::string("NQ"),
                                    std::string(")Q"),
                                    std::string("NNR"),
                                    std::string("\x80\x01N"),
                                    std::string("\x80\x06N"),
                                    std::string("\x8a\xff"),
                                    "X" + std::string(4, '\xff'),
                                    std::string("\xff"),
                                    global("torch", "FloatStorage") + ")R",
                                    global("torch._utils", "_rebuild_tensor_v2") + ")R",
                                    global("torch", "Size") + ")R",
                                    global("torch", "Size") + "N\x85R",
                                    global("collections", "OrderedDict") + "N\x85R",
                                    global("torch._utils", "_rebuild_parameter") + "N\x85R",
                                    std::string("ctorch")}) {
    INFO(object);
    CHECK_THROWS_AS(decode_pth(older_file(object)), Error);
  }
}

TEST_CASE("an archive is read where its entries are stored, with zip64 fields or without") {
  auto entries = small_archive();
  check_tensor(decode_pth(zip_file(entries)), "x", {2}, {1, -2});
  for (ZipEntry& e : entries) e.zip64 = true;
  check_tensor(decode_pth(zip_file(entries)), "x", {2}, {1, -2});
  entries.push_back({"a/byteorder", "little"});
  CHECK_NOTHROW(decode_pth(zip_file(entries)));
  entries.back().data = "big";
  CHECK_THROWS_WITH(decode_pth(zip_file(entries)), "expected little-endian elements, got byte order 'big'");
}

TEST_CASE("an archive that says what cannot be is an error that names the entry") {
  const auto refused = [](std::size_t entry, const std::function<void(ZipEntry&)>& change,
                          const std::string& part) {
    auto entries = small_archive();
    change(entries[entry]);
    CHECK_THROWS_WITH(decode_pth(zip_file(entries)), contains(part));
  };
  for (const bool zip64 : {false, true}) {
    refused(
        1, [&](ZipEntry& e) { e.zip64 = zip64, e.method = 8; }, "'a/data/k' is compressed");
    refused(
        0, [&](ZipEntry& e) { e.zip64 = zip64, e.flags = 1; }, "'a/data.pkl' is encrypted");
    refused(
        1, [&](ZipEntry& e) { e.zip64 = zip64, e.longer = 1; }, "runs past the end");
    refused(
        1, [&](ZipEntry& e) { e.zip64 = zip64, e.longer = 0x7fffffff; }, "runs past the end");
    refused(
        1, [&](ZipEntry& e) { e.zip64 = zip64, e.moved = 1; }, "does not lie where");
    refused(
        1, [&](ZipEntry& e) { e.zip64 = zip64, e.moved = 1000; }, "runs past the end");
    refused(
        0, [&](ZipEntry& e) { e.zip64 = zip64, e.longer = 1; }, "overlap");
  }
  refused(
      1, [](ZipEntry& e) { e.zip64 = true, e.longer = ~std::uint64_t{0} - 8; }, "runs past the end");
  refused(
      1, [](ZipEntry& e) { e.name = "a/data.pkl"; }, "'a/data.pkl' is there twice");
  refused(
      1, [](ZipEntry& e) { e.name = "a/data/j"; }, "lacks storage 'k'");
  refused(
      0, [](ZipEntry& e) { e.name = "data.pkl"; }, "no data.pkl");
  refused(
      1, [](ZipEntry& e) { e.data.pop_back(); }, "expected 8 bytes of storage 'k', got 7");
  refused(
      1, [](ZipEntry& e) { e.data += '\0'; }, "expected 8 bytes of storage 'k', got 9");
}
