// Fuzz target: labels files of a flat folder, with the classes they name and with those of a network.
#include <tl/data/labels.hpp>

#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path images = TL_FUZZ_FOLDER "/../data/fixtures";
  static tl::fuzz::MemoryFile file;
  const std::filesystem::path labels = file.holding(tl::fuzz::text(data, size));
  for (const std::vector<std::string>& classes : {std::vector<std::string>{}, {"cat", "dog"}}) {
    tl::fuzz::accepts([&] {
      const tl::data::Dataset set = tl::data::labelled_images(images, labels, classes);
      const auto known = [&](const tl::data::Sample& sample) {
        return sample.label >= 0 && sample.label < static_cast<tl::Index>(set.class_names.size());
      };
      tl::fuzz::require(!set.samples.empty() && std::all_of(set.samples.begin(), set.samples.end(), known),
                        "every image has one of the classes");
    });
  }
  return 0;
}
