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
#include "peat/time.h"

namespace peat {

// Writes that Store::Write() applies together, and what they require: readers
// and every recovery see all of them or none. They apply in order; a later one
// sees the earlier ones. If one may not be done (see the table in
// peat/store.h), none is, and Write() returns that one's status;
// FailedOperation() tells which it was. The batch owns copies of its keys and
// values. Externally synchronised.
class WriteBatch {
 public:
  // Inserts or overwrites. An expires_after counts from Write() on. Options
  // that are not allowed are InvalidArgument there.
  void Put(std::string_view key, std::string_view value,
           const PutOptions& options = {});
  // Deleting a key that is absent is not an error and writes nothing.
  void Delete(std::string_view key);

  // As Store::Disable().
  void Disable(std::string_view key, const MaskOptions& options = {});
  // As Store::Enable().
  void Enable(std::string_view key, const MaskOptions& options = {});
  // As Store::Forget(); the receipt comes from the AuditReader (peat/audit.h).
  void Forget(std::string_view key, const MaskOptions& options = {});

  // Conditions. Write() asks all of them of the store as it is before the
  // batch, wherever they stand in it, in one step with the writes: if one does
  // not hold, it writes nothing and returns Aborted; FailedCondition() tells
  // which. A forgotten key is refused by the first two, with
  // FailedPrecondition, as by the calls that ask the same of one key. A batch
  // may have conditions alone.

  // That the key is absent.
  void RequireAbsent(std::string_view key);
  // That Get() would find this value; it may be disabled.
  void RequireValue(std::string_view key, std::string_view value);
  // That the key's newest write, be it a put or a mask, is this one, as
  // Store::Describe() tells it; 0: that it is absent.
  void RequireLsn(std::string_view key, uint64_t lsn);

  // Takes all operations and conditions out, and keeps the memory for the next
  // ones.
  void Clear();

  // Operations in the batch.
  size_t size() const { return operations_.size(); }
  // Conditions in the batch.
  size_t condition_count() const { return conditions_.size(); }
  // Bytes of their keys, values and reasons.
  size_t byte_size() const { return bytes_.size(); }

  // For the engine.
  enum class Kind : uint8_t { kPut, kDelete, kDisable, kEnable, kForget };
  // For the engine: one of the batch's writes.
  struct Operation {
    Kind kind;                // what it does
    std::string_view key;     // to which key
    std::string_view value;   // of a mask: the reason
    PutOptions options = {};  // of a put
  };
  // Operation `index`, in the order of the calls. Its views live until the
  // batch changes.
  Operation operation(size_t index) const;

  // For the engine.
  enum class ConditionKind : uint8_t { kAbsent, kValue, kLsn };
  // For the engine: one of the batch's conditions.
  struct Condition {
    ConditionKind kind;      // what is required
    std::string_view key;    // of which key
    std::string_view value;  // that it has, of RequireValue()
    uint64_t lsn;            // of its newest write, of RequireLsn()
  };
  // For the engine: condition `index`, as operation().
  Condition condition(size_t index) const;

 private:
  // Where the bytes of a key, and of what follows it, are in bytes_.
  struct Place {
    size_t offset;
    size_t key_size;
    size_t value_size;
  };
  Place Add(std::string_view key, std::string_view value);
  std::string_view KeyAt(const Place& place) const;
  std::string_view ValueAt(const Place& place) const;

  struct OperationEntry {
    Kind kind;
    Place place;
    PutOptions options = {};  // of a put
  };
  struct ConditionEntry {
    ConditionKind kind;
    Place place;
    uint64_t lsn;
  };
  std::vector<OperationEntry> operations_;
  std::vector<ConditionEntry> conditions_;
  std::string bytes_;
};

// Which operation of a batch Write() refused, counted from 0 in the order of
// the calls; nullopt if `status` is not of one operation. Its message says it,
// too.
std::optional<size_t> FailedOperation(const absl::Status& status);

// Which condition of a batch did not hold, or was refused, counted from 0 in
// the order of the Require...() calls; nullopt if `status` is not of one
// condition. Its message says it, too.
std::optional<size_t> FailedCondition(const absl::Status& status);

}  // namespace peat

#endif  // PEAT_API_PEAT_WRITE_BATCH_H_
