// Several writes that become one.

#ifndef PEAT_API_PEAT_WRITE_BATCH_H_
#define PEAT_API_PEAT_WRITE_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "peat/masks.h"

namespace peat {

// Writes that Store::Write() applies together: readers and every recovery see
// all of them or none. They apply in order; a later one sees the earlier ones.
// If one may not be done (see the table in peat/store.h), none is, and Write()
// returns that one's status; FailedOperation() tells which it was.
// The batch owns copies of its keys and values. Externally synchronised.
class WriteBatch {
 public:
  // Inserts or overwrites.
  void Put(std::string_view key, std::string_view value);
  // Deleting a key that is absent is not an error and writes nothing.
  void Delete(std::string_view key);

  // As Store::Disable().
  void Disable(std::string_view key, const MaskOptions& options = {});
  // As Store::Enable().
  void Enable(std::string_view key, const MaskOptions& options = {});
  // As Store::Forget(); the receipt comes from the AuditReader (peat/audit.h).
  void Forget(std::string_view key, const MaskOptions& options = {});

  // Takes all operations out, and keeps the memory for the next ones.
  void Clear();

  // Operations in the batch.
  size_t size() const { return operations_.size(); }
  // Bytes of their keys, values and reasons.
  size_t byte_size() const { return bytes_.size(); }

  // For the engine.
  enum class Kind : uint8_t { kPut, kDelete, kDisable, kEnable, kForget };
  // For the engine: one of the batch's writes.
  struct Operation {
    Kind kind;               // what it does
    std::string_view key;    // to which key
    std::string_view value;  // of a mask: the reason
  };
  // Operation `index`, in the order of the calls. Its views live until the
  // batch changes.
  Operation operation(size_t index) const;

 private:
  void Add(Kind kind, std::string_view key, std::string_view value);

  struct Entry {
    Kind kind;
    size_t offset;  // in bytes_
    size_t key_size;
    size_t value_size;
  };
  std::vector<Entry> operations_;
  std::string bytes_;
};

// Which operation of a batch Write() refused, counted from 0 in the order of
// the calls; nullopt if `status` is not of one operation. Its message says it,
// too.
std::optional<size_t> FailedOperation(const absl::Status& status);

}  // namespace peat

#endif  // PEAT_API_PEAT_WRITE_BATCH_H_
