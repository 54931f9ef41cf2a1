// Fuzzes the offline commands with the files of a store.
//
//   size  of the input, for each file
//   1     which one: see kNames; odd bits above: repair its checksums
//   2     size, little-endian, as far as the input goes
//   ...   bytes, at offset 4,096 * (the next byte)
//
// The files are edits of a sound store (tests/compat/v1), so that mutations get
// past its headers: bytes are written over what is there. Promised: no crash;
// dump, verify and inspect end with a status; what repair has salvaged
// verifies.

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "engine/os/file_system.h"
#include "format/check.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/reseal.h"
#include "tools/offline/dump.h"
#include "tools/offline/inspection.h"
#include "tools/offline/repair.h"
#include "tools/offline/store_files.h"
#include "tools/offline/verify.h"

namespace peat::tools {
namespace {

namespace fs = std::filesystem;

// Of the store that is damaged; a name of its own makes a foreign file.
constexpr std::array<const char*, 8> kNames = {
    "MANIFEST-0", "MANIFEST-1", "000257.seg", "001793.seg",
    "003330.seg", "003841.seg", "004097.seg", "000257.hint"};

constexpr size_t kFilesMax = 4;  // edits of one input

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Writes the edits that the input asks for over the files in `path`.
void Edit(const fs::path& path, std::string_view input) {
  for (size_t i = 0; i < kFilesMax && input.size() >= 4; ++i) {
    const auto choice = static_cast<unsigned char>(input[0]);
    const std::string name = kNames[choice % kNames.size()];
    const size_t size =
        std::min<size_t>(static_cast<unsigned char>(input[1]) +
                             256 * static_cast<unsigned char>(input[2]),
                         input.size() - 4);
    const size_t offset = 4096 * (static_cast<unsigned char>(input[3]) % 2);
    std::string bytes = ReadAll(path / name);
    if (size == 0) {
      bytes.resize(std::min(bytes.size(), offset + 100));
    } else {
      bytes.resize(std::max(bytes.size(), offset + size));
      bytes.replace(offset, size, input.substr(4, size));
    }
    if ((choice & 0x80) != 0) {
      if (name.ends_with(".seg")) {
        peat::testing::ResealRecords(&bytes);
      } else {
        peat::testing::ResealManifest(&bytes);
      }
    }
    std::ofstream(path / name, std::ios::binary | std::ios::trunc) << bytes;
    input.remove_prefix(4 + size);
  }
}

void Check(const fs::path& store, const fs::path& mended) {
  engine::FileSystem& file_system = engine::PosixFileSystem();
  (void)VerifyStore(file_system, store, 1);
  const absl::StatusOr<StoreFiles> files = ReadStoreFiles(file_system, store);
  if (files.ok()) {
    for (const DumpForm form :
         {DumpForm::kTable, DumpForm::kJson, DumpForm::kRaw}) {
      (void)DumpStore(*files, {.form = form, .reveal = true}, {},
                      [](std::string_view) { return absl::OkStatus(); });
    }
    const absl::StatusOr<Inspection> inspection = InspectStore(*files);
    if (inspection.ok()) (void)InspectionJson(*inspection).dump();
  }
  const absl::StatusOr<RepairResult> result = RepairStore(
      file_system, {store, mended}, {.salvage = true, .accept_unproven = true},
      {}, [](const Loss&) {});
  // Internal: what was written does not verify.
  if (absl::IsInternal(result.status()))
    std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
  PEAT_CHECK(!absl::IsInternal(result.status()));
}

}  // namespace
}  // namespace peat::tools

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path memory("/dev/shm");
  const fs::path base =
      (fs::is_directory(memory, error) ? memory : fs::temp_directory_path()) /
      ("peat_fuzz_" + std::to_string(getpid()));
  fs::remove_all(base, error);
  fs::create_directories(base, error);
  fs::copy(PEAT_COMPAT_DIR "/store", base / "store", error);
  peat::tools::Edit(base / "store",
                    {reinterpret_cast<const char*>(data), size});
  peat::tools::Check(base / "store", base / "mended");
  fs::remove_all(base, error);
  return 0;
}
