// A store on a simulated disk, and the oracle that knows what it must contain.
//
// The oracle lies outside of the disk. It notes each unit as written before the
// call, as acknowledged when the call has returned OK on a living machine, and
// as durable when the store says so. Whatever a crash leaves is then checked
// against it: the state must be the one after the first k units, for one k with
// durable <= k <= written, and no less than acknowledged if only the process
// ended.
//
// A violation is an Internal status that says what was promised and what was
// found; OK means that all went as promised, crash or not. Externally
// synchronised.

#ifndef PEAT_TESTS_CRASH_CRASH_RUN_H_
#define PEAT_TESTS_CRASH_CRASH_RUN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/engine.h"
#include "tests/crash/script.h"
#include "tests/crash/store_dump.h"
#include "tests/support/model.h"
#include "tests/support/sim_file_system.h"

namespace peat::testing {

inline constexpr char kStorePath[] = "store";

// The bytes of all files of the store, by name.
std::map<std::string, std::string> FilesOf(const SimFileSystem& disk);

// A checkpoint: if it is there it has the first so many units, or more.
struct OracleCopy {
  std::string path;
  size_t floor = 0;
  bool is_promised = false;  // that it is there
};

struct Oracle {
  Model model;              // every unit that was written
  size_t acknowledged = 0;  // the first so many
  size_t durable = 0;
  OracleCopy copy = {};  // the newest; no path: there is none
  int copy_count = 0;
  bool has_longest_key = false;  // a unit was written to it
};

class CrashRun final {
 public:
  struct Settings {
    engine::Config config;
    uint32_t key_count = 8;
    // Calls may fail although the machine lives.
    bool expects_faults = false;
    // Where they may: an old failure of writeback is reported to whoever syncs
    // the file next, so there are as many failures as there are such files.
    int open_attempts = 64;
  };

  CrashRun(std::unique_ptr<SimFileSystem> disk, const Settings& settings,
           Oracle oracle);
  ~CrashRun();

  // Opens the store to write, finds the k that it contains, at least `floor`,
  // and takes that as the history from now on. Where faults are expected it
  // tries again, but not for ever.
  absl::Status Open(size_t floor);

  // Does one step. Nothing if there is no open store.
  absl::Status Do(const ScriptStep& step);

  // Opens the store, if it is not open, and does all steps, until the end or
  // the crash.
  absl::Status DoAll(const std::vector<ScriptStep>& steps);

  // Whether every key is as the model's newest state has it. OK if there is no
  // open store.
  absl::Status CheckState() const;

  // Opens the store to read only, which must change no byte, and returns the
  // state's k.
  absl::StatusOr<size_t> CheckReadOnly(size_t floor) const;

  // Whether the newest checkpoint is there, if it was promised, and whole, if
  // it is there.
  absl::Status CheckCopy() const;

  // Ends the process without a word; the disk stays.
  void DropStore();

  bool is_open() const { return store_ != nullptr; }
  engine::Engine* store() const { return store_.get(); }
  SimFileSystem& disk() const { return *disk_; }
  const Oracle& oracle() const { return oracle_; }
  const Settings& settings() const { return settings_; }
  // The first failure that was not the crash's; OK if none.
  const absl::Status& failure() const { return failure_; }

  bool is_alive() const { return !disk_->is_dead(); }

 private:
  absl::Status OpenOnce(size_t floor);
  absl::StatusOr<size_t> FindPrefix(const engine::Engine& store,
                                    size_t floor) const;
  absl::Status Write(const ScriptStep& step);
  // Makes the call of `step`; Internal if its answer is not the model's.
  absl::Status Call(const ScriptStep& step);
  absl::Status CallOne(const ScriptStep& step, const ScriptWrite& write);
  absl::Status CallBatch(const ScriptStep& step);
  absl::Status Flush();
  absl::Status Reopen();
  absl::Status OpenAgain();
  absl::Status Checkpoint();
  void RemoveCopy();
  void FailWriteback(const ScriptStep& step);
  // Compacts, or saves the index.
  absl::Status Maintain(const ScriptStep& step);
  // Makes the step's writes in its midst: the rest of them at the last point.
  void WriteAmid(size_t point_count);
  // Takes `status` of a call on a living machine.
  absl::Status Take(const absl::Status& status);
  void NoteDurable();

  const std::unique_ptr<SimFileSystem> disk_;
  const Settings settings_;
  Oracle oracle_;
  absl::Status failure_;
  std::unique_ptr<engine::Engine> store_;
  std::vector<ScriptWrite> writes_amid_;  // not made yet
  absl::Status amid_;                     // how they went
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_CRASH_CRASH_RUN_H_
