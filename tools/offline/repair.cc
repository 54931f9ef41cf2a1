#include "tools/offline/repair.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "engine/log/value_files.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/mask.h"
#include "format/status_macros.h"
#include "tools/escape.h"
#include "tools/offline/lsn_order.h"
#include "tools/offline/store_files.h"
#include "tools/offline/store_writer.h"
#include "tools/offline/verify.h"

namespace peat::tools {
namespace {

using format::Lsn;
using format::Record;
using format::RecordHeader;
using format::RecordKind;

// A record with bytes of its own.
class OwnRecord {
 public:
  explicit OwnRecord(const Record& record)
      : header_(record.header), key_(record.key), value_(record.value) {}
  OwnRecord(RecordHeader header, std::string key, std::string value)
      : header_(header), key_(std::move(key)), value_(std::move(value)) {
    header_.key_size = static_cast<uint16_t>(key_.size());
    header_.value_size = static_cast<uint32_t>(value_.size());
  }
  Record view() const {
    return {.header = header_, .key = key_, .value = value_};
  }
  Lsn lsn() const { return header_.lsn; }

 private:
  RecordHeader header_;
  std::string key_;
  std::string value_;
};

OwnRecord StubOf(const Record& mask) {
  return {{.lsn = mask.header.lsn, .kind = RecordKind::kAuditStub},
          std::string(mask.key),
          format::EncodeAuditStub(mask)};
}

// The forget without the value that is lost.
OwnRecord ForgetAlone(const Record& record) {
  const format::Mask mask = format::DecodeMask(record);
  return {{.lsn = record.header.lsn, .kind = RecordKind::kForget},
          std::string(record.key),
          format::EncodeMask(RecordKind::kForget,
                             {.time = mask.time, .reason = mask.reason})};
}

// A tombstone of a key that nobody has.
OwnRecord ClosingTombstone(engine::FileSystem& file_system, Lsn lsn) {
  std::array<std::byte, 16> random = {};
  file_system.Randomize(random);
  return {{.lsn = lsn, .kind = RecordKind::kTombstone},
          "peat-repair-" + ToHex(format::AsString(random)),
          ""};
}

// One copy of what is sound, in the order of lsns.
class Repair {
 public:
  Repair(const StoreFiles& files, const LiveSet& live,
         const RepairOptions& options, OnLoss on_loss)
      : files_(files), live_(live), options_(options), on_loss_(on_loss) {}

  absl::Status Run(engine::FileSystem& file_system,
                   const std::filesystem::path& path,
                   const OnProgress& on_progress) {
    PEAT_ASSIGN_OR_RETURN(
        writer_, StoreWriter::Create(file_system, path, OriginOf(files_)));
    PEAT_ASSIGN_OR_RETURN(LsnOrder order, LsnOrder::Make(files_.segments));
    const uint64_t size = files_.size_bytes();
    uint64_t bytes = 0;
    for (uint64_t count = 1;; ++count) {
      PEAT_ASSIGN_OR_RETURN(const bool has_more, order.Next());
      if (!has_more) break;
      if (order.gap().has_value()) continue;
      bytes += order.record_bytes().size();
      if (HasPlace(order.record().header)) {
        PEAT_RETURN_IF_ERROR(TakeStrays(order.record().header.lsn));
      }
      PEAT_RETURN_IF_ERROR(Take(order));
      if (count % kProgressInterval == 0 && on_progress != nullptr &&
          !on_progress(bytes, size)) {
        return absl::CancelledError("interrupted");
      }
    }
    PEAT_RETURN_IF_ERROR(TakeStrays(UINT64_MAX));
    PEAT_RETURN_IF_ERROR(WriteOffer());
    return Finish(file_system);
  }

  uint64_t kept_count() const { return kept_count_; }
  uint64_t loss_count() const { return loss_count_; }

 private:
  static constexpr uint64_t kProgressInterval = 4096;
  static constexpr format::SegmentId kNextIdMax = format::SegmentId{1} << 62;

  static StoreWriter::Origin OriginOf(const StoreFiles& files) {
    StoreWriter::Origin origin{.store_id = files.store_id};
    // Also of a copy that is not to be trusted.
    for (const ManifestCopy& copy : files.copies) {
      if (!copy.manifest.has_value()) continue;
      origin.next_id = std::max(origin.next_id, copy.manifest->next_id);
      origin.generation =
          std::max(origin.generation, copy.manifest->generation);
    }
    for (const std::string& name : files.names) {
      const std::optional<format::FileName> parsed =
          format::ParseFileName(name);
      if (!parsed.has_value()) continue;
      origin.next_id = std::max(origin.next_id, parsed->id + 1);
    }
    for (const SourceSegment& segment : files.segments) {
      if (segment.entry.kind != format::SegmentKind::kLog) continue;
      origin.last_log_id = std::max(origin.last_log_id, segment.entry.id);
    }
    // A hostile id leaves room for none.
    origin.next_id = std::min(origin.next_id, kNextIdMax);
    return origin;
  }

