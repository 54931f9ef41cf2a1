#include "tools/offline/manifest_check.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/file_name.h"
#include "format/manifest.h"

namespace peat::tools {
namespace {

using format::FileKind;
using format::FileName;
using format::ManifestSegment;
using format::SegmentKind;
using format::SegmentState;

// "MANIFEST-0: what" without its name.
std::string WithoutName(const absl::Status& status, const std::string& name) {
  const std::string message(status.message());
  const std::string prefix = name + ": ";
  return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
}

bool IsUnreadable(const absl::Status& status) {
  return !status.ok() && !absl::IsNotFound(status) &&
         !absl::IsDataLoss(status) && !absl::IsOutOfRange(status) &&
         !absl::IsFailedPrecondition(status);
}

// A copy that is wrong while the other one is not.
Finding CopyFinding(const ManifestCopy& copy, const std::string& name) {
  return {.severity = Severity::kFlaw,
          .file = name,
          .what = absl::IsNotFound(copy.status)
                      ? "missing"
                      : WithoutName(copy.status, name),
          .consequence = "none as long as the other copy is sound",
          .remedy = "none: the next open for writing writes it again"};
}

void CheckGenerations(const StoreFiles& files, Findings* findings) {
  const uint64_t first = files.copies[0].manifest->generation;
  const uint64_t second = files.copies[1].manifest->generation;
  if (first == second) return;
  const uint64_t distance = std::max(first, second) - std::min(first, second);
  const bool is_first_older = first < second;
  findings->push_back(
      {.severity = distance == 1 ? Severity::kNote : Severity::kFlaw,
       .file = format::kManifestFileNames[is_first_older ? 0 : 1],
       .offset = 24,
       .size = 8,
       .what =
           absl::StrFormat("generation %d, the other copy has %d",
                           std::min(first, second), std::max(first, second)),
       .consequence =
           distance == 1 ? "none: an edit is under way, or a crash cut it short"
                         : "none as long as the other copy is sound; it is an "
                           "older copy of the file",
       .remedy = "none: the next open for writing writes it again"});
}

// The sealed segments of the log, one behind the other: no lsn is in two.
void CheckEntries(const format::Manifest& manifest, Findings* findings) {
  std::vector<const ManifestSegment*> sealed;
  for (const ManifestSegment& entry : manifest.segments) {
    if (entry.kind != SegmentKind::kLog) continue;
    if (entry.state == SegmentState::kSealed) sealed.push_back(&entry);
  }
  std::sort(sealed.begin(), sealed.end(),
            [](const ManifestSegment* a, const ManifestSegment* b) {
              return a->last_lsn < b->last_lsn;
            });
  for (size_t i = 1; i < sealed.size(); ++i) {
    const ManifestSegment& entry = *sealed[i];
    if (entry.first_lsn == 0 || entry.first_lsn > sealed[i - 1]->last_lsn) {
      continue;
    }
    const auto index = static_cast<size_t>(&entry - manifest.segments.data());
    findings->push_back(
        {.file = format::kManifestFileNames[0],
         .offset =
             format::kManifestHeaderSize + index * format::kManifestSegmentSize,
         .size = format::kManifestSegmentSize,
         .what = absl::StrFormat(
             "segments %d and %d of the log are sealed with the same lsns",
             sealed[i - 1]->id, entry.id),
         .consequence = "the order of the log is not what Peat writes",
         .remedy = "restore the store from a copy"});
  }
}

// What to say of a file that is no part of the store; nullopt: it is one.
std::optional<std::string> WhyLeftOver(
    const FileName& file, const StoreFiles& files,
    const std::set<format::SegmentId>& value_files) {
  switch (file.kind) {
    case FileKind::kTemporary:
      return "a leftover";
    case FileKind::kSegment:
    case FileKind::kHint: {
      const auto& named = files.manifest->segments;
      if (std::any_of(named.begin(), named.end(),
                      [&file](const ManifestSegment& entry) {
                        return entry.id == file.id;
                      })) {
        return std::nullopt;
      }
      return file.kind == FileKind::kSegment
                 ? "a segment that the manifest does not name"
                 : "the hint file of no segment";
    }
    case FileKind::kValue:
      if (value_files.contains(file.id)) return std::nullopt;
      return "a value file that no record refers to";
    default:
      return std::nullopt;
  }
}

}  // namespace

Findings CheckManifests(const StoreFiles& files, bool* is_unreadable) {
  Findings findings;
  for (size_t i = 0; i < files.copies.size(); ++i) {
    const ManifestCopy& copy = files.copies[i];
    const std::string name = format::kManifestFileNames[i];
    if (copy.manifest.has_value()) continue;
    *is_unreadable |= IsUnreadable(copy.status);
    Finding finding = CopyFinding(copy, name);
    if (!files.copies[1 - i].manifest.has_value()) {
      finding.severity = Severity::kDamage;
      finding.consequence = "no copy is sound: the store does not open";
      finding.remedy =
          "peat repair DIR --to NEW --salvage --accept-unproven takes what the "
          "segments say of themselves";
    }
    findings.push_back(std::move(finding));
  }
  const bool both = files.copies[0].manifest.has_value() &&
                    files.copies[1].manifest.has_value();
  const bool any = files.copies[0].manifest.has_value() ||
                   files.copies[1].manifest.has_value();
  if (any && !files.manifest_status.ok()) {
    findings.push_back(
        {.file = format::kManifestFileNames[0],
         .what = std::string(files.manifest_status.message()),
         .consequence = "the store does not open: what it holds is not known",
         .remedy =
             "restore the newest copy of the manifest, or peat repair DIR "
             "--to NEW --salvage --accept-unproven"});
    return findings;
  }
  if (both) CheckGenerations(files, &findings);
  if (files.manifest.has_value()) CheckEntries(*files.manifest, &findings);
  return findings;
}

Findings CheckNames(const StoreFiles& files, const ReferredFiles& values) {
  Findings findings;
  for (const std::string& name : files.names) {
    const std::optional<FileName> parsed = format::ParseFileName(name);
    if (!parsed.has_value()) {
      // What a file system puts into the root of every volume.
      if (name == "lost+found") continue;
      findings.push_back({.severity = Severity::kNote,
                          .file = name,
                          .what = "not a file of Peat's",
                          .consequence = "none: it is left alone",
                          .remedy = "none"});
      continue;
    }
    if (!files.manifest.has_value()) continue;
    std::optional<std::string> why =
        WhyLeftOver(*parsed, files, values.referred);
    if (!why.has_value()) continue;
    if (parsed->kind == FileKind::kValue && values.is_partial) {
      findings.push_back(
          {.severity = Severity::kNote,
           .file = name,
           .what = "no record that can be read refers to this value file",
           .consequence = "not known: one that cannot be read may",
           .remedy = "keep it as long as there is damage"});
      continue;
    }
    findings.push_back(
        {.severity = Severity::kNote,
         .file = name,
         .what = *std::move(why),
         .consequence = "none: it is not read",
         .remedy = "none: a process that writes removes it, if it did not make "
                   "it"});
  }
  return findings;
}

}  // namespace peat::tools
