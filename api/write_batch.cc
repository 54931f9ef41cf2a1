#include "peat/write_batch.h"

namespace peat {

void WriteBatch::Put(std::string_view key, std::string_view value) {
  operations_.push_back({Kind::kPut, bytes_.size(), key.size(), value.size()});
  bytes_.append(key);
  bytes_.append(value);
}

void WriteBatch::Delete(std::string_view key) {
  operations_.push_back({Kind::kDelete, bytes_.size(), key.size(), 0});
  bytes_.append(key);
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

}  // namespace peat
