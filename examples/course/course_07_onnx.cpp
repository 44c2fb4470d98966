// An ONNX file byte by byte: read by a parser of a page, and written by hand.
//
//   file      = fields                     field = key, then what the key says
//   key       = number * 8 + type          type 0: a varint; 1: 8 bytes; 2: a length (varint), so many bytes;
//   5: 4 bytes varint    = 7 bits a byte, the lowest first; the top bit says that more follow
//
// Sources: https://protobuf.dev/programming-guides/encoding, and the numbers of the fields
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3. First argument: an .onnx file.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <tl/tl.hpp>

#include "pretrained.hpp"

namespace {

// [parser]
std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0; !bytes.empty() && shift < 64; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  tl::fail("a varint without an end");
}

struct Field {
  std::uint64_t number = 0, type = 0, value = 0;  ///< value: of a varint
  std::string_view bytes{};                       ///< of all other types
};

/// Takes the first field of a message away from it.
Field take_field(std::string_view& message) {
  Field field;
  const std::uint64_t key = take_varint(message);
  field.number = key >> 3;
  field.type = key & 7;
  if (field.type == 0) {
    field.value = take_varint(message);
    return field;
  }
  TL_CHECK(field.type == 1 || field.type == 2 || field.type == 5, "unknown type ", field.type);
  const std::uint64_t size = field.type == 1 ? 8 : field.type == 5 ? 4 : take_varint(message);
  TL_CHECK(size <= message.size(), "a field of ", size, " bytes where ", message.size(), " are left");
  field.bytes = message.substr(0, size);
  message.remove_prefix(size);
  return field;
}

std::vector<Field> fields(std::string_view message) {
  std::vector<Field> all;
  while (!message.empty()) all.push_back(take_field(message));
  return all;
}
// [/parser]

/// All fields of a number.
std::vector<Field> pick(const std::vector<Field>& all, std::uint64_t number) {
  std::vector<Field> some;
  for (const Field& field : all)
    if (field.number == number) some.push_back(field);
  return some;
}
std::string text(const Field& field) { return std::string(field.bytes); }

std::string hex(std::string_view bytes, std::size_t most = 16) {
  std::string line;
  for (const char byte : bytes.substr(0, most)) {
    char two[4];
    std::snprintf(two, sizeof two, "%02x ", static_cast<unsigned>(static_cast<unsigned char>(byte)));
    line += two;
  }
  return line;
}

void show(std::string_view file) {
  std::printf("first bytes        %s\n", hex(file).c_str());
  for (const Field& f : fields(file)) {
    const std::string_view value = f.bytes;
    if (f.number == 1) std::printf("model field 1      IR version %d\n", static_cast<int>(f.value));
    if (f.number == 2) std::printf("model field 2      producer '%s'\n", text(f).c_str());
    if (f.number == 8)
      std::printf("model field 8      operator set %d\n", static_cast<int>(pick(fields(value), 2)[0].value));
    if (f.number == 14)
      std::printf("model field 14     metadata '%s', %zu bytes\n", text(pick(fields(value), 1)[0]).c_str(),
                  pick(fields(value), 2)[0].bytes.size());
    if (f.number != 7) continue;
    const std::vector<Field> graph = fields(value);
    const std::vector<Field> nodes = pick(graph, 1), tensors = pick(graph, 5);
    std::printf("model field 7      the graph, %zu bytes: %zu nodes, %zu tensors\n", value.size(),
                nodes.size(), tensors.size());
    for (const Field& part : fields(nodes[0].bytes)) {
      if (part.number == 1) std::printf("  node 0 field 1     input '%s'\n", text(part).c_str());
      if (part.number == 2) std::printf("  node 0 field 2     output '%s'\n", text(part).c_str());
      if (part.number == 4) std::printf("  node 0 field 4     operator '%s'\n", text(part).c_str());
      if (part.number != 5) continue;
      const std::vector<Field> attribute = fields(part.bytes);
      std::printf("  node 0 field 5     attribute '%s':", text(pick(attribute, 1)[0]).c_str());
      for (const Field& whole : pick(attribute, 3)) std::printf(" %d", static_cast<int>(whole.value));
      for (const Field& list : pick(attribute, 8))
        for (std::string_view left = list.bytes; !left.empty();)
          std::printf(" %d", static_cast<int>(take_varint(left)));
      std::puts("");
    }
    const std::vector<Field> tensor = fields(tensors[0].bytes);
    const std::string_view raw = pick(tensor, 9)[0].bytes;
    std::printf("  tensor 0           '%s', %zu bytes of floats: %s...\n", text(pick(tensor, 8)[0]).c_str(),
                raw.size(), hex(raw, 4).c_str());
    float first = 0;
    std::memcpy(&first, raw.data(), sizeof first);
    std::printf("                     the first is %.4f\n", static_cast<double>(first));
  }
}

// [writer]
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}
std::string whole(std::uint64_t number, std::uint64_t value) { return varint(number << 3) + varint(value); }
std::string part(std::uint64_t number, const std::string& bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}

/// A float tensor of the name.
std::string tensor(const std::string& name, const std::vector<std::uint64_t>& dims,
                   const std::vector<float>& values) {
  std::string raw(values.size() * sizeof(float), '\0'), message;
  std::memcpy(raw.data(), values.data(), raw.size());
  for (const std::uint64_t dim : dims) message += whole(1, dim);
  return message + whole(2, 1) + part(8, name) + part(9, raw);  // 1: float
}
/// A named value of two axes, the first of them open.
std::string value(const std::string& name, std::uint64_t width) {
  const std::string shape = part(1, part(2, "N")) + part(1, whole(1, width));
  return part(1, name) + part(2, part(1, whole(1, 1) + part(2, shape)));
}

/// y = relu(x w + b) as a whole file.
std::string tiny_model() {
  const std::string gemm = part(1, "x") + part(1, "w") + part(1, "b") + part(2, "h") + part(4, "Gemm");
  const std::string relu = part(1, "h") + part(2, "y") + part(4, "Relu");
  const std::string graph =
      part(1, gemm) + part(1, relu) + part(2, "tiny") + part(5, tensor("w", {2, 2}, {1, 2, 3, 4})) +
      part(5, tensor("b", {2}, {0.5f, -20})) + part(11, value("x", 2)) + part(12, value("y", 2));
  return whole(1, 8) + part(7, graph) + part(8, part(1, "") + whole(2, 17));
}
// [/writer]

}  // namespace

int main(int argc, char** argv) try {
  const auto path = course::pretrained(argc, argv);
  const std::string file = tl::read_file(path);
  show(file);

  const auto model = tl::onnx::load<float>(path);
  const auto& weight = model.graph().value(model.graph().find("conv1.weight"));
  std::printf("tl::onnx::load     'conv1.weight' begins with %.4f\n\n",
              static_cast<double>(weight.var.value().plain().data()[0]));

  const std::string bytes = tiny_model();
  tl::write_file_atomically("tiny.onnx", bytes);
  const auto tiny = tl::onnx::load<float>("tiny.onnx");
  const auto y = tiny.predict(tl::Tensor<float>::from({1, 1, 2, 5}, {2, 2}));
  std::printf("tiny.onnx: %zu bytes, read again: y =", bytes.size());
  for (const float v : y.span()) std::printf(" %g", static_cast<double>(v));
  std::puts("");
  std::string cut = bytes.substr(0, bytes.size() / 2);
  tl::write_file_atomically("cut.onnx", cut);
  try {
    tl::onnx::load<float>("cut.onnx");
  } catch (const tl::Error& error) {
    std::puts(error.what());
  }
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
