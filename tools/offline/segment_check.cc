#include "tools/offline/segment_check.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/write/digest.h"
#include "format/file_name.h"
#include "format/hint_file.h"
#include "format/mask.h"
#include "format/status_macros.h"
#include "tools/offline/live_set.h"
#include "tools/offline/lsn_run.h"

namespace peat::tools {

using Step = RecordWalk::Step;

namespace {

using format::Lsn;
using format::ManifestSegment;
using format::Record;
using format::RecordHeader;
using format::RecordKind;
using format::SegmentKind;

// No hint file is longer: one key a record, and the records are in a segment.
constexpr uint64_t kHintSizeMax = uint64_t{64} << 20;

// Records between two looks at whether to stop.
constexpr uint64_t kLookInterval = 4096;

class SegmentChecker {
 public:
  SegmentChecker(const SourceSegment& segment, const SegmentCheckParts& parts)
      : segment_(segment),
        parts_(parts),
        seen_(parts.seen),
        name_(segment.name()),
        is_log_(segment.entry.kind == SegmentKind::kLog) {
    FindPrefixEnd(format::kSegmentHeaderSize);
  }

  absl::StatusOr<SegmentReport> Run() {
    RecordWalk walk = segment_.Walk();
    uint64_t counted = 0;
    for (;;) {
      PEAT_ASSIGN_OR_RETURN(const Step step, walk.Next());
      if (step == Step::kRecord) {
        CheckRecord(walk);
        if (walk.next_offset() >= prefix_end_) NotePrefix(walk.next_offset());
        if (++report_.record_count % kLookInterval == 0) {
          *parts_.progress += walk.offset() - counted;
          counted = walk.offset();
          if (*parts_.is_cancelled) return absl::CancelledError("interrupted");
        }
        continue;
      }
      const bool is_end =
          walk.offset() >= segment_.end ||
          (step == Step::kZeros && segment_.kind != SourceKind::kSealed);
      if (is_end) break;
      PEAT_ASSIGN_OR_RETURN(const bool goes_on, NoteGap(walk, step));
      if (!goes_on) break;
    }
    *parts_.progress += segment_.end - counted;
    if (segment_.kind != SourceKind::kLoose) CheckEnd();
    return std::move(report_);
  }

 private:
  bool is_loose() const { return segment_.kind == SourceKind::kLoose; }

  // Adds a breach of the rules by a record that is valid in itself.
  void Breach(uint64_t offset, std::string what) {
    // Behind damage much does not fit, and says nothing more.
    if (report_.has_gap || is_loose()) return;
    report_.findings.push_back(
        {.file = name_,
         .offset = offset,
         .what = std::move(what),
         .consequence = "the segment is not as Peat writes it; what it says "
                        "cannot be relied on",
         .remedy = kSalvage});
  }

  absl::StatusOr<bool> NoteGap(RecordWalk& walk, Step step) {
    report_.has_gap = true;
    frame_end_ = 0;
    const uint64_t begin = walk.offset();
    const char* const what = step == Step::kDamaged
                                 ? WhatIsWrong(walk.check())
                                 : "the records end too soon";
    uint64_t end = segment_.end;
    if (step == Step::kDamaged) {
      PEAT_ASSIGN_OR_RETURN(const uint64_t found, walk.Resync());
      // Nothing follows where the file ends too soon.
      if (found < walk.end()) end = found;
    }
    const bool goes_on = end < segment_.end;
    report_.unread_bytes += end - begin;
    report_.findings.push_back(
        {.file = name_,
         .offset = begin,
         .size = end - begin,
         .what = what,
         .consequence = absl::StrFormat(
             "what was written behind lsn %d may be lost; the store opens with "
             "kReadOnlyDespiteDamage alone",
             last_lsn_),
         .remedy = kSalvage});
    return goes_on;
  }

