// Fuzzes a store that is opened to write although its files are damaged.
//
// The first byte of the input says whether the store was closed (even) or is as
// a kill leaves it (odd). A list of edits follows, of 6 bytes each and what
// they take:
//
//   1     which file, modulo the number of those that the store has
//   1     what is done to it: see Apply(); the highest bit: repair its
//   checksums 2     offset, in units of 8 bytes, modulo the file's size 1 size,
//   or which bit 1     another file, or a distance
//   ...   for an overwrite: so many bytes
//
// and whatever it is, decides what is done with the store that is opened then:
// puts, masks, batches, compactions, images, checkpoints, flushes, scans, and
// reopening. Promised: no crash, and no wait without end; each call ends with a
// status; a value that is read is one that the key was given, and once a write
// has been acknowledged here, that one. (Where checksums were repaired,
// anything may have been made to look sound.)

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "format/check.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/reseal.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/sim_random.h"

namespace peat::engine {
namespace {

using ::peat::testing::CrashKind;
using ::peat::testing::SimFileSystem;
using ::peat::testing::SimRandom;

using Files = std::map<std::string, std::string>;

constexpr int kKeyCount = 40;
constexpr int kStepCount = 24;
constexpr size_t kEditsMax = 6;
constexpr size_t kEditSize = 6;

Config TheConfig() {
  Config config;
  config.segment_size_min = uint64_t{8} << 10;
  config.segment_size_max = uint64_t{8} << 10;
  config.space_extra_min = 0;
  config.snapshot_bytes_min = 0;
  config.background_threads = false;
  config.recovery_threads = 1;
  config.ordered = true;
  return config;
}

std::string Key(uint64_t i) { return "key" + std::to_string(i); }

// Larger than a quarter of a segment now and then: then it has its own file.
std::string Value(SimRandom& random) {
  const uint64_t size = random.Chance(1) ? 3000 : random.Below(200);
  return std::to_string(random.Next()) + std::string(size, 'v');
}

// What is known of each key.
struct History {
  std::map<std::string, std::set<std::string>> values;  // that it has had
  std::set<std::string> forgotten;
};

// A store, its files at four moments, and what was written by then.
struct Base {
  std::vector<Files> moments;
  History history;
};

Files TakeFiles(const SimFileSystem& disk) {
  Files files;
  for (const std::string& name : disk.ListFiles("store")) {
    files[name] = *disk.ReadFile("store/" + name);
  }
  return files;
}

void WriteSome(Engine& engine, SimRandom& random, History* history) {
  for (int i = 0; i < 60; ++i) {
    const std::string key = Key(random.Below(kKeyCount));
    const uint64_t dice = random.Below(20);
    if (dice < 13) {
      const std::string value = Value(random);
      if (engine.Put(key, value).ok()) history->values[key].insert(value);
    } else if (dice < 16) {
      (void)engine.Delete(key);
    } else if (dice < 17) {
      (void)engine.Disable(key, "r");
    } else if (dice < 18) {
      (void)engine.Enable(key, "r");
    } else if (dice < 19) {
      if (engine.Forget(key, "r").ok()) history->forgotten.insert(key);
    } else {
      PEAT_CHECK(engine.Flush().ok());
      engine.RunSync();
    }
  }
}

Base MakeBase() {
  Base base;
  SimRandom random(7);
  SimFileSystem disk(1);
  for (int life = 0; life < 3; ++life) {
    auto engine = Engine::Open(disk, "store", TheConfig());
    PEAT_CHECK(engine.ok());
    WriteSome(**engine, random, &base.history);
    if (life == 1) PEAT_CHECK((*engine)->Compact().ok());
    WriteSome(**engine, random, &base.history);
    // As a kill leaves it, and closed.
    if (life == 2) base.moments.push_back(TakeFiles(disk));
    PEAT_CHECK((*engine)->Close().ok());
    base.moments.push_back(TakeFiles(disk));
  }
  return base;
}

uint8_t Byte(std::string_view input, size_t i) {
  return static_cast<uint8_t>(input[i]);
}

// Edits of the files. Apply() takes one from the input, and says whether sound
// bytes may lie now.
class Edit {
 public:
  Edit(const Base& base, Files* files) : base_(base), files_(*files) {}

