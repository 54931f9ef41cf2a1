// Opening a store for a command. A store that cannot be opened is reported as
// such whatever the reason, so that only a missing key is "not found".

#ifndef PEAT_TOOLS_OPEN_STORE_H_
#define PEAT_TOOLS_OPEN_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "peat/store.h"

namespace peat::tools {

// What a command does with the store.
enum class Access {
  kRead,  // beside a process that writes; takes no lock, changes nothing
  // The same of a damaged store: what is sound of it.
  kReadDespiteDamage,
  kChange,  // recovers what a crash left; the store must exist
  kCreate,  // as kChange, or makes a store
  // As kCreate, and compacts in the background. The others do not: they end
  // before that would be of any use.
  kFill,
};

// Opens the store in `directory`. Complains itself if it cannot, and returns
// null.
std::unique_ptr<Store> OpenStore(const std::string& directory, Access access);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OPEN_STORE_H_
