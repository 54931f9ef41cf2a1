// What is left of a simulated disk after a crash: the images of sim_disk.h.

#include <algorithm>
#include <utility>

#include "format/check.h"
#include "tests/support/sim_disk.h"
#include "tests/support/sim_random.h"

namespace peat::testing {
namespace {

// Nothing, everything or all up to one event: one cut for the whole disk.
class OneCut final {
 public:
  explicit OneCut(uint64_t cut) : cut_(cut) {}
  bool KeepsName(uint64_t event) { return event <= cut_; }
  uint64_t SizeCut(const std::vector<SimSizeChange>&) { return cut_; }
  uint64_t SectorCut(const SimSectorHistory&) { return cut_; }

 private:
  const uint64_t cut_;
};

// A bit for each pending thing, in the order in which they are asked for.
class ChosenBits final {
 public:
  explicit ChosenBits(uint64_t bits) : bits_(bits) {}
  bool KeepsName(uint64_t) { return NextBit(); }
  uint64_t SizeCut(const std::vector<SimSizeChange>& sizes) {
    return sizes.empty() || NextBit() ? kSimCutNone : kSimCutNothing;
  }
  uint64_t SectorCut(const SimSectorHistory&) {
    return NextBit() ? kSimCutNone : kSimCutNothing;
  }

 private:
  bool NextBit() {
    const bool bit = (bits_ & 1) != 0;
    bits_ >>= 1;
    return bit;
  }
  uint64_t bits_;
};

// Each thing by itself. First the odds are drawn, extremes among them, so that
// images like "sizes without data" and "data without names" are frequent; in a
// quarter of the images for each file anew; and in a quarter each file is whole
// or lost, as when the kernel had come to some of them.
class RandomSubset final {
 public:
  explicit RandomSubset(uint64_t seed)
      : random_(seed), whole_pages_(random_.Chance(4)) {
    name_odds_ = kOdds[random_.Below(5)];
    differs_by_file_ = random_.Chance(4);
    whole_files_ = differs_by_file_ && random_.Chance(4);
    DrawFileOdds();
  }

  bool KeepsName(uint64_t) { return random_.Chance(name_odds_); }

  uint64_t SizeCut(const std::vector<SimSizeChange>& sizes) {
    page_ = kNoPage;
    if (differs_by_file_) DrawFileOdds();
    if (sizes.empty()) return kSimCutNone;
    if (!random_.Chance(size_odds_)) return kSimCutNothing;
    if (!random_.Chance(older_odds_)) return kSimCutNone;
    return sizes[random_.Below(sizes.size())].event;
  }

  uint64_t SectorCut(const SimSectorHistory& history) {
    const uint64_t page = history.sector * kSimSectorSize / kSimPageSize;
    if (!whole_pages_ || page != page_) cut_ = Draw(history);
    page_ = page;
    return cut_;
  }

 private:
  static constexpr uint64_t kNoPage = UINT64_MAX;
  static constexpr uint64_t kOdds[] = {0, 1, 4, 7, 8};

  void DrawFileOdds() {
    if (whole_files_) {
      size_odds_ = data_odds_ = random_.Chance(4) ? 8 : 0;
      older_odds_ = 0;
      return;
    }
    size_odds_ = kOdds[random_.Below(5)];
    data_odds_ = kOdds[random_.Below(5)];
    // Of what is kept, how much is not in its newest version.
    older_odds_ = kOdds[random_.Below(4)];
  }

  uint64_t Draw(const SimSectorHistory& history) {
    if (!random_.Chance(data_odds_)) return kSimCutNothing;
    if (!random_.Chance(older_odds_)) return kSimCutNone;
    return history.changes[random_.Below(history.changes.size())].event;
  }

