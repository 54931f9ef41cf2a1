// The machine under the simulated file system: its disk, its limits, the faults
// that were ordered, and the count of events up to the crash.
//
// Shared by everything that a SimFileSystem hands out, so that files and
// mappings may outlive it. Every member but mutex() and Approach() needs the
// mutex held.

#ifndef PEAT_TESTS_SUPPORT_SIM_MACHINE_H_
#define PEAT_TESTS_SUPPORT_SIM_MACHINE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/support/sim_disk.h"
#include "tests/support/sim_random.h"

namespace peat::testing {

// What can be called, and fail. kStore cannot fail and is only in the log.
enum class SimOp {
  kOpenDirectory,
  kCreateDirectory,
  kCreate,
  kOpen,
  kList,
  kUnlink,
  kRename,
  kLink,
  kRemoveDirectory,
  kSyncDirectory,
  kLock,
  kSize,
  kAllocate,
  kTruncate,
  kRead,
  kWrite,
  kSync,
  kMap,
  kStore,
  kAny,
};
inline constexpr size_t kSimOpCount = static_cast<size_t>(SimOp::kAny) + 1;

const char* SimOpName(SimOp op);

// One order to fail.
struct SimFault {
  SimOp op = SimOp::kAny;
  // The how-manieth such call from now on; 1 is the next.
  uint64_t nth = 1;
  absl::Status status;
  // That call and all later ones.
  bool forever = false;
  // The first half of the bytes, or the whole change of a name, is done before
  // the call fails. Otherwise it does nothing.
  bool partly = false;
  // Only calls on files whose name contains this.
  std::string name_part = {};
};

class SimMachine final {
 public:
  struct Verdict {
    absl::Status status;
    bool partly = false;
    bool ok() const { return status.ok(); }
  };

  SimMachine(SimDisk disk, uint64_t seed)
      : disk_(std::move(disk)), random_(seed) {}

  std::mutex& mutex() { return mutex_; }

  // Precedes each read, and each call and store that may change the disk: tells
  // whoever asked to be told (SimFileSystem::AtEachCall), and returns the
  // mutex.
  std::mutex& Approach(SimOp op) {
    if (at_each_call_ != nullptr) at_each_call_(op);
    return mutex_;
  }
  // Before anything uses the machine.
  void set_at_each_call(std::function<void(SimOp)> what) {
    at_each_call_ = std::move(what);
  }

  SimDisk& disk() { return disk_; }
  SimRandom& random() { return random_; }

  // Begins a call: counts and logs it, and says how it is to fail, if it is.
  Verdict Enter(SimOp op, const std::string& name, uint64_t offset = 0,
                uint64_t size = 0);
  void LogStore(const std::string& name, uint64_t offset, uint64_t size);

  // Begins an event: false if the machine is dead, and then nothing may change.
  // The event's number is event_count(), counting from 1.
  bool NextEvent();
  bool is_dead() const { return is_dead_; }
  static absl::Status DeadStatus();

  uint64_t event_count() const { return event_count_; }
  uint64_t call_count(SimOp op) const {
    return call_counts_[static_cast<size_t>(op)];
  }

  void CrashAfter(uint64_t event);
  void FailNth(SimFault fault);
  void ClearFaults() { faults_.clear(); }

  void set_capacity(uint64_t bytes) { capacity_ = bytes; }
  uint64_t capacity() const { return capacity_; }
  // Of all files that have a name or a user.
  uint64_t UsedBytes();
  // Gives disk space to the pages of [offset, offset + size), in order. Returns
  // up to which offset there is space now; offset + size if there was enough.
  uint64_t TakeSpace(SimInode& inode, uint64_t offset, uint64_t size);
  // To be told of each file that loses its name.
  void AddOrphan(const std::shared_ptr<SimInode>& inode);

  void set_open_file_limit(uint64_t limit) { open_file_limit_ = limit; }
  // False if there are too many; otherwise to be paired with CloseFile.
  bool OpenFile();
  void CloseFile() { --open_files_; }

  // False if it is locked.
  bool Lock(uint64_t inode) { return locks_.insert(inode).second; }
  void Unlock(uint64_t inode) { locks_.erase(inode); }

  std::string Log() const;

 private:
  struct LogLine {
    uint64_t event;
    SimOp op;
    std::string name;
    uint64_t offset;
    uint64_t size;
    absl::StatusCode code;
  };

  void AddLine(LogLine line);
  Verdict Judge(SimOp op, const std::string& name);

  std::mutex mutex_;
  std::function<void(SimOp)> at_each_call_;
  SimDisk disk_;
  SimRandom random_;

  uint64_t event_count_ = 0;
  uint64_t crash_after_ = UINT64_MAX;
  bool is_dead_ = false;
  std::vector<SimFault> faults_;
  std::array<uint64_t, kSimOpCount> call_counts_ = {};

  uint64_t capacity_ = UINT64_MAX;
  std::vector<std::weak_ptr<SimInode>> orphans_;
  uint64_t open_file_limit_ = UINT64_MAX;
  uint64_t open_files_ = 0;
  std::set<uint64_t> locks_;
  std::deque<LogLine> log_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SIM_MACHINE_H_
