// Which bytes of an .onnx file are read at once, and which are left for later.
#include <cstring>
#include <string>
#include <vector>

#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/nn/layers.hpp>

#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;

namespace {

/// A large matrix and a small one.
std::string network_bytes() {
  const TemporaryFolder folder;
  const auto layers =
      nn::sequential<float>({std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = 300, .out = 200}),
                             std::make_shared<nn::Relu<float>>(),
                             std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = 200, .out = 3})});
  onnx::save(*nn::trace<float>(*layers, hash_tensor<float>("x", {1, 300})), folder / "n.onnx");
  return read_file(folder / "n.onnx");
}

/// What a SparseReader reads; '?' elsewhere.
std::string sparse(const std::string& file, std::size_t least = onnx::least_left_out) {
  std::string bytes(file.size(), '?');
  const auto read = [&](std::size_t offset, char* to, std::size_t count) {
    REQUIRE(offset <= file.size());
    REQUIRE(count <= file.size() - offset);
    std::memcpy(to, file.data() + offset, count);
  };
  onnx::SparseReader(read, bytes.data(), bytes.size(), least).run();
  return bytes;
}

}  // namespace

TEST_CASE("all but large weights of an .onnx file is read", "[onnx]") {
  const std::string file = network_bytes(), read = sparse(file);
  const onnx::ModelProto whole = onnx::decode_model(file, "whole"), part = onnx::decode_model(read, "part");
  REQUIRE(whole.graph.initializers.size() == 4);
  std::size_t left_out = 0;
  for (std::size_t i = 0; i < whole.graph.initializers.size(); ++i) {
    const onnx::TensorProto &a = whole.graph.initializers[i], &b = part.graph.initializers[i];
    CHECK(a.name == b.name);
    REQUIRE(a.raw_data.size() == b.raw_data.size());
    if (a.raw_data.size() < onnx::least_left_out) {
      CHECK(a.raw_data == b.raw_data);
    } else {
      left_out += a.raw_data.size();
    }
  }
  CHECK(left_out == 300 * 200 * sizeof(float));
  std::size_t different = 0;
  for (std::size_t i = 0; i < file.size(); ++i) different += file[i] != read[i];
  CHECK(different <= left_out);
  CHECK(different > left_out * 9 / 10);  // a block is read beyond what is asked for
}

TEST_CASE("a file that is cut short or no ONNX is judged by what it holds", "[onnx]") {
  const std::string file = network_bytes();
  for (std::size_t length = 0; length < file.size(); length += 997) {
    const std::string cut = file.substr(0, length);
    CHECK_THROWS_AS(onnx::decode_model(sparse(cut), "cut"), Error);
  }
  const std::string text(100'000, 'g');  // 'g' is a key with a wire type that does not exist
  CHECK(sparse(text) == text);
  CHECK(sparse("").empty());
}

TEST_CASE("weights left out are read where they are converted", "[onnx]") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "n.onnx", network_bytes());
  const Tensor<float> x = hash_tensor<float>("x", {2, 300});
  const Tensor<double> exact = onnx::load<double>(folder / "n.onnx").predict(x.cast<double>());
  CHECK(relative_difference(onnx::load<float>(folder / "n.onnx").predict(x).cast<double>(), exact) < 1e-6);
}
