// Files and mappings of the simulated file system.

#include "tests/support/sim_file.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/check.h"

namespace peat::testing {
namespace {

using engine::MapMode;
using engine::OpenMode;
using MachineLock = std::lock_guard<std::mutex>;

constexpr uint64_t kFileSizeMax = uint64_t{1} << 40;

class SimMapping final : private engine::StoreObserver, public engine::Mapping {
 public:
  // The pinned bytes of the file, and what of them is mapped how.
  struct View {
    std::shared_ptr<SimBuffer> bytes;
    uint64_t size;
    MapMode mode;
  };

  SimMapping(std::shared_ptr<SimMachine> machine,
             std::shared_ptr<SimInode> inode, std::string name, View view)
      : Mapping(view.size == 0 ? nullptr : view.bytes->data(), view.size, this),
        machine_(std::move(machine)),
        inode_(std::move(inode)),
        bytes_(std::move(view.bytes)),
        name_(std::move(name)),
        mode_(view.mode) {
    inode_->AddUser();
  }

  ~SimMapping() override {
    const MachineLock hold(machine_->mutex());
    inode_->Unpin();
    inode_->DropUser();
  }

  void Touch(uint64_t, uint64_t) override {}
  void Unload(uint64_t, uint64_t) override {}
  void Protect() override { is_protected_.store(true); }
  void WillNeed(uint64_t, uint64_t) const override {}
  void ExpectRandomReads() const override {}

 private:
  void OnStore(std::byte* base, uint64_t offset,
               format::ByteView bytes) override {
    PEAT_CHECK(base == data());
    PEAT_CHECK(mode_ == MapMode::kReadWrite);
    PEAT_CHECK(!is_protected_.load());
    const MachineLock hold(machine_->Approach(SimOp::kStore));
    if (machine_->is_dead() || bytes.empty()) return;
    // Beyond the end of the file a machine sends SIGBUS.
    PEAT_CHECK(offset <= inode_->size());
    PEAT_CHECK(bytes.size() <= inode_->size() - offset);
    machine_->LogStore(name_, offset, bytes.size());
    const uint64_t end = offset + bytes.size();
    for (uint64_t at = offset; at < end;) {
      const uint64_t next =
          std::min((at / kSimStoreSize + 1) * kSimStoreSize, end);
      if (!machine_->NextEvent()) return;
      // So it does where the disk is full and the page has no space.
      PEAT_CHECK(machine_->TakeSpace(*inode_, at, next - at) == next);
      inode_->Change(machine_->event_count(), at,
                     bytes.subspan(at - offset, next - at));
      at = next;
    }
  }

  const std::shared_ptr<SimMachine> machine_;
  const std::shared_ptr<SimInode> inode_;
  std::atomic<bool> is_protected_{false};
  // What data() points into.
  const std::shared_ptr<SimBuffer> bytes_;
  const std::string name_;
  const MapMode mode_;
};

class SimFile final : public engine::File {
 public:
  SimFile(std::shared_ptr<SimMachine> machine, std::shared_ptr<SimInode> inode,
          std::string name, OpenMode mode)
      : machine_(std::move(machine)),
        inode_(std::move(inode)),
        name_(std::move(name)),
        mode_(mode) {
    inode_->AddUser();
  }

  ~SimFile() override {
    const MachineLock hold(machine_->mutex());
    inode_->DropUser();
    machine_->CloseFile();
  }

  absl::StatusOr<uint64_t> Size() const override {
    const MachineLock hold(machine_->mutex());
    const SimMachine::Verdict verdict = machine_->Enter(SimOp::kSize, name_);
    if (!verdict.ok()) return verdict.status;
    return inode_->size();
  }

  absl::Status Allocate(uint64_t size) override;
  absl::Status Truncate(uint64_t size) override;
  absl::StatusOr<size_t> ReadAt(uint64_t offset,
                                std::span<std::byte> out) const override;
  absl::Status WriteAt(uint64_t offset, format::ByteView bytes) override;
  absl::Status Sync() override;
  void StartWriteback(uint64_t, uint64_t) override {}
  absl::StatusOr<std::unique_ptr<engine::Mapping>> Map(uint64_t size,
                                                       MapMode mode) override;

 private:
  absl::Status CheckWritable(uint64_t size) const {
    if (mode_ != OpenMode::kReadWrite) {
      return absl::FailedPreconditionError(
          absl::StrFormat("write %s: the file is open for reading", name_));
    }
    if (size <= kFileSizeMax) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrFormat("write %s: file too large", name_));
  }

  absl::Status NoSpace(const char* call) const {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%s %s: no space left on the disk", call, name_));
  }

  absl::Status WriteSectors(uint64_t offset, format::ByteView bytes);

