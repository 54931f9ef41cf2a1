#include "engine/query/ordered_builder.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "engine/segment/key_state.h"
#include "format/check.h"
#include "format/record.h"
#include "format/status_macros.h"
#include "index/epoch.h"
#include "index/key_hash.h"
#include "index/ordered_index.h"

namespace peat::engine {
namespace {

using format::Location;
using index::HashIndex;
using index::kLookupGroupSize;
using index::Verdict;

// A group has one in so many of the keys that may be listed at a time, 256 Ki,
// and about so many bytes: the more, the more of its keys meet in a leaf.
constexpr size_t kGroupsListed = 64;
constexpr size_t kGroupBytes = size_t{16} << 20;

// How far ahead of its turn a record is asked for.
constexpr size_t kRecordsAskedFor = 16;

}  // namespace

void OrderedBuilder::BuildAll() {
  const auto begin = parts_.config->now();
  const absl::Status status = AddAll();
  locations_ = {};
  owners_ = {};
  const auto taken = parts_.config->now() - begin;
  if (status.ok()) {
    milliseconds_.store(
        static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(taken)
                .count()),
        std::memory_order_relaxed);
  }
  state_->End(status);
}

void OrderedBuilder::Stop(const absl::Status& status) {
  state_->End(status);
  stopped_.store(true, std::memory_order_release);
}

absl::Status OrderedBuilder::AddAll() {
  Group group;
  for (int shard = 0; shard < HashIndex::kShardCount && !is_stopped();) {
    shard = List(shard);
    AtPoint(BuildPoint::kListed);
    for (size_t i = 0; i < locations_.size() && !is_stopped();) {
      PEAT_ASSIGN_OR_RETURN(i, Read(i, &group));
      AtPoint(BuildPoint::kRead);
      PEAT_RETURN_IF_ERROR(Insert(group));
    }
    owners_.clear();
  }
  return absl::OkStatus();
}

int OrderedBuilder::List(int shard) {
  const size_t listed_max = parts_.config->listed_keys_max;
  for (int i = shard; i < HashIndex::kShardCount && !is_stopped(); ++i) {
    parts_.index->EnsureLoaded(i);
  }
  locations_.clear();
  locations_.reserve(std::min<size_t>(parts_.index->size(), listed_max));
  owners_.clear();
  {
    // One for all: under it no segment's number comes to stand for another.
    const index::EpochGuard guard(parts_.index->epochs());
    while (shard < HashIndex::kShardCount && locations_.size() < listed_max) {
      parts_.index->ListShard(shard++, &locations_);
    }
    for (const Location location : locations_) {
      const size_t number = location.segment();
      if (number >= owners_.size()) owners_.resize(number + 1);
      if (owners_[number] != nullptr) continue;
      owners_[number] =
          parts_.segments->At(location.segment()).shared_from_this();
    }
  }
  std::sort(locations_.begin(), locations_.end(),
            [](Location a, Location b) { return a.bits() < b.bits(); });
  return shard;
}

absl::StatusOr<size_t> OrderedBuilder::Read(size_t begin, Group* group) {
  using Key = Group::Key;
  group->keys.clear();
  group->bytes.clear();
  std::string scratch;
  const size_t count_max = parts_.config->listed_keys_max / kGroupsListed;
  const size_t end = std::min(begin + count_max, locations_.size());
  size_t i = begin;
  for (; i < end && group->bytes.size() < kGroupBytes; ++i) {
    if (is_stopped()) break;
    if (i + kRecordsAskedFor < locations_.size()) {
      const Location ahead = locations_[i + kRecordsAskedFor];
      Owner(ahead).Prefetch(ahead.offset());
    }
    const bool is_first =
        i == 0 || locations_[i].segment() != locations_[i - 1].segment();
    if (is_first) Owner(locations_[i]).WillNeedAll();
    PEAT_RETURN_IF_ERROR(ReadKey(locations_[i], &scratch, group));
  }
  std::sort(group->keys.begin(), group->keys.end(),
            [group](const Key& a, const Key& b) {
              return a.head != b.head ? a.head < b.head
                                      : group->At(a) < group->At(b);
            });
  return i;
}

absl::Status OrderedBuilder::ReadKey(Location location, std::string* scratch,
                                     Group* group) {
  format::Record record;
  PEAT_RETURN_IF_ERROR(
      Owner(location).ReadRecord(location.offset(), scratch, &record));
  if (!IsReadable(StateAfter(record.header.kind))) return absl::OkStatus();
  group->keys.push_back({.head = index::HeadOf(record.key),
                         .offset = group->bytes.size(),
                         .size = static_cast<uint32_t>(record.key.size()),
                         .location = location});
  group->bytes.append(record.key);
  return absl::OkStatus();
}

absl::Status OrderedBuilder::Insert(const Group& group) {
  const size_t size = group.keys.size();
  for (size_t i = 0; i < size && !is_stopped(); i += kLookupGroupSize) {
    PEAT_RETURN_IF_ERROR(
        InsertSome(group, i, std::min(i + kLookupGroupSize, size)));
  }
  return absl::OkStatus();
}

absl::Status OrderedBuilder::InsertSome(const Group& group, size_t begin,
                                        size_t end) {
  std::array<uint64_t, kLookupGroupSize> hashes = {};
  const index::EpochGuard guard(parts_.index->epochs());
  for (size_t i = begin; i < end; ++i) {
    hashes[i - begin] = (*parts_.hasher)(group.At(group.keys[i]));
    parts_.index->Prefetch(hashes[i - begin]);
  }
  for (size_t i = begin; i < end; ++i) {
    parts_.ordered->Insert(group.At(group.keys[i]), group.keys[i].location);
  }
  for (size_t i = begin; i < end; ++i) {
    const Location location = group.keys[i].location;
    const uint64_t hash = hashes[i - begin];
    // Nearly always where it was.
    const Verdict verdict =
        parts_.index->FindUnvalidated(hash, [&](Location candidate) {
          return candidate == location && parts_.segments->Has(Owner(location))
                     ? Verdict::kMatch
                     : Verdict::kOther;
        });
    if (verdict == Verdict::kMatch) continue;
    PEAT_RETURN_IF_ERROR(Settle(group.At(group.keys[i]), hash));
  }
  return absl::OkStatus();
}

absl::Status OrderedBuilder::Settle(std::string_view key, uint64_t hash) {
  std::string scratch;
  format::Record record;
  for (;;) {
    absl::Status status;
    const HashIndex::Position position =
        parts_.index->Locate(hash, [&](Location location) {
          status = parts_.segments->At(location.segment())
                       .ReadRecord(location.offset(), &scratch, &record);
          if (!status.ok()) return Verdict::kStop;
          return record.key == key ? Verdict::kMatch : Verdict::kOther;
        });
    PEAT_RETURN_IF_ERROR(status);
    if (position.verdict == Verdict::kMatch) {
      // Forgotten is for ever.
      if (!IsReadable(StateAfter(record.header.kind))) {
        parts_.ordered->Erase(key);
      }
      return absl::OkStatus();
    }
    AtPoint(BuildPoint::kGone);
    const HashIndex::ShardLock lock(*parts_.index, HashIndex::ShardOf(hash));
    if (!parts_.index->IsCurrent(hash, position)) continue;
    parts_.ordered->Erase(key);
    return absl::OkStatus();
  }
}

void OrderedBuilder::AtPoint(BuildPoint point) const {
  if (parts_.config->at_build_point != nullptr) {
    parts_.config->at_build_point(point);
  }
}

}  // namespace peat::engine
