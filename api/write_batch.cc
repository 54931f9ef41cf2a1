#include "peat/write_batch.h"

#include "engine/write/batch_status.h"

namespace peat {

void WriteBatch::Put(std::string_view key, std::string_view value) {
  Add(Kind::kPut, key, value);
}

void WriteBatch::Delete(std::string_view key) { Add(Kind::kDelete, key, {}); }

void WriteBatch::Disable(std::string_view key, const MaskOptions& options) {
  Add(Kind::kDisable, key, options.reason);
}

void WriteBatch::Enable(std::string_view key, const MaskOptions& options) {
  Add(Kind::kEnable, key, options.reason);
}

void WriteBatch::Forget(std::string_view key, const MaskOptions& options) {
  Add(Kind::kForget, key, options.reason);
}

void WriteBatch::Add(Kind kind, std::string_view key, std::string_view value) {
  operations_.push_back({kind, bytes_.size(), key.size(), value.size()});
  bytes_.append(key);
  bytes_.append(value);
}

void WriteBatch::Clear() {
  operations_.clear();
  bytes_.clear();
}

WriteBatch::Operation WriteBatch::operation(size_t index) const {
  const Entry& entry = operations_[index];
  const std::string_view bytes(bytes_);
  return {
      .kind = entry.kind,
      .key = bytes.substr(entry.offset, entry.key_size),
      .value = bytes.substr(entry.offset + entry.key_size, entry.value_size)};
}

std::optional<size_t> FailedOperation(const absl::Status& status) {
  return engine::OperationIn(status);
}

}  // namespace peat
