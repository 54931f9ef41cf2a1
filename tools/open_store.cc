#include "tools/open_store.h"

#include <memory>
#include <string>
#include <utility>

#include "tools/exit_code.h"

namespace peat::tools {

std::unique_ptr<Store> OpenStore(const std::string& directory, Access access) {
  Options options;
  options.mode =
      access == Access::kRead ? OpenMode::kReadOnly : OpenMode::kReadWrite;
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
