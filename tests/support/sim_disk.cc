// Names, and which files a disk has.

#include "tests/support/sim_disk.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "format/check.h"

namespace peat::testing {

std::shared_ptr<SimInode> SimNames::Find(const std::string& name) const {
  const auto at = cached_.find(name);
  return at == cached_.end() ? nullptr : at->second;
}

void SimNames::Create(uint64_t event, const std::string& name,
                      std::shared_ptr<SimInode> inode) {
  pending_.push_back({.event = event,
                      .kind = SimNameChange::Kind::kCreate,
                      .name = name,
                      .inode = inode});
  const bool is_new = cached_.emplace(name, std::move(inode)).second;
  PEAT_CHECK(is_new);
}

void SimNames::Unlink(uint64_t event, const std::string& name) {
  const auto at = cached_.find(name);
  PEAT_CHECK(at != cached_.end());
  pending_.push_back({.event = event,
                      .kind = SimNameChange::Kind::kUnlink,
                      .name = name,
                      .inode = at->second});
  cached_.erase(at);
}

void SimNames::Rename(uint64_t event, const std::string& from,
                      const std::string& to) {
  if (from == to) return;
  const auto at = cached_.find(from);
  PEAT_CHECK(at != cached_.end());
  pending_.push_back({.event = event,
                      .kind = SimNameChange::Kind::kRename,
                      .name = to,
                      .inode = at->second});
  cached_[to] = std::move(at->second);
  cached_.erase(from);
}

void SimNames::Sync() {
  if (pending_.empty()) return;
  durable_ = cached_;
  pending_.clear();
}

void SimNames::PutDurable(const std::string& name,
                          std::shared_ptr<SimInode> inode) {
  RemoveDurable(name);
  cached_[name] = inode;
  durable_[name] = std::move(inode);
}

void SimNames::RemoveDurable(const std::string& name) {
  std::erase_if(pending_, [&](const SimNameChange& change) {
    return change.name == name;
  });
  cached_.erase(name);
  durable_.erase(name);
}

void SimNames::Reset(Map cached, Map durable,
                     std::vector<SimNameChange> pending) {
  cached_ = std::move(cached);
  durable_ = std::move(durable);
  pending_ = std::move(pending);
}

std::shared_ptr<SimNames> SimDisk::FindDirectory(
    const std::string& path) const {
  const auto at = directories_.find(path);
  return at == directories_.end() ? nullptr : at->second;
}

std::shared_ptr<SimNames> SimDisk::AddDirectory(const std::string& path) {
  return directories_.emplace(path, std::make_shared<SimNames>()).first->second;
}

void SimDisk::RenameDirectory(uint64_t event, const std::string& from,
                              const std::string& to) {
  auto moved = directories_.extract(from);
  PEAT_CHECK(!moved.empty());
  moved.key() = to;
  const bool is_new = directories_.insert(std::move(moved)).inserted;
  PEAT_CHECK(is_new);
  pending_renames_.push_back({.event = event, .from = from, .to = to});
}

void SimDisk::SyncRenames(const std::string& parent) {
  std::erase_if(pending_renames_, [&](const DirectoryRename& rename) {
    return std::filesystem::path(rename.to).parent_path() == parent;
  });
}

std::shared_ptr<SimInode> SimDisk::NewInode() {
  return std::make_shared<SimInode>(next_inode_id_++);
}

std::vector<std::shared_ptr<SimInode>> SimDisk::Reachable() const {
  std::vector<std::shared_ptr<SimInode>> inodes;
  for (const auto& [path, names] : directories_) {
    for (const auto& [name, inode] : names->cached()) inodes.push_back(inode);
    if (names->pending().empty()) continue;
    for (const auto& [name, inode] : names->durable()) inodes.push_back(inode);
    for (const SimNameChange& change : names->pending()) {
      inodes.push_back(change.inode);
    }
  }
  std::ranges::sort(inodes, {}, &SimInode::id);
  inodes.erase(std::unique(inodes.begin(), inodes.end()), inodes.end());
  return inodes;
}

uint64_t SimDisk::PendingSectorCount() const {
  uint64_t count = 0;
  for (const auto& inode : Reachable()) count += inode->histories().size();
  return count;
}

uint64_t SimDisk::PendingChoiceCount() const {
  uint64_t count = pending_renames_.size();
  for (const auto& [path, names] : directories_) {
    count += names->pending().size();
  }
  for (const auto& inode : Reachable()) {
    count += inode->histories().size() + (inode->sizes().empty() ? 0 : 1);
  }
  return count;
}

}  // namespace peat::testing
