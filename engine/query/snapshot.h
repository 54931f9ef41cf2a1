// A view as a store: Get and cursors, all as of one lsn.
//
// Thread-safe; each cursor is for one thread. May outlive the store; then every
// call fails.

#ifndef PEAT_ENGINE_QUERY_SNAPSHOT_H_
#define PEAT_ENGINE_QUERY_SNAPSHOT_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "engine/query/cursor.h"
#include "engine/query/key_source.h"
#include "engine/query/query.h"
#include "engine/read/reader.h"
#include "engine/read/views.h"

namespace peat::engine {

class Snapshot final {
 public:
  Snapshot(const QueryParts& parts, const Reader* reader,
           std::shared_ptr<const View> view)
      : parts_(parts), reader_(reader), view_(std::move(view)) {}
  // One that could not be opened.
  explicit Snapshot(absl::Status status) : status_(std::move(status)) {}

  absl::Status Get(std::string_view key, std::string* value) const;
  std::unique_ptr<Cursor> Scan(Query query) const;
  // 0 if it could not be opened.
  format::Lsn lsn() const { return view_ == nullptr ? 0 : view_->lsn(); }

 private:
  QueryParts parts_;
  const Reader* reader_ = nullptr;  // lives while the gate is open
  std::shared_ptr<const View> view_;
  absl::Status status_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_QUERY_SNAPSHOT_H_
