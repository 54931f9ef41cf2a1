#include "peat/write_batch.h"

#include "engine/write/batch_status.h"

namespace peat {

void WriteBatch::Put(std::string_view key, std::string_view value,
                     const PutOptions& options) {
  operations_.push_back({Kind::kPut, Add(key, value), options});
}

void WriteBatch::Delete(std::string_view key) {
  operations_.push_back({Kind::kDelete, Add(key, {})});
}

void WriteBatch::Disable(std::string_view key, const MaskOptions& options) {
  operations_.push_back({Kind::kDisable, Add(key, options.reason)});
}

void WriteBatch::Enable(std::string_view key, const MaskOptions& options) {
  operations_.push_back({Kind::kEnable, Add(key, options.reason)});
}

void WriteBatch::Forget(std::string_view key, const MaskOptions& options) {
  operations_.push_back({Kind::kForget, Add(key, options.reason)});
}

void WriteBatch::RequireAbsent(std::string_view key) {
  conditions_.push_back({ConditionKind::kAbsent, Add(key, {}), 0});
}

void WriteBatch::RequireValue(std::string_view key, std::string_view value) {
  conditions_.push_back({ConditionKind::kValue, Add(key, value), 0});
}

void WriteBatch::RequireLsn(std::string_view key, uint64_t lsn) {
  conditions_.push_back({ConditionKind::kLsn, Add(key, {}), lsn});
}

WriteBatch::Place WriteBatch::Add(std::string_view key,
                                  std::string_view value) {
  const Place place = {bytes_.size(), key.size(), value.size()};
  bytes_.append(key);
  bytes_.append(value);
  return place;
}

std::string_view WriteBatch::KeyAt(const Place& place) const {
  return std::string_view(bytes_).substr(place.offset, place.key_size);
}

std::string_view WriteBatch::ValueAt(const Place& place) const {
  return std::string_view(bytes_).substr(place.offset + place.key_size,
                                         place.value_size);
}

void WriteBatch::Clear() {
  operations_.clear();
  conditions_.clear();
  bytes_.clear();
}

WriteBatch::Operation WriteBatch::operation(size_t index) const {
  const OperationEntry& entry = operations_[index];
  return {.kind = entry.kind,
          .key = KeyAt(entry.place),
          .value = ValueAt(entry.place),
          .options = entry.options};
}

WriteBatch::Condition WriteBatch::condition(size_t index) const {
  const ConditionEntry& entry = conditions_[index];
  return {.kind = entry.kind,
          .key = KeyAt(entry.place),
          .value = ValueAt(entry.place),
          .lsn = entry.lsn};
}

std::optional<size_t> FailedOperation(const absl::Status& status) {
  return engine::OperationIn(status);
}

std::optional<size_t> FailedCondition(const absl::Status& status) {
  return engine::ConditionIn(status);
}

}  // namespace peat