  const std::shared_ptr<SimMachine> machine_;
  const std::shared_ptr<SimInode> inode_;
  const std::string name_;
  const OpenMode mode_;
};

absl::Status SimFile::Allocate(uint64_t size) {
  const MachineLock hold(machine_->Approach(SimOp::kAllocate));
  const SimMachine::Verdict verdict =
      machine_->Enter(SimOp::kAllocate, name_, 0, size);
  if (!verdict.ok() && !verdict.partly) return verdict.status;
  if (absl::Status status = CheckWritable(size); !status.ok()) return status;
  const uint64_t wanted = verdict.ok() ? size : size / 2;
  if (!machine_->NextEvent()) return SimMachine::DeadStatus();
  const uint64_t got = machine_->TakeSpace(*inode_, 0, wanted);
  PEAT_CHECK(got <= wanted);
  if (got > inode_->size()) inode_->Resize(machine_->event_count(), got);
  if (!verdict.ok()) return verdict.status;
  return got == size ? absl::OkStatus() : NoSpace("fallocate");
}

absl::Status SimFile::Truncate(uint64_t size) {
  const MachineLock hold(machine_->Approach(SimOp::kTruncate));
  const SimMachine::Verdict verdict =
      machine_->Enter(SimOp::kTruncate, name_, 0, size);
  if (!verdict.ok() && !verdict.partly) return verdict.status;
  if (absl::Status status = CheckWritable(size); !status.ok()) return status;
  if (!machine_->NextEvent()) return SimMachine::DeadStatus();
  inode_->Resize(machine_->event_count(), size);
  return verdict.status;
}

absl::StatusOr<size_t> SimFile::ReadAt(uint64_t offset,
                                       std::span<std::byte> out) const {
  const MachineLock hold(machine_->Approach(SimOp::kRead));
  const SimMachine::Verdict verdict =
      machine_->Enter(SimOp::kRead, name_, offset, out.size());
  if (!verdict.ok()) return verdict.status;
  if (inode_->ReadFails(offset, out.size())) {
    return absl::DataLossError(absl::StrFormat("pread %s: bad sector", name_));
  }
  if (offset >= inode_->size()) return size_t{0};
  const size_t size = std::min<uint64_t>(out.size(), inode_->size() - offset);
  if (size > 0) {
    std::memcpy(out.data(), inode_->cached().data() + offset, size);
  }
  return size;
}

absl::Status SimFile::WriteAt(uint64_t offset, format::ByteView bytes) {
  const MachineLock hold(machine_->Approach(SimOp::kWrite));
  const SimMachine::Verdict verdict =
      machine_->Enter(SimOp::kWrite, name_, offset, bytes.size());
  if (!verdict.ok() && !verdict.partly) return verdict.status;
  const uint64_t end = offset > kFileSizeMax ? offset : offset + bytes.size();
  if (absl::Status status = CheckWritable(end); !status.ok()) return status;
  if (!verdict.ok()) {
    absl::Status first_half =
        WriteSectors(offset, bytes.first(bytes.size() / 2));
    return first_half.ok() ? verdict.status : first_half;
  }
  return WriteSectors(offset, bytes);
}

// One event per sector.
absl::Status SimFile::WriteSectors(uint64_t offset, format::ByteView bytes) {
  const uint64_t end = offset + bytes.size();
  for (uint64_t at = offset; at < end;) {
    const uint64_t next =
        std::min((at / kSimSectorSize + 1) * kSimSectorSize, end);
    if (!machine_->NextEvent()) return SimMachine::DeadStatus();
    if (machine_->TakeSpace(*inode_, at, next - at) != next) {
      return NoSpace("pwrite");
    }
    const uint64_t event = machine_->event_count();
    if (next > inode_->size()) inode_->Resize(event, next);
    inode_->Change(event, at, bytes.subspan(at - offset, next - at));
    at = next;
  }
  return absl::OkStatus();
}

absl::Status SimFile::Sync() {
  const MachineLock hold(machine_->Approach(SimOp::kSync));
  const SimMachine::Verdict verdict = machine_->Enter(SimOp::kSync, name_);
  if (!machine_->NextEvent()) return SimMachine::DeadStatus();
  if (!verdict.ok()) {
    inode_->FailSync();
    return verdict.status;
  }
  const bool failed_before = inode_->TakeWritebackError();
  inode_->Sync();
  if (!failed_before) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("fdatasync %s: earlier writeback failed", name_));
}

absl::StatusOr<std::unique_ptr<engine::Mapping>> SimFile::Map(uint64_t size,
                                                              MapMode mode) {
  const MachineLock hold(machine_->mutex());
  const SimMachine::Verdict verdict =
      machine_->Enter(SimOp::kMap, name_, 0, size);
  if (!verdict.ok()) return verdict.status;
  if (size > inode_->size()) {
    return absl::DataLossError(
        absl::StrFormat("mmap %s: mapping needs %d bytes, %d are present",
                        name_, size, inode_->size()));
  }
  if (mode == MapMode::kReadWrite && mode_ != OpenMode::kReadWrite) {
    return absl::PermissionDeniedError(
        absl::StrFormat("mmap %s: the file is open for reading", name_));
  }
  return std::make_unique<SimMapping>(
      machine_, inode_, name_,
      SimMapping::View{.bytes = inode_->Pin(), .size = size, .mode = mode});
}

}  // namespace

std::unique_ptr<engine::File> OpenSimFile(std::shared_ptr<SimMachine> machine,
                                          std::shared_ptr<SimInode> inode,
                                          std::string name, OpenMode mode) {
  return std::make_unique<SimFile>(std::move(machine), std::move(inode),
                                   std::move(name), mode);
}

}  // namespace peat::testing
