// Events, faults, space and the log of a simulated machine.

#include "tests/support/sim_machine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/check.h"

namespace peat::testing {
namespace {

// How many calls the log remembers.
constexpr size_t kLogSizeMax = 4096;

}  // namespace

const char* SimOpName(SimOp op) {
  constexpr const char* kNames[] = {"open-directory",
                                    "create-directory",
                                    "create",
                                    "open",
                                    "list",
                                    "unlink",
                                    "rename",
                                    "link",
                                    "remove-directory",
                                    "sync-directory",
                                    "lock",
                                    "size",
                                    "allocate",
                                    "truncate",
                                    "read",
                                    "write",
                                    "sync",
                                    "map",
                                    "store",
                                    "any"};
  static_assert(std::size(kNames) == kSimOpCount);
  return kNames[static_cast<size_t>(op)];
}

absl::Status SimMachine::DeadStatus() {
  return absl::AbortedError("simulated crash");
}

SimMachine::Verdict SimMachine::Enter(SimOp op, const std::string& name,
                                      uint64_t offset, uint64_t size) {
  if (is_dead_) return {.status = DeadStatus()};
  ++call_counts_[static_cast<size_t>(op)];
  ++call_counts_[static_cast<size_t>(SimOp::kAny)];
  Verdict verdict = Judge(op, name);
  AddLine({.event = event_count_,
           .op = op,
           .name = name,
           .offset = offset,
           .size = size,
           .code = verdict.status.code()});
  return verdict;
}

SimMachine::Verdict SimMachine::Judge(SimOp op, const std::string& name) {
  Verdict verdict;
  for (SimFault& fault : faults_) {
    if (fault.op != SimOp::kAny && fault.op != op) continue;
    if (name.find(fault.name_part) == std::string::npos) continue;
    // 0: it has struck already.
    if (fault.nth == 0) continue;
    if (--fault.nth > 0) continue;
    if (fault.forever) fault.nth = 1;
    if (verdict.ok())
      verdict = {.status = fault.status, .partly = fault.partly};
  }
  return verdict;
}

void SimMachine::LogStore(const std::string& name, uint64_t offset,
                          uint64_t size) {
  AddLine({.event = event_count_,
           .op = SimOp::kStore,
           .name = name,
           .offset = offset,
           .size = size,
           .code = absl::StatusCode::kOk});
}

void SimMachine::AddLine(LogLine line) {
  if (log_.size() == kLogSizeMax) log_.pop_front();
  log_.push_back(std::move(line));
}

std::string SimMachine::Log() const {
  std::string text;
  for (const LogLine& line : log_) {
    absl::StrAppendFormat(&text, "after event %d: %s %s offset %d size %d%s\n",
                          line.event, SimOpName(line.op), line.name,
                          line.offset, line.size,
                          line.code == absl::StatusCode::kOk ? "" : " FAILS");
  }
  if (is_dead_) {
    absl::StrAppendFormat(&text, "dead after event %d\n", event_count_);
  }
  return text;
}

bool SimMachine::NextEvent() {
  if (event_count_ >= crash_after_) is_dead_ = true;
  if (is_dead_) return false;
  ++event_count_;
  return true;
}

void SimMachine::CrashAfter(uint64_t event) {
  crash_after_ = event;
  if (event < event_count_) is_dead_ = true;
}

void SimMachine::FailNth(SimFault fault) {
  PEAT_CHECK(fault.nth > 0);
  PEAT_CHECK(!fault.status.ok());
  faults_.push_back(std::move(fault));
}

uint64_t SimMachine::UsedBytes() {
  std::set<uint64_t> counted;  // a file may have several names
  uint64_t used = 0;
  const auto count = [&](const SimInode& inode) {
    if (counted.insert(inode.id()).second) used += inode.allocated_bytes();
  };
  for (const auto& [path, names] : disk_.directories()) {
    for (const auto& [name, inode] : names->cached()) count(*inode);
  }
  std::erase_if(orphans_, [](const std::weak_ptr<SimInode>& orphan) {
    const std::shared_ptr<SimInode> inode = orphan.lock();
    return inode == nullptr || !inode->has_users();
  });
  for (const std::weak_ptr<SimInode>& orphan : orphans_) {
    count(*orphan.lock());
  }
  return used;
}

uint64_t SimMachine::TakeSpace(SimInode& inode, uint64_t offset,
                               uint64_t size) {
  const uint64_t end = offset + size;
  uint64_t left = UINT64_MAX;
  if (capacity_ != UINT64_MAX) {
    const uint64_t used = UsedBytes();
    left = used < capacity_ ? capacity_ - used : 0;
  }
  for (uint64_t page = offset / kSimPageSize; page * kSimPageSize < end;
       ++page) {
    if (inode.HasSpace(page)) continue;
    if (left < kSimPageSize) return std::max(offset, page * kSimPageSize);
    if (left != UINT64_MAX) left -= kSimPageSize;
    inode.GiveSpace(page);
  }
  return end;
}

void SimMachine::AddOrphan(const std::shared_ptr<SimInode>& inode) {
  if (inode != nullptr && inode->has_users()) orphans_.push_back(inode);
}

bool SimMachine::OpenFile() {
  if (open_files_ >= open_file_limit_) return false;
  ++open_files_;
  return true;
}

}  // namespace peat::testing
