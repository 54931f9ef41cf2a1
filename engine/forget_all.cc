#include "engine/forget_all.h"

#include <functional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/segment_scanner.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::ByteView;

// Keys of one batch, and how much of keys and values it copies at most (or one
// key).
constexpr size_t kBatchKeys = 1000;
constexpr uint64_t kBatchBytes = uint64_t{1} << 20;

class Pass {
 public:
  Pass(std::string_view prefix, std::string_view reason, bool dry_run,
       const ForgetAllCalls& calls)
      : prefix_(prefix), reason_(reason), dry_run_(dry_run), calls_(calls) {}

  absl::Status Read(const SegmentSource& source) {
    PEAT_ASSIGN_OR_RETURN(const ByteView bytes,
                          source.segment->ReadAll(&buffer_));
    SegmentScanner scanner(bytes, source.segment->identity().salt,
                           format::kSegmentHeaderSize, source.end);
    while (scanner.Next() == SegmentScanner::Step::kRecord) {
      const format::Record& record = scanner.record();
      if (!IsReadable(StateAfter(record.header.kind))) continue;
      if (!record.key.starts_with(prefix_)) continue;
      PEAT_RETURN_IF_ERROR(Take(record));
    }
    if (scanner.offset() == source.end) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrFormat("%s offset %d: record is damaged",
                        source.segment->file_name(), scanner.offset()));
  }

  // Forgets the keys of the batch.
  absl::Status Finish() {
    if (batch_.empty()) return absl::OkStatus();
    std::vector<BatchOperation> operations;
    operations.reserve(batch_.size());
    for (const std::string& key : batch_) {
      operations.push_back(
          {.operation = Operation::kForget, .key = key, .reason = reason_});
    }
    PEAT_RETURN_IF_ERROR(calls_.write(operations));
    batch_.clear();
    batch_bytes_ = 0;
    return absl::OkStatus();
  }

  const ForgetAllResult& result() const { return result_; }

 private:
  absl::Status Take(const format::Record& record) {
    if (batch_.contains(record.key)) return absl::OkStatus();
    const absl::StatusOr<ValueFacts> facts = calls_.look(record.key);
    if (absl::IsNotFound(facts.status())) return absl::OkStatus();
    PEAT_RETURN_IF_ERROR(facts.status());
    // Each key has one current record, so is counted once.
    if (dry_run_ && facts->lsn != record.header.lsn) return absl::OkStatus();
    const uint64_t size = record.key.size() + facts->value_size;
    ++result_.key_count;
    result_.byte_count += size;
    if (dry_run_) return absl::OkStatus();
    batch_.emplace(record.key);
    batch_bytes_ += size;
    if (batch_.size() < kBatchKeys && batch_bytes_ < kBatchBytes) {
      return absl::OkStatus();
    }
    return Finish();
  }

  const std::string_view prefix_;
  const std::string_view reason_;
  const bool dry_run_;
  const ForgetAllCalls& calls_;
  std::set<std::string, std::less<>> batch_;
  uint64_t batch_bytes_ = 0;
  ForgetAllResult result_;
  std::vector<std::byte> buffer_;
};

}  // namespace

absl::StatusOr<ForgetAllResult> ForgetAll(
    const std::vector<SegmentSource>& sources, std::string_view prefix,
    std::string_view reason, bool dry_run, const ForgetAllCalls& calls) {
  Pass pass(prefix, reason, dry_run, calls);
  for (const SegmentSource& source : sources) {
    PEAT_RETURN_IF_ERROR(pass.Read(source));
  }
  PEAT_RETURN_IF_ERROR(pass.Finish());
  return pass.result();
}

}  // namespace peat::engine
