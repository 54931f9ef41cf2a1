#include "engine/logged_value.h"

#include <utility>

#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::engine {

LoggedValue::LoggedValue(Writer* writer, std::string_view key,
                         std::string_view value)
    : writer_(writer),
      value_(value),
      is_large_(value.size() > writer->parts_.supply->large_value_size()) {
  record_.kind = format::RecordKind::kPut;
  record_.key = key;
  if (is_large_) {
    record_.flags = format::kFlagValueFile;
  } else {
    record_.value = value;
    record_.payload_hash = format::PayloadHash(key, value);
  }
}

LoggedValue::~LoggedValue() {
  if (written_.file == nullptr || kept_) return;
  // What cannot be removed now is an orphan, and removed at open.
  (void)writer_->parts_.directory->Unlink(
      format::ValueFileName(written_.reference.file));
}

uint64_t LoggedValue::logged_size() const {
  return format::RecordSize(
      record_.key.size(),
      is_large_ ? format::kValueReferenceSize : value_.size());
}

absl::Status LoggedValue::Prepare() {
  if (!is_large_ || written_.file != nullptr) return absl::OkStatus();
  const Writer::Parts& parts = writer_->parts_;
  PEAT_ASSIGN_OR_RETURN(written_,
                        WriteValueFile(*parts.file_system, *parts.directory,
                                       *parts.manifest, value_));
  reference_ = EncodeValueReference(written_.reference);
  record_.value = reference_;
  record_.payload_hash = format::PayloadHash(record_.key, reference_);
  parts.appender->AddValueFile(written_.file, value_.size());
  return absl::OkStatus();
}

}  // namespace peat::engine
