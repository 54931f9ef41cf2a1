// Crash images and the disk by hand of the simulated file system.

#include "tests/support/sim_file_system.h"

#include <malloc.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/check.h"
#include "format/status_macros.h"
#include "tests/support/sim_directory.h"

namespace peat::testing {
namespace {

using engine::OpenMode;
using std::filesystem::path;
using MachineLock = std::lock_guard<std::mutex>;

// One spelling for each directory.
path Plain(const path& directory) {
  const path normal = directory.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

bool IsRoot(const path& directory) {
  return directory.empty() || directory == "." || directory == "/";
}

uint64_t Mix(uint64_t one, uint64_t other) {
  SimRandom random(one);
  return SimRandom(random.Next() ^ other).Next();
}

}  // namespace

SimFileSystem::SimFileSystem(uint64_t seed)
    : machine_(std::make_shared<SimMachine>(SimDisk(), seed)), seed_(seed) {
  // Images come and go by the million, and to give their memory back to the
  // kernel each time costs ten times what they cost.
  static const int kIsSet = [] {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): once, and glibc's takes a lock.
    const int trims = mallopt(M_TRIM_THRESHOLD, 256 << 20);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the same.
    return trims & mallopt(M_MMAP_THRESHOLD, 32 << 20);
  }();
  (void)kIsSet;
}

SimFileSystem::SimFileSystem(std::shared_ptr<SimMachine> machine, uint64_t seed)
    : machine_(std::move(machine)), seed_(seed) {}

void SimFileSystem::AtEachCall(std::function<void(SimOp)> what) {
  machine_->set_at_each_call(std::move(what));
}

absl::StatusOr<std::unique_ptr<engine::Directory>> SimFileSystem::OpenDirectory(
    const path& where) {
  const path plain = Plain(where);
  const MachineLock hold(machine_->mutex());
  const SimMachine::Verdict verdict =
      machine_->Enter(SimOp::kOpenDirectory, plain.string());
  if (!verdict.ok()) return verdict.status;
  std::shared_ptr<SimNames> names =
      machine_->disk().FindDirectory(plain.string());
  if (names == nullptr) {
    if (FindFile(plain) == nullptr)
      return MissingStatus("open", plain.string());
    return absl::InvalidArgumentError(
        absl::StrFormat("open %s: not a directory", plain.string()));
  }
  return OpenSimDirectory(machine_, std::move(names), plain);
}

absl::Status SimFileSystem::CreateDirectory(const path& where) {
  const path plain = Plain(where);
  const MachineLock hold(machine_->Approach(SimOp::kCreateDirectory));
  const SimMachine::Verdict verdict =
      machine_->Enter(SimOp::kCreateDirectory, plain.string());
  if (!verdict.ok() && !verdict.partly) return verdict.status;
  const path parent = plain.parent_path();
  SimDisk& disk = machine_->disk();
  if (IsRoot(plain) || disk.FindDirectory(plain.string()) != nullptr ||
      FindFile(plain) != nullptr) {
    return ExistsStatus("mkdir", plain.string());
  }
  if (!IsRoot(parent) && disk.FindDirectory(parent.string()) == nullptr) {
    return MissingStatus("mkdir", plain.string());
  }
  if (!machine_->NextEvent()) return SimMachine::DeadStatus();
  disk.AddDirectory(plain.string());
  return verdict.status;
}

void SimFileSystem::Randomize(std::span<std::byte> out) {
  const MachineLock hold(machine_->mutex());
  for (std::byte& byte : out) {
    byte = static_cast<std::byte>(machine_->random().Next() >> 56);
  }
}

uint64_t SimFileSystem::event_count() const {
  const MachineLock hold(machine_->mutex());
  return machine_->event_count();
}

void SimFileSystem::CrashAfter(uint64_t event) {
  const MachineLock hold(machine_->mutex());
  machine_->CrashAfter(event);
}

bool SimFileSystem::is_dead() const {
  const MachineLock hold(machine_->mutex());
  return machine_->is_dead();
}

std::unique_ptr<SimFileSystem> SimFileSystem::ImageOf(SimDisk disk,
                                                      uint64_t seed) const {
  auto machine = std::make_shared<SimMachine>(std::move(disk), seed);
  machine->set_capacity(machine_->capacity());
  return std::make_unique<SimFileSystem>(std::move(machine), seed);
}

std::unique_ptr<SimFileSystem> SimFileSystem::CrashImage(CrashKind kind,
                                                         uint64_t seed) const {
  const MachineLock hold(machine_->mutex());
  return ImageOf(machine_->disk().Image(kind, Mix(seed_, seed)),
                 Mix(Mix(seed_, static_cast<uint64_t>(kind) + 1), seed));
}

uint64_t SimFileSystem::PendingSectorCount() const {
  const MachineLock hold(machine_->mutex());
  return machine_->disk().PendingSectorCount();
}

uint64_t SimFileSystem::PendingChoiceCount() const {
  const MachineLock hold(machine_->mutex());
  return machine_->disk().PendingChoiceCount();
}

std::unique_ptr<SimFileSystem> SimFileSystem::ExhaustiveImage(
    uint64_t index) const {
  const MachineLock hold(machine_->mutex());
  return ImageOf(machine_->disk().ChosenImage(index), Mix(seed_, ~index));
}

void SimFileSystem::FailNth(SimFault fault) {
  const MachineLock hold(machine_->mutex());
  machine_->FailNth(std::move(fault));
}

void SimFileSystem::ClearFaults() {
  const MachineLock hold(machine_->mutex());
  machine_->ClearFaults();
}

uint64_t SimFileSystem::call_count(SimOp op) const {
  const MachineLock hold(machine_->mutex());
  return machine_->call_count(op);
}

void SimFileSystem::SetCapacity(uint64_t bytes) {
  const MachineLock hold(machine_->mutex());
  machine_->set_capacity(bytes);
}

uint64_t SimFileSystem::used_bytes() const {
  const MachineLock hold(machine_->mutex());
  return machine_->UsedBytes();
}

void SimFileSystem::SetOpenFileLimit(uint64_t limit) {
  const MachineLock hold(machine_->mutex());
  machine_->set_open_file_limit(limit);
}

std::shared_ptr<SimInode> SimFileSystem::FindFile(const path& file) const {
  const std::shared_ptr<SimNames> names =
      machine_->disk().FindDirectory(Plain(file.parent_path()).string());
  return names == nullptr ? nullptr : names->Find(file.filename().string());
}

std::shared_ptr<SimInode> SimFileSystem::GetFile(const path& file) const {
  std::shared_ptr<SimInode> inode = FindFile(file);
  PEAT_CHECK(inode != nullptr);
  return inode;
}

void SimFileSystem::FailWriteback(const path& file) {
  const MachineLock hold(machine_->mutex());
  GetFile(file)->FailWriteback();
}

void SimFileSystem::FailReads(const path& file, uint64_t offset,
                              uint64_t size) {
  const MachineLock hold(machine_->mutex());
  GetFile(file)->FailReads(offset, size);
}

void SimFileSystem::FlipBit(const path& file, uint64_t bit) {
  const MachineLock hold(machine_->mutex());
  GetFile(file)->Damage(bit / 8, static_cast<std::byte>(1U << (bit % 8)));
}

void SimFileSystem::CorruptByte(const path& file, uint64_t offset,
                                std::byte value) {
  const MachineLock hold(machine_->mutex());
  const std::shared_ptr<SimInode> inode = GetFile(file);
  PEAT_CHECK(offset < inode->size());
  inode->Damage(offset, inode->cached()[offset] ^ value);
}

std::vector<std::string> SimFileSystem::ListFiles(const path& directory) const {
  const MachineLock hold(machine_->mutex());
  const std::shared_ptr<SimNames> names =
      machine_->disk().FindDirectory(Plain(directory).string());
  std::vector<std::string> found;
  if (names == nullptr) return found;
  for (const auto& [name, inode] : names->cached()) found.push_back(name);
  return found;
}

std::optional<std::string> SimFileSystem::ReadFile(const path& file) const {
  const MachineLock hold(machine_->mutex());
  const std::shared_ptr<SimInode> inode = FindFile(file);
  if (inode == nullptr) return std::nullopt;
  return std::string(
      format::AsString(format::ByteView(inode->cached()).first(inode->size())));
}

void SimFileSystem::WriteFile(const path& file, std::string_view bytes) {
  const MachineLock hold(machine_->mutex());
  std::shared_ptr<SimInode> inode = machine_->disk().NewInode();
  inode->Fill(format::AsBytes(bytes));
  const std::shared_ptr<SimNames> names =
      machine_->disk().FindDirectory(Plain(file.parent_path()).string());
  PEAT_CHECK(names != nullptr);
  names->PutDurable(file.filename().string(), std::move(inode));
}

void SimFileSystem::RemoveFile(const path& file) {
  const MachineLock hold(machine_->mutex());
  const std::shared_ptr<SimNames> names =
      machine_->disk().FindDirectory(Plain(file.parent_path()).string());
  PEAT_CHECK(names != nullptr);
  names->RemoveDurable(file.filename().string());
}

std::string SimFileSystem::OperationLog() const {
  const MachineLock hold(machine_->mutex());
  return machine_->Log();
}

}  // namespace peat::testing
