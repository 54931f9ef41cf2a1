// What is behind the handles of peat.h.

#ifndef PEAT_API_C_HANDLES_H_
#define PEAT_API_C_HANDLES_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/c/peat.h"
#include "peat/audit.h"
#include "peat/cursor.h"
#include "peat/masks.h"
#include "peat/query.h"
#include "peat/snapshot.h"
#include "peat/store.h"
#include "peat/write_batch.h"

// NOLINTBEGIN(readability-identifier-naming): the names are C's.

struct peat_store {
  std::unique_ptr<peat::Store> store;
};

struct peat_snapshot {
  std::unique_ptr<peat::Snapshot> snapshot;
};

struct peat_cursor {
  peat::Cursor cursor;
  // What peat_cursor_next() gave last.
  std::string bytes = {};
  // Whether the failure that the cursor has stopped at was returned, so that
  // the next call goes on behind it.
  bool has_told_failure = false;
};

struct peat_batch {
  peat::WriteBatch batch;
};

struct peat_lookups {
  std::vector<std::string_view> keys;
  std::vector<peat::Lookup> lookups;
  std::vector<peat_lookup> answers;
};

struct peat_audit {
  std::unique_ptr<peat::AuditReader> reader;
};

struct peat_mask_cursor {
  std::unique_ptr<peat::MaskCursor> masks;
  bool is_begun = false;
};

// NOLINTEND(readability-identifier-naming)

namespace peat::c {

absl::StatusOr<Options> OptionsOf(const peat_options* given);
absl::StatusOr<Query> QueryOf(const peat_query* given);
peat_receipt ReceiptOf(const ForgetReceipt& receipt);

}  // namespace peat::c

#endif  // PEAT_API_C_HANDLES_H_
