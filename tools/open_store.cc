#include "tools/open_store.h"

#include <memory>
#include <string>
#include <utility>

#include "tools/exit_code.h"

namespace peat::tools {

namespace {

OpenMode ModeOf(Access access) {
  switch (access) {
    case Access::kRead:
      return OpenMode::kReadOnly;
    case Access::kReadDespiteDamage:
      return OpenMode::kReadOnlyDespiteDamage;
    default:
      return OpenMode::kReadWrite;
  }
}

}  // namespace

std::unique_ptr<Store> OpenStore(const std::string& directory, Access access) {
  Options options;
  options.mode = ModeOf(access);
  options.create_if_missing =
      access == Access::kCreate || access == Access::kFill;
  options.background_compaction = access == Access::kFill;
  options.background_snapshots = access == Access::kFill;
  absl::StatusOr<std::unique_ptr<Store>> store =
      Store::Open(directory, options);
  if (store.ok()) return *std::move(store);
  // The caller decides the exit code, so that NotFound is not taken for a key.
  (void)Fail(store.status());
  return nullptr;
}

}  // namespace peat::tools