  SimRandom random_;
  uint64_t name_odds_ = 0;
  uint64_t size_odds_ = 0;
  uint64_t data_odds_ = 0;
  uint64_t older_odds_ = 0;
  bool whole_pages_;
  bool differs_by_file_ = false;
  bool whole_files_ = false;
  uint64_t page_ = kNoPage;
  uint64_t cut_ = 0;
};

void KeepChange(const SimNameChange& change, SimNames::Map& names) {
  if (change.kind == SimNameChange::Kind::kUnlink) {
    const auto at = names.find(change.name);
    if (at != names.end() && at->second == change.inode) names.erase(at);
    return;
  }
  std::erase_if(
      names, [&](const auto& named) { return named.second == change.inode; });
  names[change.name] = change.inode;
}

// The events of everything that is pending, ascending.
std::vector<uint64_t> PendingEvents(const SimDisk& disk) {
  std::vector<uint64_t> events;
  for (const auto& [path, names] : disk.directories()) {
    for (const SimNameChange& change : names->pending()) {
      events.push_back(change.event);
    }
  }
  for (const auto& rename : disk.pending_renames()) {
    events.push_back(rename.event);
  }
  for (const auto& inode : disk.Reachable()) {
    for (const SimSizeChange& change : inode->sizes()) {
      events.push_back(change.event);
    }
    for (const SimSectorHistory& history : inode->histories()) {
      for (const auto& change : history.changes) events.push_back(change.event);
    }
  }
  std::ranges::sort(events);
  return events;
}

// The images of files, found by the file.
class InodeImages final {
 public:
  void Add(const std::shared_ptr<SimInode>& inode,
           std::shared_ptr<SimInode> image) {
    PEAT_CHECK(pairs_.empty() || pairs_.back().first < inode->id());
    pairs_.emplace_back(inode->id(), std::move(image));
  }
  const std::shared_ptr<SimInode>& Of(const SimInode& inode) const {
    const auto at = std::ranges::lower_bound(
        pairs_, inode.id(), {}, [](const auto& pair) { return pair.first; });
    PEAT_CHECK(at != pairs_.end() && at->first == inode.id());
    return at->second;
  }
  SimNames::Map Of(SimNames::Map names) const {
    for (auto& [name, inode] : names) inode = Of(*inode);
    return names;
  }

 private:
  std::vector<std::pair<uint64_t, std::shared_ptr<SimInode>>> pairs_;
};

}  // namespace

SimDisk SimDisk::KillImage() {
  InodeImages images;
  for (const auto& inode : Reachable()) {
    images.Add(inode, inode->KillImage());
  }
  SimDisk image;
  image.next_inode_id_ = next_inode_id_;
  image.pending_renames_ = pending_renames_;
  for (const auto& [path, names] : directories_) {
    std::vector<SimNameChange> pending = names->pending();
    for (SimNameChange& change : pending) {
      change.inode = images.Of(*change.inode);
    }
    image.AddDirectory(path)->Reset(images.Of(names->cached()),
                                    images.Of(names->durable()),
                                    std::move(pending));
  }
  return image;
}

template <typename Chooser>
SimDisk SimDisk::PowerLossImage(Chooser chooser) {
  std::vector<SimNames::Map> kept;
  for (const auto& [path, names] : directories_) {
    SimNames::Map& map = kept.emplace_back(names->durable());
    for (const SimNameChange& change : names->pending()) {
      if (chooser.KeepsName(change.event)) KeepChange(change, map);
    }
  }
  InodeImages images;
  SimCuts cuts;
  for (const auto& inode : Reachable()) {
    cuts.size = chooser.SizeCut(inode->sizes());
    cuts.sectors.clear();
    for (const SimSectorHistory& history : inode->histories()) {
      cuts.sectors.push_back(chooser.SectorCut(history));
    }
    images.Add(inode, inode->CutImage(cuts));
  }
  SimDisk image;
  image.next_inode_id_ = next_inode_id_;
  for (auto at = kept.begin(); const auto& [path, names] : directories_) {
    const SimNames::Map map = images.Of(std::move(*at++));
    image.AddDirectory(path)->Reset(map, map, {});
  }
  // The newest first: each undoes what was done to the state before it.
  for (auto at = pending_renames_.rbegin(); at != pending_renames_.rend();
       ++at) {
    if (chooser.KeepsName(at->event)) continue;
    auto moved = image.directories_.extract(at->to);
    if (moved.empty()) continue;  // a later one, which is kept, has moved it
    moved.key() = at->from;
    image.directories_.insert(std::move(moved));
  }
  return image;
}

SimDisk SimDisk::Image(CrashKind kind, uint64_t seed) {
  switch (kind) {
    case CrashKind::kKill:
      return KillImage();
    case CrashKind::kPowerLossNothing:
      return PowerLossImage(OneCut(kSimCutNothing));
    case CrashKind::kPowerLossEverything:
      return PowerLossImage(OneCut(kSimCutNone));
    case CrashKind::kPowerLossPrefix: {
      const std::vector<uint64_t> events = PendingEvents(*this);
      const uint64_t kept = SimRandom(seed).Below(events.size() + 1);
      return PowerLossImage(
          OneCut(kept == 0 ? kSimCutNothing : events[kept - 1]));
    }
    case CrashKind::kPowerLossRandomSubset:
      return PowerLossImage(RandomSubset(seed));
  }
  PEAT_CHECK(false);
}

SimDisk SimDisk::ChosenImage(uint64_t choices) {
  PEAT_CHECK(PendingChoiceCount() < 64);
  return PowerLossImage(ChosenBits(choices));
}

}  // namespace peat::testing