  void CheckRecord(const RecordWalk& walk) {
    const Record& record = walk.record();
    last_checksum_ = format::Load<uint32_t>(walk.record_bytes(), 0);
    if (is_log_) {
      CheckInLog(walk);
    } else {
      CheckOutsideOfLog(walk);
    }
    if (HasPlace(record.header)) seen_.Add(record.header.lsn);
    if (record.header.kind == RecordKind::kAuditStub) {
      NoteMask(record, format::DecodeMask(record).stub_of);
    }
    if (!TakesLsn(record.header.kind)) return;
    if (record.header.kind == RecordKind::kTombstone) {
      tombstone_bytes_ += walk.record_bytes().size();
    }
    min_lsn_ = std::min(min_lsn_, record.header.lsn);
    max_lsn_ = std::max(max_lsn_, record.header.lsn);
    if (format::IsMask(record.header.kind)) {
      NoteMask(record, record.header.kind);
      CheckDigest(walk);
    }
    if ((record.header.flags & format::kFlagValueFile) != 0) {
      NoteReference(walk);
    }
    if (parts_.filter != nullptr &&
        record.header.kind != RecordKind::kTombstone &&
        !parts_.filter->MayContain(format::FilterHash(record.key))) {
      ++lacking_keys_;
    }
  }

  // What FORMAT.md, section 12, demands of a segment of the log.
  void CheckInLog(const RecordWalk& walk) {
    const RecordHeader& header = walk.record().header;
    const bool is_first = walk.offset() == format::kSegmentHeaderSize;
    if (is_first != (header.kind == RecordKind::kLink)) {
      Breach(walk.offset(), is_first ? "the first record is no link"
                                     : "a link amid the records");
    }
    const bool in_frame = walk.offset() < frame_end_;
    if (in_frame && walk.next_offset() > frame_end_) {
      Breach(walk.offset(), "a batch does not end where its frame says");
    }
    if (in_frame != ((header.flags & format::kFlagInFrame) != 0)) {
      Breach(walk.offset(), in_frame
                                ? "a record within a batch that is none of "
                                  "its members"
                                : "a member of a batch without a frame");
    }
    if (TakesLsn(header.kind)) {
      if (is_dense_ && header.lsn != last_lsn_ + 1) {
        Breach(walk.offset(),
               absl::StrFormat("lsn %d follows lsn %d", header.lsn, last_lsn_));
      }
      last_lsn_ = header.lsn;
      is_dense_ = !report_.has_gap;
      if (in_frame) CountMember(walk);
      return;
    }
    CheckStructure(walk);
  }

  void CountMember(const RecordWalk& walk) {
    if (members_left_ == 0) return;  // said already
    --members_left_;
    const bool is_last = walk.next_offset() == frame_end_;
    if (is_last == (members_left_ == 0)) return;
    Breach(walk.offset(), is_last
                              ? "a batch has fewer members than its frame says"
                              : "a batch has more bytes than members");
  }

  void CheckStructure(const RecordWalk& walk) {
    const Record& record = walk.record();
    switch (record.header.kind) {
      case RecordKind::kLink:
        CheckLink(walk);
        return;
      case RecordKind::kMark:
        if (is_dense_ && record.header.lsn > last_lsn_) {
          Breach(walk.offset(),
                 absl::StrFormat("a mark of lsn %d behind lsn %d",
                                 record.header.lsn, last_lsn_));
        }
        return;
      case RecordKind::kFrame: {
        const auto frame = format::DecodeFrame(record.value);
        if (!frame.ok()) return;
        if (is_dense_ &&
            (frame->first_lsn != last_lsn_ + 1 ||
             record.header.lsn != last_lsn_ + frame->member_count)) {
          Breach(walk.offset(), "a frame's lsns do not follow the log");
        }
        frame_end_ = walk.next_offset() + frame->members_size;
        members_left_ = frame->member_count;
        if (frame_end_ > segment_.end) {
          Breach(walk.offset(), "a batch goes on behind the records' end");
        }
        return;
      }
      case RecordKind::kTime:
        if (walk.offset() < frame_end_) {
          Breach(walk.offset(), "a time within a batch");
        }
        return;
      default:
        Breach(walk.offset(), "an audit stub in the log");
    }
  }

  void CheckLink(const RecordWalk& walk) {
    const auto link = format::DecodeLink(walk.record().value);
    if (!link.ok()) return;
    const format::Lsn lsn = walk.record().header.lsn;
    last_lsn_ = lsn;
    is_dense_ = true;
    if (!parts_.files->manifest.has_value()) return;
    for (const ManifestSegment& entry : parts_.files->manifest->segments) {
      if (entry.id != link->predecessor ||
          entry.state != format::SegmentState::kSealed) {
        continue;
      }
      if (entry.kind != SegmentKind::kLog || entry.end != link->end ||
          entry.last_lsn != lsn || entry.last_checksum != link->last_checksum) {
        Breach(walk.offset(),
               absl::StrFormat("the link names another end of segment %d than "
                               "the manifest",
                               entry.id));
      }
    }
  }