  // By lsn a record is found only once, so of those that claim the same one is
  // kept: the first of the highest rank. Forget is for ever, so it goes before
  // all; a mask, before the stub that compaction leaves of it.
  enum class Rank { kTombstone, kStub, kPut, kMask, kForget };

  struct Offer {
    OwnRecord record;
    Rank rank;
    std::string file;
    uint64_t offset;

    Lsn lsn() const { return record.lsn(); }
  };

  absl::Status Take(const LsnOrder& order) {
    const Record& record = order.record();
    const bool is_current =
        live_.IsCurrent(order.segment(), order.record_index());
    const bool is_proven = is_current && IsProven(order);
    if (is_current && !is_proven) Lose(Loss::Kind::kWithheld, OfferOf(order));
    const bool stays = is_current && is_proven;
    switch (record.header.kind) {
      case RecordKind::kTombstone:
        // All that it shadows is left out, so it may go, but for the last.
        if (!IsLast(record.header.lsn)) return absl::OkStatus();
        return Add(OfferOf(order, Rank::kTombstone));
      case RecordKind::kPut:
        if (stays) return Add(OfferOf(order, Rank::kPut));
        if (!is_current) NoteShadowed(order);
        return absl::OkStatus();
      case RecordKind::kDisable:
      case RecordKind::kEnable: {
        Offer offer = OfferOf(order, stays ? Rank::kMask : Rank::kStub);
        if (!stays) offer.record = StubOf(record);
        return Add(std::move(offer));
      }
      case RecordKind::kForget:
        return Add(OfferOf(order, Rank::kForget));
      case RecordKind::kAuditStub:
        return Add(OfferOf(order, Rank::kStub));
      default:
        return absl::OkStatus();
    }
  }

  bool IsProven(const LsnOrder& order) const {
    const Proof wanted =
        options_.accept_unproven ? Proof::kNotForgotten : Proof::kNewest;
    return live_.ProofOf(files_.segments[order.segment()], order.offset(),
                         order.record()) >= wanted;
  }

  // Those forgets with lsns below `lsn` that no segment of the store holds.
  absl::Status TakeStrays(Lsn lsn) {
    const std::vector<LiveSet::StrayForget>& strays = live_.stray_forgets();
    while (next_stray_ < strays.size() && strays[next_stray_].lsn < lsn) {
      const LiveSet::StrayForget& stray = strays[next_stray_++];
      const SourceSegment& segment = files_.strays[stray.stray];
      RecordWalk walk(format::kSegmentHeaderSize);
      segment.OpenPart(stray.offset, segment.end, &walk);
      PEAT_ASSIGN_OR_RETURN(const RecordWalk::Step step, walk.Next());
      if (step != RecordWalk::Step::kRecord) continue;
      PEAT_RETURN_IF_ERROR(Add({.record = OwnRecord(walk.record()),
                                .rank = Rank::kForget,
                                .file = segment.name(),
                                .offset = stray.offset}));
    }
    return absl::OkStatus();
  }

  Offer OfferOf(const LsnOrder& order, Rank rank = Rank::kPut) const {
    return {.record = OwnRecord(order.record()),
            .rank = rank,
            .file = files_.segments[order.segment()].name(),
            .offset = order.offset()};
  }

  // Whether nothing is lost with one of them: a copy that a compaction made, or
  // a mask and its stub.
  static bool AreCopies(const Offer& a, const Offer& b) {
    const Record one = a.record.view();
    const Record other = b.record.view();
    if (one.key != other.key) return false;
    const auto is_stub_of = [](const Offer& stub, const Offer& mask) {
      return stub.rank == Rank::kStub && mask.rank == Rank::kMask;
    };
    return is_stub_of(a, b) || is_stub_of(b, a) ||
           (one.header.kind == other.header.kind && one.value == other.value);
  }

  absl::Status Add(Offer offer) {
    if (offer_.has_value() && offer_->lsn() != offer.lsn()) {
      PEAT_RETURN_IF_ERROR(WriteOffer());
    }
    if (!offer_.has_value()) {
      offer_ = std::move(offer);
      return absl::OkStatus();
    }
    if (offer.rank > offer_->rank) std::swap(*offer_, offer);
    if (!AreCopies(*offer_, offer)) Lose(Loss::Kind::kMisplaced, offer);
    return absl::OkStatus();
  }

