#include "engine/write/logged_mask.h"

#include "absl/strings/str_format.h"
#include "engine/log/group_commit.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/log/segment_allocator.h"
#include "engine/log/value_files.h"
#include "engine/log/value_references.h"
#include "engine/read/reader.h"
#include "engine/read/views.h"
#include "engine/segment/config.h"
#include "engine/segment/mask_counts.h"
#include "engine/write/throttle.h"
#include "format/check.h"
#include "format/mask.h"
#include "format/status_macros.h"
#include "index/key_hash.h"
#include "index/ordered_index.h"

namespace peat::engine {
namespace {

using format::RecordKind;

// Whether a mask that was made of `a` is one of `b`, too: records never change.
bool IsSame(const LoggedMask::Source& a, const LoggedMask::Source& b) {
  return a.has_value == b.has_value && a.location == b.location &&
         a.lsn == b.lsn && a.lsn_counts_back == b.lsn_counts_back;
}

}  // namespace

LoggedMask::LoggedMask(const Writer* writer, RecordKind kind,
                       std::string_view key, std::string_view reason)
    : writer_(*writer),
      reason_(reason),
      time_(writer->parts_.config->wall_clock()) {
  record_.kind = kind;
  record_.key = key;
}

LoggedMask::Source LoggedMask::SourceOf(const Writer::Seen& seen) {
  if (!IsReadable(seen.state) &&
      !(HasBug(Bug::kEnableUnforgets) && seen.has_record)) {
    return {};
  }
  const format::Record& record = seen.record;
  const bool is_put = record.header.kind == RecordKind::kPut;
  return {
      .has_value = true,
      .value = format::StoredValue(record),
      .behind_expiry = format::Expires(record.header)
                           ? format::PreservedValue(record)
                           : std::string_view(),
      .in_file = (record.header.flags & format::kFlagValueFile) != 0,
      .lsn = is_put ? record.header.lsn : format::DecodeMask(record).value_lsn,
      .location = seen.position.location};
}

absl::Status LoggedMask::Prepare(const Source& source) {
  if (prepared_from_.has_value() && IsSame(*prepared_from_, source)) {
    return absl::OkStatus();
  }
  prepared_from_.reset();
  value_digest_.reset();
  DropReference();
  // A mask names the lsn of what it masks. With one that was never given out
  // it would be no record.
  if (!source.lsn_counts_back && source.has_value &&
      source.lsn > writer_.parts_.appender->last_lsn()) {
    return absl::DataLossError(absl::StrFormat(
        "a record of the key has lsn %d, which was never given out",
        source.lsn));
  }
  format::Mask mask{.time = time_, .reason = reason_};
  record_.flags = 0;
  if (source.has_value) {
    mask.value_lsn = source.lsn;
    mask.value_lsn_counts_back = source.lsn_counts_back;
    mask.value = source.value;
    if (!source.behind_expiry.empty()) {
      record_.flags |= format::kFlagExpires;
      mask.value = source.behind_expiry;
    }
    if (source.in_file) {
      record_.flags |= format::kFlagValueFile;
      TakeReference(source.value);
    }
    if (record_.kind == RecordKind::kForget) {
      PEAT_RETURN_IF_ERROR(TakeDigest(source));
      mask.value_digest = format::AsString(*value_digest_);
    }
  }
  value_ = EncodeMask(record_.kind, mask);
  record_.value = value_;
  record_.payload_hash = format::PayloadHash(record_.key, record_.value);
  prepared_from_ = source;
  return absl::OkStatus();
}

void LoggedMask::TakeReference(std::string_view reference) {
  const absl::StatusOr<format::ValueReference> decoded =
      format::DecodeValueReference(reference);
  // CheckRecord() has verified it, of whatever is read or written.
  PEAT_CHECK(decoded.ok());
  value_file_ = decoded->file;
  record_.value_file_size = decoded->size;
  record_.value_file = decoded->file;
  writer_.parts_.references->Add(decoded->file);
}

void LoggedMask::DropReference() {
  if (!value_file_.has_value()) return;
  writer_.parts_.references->Remove(*value_file_);
  value_file_.reset();
  record_.value_file_size = 0;
  record_.value_file = 0;
}

absl::Status LoggedMask::TakeDigest(const Source& source) {
  if (!source.in_file) {
    value_digest_ = DigestOf(source.value);
    return absl::OkStatus();
  }
  std::string value;
  PEAT_RETURN_IF_ERROR(
      writer_.parts_.reader->CopyReferred(source.value, &value));
  value_digest_ = DigestOf(value);
  return absl::OkStatus();
}

}  // namespace peat::engine
