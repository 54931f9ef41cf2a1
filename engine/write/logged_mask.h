// A mask on its way into the log, with a copy of what it masks.
//
// Externally synchronised; part of one call.

#ifndef PEAT_ENGINE_WRITE_LOGGED_MASK_H_
#define PEAT_ENGINE_WRITE_LOGGED_MASK_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "engine/log/appender.h"
#include "engine/write/digest.h"
#include "engine/write/writer.h"

namespace peat::engine {

class LoggedMask {
 public:
  // All arguments must outlive this. The mask's time is now.
  LoggedMask(const Writer* writer, format::RecordKind kind,
             std::string_view key, std::string_view reason);
  ~LoggedMask() {
    if (!was_logged_) DropReference();
  }
  LoggedMask(const LoggedMask&) = delete;
  LoggedMask& operator=(const LoggedMask&) = delete;

  // The value to preserve: a part of the record that holds it now.
  struct Source {
    bool has_value = false;
    std::string_view value = {};  // or the reference to its file
    // The same behind its expiry, which the mask keeps; empty: it has none.
    std::string_view behind_expiry = {};
    bool in_file = false;
    // Of the put that wrote it; or how far that lies before the mask, in the
    // same batch.
    format::Lsn lsn = 0;
    bool lsn_counts_back = false;
    format::Location location = {};  // none: in the same batch
  };
  static Source SourceOf(const Writer::Seen& seen);

  // Makes the record, unless it was made of the same source before. A forget
  // reads the whole value for its digest.
  absl::Status Prepare(const Writer::Seen& seen) {
    return Prepare(SourceOf(seen));
  }
  absl::Status Prepare(const Source& source);
  // Lives as long as this, and changes with Prepare().
  const AppendRecord& record() const { return record_; }
  void Keep(format::Lsn lsn) {
    was_logged_ = true;
    lsn_ = lsn;
  }

  // The lsn of the record that the key has when the mask is not logged.
  void SetLsnBefore(format::Lsn lsn) { lsn_ = lsn; }
  bool was_logged() const { return was_logged_; }
  format::Lsn lsn() const { return lsn_; }
  // Of the value that was forgotten, if there was one.
  const std::optional<Digest>& value_digest() const { return value_digest_; }

 private:
  absl::Status TakeDigest(const Source& source);
  // The value's file must stay as long as the mask does. Taken before the mask
  // is appended: the record that the mask takes the place of, which refers to
  // the file, too, may be compacted right after.
  void TakeReference(std::string_view reference);
  void DropReference();

  const Writer& writer_;
  const std::string_view reason_;
  const uint64_t time_;
  std::optional<Source> prepared_from_;
  std::optional<Digest> value_digest_;
  std::optional<format::SegmentId> value_file_;
  std::string value_;  // of the record
  AppendRecord record_;
  bool was_logged_ = false;
  format::Lsn lsn_ = 0;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_WRITE_LOGGED_MASK_H_