  bool Apply(std::string_view& input) {
    const auto number = Byte(input, 0) % files_.size();
    const auto at = std::next(files_.begin(), static_cast<long>(number));
    const std::string name = at->first;
    std::string& bytes = at->second;
    const uint8_t what = Byte(input, 1);
    const size_t units = Byte(input, 2) + 256 * size_t{Byte(input, 3)};
    const size_t offset = bytes.empty() ? 0 : 8 * units % bytes.size();
    const uint8_t size = Byte(input, 4);
    const uint8_t other = Byte(input, 5);
    input.remove_prefix(kEditSize);
    switch ((what & 0x7f) % 8) {
      case 0: {
        const std::string_view written =
            input.substr(0, std::min<size_t>(size, bytes.size() - offset));
        bytes.replace(offset, written.size(), written);
        input.remove_prefix(written.size());
        break;
      }
      case 1:
        if (!bytes.empty()) bytes[offset] ^= static_cast<char>(1 << (size % 8));
        break;
      case 2:
        bytes.resize(offset);
        break;
      case 3:  // a copy of another file
        bytes =
            std::next(files_.begin(), static_cast<long>(other % files_.size()))
                ->second;
        break;
      case 4:  // two files change places
        bytes.swap(
            std::next(files_.begin(), static_cast<long>(other % files_.size()))
                ->second);
        break;
      case 5:
        files_.erase(at);
        return false;
      case 6: {  // as it was at another moment
        const Files& then = base_.moments[other % base_.moments.size()];
        const auto found = then.find(name);
        if (found != then.end()) bytes = found->second;
        // An old manifest is another history.
        if (name.starts_with("MANIFEST")) return true;
        break;
      }
      default:  // within the file, a part is copied
        bytes.replace(
            offset, std::min<size_t>(size, bytes.size() - offset),
            bytes.substr(std::min<size_t>(8 * size_t{other}, bytes.size()),
                         size));
    }
    if ((what & 0x80) == 0) return false;
    testing::Reseal(name, &bytes);
    return true;
  }

 private:
  const Base& base_;
  Files& files_;
};

// A store whose files are what they are.
class Trial {
 public:
  Trial(const Base& base, const Files& files, bool is_forged, uint64_t seed)
      : history_(base.history), is_forged_(is_forged), random_(seed) {
    PEAT_CHECK(disk_.CreateDirectory("store").ok());
    PEAT_CHECK(disk_.CreateDirectory("copies").ok());
    for (const auto& [name, bytes] : files) {
      disk_.WriteFile("store/" + name, bytes);
    }
  }

  void Run() {
    for (int life = 0; life < 3; ++life) {
      auto engine = Engine::Open(disk_, "store", TheConfig());
      if (!engine.ok()) break;
      engine_ = *std::move(engine);
      ReadAll();
      for (int i = 0; i < kStepCount; ++i) Step();
      ReadAll();
      if (life == 0 && !engine_->Close().ok()) unsure_ = true;
      engine_.reset();
    }
    Config config = TheConfig();
    config.access = Access::kReadOnlyDespiteDamage;
    auto engine = Engine::Open(disk_, "store", config);
    if (!engine.ok()) return;
    engine_ = *std::move(engine);
    ReadAll();
  }

