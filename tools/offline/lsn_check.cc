#include "tools/offline/lsn_check.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/checksum.h"
#include "format/mask.h"
#include "format/status_macros.h"
#include "tools/offline/lsn_order.h"

namespace peat::tools {
namespace {

using format::Record;
using format::RecordKind;

// Of a store that is wrong throughout nobody reads more.
constexpr size_t kClashesMax = 100;

// Bytes between two calls of on_progress.
constexpr uint64_t kMergedBytes = uint64_t{1} << 20;

// A record, as far as copies of it must agree.
struct Claim {
  format::Lsn lsn = 0;
  RecordKind kind = RecordKind::kNone;
  unsigned flags = 0;
  uint64_t content_hash = 0;
  // Of the audit stub that compaction leaves of the record, or that it is.
  std::optional<uint64_t> stub_hash = {};
  size_t segment = 0;
  uint64_t offset = 0;
};

Claim ClaimOf(const LsnOrder& order) {
  const Record& record = order.record();
  const RecordKind kind = record.header.kind;
  Claim claim{.lsn = record.header.lsn,
              .kind = kind,
              // A copy leaves its frame.
              .flags = record.header.flags & ~unsigned{format::kFlagInFrame},
              .content_hash = format::PayloadHash(record.key, record.value),
              .segment = order.segment(),
              .offset = order.offset()};
  if (kind == RecordKind::kAuditStub) claim.stub_hash = claim.content_hash;
  if (kind == RecordKind::kDisable || kind == RecordKind::kEnable) {
    claim.stub_hash =
        format::PayloadHash(record.key, format::EncodeAuditStub(record));
  }
  return claim;
}

bool AreCopies(const Claim& a, const Claim& b) {
  if (a.kind == b.kind) {
    return a.flags == b.flags && a.content_hash == b.content_hash;
  }
  const bool has_stub =
      a.kind == RecordKind::kAuditStub || b.kind == RecordKind::kAuditStub;
  return has_stub && a.stub_hash.has_value() && a.stub_hash == b.stub_hash;
}

Finding ClashFinding(const StoreFiles& files, const Claim& first,
                     const Claim& second, uint64_t size) {
  return {.file = files.segments[second.segment].name(),
          .offset = second.offset,
          .size = size,
          .what = absl::StrFormat(
              "another record with lsn %d lies in %s offset %d", second.lsn,
              files.segments[first.segment].name(), first.offset),
          .consequence =
              "which of the two counts depends on the order in "
              "which segments are read",
          .remedy =
              "restore the store from a copy; what peat dump --reveal "
              "shows of both tells which is wrong"};
}

}  // namespace

SeenLsns::SeenLsns(format::Lsn last_lsn)
    : words_(std::bit_ceil(std::min(last_lsn, kBitsMax - 1) / 64 + 1)) {}

absl::StatusOr<Findings> CheckLsns(const StoreFiles& files, int thread_count,
                                   const OnProgress& on_progress) {
  PEAT_ASSIGN_OR_RETURN(std::vector<LsnRun> runs,
                        FindRuns(files.segments, thread_count));
  LsnOrder order(files.segments, std::move(runs));
  Findings findings;
  Claim last;
  uint64_t bytes = 0;
  uint64_t bytes_told = 0;
  while (findings.size() < kClashesMax) {
    PEAT_ASSIGN_OR_RETURN(const bool has_more, order.Next());
    if (!has_more) break;
    if (order.gap().has_value() || !HasPlace(order.record().header)) continue;
    const Claim claim = ClaimOf(order);
    const uint64_t size = order.record_bytes().size();
    if (claim.lsn == last.lsn && !AreCopies(last, claim)) {
      findings.push_back(ClashFinding(files, last, claim, size));
    }
    last = claim;
    bytes += size;
    if (on_progress == nullptr || bytes - bytes_told < kMergedBytes) continue;
    bytes_told = bytes;
    if (!on_progress(bytes, files.size_bytes())) {
      return absl::CancelledError("interrupted");
    }
  }
  return findings;
}

}  // namespace peat::tools
