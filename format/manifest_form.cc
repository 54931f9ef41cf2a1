#include "format/manifest_form.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_format.h"
#include "format/record.h"
#include "format/segment_header.h"
#include "format/status_macros.h"

namespace peat::format {
namespace {

constexpr SegmentId kNextIdMax = SegmentId{1} << 63;

bool HasValidEnd(const ManifestSegment& segment) {
  switch (segment.state) {
    case SegmentState::kOpen:
      return segment.end == 0;
    case SegmentState::kSealed:
      return segment.end >= kSegmentHeaderSize &&
             segment.end <= segment.capacity &&
             segment.end % kRecordAlignment == 0 &&
             segment.first_lsn <= segment.last_lsn;
  }
  return false;  // a state that is not known
}

// What an entry says of how its records expire, and of what they need.
bool HasValidExpiries(const ManifestSegment& segment) {
  if (segment.state == SegmentState::kOpen) {
    return segment.lasting_bytes == 0 && segment.first_expiry == 0 &&
           segment.last_expiry == 0 && segment.dictionary == 0;
  }
  return segment.lasting_bytes <= segment.end - kSegmentHeaderSize &&
         segment.lasting_bytes % kRecordAlignment == 0 &&
         (segment.first_expiry == 0) == (segment.last_expiry == 0) &&
         segment.first_expiry <= segment.last_expiry &&
         segment.last_expiry <= kMillisMax;
}

absl::Status CheckSegments(const Manifest& manifest) {
  if (manifest.segments.size() > kManifestSegmentCountMax) {
    return absl::DataLossError(
        absl::StrFormat("manifest has %d segments, at most %d are allowed",
                        manifest.segments.size(), kManifestSegmentCountMax));
  }
  if (manifest.next_id == 0 || manifest.next_id > kNextIdMax) {
    return absl::DataLossError(
        absl::StrFormat("manifest has the next id %d", manifest.next_id));
  }
  SegmentId previous = 0;
  for (const ManifestSegment& segment : manifest.segments) {
    if (segment.id <= previous || segment.id >= manifest.next_id) {
      return absl::DataLossError(
          absl::StrFormat("manifest has segment %d after %d, the next id is %d",
                          segment.id, previous, manifest.next_id));
    }
    if (segment.salt == 0 || segment.kind == SegmentKind::kValue ||
        !IsValidCapacity(segment.kind, segment.capacity) ||
        !HasValidEnd(segment) || !HasValidExpiries(segment)) {
      return absl::DataLossError(
          absl::StrFormat("manifest has a malformed segment %d", segment.id));
    }
    if (segment.dictionary != 0 &&
        !std::ranges::binary_search(manifest.dictionaries, segment.dictionary,
                                    {}, &ManifestDictionary::id)) {
      return absl::DataLossError(absl::StrFormat(
          "manifest has segment %d that needs dictionary %d, and not that",
          segment.id, segment.dictionary));
    }
    previous = segment.id;
  }
  return absl::OkStatus();
}

absl::Status CheckDictionaries(const Manifest& manifest) {
  if (manifest.dictionaries.size() > kManifestDictionaryCountMax) {
    return absl::DataLossError(absl::StrFormat(
        "manifest has %d dictionaries, at most %d are allowed",
        manifest.dictionaries.size(), kManifestDictionaryCountMax));
  }
  SegmentId previous = 0;
  for (const ManifestDictionary& dictionary : manifest.dictionaries) {
    if (dictionary.id <= previous || dictionary.id >= manifest.next_id ||
        dictionary.size == 0 || dictionary.size > kValueSizeMax) {
      return absl::DataLossError(
          absl::StrFormat("manifest has a malformed dictionary %d of %d bytes",
                          dictionary.id, dictionary.size));
    }
    previous = dictionary.id;
  }
  return absl::OkStatus();
}

bool HasValidForm(const ManifestLease& lease) {
  return !lease.name.empty() && lease.name.size() <= kLeaseNameSizeMax &&
         lease.lsn <= kManifestCountMax && lease.last_used <= kMillisMax &&
         (lease.state == LeaseState::kHeld ||
          lease.state == LeaseState::kBroken);
}

}  // namespace

absl::Status CheckLeases(const Manifest& manifest) {
  if (manifest.leases.size() > kManifestLeaseCountMax) {
    return absl::DataLossError(
        absl::StrFormat("manifest has %d leases, at most %d are allowed",
                        manifest.leases.size(), kManifestLeaseCountMax));
  }
  std::string_view previous;
  for (const ManifestLease& lease : manifest.leases) {
    if (!HasValidForm(lease) || lease.name <= previous) {
      return absl::DataLossError(absl::StrFormat(
          "manifest has a malformed lease, or twice one, with a name of %d "
          "bytes",
          lease.name.size()));
    }
    previous = lease.name;
  }
  return absl::OkStatus();
}
absl::Status CheckForm(const Manifest& manifest) {
  if (manifest.epoch == 0 || manifest.epoch > kManifestCountMax ||
      manifest.time > kMillisMax ||
      manifest.retention.count > kManifestCountMax ||
      manifest.retention.age > kMillisMax) {
    return absl::DataLossError(absl::StrFormat(
        "manifest has the epoch %d, the time %d, and retains %d for %d ms",
        manifest.epoch, manifest.time, manifest.retention.count,
        manifest.retention.age));
  }
  PEAT_RETURN_IF_ERROR(CheckSegments(manifest));
  PEAT_RETURN_IF_ERROR(CheckDictionaries(manifest));
  return CheckLeases(manifest);
}

absl::Status CheckCounts(const Manifest& manifest) {
  const bool are_possible =
      manifest.generation <= kManifestCountMax &&
      manifest.next_id <= kManifestCountMax &&
      manifest.durable_lsn <= kManifestCountMax &&
      std::ranges::all_of(manifest.segments, [](const ManifestSegment& one) {
        return one.last_lsn <= kManifestCountMax;
      });
  if (are_possible) return absl::OkStatus();
  return absl::DataLossError(
      "manifest has a generation, id or lsn that no store can reach");
}
}  // namespace peat::format