  void CheckOutsideOfLog(const RecordWalk& walk) {
    const RecordHeader& header = walk.record().header;
    const bool may_be_there =
        segment_.entry.kind == SegmentKind::kAudit
            ? header.kind == RecordKind::kForget ||
                  header.kind == RecordKind::kAuditStub
            : TakesLsn(header.kind) || header.kind == RecordKind::kAuditStub;
    if (!may_be_there) {
      Breach(walk.offset(), "a record of a kind that is not for this segment");
    }
    if ((header.flags & format::kFlagInFrame) != 0) {
      Breach(walk.offset(), "a member of a batch without a frame");
    }
    last_lsn_ = header.lsn;
  }

  // The first of the prefixes asked for that ends behind `offset`.
  void FindPrefixEnd(uint64_t offset) {
    const auto next = std::upper_bound(parts_.prefix_ends.begin(),
                                       parts_.prefix_ends.end(), offset);
    prefix_end_ = next == parts_.prefix_ends.end() ? UINT64_MAX : *next;
  }

  // A record ends at `end`, where or behind where one should.
  void NotePrefix(uint64_t end) {
    const bool is_wanted = end == prefix_end_;
    FindPrefixEnd(end);
    if (!is_wanted) return;
    SegmentPrefix prefix{.end = end,
                         .last_lsn = is_log_ ? last_lsn_ : max_lsn_,
                         .last_checksum = last_checksum_,
                         .tombstone_bytes = tombstone_bytes_};
    for (const FoundMask& mask : report_.masks) {
      if (mask.is_stub) continue;
      prefix.disable_count += mask.kind == RecordKind::kDisable ? 1 : 0;
      prefix.forget_count += mask.kind == RecordKind::kForget ? 1 : 0;
    }
    for (const FoundReference& one : report_.references) {
      prefix.value_bytes += one.reference.size;
      prefix.values.push_back(one.reference.file);
    }
    report_.prefixes.push_back(std::move(prefix));
  }

  void NoteMask(const Record& record, RecordKind kind) {
    report_.masks.push_back(
        {.key = std::string(record.key),
         .lsn = record.header.lsn,
         .kind = kind,
         .is_stub = record.header.kind == RecordKind::kAuditStub});
  }

  void CheckDigest(const RecordWalk& walk) {
    const Record& record = walk.record();
    if (record.header.kind != RecordKind::kForget) return;
    const format::Mask mask = format::DecodeMask(record);
    const bool is_elsewhere =
        (record.header.flags & format::kFlagValueFile) != 0;
    if (!mask.has_value() || is_elsewhere) return;
    const engine::Digest digest = engine::DigestOf(format::StoredValue(record));
    if (format::AsString(digest) == mask.value_digest) return;
    report_.findings.push_back(
        {.file = name_,
         .offset = walk.offset(),
         .size = walk.record_bytes().size(),
         .what = "a forgotten value is not the one that its digest is of",
         .consequence = "an audit calls it damaged; the key stays forgotten",
         .remedy = "compare with the receipt of the forget"});
  }

  void NoteReference(const RecordWalk& walk) {
    const auto reference =
        format::DecodeValueReference(format::StoredValue(walk.record()));
    if (!reference.ok()) {
      Breach(walk.offset(), "a reference to a value file that cannot be");
      return;
    }
    FoundReference found{
        .reference = *reference, .file = name_, .offset = walk.offset()};
    if (walk.record().header.kind == RecordKind::kForget) {
      found.digest =
          std::string(format::DecodeMask(walk.record()).value_digest);
    }
    report_.references.push_back(std::move(found));
  }

