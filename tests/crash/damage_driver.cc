// Damage at rest: flipped bits, files cut, zeroed, deleted, exchanged or put
// back from an older day. What opens must be a prefix of the history; what was
// below the last mark is there or reported; no key ever has a wrong value.

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/segment/segment_scanner.h"
#include "format/file_name.h"
#include "format/manifest.h"
#include "format/segment_header.h"
#include "format/status_macros.h"
#include "tests/crash/crash_check.h"

namespace peat::testing {
namespace {

using engine::Engine;
using Kind = ScriptStep::Kind;
using Files = std::map<std::string, std::string>;

std::string PathOf(const std::string& name) {
  return std::string(kStorePath) + "/" + name;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool NamesAFile(const absl::Status& status) {
  const std::string text(status.message());
  return Has(text, ".seg") || Has(text, ".val") || Has(text, "MANIFEST") ||
         Has(text, "log offset") || Has(text, "unreadable range") ||
         Has(text, "the log breaks off");
}

// What was done to the files, in words.
struct Damage {
  std::string what;
  std::string file = {};
  // It may take away marks with what they vouch for. Then only what is sealed
  // can be known to be missing.
  bool leaves_no_trace = false;
  // What is left may be the whole store of an earlier day.
  bool is_earlier_day = false;
};

// A history on disk, with every unit flushed and a mark behind the flush.
class DamageHistory final {
 public:
  explicit DamageHistory(uint64_t seed)
      : random_(seed),
        script_(RandomScript(random_, {.step_count = 40, .small = false})),
        run_(std::make_unique<SimFileSystem>(seed),
             {.config = script_.config, .key_count = kKeyCount}, {}) {}

  absl::Status Write() {
    PEAT_RETURN_IF_ERROR(run_.Open(0));
    const size_t old_at = random_.Below(script_.steps.size());
    for (size_t i = 0; i < script_.steps.size(); ++i) {
      PEAT_RETURN_IF_ERROR(run_.Do(script_.steps[i]));
      if (i == old_at) old_ = FilesOf(run_.disk());
      NoteManifests();
    }
    PEAT_RETURN_IF_ERROR(run_.Do({.kind = Kind::kFlush}));
    marked_ = run_.oracle().durable;
    PEAT_RETURN_IF_ERROR(NoteForgets());
    const ScriptStep put{
        .kind = Kind::kPut,
        .writes = {{.key = WritableKey(), .value_size = 24, .value_seed = 77}}};
    PEAT_RETURN_IF_ERROR(run_.Do(put));
    if (random_.Chance(4)) {
      PEAT_RETURN_IF_ERROR(run_.Do({.kind = Kind::kReopen}));
      marked_ = run_.oracle().durable;
    }
    run_.DropStore();
    files_ = FilesOf(run_.disk());
    PEAT_ASSIGN_OR_RETURN(
        const format::Manifest manifest,
        format::DecodeManifest(format::AsBytes(files_.at("MANIFEST-0"))));
    // Whatever becomes of the unsealed part: a flushed forget is never undone.
    sealed_lsn_ = forget_lsn_;
    for (const format::ManifestSegment& entry : manifest.segments) {
      if (entry.state != format::SegmentState::kSealed) {
        unsealed_.insert(format::SegmentFileName(entry.id));
      } else {
        sealed_lsn_ = std::max(sealed_lsn_, entry.last_lsn);
      }
    }
    return absl::OkStatus();
  }

  void NoteManifests() {
    Files copies = FilesOf(run_.disk());
    std::erase_if(copies, [](const auto& file) {
      return !file.first.starts_with("MANIFEST");
    });
    if (copies.size() == 2) old_manifests_.push_back(std::move(copies));
  }

  absl::Status NoteForgets() {
    PEAT_ASSIGN_OR_RETURN(
        const auto scan,
        run_.store()->ScanMasks(
            {.disables = false, .enables = false, .newest_first = true}));
    if (scan->Next()) forget_lsn_ = scan->record().header.lsn;
    return scan->status();
  }

  uint32_t WritableKey() const {
    for (uint32_t key = 2; key < kKeyCount; ++key) {
      if (model().StateOf(KeyOf(key)) <= KeyState::kLive) return key;
    }
    return 0;
  }

  // Damages a copy of the disk in one way and checks what comes of it.
  absl::Status DamageOnce() {
    ++Counts().damages;
    std::unique_ptr<SimFileSystem> disk =
        run_.disk().CrashImage(CrashKind::kPowerLossEverything, 1);
    const Damage damage = Inflict(*disk);
    absl::Status status = Check(*disk, damage);
    if (status.ok()) return status;
    return Broken(absl::StrFormat("%s\n  after: %s\n%s",
                                  std::string(status.message()), damage.what,
                                  ToString(script_)));
  }

 private:
  static constexpr uint32_t kKeyCount = 64;

  // Often one that is not sealed, where marks alone tell damage from a tear.
  const std::string& AnyFile() {
    auto at = files_.begin();
    if (!unsealed_.empty() && random_.Chance(2)) {
      auto unsealed = unsealed_.begin();
      std::advance(unsealed, random_.Below(unsealed_.size()));
      at = files_.find(*unsealed);
      if (at != files_.end() && !at->second.empty()) return at->first;
    }
    do {
      at = files_.begin();
      std::advance(at, random_.Below(files_.size()));
    } while (at->second.empty() || Has(at->first, "RESERVE"));
    return at->first;
  }

  // Of two files of one kind, or nullopt.
  std::optional<std::pair<std::string, std::string>> AnyTwo() {
    const std::string one = AnyFile();
    std::vector<std::string> others;
    for (const auto& [name, bytes] : files_) {
      if (name != one &&
          name.substr(name.size() - 3) == one.substr(one.size() - 3)) {
        others.push_back(name);
      }
    }
    if (others.empty()) return std::nullopt;
    return std::pair(one, others[random_.Below(others.size())]);
  }

  // Where there is something in `bytes`, mostly.
  uint64_t AnyOffset(const std::string& bytes) {
    for (int i = 0; i < 20; ++i) {
      const uint64_t offset = random_.Below(bytes.size());
      if (bytes[offset] != '\0') return offset;
    }
    return random_.Below(bytes.size());
  }

  Damage Inflict(SimFileSystem& disk) {
    const std::string name = AnyFile();
    const std::string& bytes = files_.at(name);
    const uint64_t offset = AnyOffset(bytes);
    switch (random_.Below(13)) {
      case 0: {
        disk.WriteFile(PathOf(name), bytes.substr(0, offset));
        return {absl::StrFormat("%s cut at %d", name, offset), name, true};
      }
      case 1: {
        const uint64_t begin = offset / 512 * 512;
        const uint64_t size =
            std::min<uint64_t>(512 << random_.Below(6), bytes.size() - begin);
        std::string zeroed = bytes;
        zeroed.replace(begin, size, std::string(size, '\0'));
        disk.WriteFile(PathOf(name), zeroed);
        return {absl::StrFormat("%s zeroed from %d, %d", name, begin, size),
                name, true};
      }
      case 2:
        disk.RemoveFile(PathOf(name));
        return {name + " removed", name, true};
      case 3:
        return Exchange(disk);
      case 5:
        return Misplace(disk, name);
      case 4:
        return PutBack(disk);
      case 6:
        return PutBackManifests(disk);
      case 7:
        return PutBackSeveral(disk);
      default: {
        const uint64_t bit = offset * 8 + random_.Below(8);
        disk.FlipBit(PathOf(name), bit);
        return {absl::StrFormat("%s bit %d flipped", name, bit), name};
      }
    }
  }

  // Writes one record of a segment over another of the same size.
  Damage Misplace(SimFileSystem& disk, const std::string& name) {
    std::string bytes = files_.at(name);
    const auto header = format::DecodeSegmentHeader(format::AsBytes(bytes));
    if (!Has(name, ".seg") || !header.ok()) return {"nothing"};
    engine::SegmentScanner scanner(format::AsBytes(bytes), header->salt,
                                   format::kSegmentHeaderSize, bytes.size());
    std::map<uint64_t, std::vector<uint64_t>> offsets_by_size;
    while (scanner.Next() == engine::SegmentScanner::Step::kRecord) {
      offsets_by_size[scanner.next_offset() - scanner.offset()].push_back(
          scanner.offset());
    }
    std::erase_if(offsets_by_size,
                  [](const auto& one) { return one.second.size() < 2; });
    if (offsets_by_size.empty()) return {"nothing"};
    auto at = offsets_by_size.begin();
    std::advance(at, random_.Below(offsets_by_size.size()));
    const uint64_t from = at->second[random_.Below(at->second.size())];
    const uint64_t to = at->second[random_.Below(at->second.size())];
    bytes.replace(to, at->first, bytes.substr(from, at->first));
    disk.WriteFile(PathOf(name), bytes);
    return {
        absl::StrFormat("%s record at %d put over that at %d", name, from, to),
        name, from == to};
  }

  Damage Exchange(SimFileSystem& disk) {
    const auto two = AnyTwo();
    if (!two.has_value()) return {"nothing"};
    disk.WriteFile(PathOf(two->first), files_.at(two->second));
    disk.WriteFile(PathOf(two->second), files_.at(two->first));
    return {two->first + " and " + two->second + " exchanged"};
  }

  // Both as they were at one moment, or one of them beside a damaged one.
  Damage PutBackManifests(SimFileSystem& disk) {
    if (old_manifests_.empty()) return {"nothing"};
    const size_t day = random_.Below(old_manifests_.size());
    std::string what =
        absl::StrFormat("the manifests of step %d put back", day);
    for (const auto& [name, bytes] : old_manifests_[day]) {
      disk.WriteFile(PathOf(name), bytes);
    }
    if (random_.Chance(2)) return {what};
    const char* const damaged = random_.Chance(2) ? "MANIFEST-0" : "MANIFEST-1";
    disk.FlipBit(PathOf(damaged), random_.Below(80 * 8));
    return {what + ", a bit flipped in " + damaged};
  }

  // Some files of an earlier day, others of today, others gone.
  Damage PutBackSeveral(SimFileSystem& disk) {
    if (old_.empty()) return {"nothing"};
    std::string what = "put back:";
    for (const auto& [name, bytes] : old_) {
      if (random_.Chance(3)) continue;
      disk.WriteFile(PathOf(name), bytes);
      what += " " + name;
    }
    what += "; removed:";
    for (const auto& [name, bytes] : files_) {
      if (old_.contains(name) || random_.Chance(2)) continue;
      disk.RemoveFile(PathOf(name));
      what += " " + name;
    }
    return {.what = what, .is_earlier_day = true};
  }

  Damage PutBack(SimFileSystem& disk) {
    if (old_.empty()) return {"nothing"};
    auto at = old_.begin();
    std::advance(at, random_.Below(old_.size()));
    disk.WriteFile(PathOf(at->first), at->second);
    return {at->first + " put back as it was earlier", at->first, true};
  }

  absl::Status Check(const SimFileSystem& disk, const Damage& damage) {
    const auto copy = disk.CrashImage(CrashKind::kKill, 1);
    const absl::StatusOr<std::unique_ptr<Engine>> store =
        Engine::Open(*copy, kStorePath, script_.config);
    if (store.ok()) return CheckOpened(**store, damage);
    ++Counts().detected;
    if (!absl::IsDataLoss(store.status()) || !NamesAFile(store.status())) {
      return Broken("not DataLoss of a file: " + store.status().ToString());
    }
    engine::Config config = script_.config;
    config.access = engine::Access::kReadOnlyDespiteDamage;
    const auto again = disk.CrashImage(CrashKind::kKill, 1);
    const absl::StatusOr<std::unique_ptr<Engine>> rest =
        Engine::Open(*again, kStorePath, config);
    if (!rest.ok()) {
      return absl::IsDataLoss(rest.status())
                 ? absl::OkStatus()
                 : Broken("despite damage: " + rest.status().ToString());
    }
    bool is_hidden = false;
    // Of an earlier day nothing is known but that no value is made up.
    if (damage.is_earlier_day) return absl::OkStatus();
    return CheckValues(**rest, model().state(), &is_hidden);
  }

  // What opens is a prefix, at least up to the mark, and says what it lacks.
  absl::Status CheckOpened(const Engine& store, const Damage& damage) {
    const peat::Stats stats = store.GetStats();
    const std::optional<size_t> k = model().PrefixOf(stats.last_lsn);
    if (!k.has_value()) return Broken("half a unit");
    const std::string found =
        absl::StrFormat("opened with %d units of %d, %d marked", *k,
                        model().unit_count(), marked_);
    const bool only_sealed =
        damage.leaves_no_trace && unsealed_.contains(damage.file);
    if (!damage.is_earlier_day &&
        stats.last_lsn <
            (only_sealed ? sealed_lsn_ : model().last_lsn(marked_))) {
      return Broken("silent loss: " + found);
    }
    const bool all = *k == model().unit_count();
    if (!all && stats.open.cut.empty() && !damage.leaves_no_trace &&
        !damage.is_earlier_day) {
      return Broken("a cut is not reported: " + found);
    }
    bool is_hidden = false;
    PEAT_RETURN_IF_ERROR(CheckValues(
        store, all ? model().state() : model().StateAt(*k), &is_hidden));
    ++(all && !is_hidden ? Counts().harmless : Counts().detected);
    return absl::OkStatus();
  }

  // Each key has the value of `state`, or cannot be read.
  static absl::Status CheckValues(const Engine& store, const ModelState& state,
                                  bool* is_hidden) {
    for (uint32_t i = 0; i < kKeyCount; ++i) {
      const std::string key = KeyOf(i);
      const auto at = state.find(key);
      std::string value;
      const absl::Status status = store.Get(key, &value);
      if (absl::IsDataLoss(status) && NamesAFile(status)) {
        *is_hidden = true;
      } else if (status.ok()) {
        if (at == state.end())
          return Broken(absl::StrFormat("key %d is back", i));
        if (at->second.state == KeyState::kForgotten) {
          return Broken(absl::StrFormat("key %d is un-forgotten", i));
        }
        if (*at->second.value != value) {
          return Broken(absl::StrFormat("key %d has a wrong value", i));
        }
      } else if (!absl::IsNotFound(status)) {
        return Broken("get: " + status.ToString());
      } else if (at != state.end() &&
                 at->second.state != KeyState::kForgotten) {
        return Broken(absl::StrFormat("key %d is silently lost", i));
      }
    }
    return absl::OkStatus();
  }

  const Model& model() const { return run_.oracle().model; }

  SimRandom random_;
  const Script script_;
  CrashRun run_;
  Files files_;
  Files old_;
  std::vector<Files> old_manifests_;
  size_t marked_ = 0;
  std::set<std::string> unsealed_;
  uint64_t sealed_lsn_ = 0;
  uint64_t forget_lsn_ = 0;  // of the last forget, which was flushed
};

}  // namespace

absl::Status DamageManyTimes(uint64_t seed, int count) {
  SetReplay(absl::StrFormat("PEAT_SEED=%d crash_test", seed));
  DamageHistory history(seed);
  PEAT_RETURN_IF_ERROR(history.Write());
  for (int i = 0; i < count; ++i) PEAT_RETURN_IF_ERROR(history.DamageOnce());
  return absl::OkStatus();
}

}  // namespace peat::testing