  // Of those with its lsn it is the one that is kept.
  absl::Status WriteOffer() {
    if (!offer_.has_value()) return absl::OkStatus();
    const Offer offer = *std::exchange(offer_, std::nullopt);
    if (offer.lsn() <= written_lsn_) {
      Lose(Loss::Kind::kMisplaced, offer);
      return absl::OkStatus();
    }
    written_lsn_ = offer.lsn();
    const Record record = offer.record.view();
    if (offer.rank == Rank::kStub) return WriteForAudit(record);
    PEAT_ASSIGN_OR_RETURN(const bool has_value, CopyValue(record));
    if (!has_value) Lose(Loss::Kind::kNoValue, offer);
    if (offer.rank == Rank::kForget) {
      const OwnRecord kept = has_value ? offer.record : ForgetAlone(record);
      if (NoteLast(kept)) return absl::OkStatus();
      return WriteForAudit(kept.view());
    }
    if (!has_value) {
      if (offer.rank != Rank::kMask) return absl::OkStatus();
      return WriteForAudit(StubOf(record).view());
    }
    if (NoteLast(offer.record)) return absl::OkStatus();
    ++kept_count_;
    return writer_->AddLive(record);
  }

  absl::Status WriteForAudit(const Record& record) {
    ++kept_count_;
    return writer_->AddForAudit(record);
  }

  // Of a put that is not current though it is the newest: a forget came before.
  void NoteShadowed(const LsnOrder& order) {
    if (order.record().header.lsn == live_.last_lsn()) {
      Lose(Loss::Kind::kShadowed, OfferOf(order));
    }
  }

  // Whether a record of this lsn is the last of the log.
  bool IsLast(Lsn lsn) const {
    return lsn == live_.last_lsn() && live_.hidden_up_to() <= lsn;
  }

  // The last one is written at the end. Returns whether it is that.
  bool NoteLast(const OwnRecord& record) {
    if (!IsLast(record.lsn())) return false;
    last_.emplace(record);
    return true;
  }

  // Copies the value that the record refers to, once; false: it is lost.
  absl::StatusOr<bool> CopyValue(const Record& record) {
    if ((record.header.flags & format::kFlagValueFile) == 0) return true;
    const auto reference =
        format::DecodeValueReference(format::StoredValue(record));
    // An id that leaves no room behind it is none that Peat has given out.
    if (!reference.ok() || reference->file >= kNextIdMax) return false;
    PEAT_ASSIGN_OR_RETURN(
        const std::optional<engine::ValueFlaw> flaw,
        engine::ReadValueOrFlaw(*files_.directory, files_.store_id, *reference,
                                &value_));
    if (flaw.has_value()) return false;
    if (copied_values_.insert(reference->file).second) {
      PEAT_RETURN_IF_ERROR(writer_->AddValue(*reference, value_));
    }
    return true;
  }

  void Lose(Loss::Kind kind, const Offer& offer) {
    const Record record = offer.record.view();
    ++loss_count_;
    on_loss_({.kind = kind,
              .file = offer.file,
              .offset = offer.offset,
              .header = record.header,
              .key = std::string(record.key)});
  }

  absl::Status Finish(engine::FileSystem& file_system) {
    Lsn last_lsn = live_.last_lsn();
    if (live_.hidden_up_to() != UINT64_MAX) {
      last_lsn = std::max(last_lsn, live_.hidden_up_to());
    }
    if (!last_.has_value() && last_lsn != 0) {
      // New writes must come behind everything that may have been written.
      if (last_lsn >= UINT64_MAX - 1) {
        return absl::DataLossError("the store's lsns are used up");
      }
      last_ = ClosingTombstone(file_system, last_lsn + 1);
    } else if (last_.has_value()) {
      ++kept_count_;
    }
    if (!last_.has_value()) return writer_->Finish(std::nullopt);
    return writer_->Finish(last_->view());
  }