  void CheckEnd() {
    const ManifestSegment& entry = segment_.entry;
    if (frame_end_ > segment_.end || (frame_end_ != 0 && members_left_ > 0)) {
      Breach(segment_.end, "the last batch is not complete");
    }
    if (lacking_keys_ > 0) {
      report_.findings.push_back(
          {.file = format::HintFileName(entry.id),
           .what = absl::StrFormat("the key filter lacks %d of the segment's "
                                   "keys",
                                   lacking_keys_),
           .consequence = "a compaction could drop a tombstone too early, and "
                          "a deleted key come back",
           .remedy = "delete the file; it is made again when it is needed"});
    }
    if (segment_.kind != SourceKind::kSealed || report_.has_gap) return;
    if (last_checksum_ != entry.last_checksum) {
      Breach(segment_.end,
             "the last record is not the one that was sealed; an "
             "older copy of the file?");
    }
    const Lsn first = min_lsn_ == UINT64_MAX ? 0 : min_lsn_;
    // Of the log up to here, also where the segment has none of its own.
    const bool last_differs = is_log_ && max_lsn_ == 0
                                  ? last_lsn_ != entry.last_lsn
                                  : max_lsn_ != entry.last_lsn;
    if (first != entry.first_lsn || last_differs) {
      Breach(segment_.end,
             absl::StrFormat("lsns go from %d to %d, the manifest says %d to "
                             "%d; an older copy of the file?",
                             first, max_lsn_, entry.first_lsn, entry.last_lsn));
    }
  }

  const SourceSegment& segment_;
  const SegmentCheckParts& parts_;
  SeenLsns::Walk seen_;
  const std::string name_;
  const bool is_log_;
  SegmentReport report_;
  bool is_dense_ = false;  // last_lsn_ is that of the record before
  Lsn last_lsn_ = 0;
  Lsn min_lsn_ = UINT64_MAX;
  Lsn max_lsn_ = 0;
  uint64_t frame_end_ = 0;
  uint32_t members_left_ = 0;
  uint32_t last_checksum_ = 0;
  uint64_t lacking_keys_ = 0;
  uint64_t tombstone_bytes_ = 0;
  uint64_t prefix_end_ = UINT64_MAX;  // of the prefix that is looked for
};

Finding HintFinding(const ManifestSegment& entry, uint64_t offset,
                    std::string what) {
  return {.severity = Severity::kFlaw,
          .file = format::HintFileName(entry.id),
          .offset = offset,
          .what = std::move(what),
          .consequence = "none: what it caches is read from the segment",
          .remedy = "delete the file; it is made again when it is needed"};
}

}  // namespace

absl::StatusOr<SegmentReport> CheckSegment(const SourceSegment& segment,
                                           const SegmentCheckParts& parts) {
  return SegmentChecker(segment, parts).Run();
}

std::optional<format::KeyFilter> ReadKeyFilter(const StoreFiles& files,
                                               const SourceSegment& segment,
                                               Findings* findings) {
  const ManifestSegment& entry = segment.entry;
  const auto flaw = [&](uint64_t offset, const absl::Status& status) {
    findings->push_back(
        HintFinding(entry, offset, std::string(status.message())));
    return std::nullopt;
  };
  const absl::StatusOr<std::unique_ptr<engine::File>> file =
      files.directory->Open(format::HintFileName(entry.id),
                            engine::OpenMode::kRead);
  if (absl::IsNotFound(file.status())) return std::nullopt;
  if (!file.ok()) return flaw(0, file.status());
  const absl::StatusOr<uint64_t> size = (*file)->Size();
  if (!size.ok()) return flaw(0, size.status());
  std::vector<std::byte> bytes(std::min(*size, kHintSizeMax));
  const absl::StatusOr<size_t> got = (*file)->ReadAt(0, bytes);
  if (!got.ok()) return flaw(0, got.status());
  const absl::StatusOr<format::ByteView> section = format::FindHintSection(
      format::ByteView(bytes).first(*got), files.manifest->store_id, entry,
      format::HintSectionKind::kKeyFilter);
  if (absl::IsNotFound(section.status())) return std::nullopt;
  if (!section.ok()) return flaw(0, section.status());
  absl::StatusOr<format::KeyFilter> filter =
      format::KeyFilter::Decode(*section);
  if (!filter.ok()) {
    return flaw(static_cast<uint64_t>(section->data() - bytes.data()),
                filter.status());
  }
  return *std::move(filter);
}

}  // namespace peat::tools