 private:
  void Step() {
    const std::string key = Key(random_.Below(kKeyCount));
    switch (random_.Below(12)) {
      case 0:
      case 1:
      case 2: {
        const std::string value = Value(random_);
        history_.values[key].insert(value);
        Note(key, value, engine_->Put(key, value));
        break;
      }
      case 3:
        Note(key, std::nullopt, engine_->Delete(key).status());
        break;
      case 4:
        (void)engine_->Disable(key, "r");
        break;
      case 5:
        (void)engine_->Enable(key, "r");
        break;
      case 6:
        if (engine_->Forget(key, "r").ok()) history_.forgotten.insert(key);
        current_.erase(key);
        break;
      case 7:
        WriteBatch(key, Key(random_.Below(kKeyCount)));
        break;
      case 8:
        (void)engine_->Flush();
        engine_->RunSync();
        break;
      case 9:
        for (int i = 0; i < 4; ++i) (void)engine_->RunCompaction();
        break;
      case 10:
        (void)engine_->Compact();
        break;
      default:
        (void)engine_->RunSnapshot();
        (void)engine_->Checkpoint("copies/" + std::to_string(copies_++));
    }
  }

  void WriteBatch(const std::string& key, const std::string& other) {
    const std::string value = Value(random_);
    history_.values[key].insert(value);
    const absl::Status status = engine_->Write(std::vector<BatchOperation>{
        {.operation = Operation::kPut, .key = key, .value = value},
        {.operation = Operation::kDisable, .key = key, .reason = "b"},
        {.operation = Operation::kEnable, .key = key, .reason = "b"},
        {.operation = Operation::kDelete, .key = other}});
    Note(key, value, status);
    if (status.ok()) current_[other] = std::nullopt;
  }

  // A write that has failed may have happened.
  void Note(const std::string& key, std::optional<std::string> value,
            const absl::Status& status) {
    if (status.ok()) {
      current_[key] = std::move(value);
    } else if (!absl::IsFailedPrecondition(status)) {
      current_.erase(key);
    }
  }

  void ReadAll() {
    for (int i = 0; i < kKeyCount; ++i) {
      std::string value;
      const std::string key = Key(static_cast<uint64_t>(i));
      const absl::Status status = engine_->Get(key, &value);
      if (status.ok()) {
        CheckValue(key, value);
      } else if (absl::IsNotFound(status)) {
        CheckAbsent(key);
      }
    }
    const std::unique_ptr<Cursor> cursor = engine_->Scan({});
    for (; cursor->is_valid(); cursor->Next()) {
      CheckValue(std::string(cursor->key()), std::string(cursor->value()));
    }
    (void)engine_->GetStats();
  }

  void CheckValue(const std::string& key, const std::string& value) const {
    if (is_forged_) return;
    PEAT_CHECK(history_.values.contains(key));
    PEAT_CHECK(history_.values.at(key).contains(value));
    const auto current = current_.find(key);
    if (current == current_.end() || unsure_) return;
    PEAT_CHECK(current->second == value);
  }
  void CheckAbsent(const std::string& key) const {
    const auto current = current_.find(key);
    if (is_forged_ || unsure_ || current == current_.end()) return;
    PEAT_CHECK(!current->second.has_value() ||
               history_.forgotten.contains(key));
  }

  History history_;
  const bool is_forged_;
  SimRandom random_;
  SimFileSystem disk_{2};
  std::unique_ptr<Engine> engine_;
  std::map<std::string, std::optional<std::string>> current_;
  bool unsure_ = false;  // what was acknowledged may have been lost
  int copies_ = 0;
};

}  // namespace
}  // namespace peat::engine

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const peat::engine::Base base = peat::engine::MakeBase();
  std::string_view input(reinterpret_cast<const char*>(data), size);
  uint64_t seed = size;
  for (size_t i = 0; i < size; ++i) seed = 31 * seed + data[i];
  // An even first byte: the store as it was closed; odd: as a kill leaves it.
  const bool is_killed = size > 0 && (data[0] & 1) != 0;
  if (size > 0) input.remove_prefix(1);
  peat::engine::Files files = base.moments[is_killed ? base.moments.size() - 2
                                                     : base.moments.size() - 1];
  bool is_forged = false;
  for (size_t i = 0; i < peat::engine::kEditsMax && !files.empty() &&
                     input.size() >= peat::engine::kEditSize;
       ++i) {
    is_forged |= peat::engine::Edit(base, &files).Apply(input);
  }
  peat::engine::Trial(base, files, is_forged, seed).Run();
  return 0;
}
