// A file system in memory that crashes, loses power, fills up and fails, as
// ordered, and the same way for the same seed.
//
// The fault model, in full. The disk is honest and the machine is POSIX:
//
// What is durable: the bytes and the size that a file had at its last Sync that
//   returned OK; the names that a directory had at its last Sync that returned
//   OK; directories. Nothing else.
// What a power loss does to the rest, independently (CrashKind):
//   each 512-byte sector has its durable bytes or any later state: after any
//     number of the 8-byte pieces stored to it since. Sectors of a 4-KiB page
//     go together in half of the images, and each on its own in the others;
//   each size is the durable one or any later one, whatever became of the
//   bytes:
//     bytes that are not there read as zeros. Truncation zeroes what it cuts;
//   each creation, link, rename and unlink is there or not, one rename whole or
//     not at all, and no file has two names in a directory (sim_disk.h).
// What the end of the process (kKill) does: nothing. All is there, up to the
//   8-byte piece that was being stored, and what was not durable still is not.
// A failed Sync of a file: its dirty pages become clean without being durable.
//   Reads go on to show them. Later Syncs return OK and make them durable only
//   if they were stored to again, by the same bytes even, and then as whole
//   pages. This outlives the process (kKill), as it does on ext4. The size is
//   metadata and stays pending.
// A failed Sync of a directory: everything stays pending.
// FailWriteback: the disk failed with no one waiting. As a failed Sync; the
// next
//   Sync makes what is dirty by then durable, and returns DataLoss, once.
// A full disk: each page of 4 KiB takes space when it is allocated or first
//   written; Allocate and WriteAt fail with ResourceExhausted after doing what
//   space there was for. A store into a page without space takes it; where
//   there is none, or no such byte in the file any more, the machine would send
//   SIGBUS, so the simulator aborts.
// Not modelled: bits that rot by themselves (FlipBit does it on order),
// reordered
//   flushes inside the disk, lost or misdirected writes of a dishonest disk,
//   SIGBUS for mapped reads of a bad medium, times, permissions.
//
// Events. Everything that can change the state of the disk is an event, counted
// from 1: each call of Create, Unlink, Rename, Link, Allocate, Truncate, Sync,
// CreateDirectory, RemoveDirectory, each Lock that creates; each sector of a
// WriteAt; each 8-byte piece of a store. CrashAfter(n) lets n events happen.
// Then the machine is dead: every call returns Aborted and stores do nothing,
// until the engine has unwound and the test takes an image. Calls that only
// look are no events, since to crash before or after them is the same.
//
// One 64-bit seed determines everything, Randomize included. Thread-safe
// (one mutex), but deterministic only if used from one thread at a time.

#ifndef PEAT_TESTS_SUPPORT_SIM_FILE_SYSTEM_H_
#define PEAT_TESTS_SUPPORT_SIM_FILE_SYSTEM_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "tests/support/sim_disk.h"
#include "tests/support/sim_machine.h"

namespace peat::testing {

class SimFileSystem final : public engine::FileSystem {
 public:
  // An empty disk. The directories "", "." and "/" need not be created to
  // create others in.
  explicit SimFileSystem(uint64_t seed);
  // What the images are made with.
  SimFileSystem(std::shared_ptr<SimMachine> machine, uint64_t seed);

  absl::StatusOr<std::unique_ptr<engine::Directory>> OpenDirectory(
      const std::filesystem::path& where) override;
  absl::Status CreateDirectory(const std::filesystem::path& where) override;
  void Randomize(std::span<std::byte> out) override;

  // Crashes.
  uint64_t event_count() const;
  void CrashAfter(uint64_t event);
  bool is_dead() const;

  // The disk after a crash at this moment, on a machine without faults, limits
  // on open files, or locks; its capacity is the same. This file system is as
  // before, so any number of images can be taken. Equal seeds, equal images.
  std::unique_ptr<SimFileSystem> CrashImage(CrashKind kind,
                                            uint64_t seed) const;

  // The sectors that are not durable; and these with the sizes and names that
  // are not.
  uint64_t PendingSectorCount() const;
  uint64_t PendingChoiceCount() const;
  // One of the 2^PendingChoiceCount() disks after a power loss that keeps some
  // of the pending things in their newest version: bit i of `index` keeps the
  // i-th. The count must be below 64.
  std::unique_ptr<SimFileSystem> ExhaustiveImage(uint64_t index) const;

  // Has `what` called before each read, and each call and store that may change
  // the disk, on the thread that makes it. Images do not have it. Call this
  // before the disk is used.
  void AtEachCall(std::function<void(SimOp)> what);

  // Faults.
  void FailNth(SimFault fault);
  void ClearFaults();
  // How many calls of this kind, or of any, there were.
  uint64_t call_count(SimOp op) const;
  void SetCapacity(uint64_t bytes);
  uint64_t used_bytes() const;
  // Of handles: files, directories, locks.
  void SetOpenFileLimit(uint64_t limit);
  void FailWriteback(const std::filesystem::path& file);
  // ReadAt of any byte of the range is DataLoss from now on, in images too.
  void FailReads(const std::filesystem::path& file, uint64_t offset,
                 uint64_t size);
  // Damage on the disk, seen by everyone. The file must have the byte.
  void FlipBit(const std::filesystem::path& file, uint64_t bit);
  void CorruptByte(const std::filesystem::path& file, uint64_t offset,
                   std::byte value);

  // The disk by hand, durably, without events or faults.
  std::vector<std::string> ListFiles(
      const std::filesystem::path& directory) const;
  std::optional<std::string> ReadFile(const std::filesystem::path& file) const;
  void WriteFile(const std::filesystem::path& file, std::string_view bytes);
  void RemoveFile(const std::filesystem::path& file);

  // The last 4,096 calls and stores, a line each, for a seed that failed.
  std::string OperationLog() const;

 private:
  std::unique_ptr<SimFileSystem> ImageOf(SimDisk disk, uint64_t seed) const;
  // Null if there is none.
  std::shared_ptr<SimInode> FindFile(const std::filesystem::path& file) const;
  // There must be one.
  std::shared_ptr<SimInode> GetFile(const std::filesystem::path& file) const;

  const std::shared_ptr<SimMachine> machine_;
  const uint64_t seed_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SIM_FILE_SYSTEM_H_