  const StoreFiles& files_;
  const LiveSet& live_;
  const RepairOptions& options_;
  size_t next_stray_ = 0;
  OnLoss on_loss_;
  std::unique_ptr<StoreWriter> writer_;
  std::optional<OwnRecord> last_;
  // Records of one lsn lie one behind the other. The one to keep waits until
  // all of them are known.
  std::optional<Offer> offer_;
  // Records come in the order of their lsns, but from a log that is not in it.
  Lsn written_lsn_ = 0;
  std::set<format::SegmentId> copied_values_;
  std::string value_;
  uint64_t kept_count_ = 0;
  uint64_t loss_count_ = 0;
};

absl::Status ErrorOf(const std::error_code& error, const char* call) {
  return absl::ErrnoToStatus(error.value(), call);
}

// Makes sure that nothing is there, and that `to` is not inside the store.
absl::Status CheckTarget(const std::filesystem::path& from,
                         const std::filesystem::path& to) {
  std::error_code error;
  if (std::filesystem::symlink_status(to, error).type() !=
      std::filesystem::file_type::not_found) {
    return absl::AlreadyExistsError(
        absl::StrFormat("%s is there already", to.string()));
  }
  const std::filesystem::path parent = std::filesystem::weakly_canonical(
      std::filesystem::absolute(to, error).parent_path(), error);
  if (parent == std::filesystem::weakly_canonical(from, error)) {
    return absl::InvalidArgumentError("the new store must not be in the old");
  }
  return absl::OkStatus();
}

const Finding& Worst(const VerifyReport& report) {
  return *std::min_element(report.findings.begin(), report.findings.end(),
                           [](const Finding& a, const Finding& b) {
                             return a.severity < b.severity;
                           });
}

absl::Status Publish(engine::FileSystem& file_system,
                     const std::filesystem::path& unfinished,
                     const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::rename(unfinished, to, error);
  if (error) return ErrorOf(error, "rename");
  PEAT_ASSIGN_OR_RETURN(
      const std::unique_ptr<engine::Directory> parent,
      file_system.OpenDirectory(std::filesystem::absolute(to).parent_path()));
  return parent->Sync();
}

}  // namespace

const char* NameOf(Loss::Kind kind) {
  switch (kind) {
    case Loss::Kind::kWithheld:
      return "withheld";
    case Loss::Kind::kNoValue:
      return "value lost";
    case Loss::Kind::kShadowed:
      return "behind a forget";
    case Loss::Kind::kMisplaced:
      return "misplaced";
  }
  return "";
}

absl::StatusOr<RepairResult> RepairStore(engine::FileSystem& file_system,
                                         const RepairPaths& paths,
                                         const RepairOptions& options,
                                         const OnProgress& on_progress,
                                         OnLoss on_loss) {
  const auto& [from, to] = paths;
  PEAT_RETURN_IF_ERROR(CheckTarget(from, to));
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<engine::Directory> directory,
                        file_system.OpenDirectory(from));
  PEAT_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                        directory->List());
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<engine::DirectoryLock> lock,
                        LockOut(*directory, names));
  RepairResult result;
  PEAT_ASSIGN_OR_RETURN(VerifyReport report,
                        VerifyStore(file_system, from, 1, on_progress));
  result.findings = std::move(report.findings);
  const bool is_damaged = CountOf(result.findings, Severity::kDamage) > 0;
  if (is_damaged && !options.salvage) return result;

  PEAT_ASSIGN_OR_RETURN(StoreFiles files, ReadStoreFiles(file_system, from));
  // Where nothing is damaged all forgets are where they belong.
  if (is_damaged && files.manifest.has_value()) FindStrays(&files);
  PEAT_ASSIGN_OR_RETURN(const LiveSet live, LiveSet::Make(files, on_progress));
  result.hidden_up_to = live.hidden_up_to();
  const std::filesystem::path unfinished = to.string() + ".unfinished";
  PEAT_RETURN_IF_ERROR(file_system.CreateDirectory(unfinished));
  const absl::Cleanup remove = [&unfinished] {
    std::error_code ignored;
    std::filesystem::remove_all(unfinished, ignored);
  };
  Repair repair(files, live, options, on_loss);
  PEAT_RETURN_IF_ERROR(repair.Run(file_system, unfinished, on_progress));
  result.kept_count = repair.kept_count();
  result.hidden_count = live.doubt().hidden_count();
  result.is_exact = live.doubt().is_exact();
  result.loss_count = repair.loss_count() + result.hidden_count;
  PEAT_ASSIGN_OR_RETURN(const VerifyReport check,
                        VerifyStore(file_system, unfinished, 1, on_progress));
  if (HasTrouble(check.findings)) {
    return absl::InternalError(absl::StrFormat(
        "the new store does not verify: %s", FindingText(Worst(check))));
  }
  PEAT_RETURN_IF_ERROR(Publish(file_system, unfinished, to));
  result.is_written = true;
  return result;
}

}  // namespace peat::tools
