// What tl finetune does where it is not told; see defaults.hpp.
#include "defaults.hpp"

#include <array>
#include <system_error>

#include <tl/core/error.hpp>

namespace program {

namespace fs = std::filesystem;

fs::path shipped_weights() {
  constexpr const char* name = "resnet_small.onnx";
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const std::array<fs::path, 2> places{
      (program.parent_path() / TL_SHARE_FROM_PROGRAM / name).lexically_normal(),
      fs::path(TL_SOURCE_WEIGHTS) / name};
  for (const fs::path& place : places) {
    if (fs::is_regular_file(place, error)) return place;
  }
  tl::fail("there is no network beside the program (looked for '", places[0].string(), "' and '",
           places[1].string(), "'): give one with --weights");
}

fs::path default_out(const fs::path& folder) {
  std::error_code error;
  fs::path whole = fs::weakly_canonical(fs::absolute(folder), error);
  if (!whole.has_filename()) whole = whole.parent_path();
  TL_CHECK(!error && whole.has_filename(), "'", folder.string(),
           "' has no name to call the file after: give --out");
  const fs::path out = whole.filename().string() + ".onnx";
  TL_CHECK(!fs::exists(fs::symlink_status(out, error)), "'", out.string(), "' is there already: give --out '",
           out.string(), "' to replace it, or another name");
  return out;
}

Choice choice_for(tl::Index photos) {
  constexpr tl::Index size = 96;
  return photos < 1000 ? Choice{"features", size, "under 1,000"} : Choice{"two-stage", size, "1,000 or more"};
}

}  // namespace program
