#include "tools/offline/doubt.h"

#include <algorithm>
#include <utility>

#include "format/check.h"
#include "index/epoch.h"
#include "tools/offline/segment_check.h"

namespace peat::tools {
namespace {

using format::Lsn;
using format::Manifest;
using format::ManifestSegment;
using format::SegmentState;

// The manifest that recovery would leave: what of the log is sound is sealed.
Manifest WithSealedLog(const StoreFiles& files) {
  Manifest manifest = *files.manifest;
  for (const engine::TailSegment& segment : files.tail->used) {
    const auto entry =
        std::find_if(manifest.segments.begin(), manifest.segments.end(),
                     [&segment](const ManifestSegment& one) {
                       return one.id == segment.entry.id;
                     });
    if (entry == manifest.segments.end()) continue;
    entry->state = SegmentState::kSealed;
    entry->end = segment.end;
    entry->first_lsn = segment.first_lsn;
    entry->last_lsn = segment.last_lsn;
    entry->last_checksum = segment.last_checksum;
  }
  return manifest;
}

}  // namespace

std::unique_ptr<ImageProof> ImageProof::Find(const StoreFiles& files) {
  if (!files.manifest.has_value()) return nullptr;
  Manifest manifest = WithSealedLog(files);
  std::optional<engine::FoundSnapshot> found = engine::FindIndexImage(
      *files.directory, manifest, index::KeyHasher(files.manifest->hash_seed));
  if (!found.has_value()) return nullptr;
  return std::unique_ptr<ImageProof>(
      new ImageProof(*std::move(found), std::move(manifest)));
}

bool ImageProof::Load() {
  auto index = std::make_unique<index::HashIndex>();
  if (!engine::LoadIndexImage(found_.head, std::move(found_.file), manifest_, 1,
                              index.get())) {
    return false;
  }
  engine::LoadShards(1, index.get());
  if (index->HasLost()) return false;
  index_ = std::move(index);
  return true;
}

bool ImageProof::PointsTo(format::SegmentId id, uint64_t offset,
                          std::string_view key) const {
  PEAT_CHECK(index_ != nullptr);
  const format::SnapshotSegment* const segment = Of(id);
  if (segment == nullptr || offset >= segment->end) return false;
  const format::Location here(segment->number, offset);
  const index::EpochGuard guard;
  return index_->Find(hasher_(key), [here](format::Location location) {
    return location == here ? index::Verdict::kMatch : index::Verdict::kOther;
  }) == index::Verdict::kMatch;
}

Doubt::Doubt(const StoreFiles& files, const std::vector<HiddenPart>& parts,
             const std::vector<SeenCounts>& counts,
             std::unique_ptr<ImageProof> image)
    : lacks_manifest_(!files.manifest_status.ok()) {
  if (lacks_manifest_) hidden_up_to_ = UINT64_MAX;
  if (image != nullptr && !parts.empty() && image->Load()) {
    image_ = std::move(image);
  }
  for (const HiddenPart& part : parts) {
    hidden_up_to_ = std::max(hidden_up_to_, part.last_lsn);
    hidden_count_ += part.record_count;
    is_exact_ = is_exact_ && part.is_exact;
    Part& one = parts_.emplace_back();
    one.last_lsn = part.last_lsn;
    one.may_hold_forgets = part.may_hold_forgets;
    one.may_hold_tombstones = part.may_hold_tombstones;
    one.is_in_image = image_ != nullptr && part.last_lsn <= image_->last_lsn();
    if (!part.segment.has_value()) continue;
    const SourceSegment& segment = files.segments[*part.segment];
    if (segment.kind == SourceKind::kSealed) {
      Findings ignored;
      one.filter = ReadKeyFilter(files, segment, &ignored);
    }
    const format::SnapshotSegment* const known =
        one.is_in_image ? image_->Of(segment.entry.id) : nullptr;
    if (known == nullptr) continue;
    const SeenCounts& seen = counts[*part.segment];
    one.may_hold_forgets &= seen.forget_count != known->forgotten;
    one.may_hold_tombstones &= seen.tombstone_bytes != known->tombstone_bytes;
  }
}

Proof Doubt::Of(const SourceSegment& segment, uint64_t offset,
                const format::Record& record) const {
  // Forget is for ever.
  if (record.header.kind == format::RecordKind::kForget) return Proof::kNewest;
  Proof proof = lacks_manifest_ ? Proof::kNotForgotten : Proof::kNewest;
  std::optional<bool> is_in_image;
  for (const Part& part : parts_) {
    if (part.last_lsn <= record.header.lsn) continue;
    if (part.is_in_image) {
      if (!is_in_image.has_value()) {
        is_in_image = image_->PointsTo(segment.entry.id, offset, record.key);
      }
      if (*is_in_image) continue;
    }
    const bool may_hold_key =
        !part.filter.has_value() ||
        part.filter->MayContain(format::FilterHash(record.key));
    if (!may_hold_key && !part.may_hold_tombstones) continue;
    if (may_hold_key && part.may_hold_forgets) return Proof::kNone;
    proof = Proof::kNotForgotten;
  }
  return proof;
}

}  // namespace peat::tools
