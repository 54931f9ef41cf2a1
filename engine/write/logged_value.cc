#include "engine/write/logged_value.h"

#include <string>

#include "engine/log/group_commit.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/log/segment_allocator.h"
#include "engine/log/value_references.h"
#include "engine/read/reader.h"
#include "engine/read/views.h"
#include "engine/segment/config.h"
#include "engine/segment/mask_counts.h"
#include "engine/write/throttle.h"
#include "format/file_name.h"
#include "format/status_macros.h"
#include "index/key_hash.h"
#include "index/ordered_index.h"

namespace peat::engine {

void LoggedValue::BeginLarge(std::string_view value) {
  large_ = std::make_unique<Large>();
  large_->value = value;
  record_.flags |= format::kFlagValueFile;
  large_->reference.resize(
      format::kValueReferenceSize +
      (record_.expiry == format::kNever ? 0 : format::kExpirySize));
  record_.value = large_->reference;
}

std::string LoggedValue::StoredReference() const {
  std::string stored;
  if (record_.expiry != format::kNever) {
    stored = format::EncodeExpiry(record_.expiry);
  }
  stored.append(EncodeValueReference(large_->written.reference));
  return stored;
}

absl::Status LoggedValue::PrepareLarge() {
  if (large_->written.file != nullptr) return absl::OkStatus();
  const Core& parts = writer_->parts_;
  PEAT_ASSIGN_OR_RETURN(large_->written,
                        WriteValueFile(*parts.file_system, *parts.directory,
                                       *parts.manifest, large_->value));
  parts.references->Add(large_->written.reference.file);
  large_->reference = StoredReference();
  record_.value = large_->reference;
  record_.value_file_size = large_->value.size();
  record_.value_file = large_->written.reference.file;
  record_.payload_hash = format::PayloadHash(record_.key, record_.value);
  parts.appender->AddValueFile(large_->written.file, large_->value.size());
  return absl::OkStatus();
}

void LoggedValue::EndLarge() {
  if (large_->written.file == nullptr || large_->kept) return;
  writer_->parts_.references->Remove(large_->written.reference.file);
  // What cannot be removed now is an orphan, and removed at open.
  (void)writer_->parts_.directory->Unlink(
      format::ValueFileName(large_->written.reference.file));
}

}  // namespace peat::engine
