// The simulated disk: directories of names, files, and its states after a
// crash.
//
// A directory has, like a file, two states: the names that its process sees and
// the names that are durable. Between them lie the changes since its last sync,
// each one creation, unlink or rename; a power loss keeps any subset of them:
//   a creation or rename that is kept puts the file under its new name, and
//   under no other of this directory (a link is a creation of a file that has a
//   name in another one);
//   an unlink that is kept removes the name if the file is there.
// A failed sync of a directory leaves the changes pending (file systems keep
// names in a journal, and stop for good when that fails). A directory itself is
// durable as soon as it has been created or removed; its rename is pending
// until the directory around it is synced.
//
// Externally synchronised.

#ifndef PEAT_TESTS_SUPPORT_SIM_DISK_H_
#define PEAT_TESTS_SUPPORT_SIM_DISK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/sim_inode.h"

namespace peat::testing {

enum class CrashKind {
  // The process ends; the machine goes on. Everything that any call or store
  // did is there, and what was not durable still is not.
  kKill,
  // The power fails, and of what was not durable there is
  kPowerLossNothing,       // nothing
  kPowerLossEverything,    // everything
  kPowerLossPrefix,        // all up to some event, nothing later
  kPowerLossRandomSubset,  // any sectors or pages, sizes and names
};

struct SimNameChange {
  enum class Kind { kCreate, kUnlink, kRename };
  uint64_t event;
  Kind kind;
  // What the file is called afterwards, or was called if unlinked.
  std::string name;
  std::shared_ptr<SimInode> inode;
};

class SimNames final {
 public:
  using Map = std::map<std::string, std::shared_ptr<SimInode>>;

  const Map& cached() const { return cached_; }
  const Map& durable() const { return durable_; }
  const std::vector<SimNameChange>& pending() const { return pending_; }

  // Null if there is none.
  std::shared_ptr<SimInode> Find(const std::string& name) const;

  // Each at `event`. The names must be as the change needs them.
  void Create(uint64_t event, const std::string& name,
              std::shared_ptr<SimInode> inode);
  void Unlink(uint64_t event, const std::string& name);
  void Rename(uint64_t event, const std::string& from, const std::string& to);
  void Sync();

  // Makes a name come or go without a trace, durably.
  void PutDurable(const std::string& name, std::shared_ptr<SimInode> inode);
  void RemoveDurable(const std::string& name);

  // Puts the names of one state of a directory in place of all.
  void Reset(Map cached, Map durable, std::vector<SimNameChange> pending);

 private:
  Map cached_;
  Map durable_;
  std::vector<SimNameChange> pending_;
};

class SimDisk final {
 public:
  using Directories = std::map<std::string, std::shared_ptr<SimNames>>;

  const Directories& directories() const { return directories_; }
  // Null if there is none.
  std::shared_ptr<SimNames> FindDirectory(const std::string& path) const;
  std::shared_ptr<SimNames> AddDirectory(const std::string& path);

  // Moves a directory to a path that is free. It must not have directories in
  // it. SyncRenames makes all moves of directories in `parent` durable.
  void RenameDirectory(uint64_t event, const std::string& from,
                       const std::string& to);
  void SyncRenames(const std::string& parent);
  void RemoveDirectory(const std::string& path) { directories_.erase(path); }
  struct DirectoryRename {
    uint64_t event = 0;
    std::string from;
    std::string to;
  };
  const std::vector<DirectoryRename>& pending_renames() const {
    return pending_renames_;
  }

  std::shared_ptr<SimInode> NewInode();

  // Every file that any state after a crash may have, by id.
  std::vector<std::shared_ptr<SimInode>> Reachable() const;

  // How many sectors are not durable, and how many things in all: sectors,
  // files' sizes, names.
  uint64_t PendingSectorCount() const;
  uint64_t PendingChoiceCount() const;

  // The disk after a crash. Not const: the images share bytes with it.
  SimDisk Image(CrashKind kind, uint64_t seed);

  // The disk after the power loss that keeps exactly those pending things
  // whose bit in `choices` is set, each in its newest version.
  // PendingChoiceCount() must be at most 63.
  SimDisk ChosenImage(uint64_t choices);

 private:
  Directories directories_;
  std::vector<DirectoryRename> pending_renames_;
  uint64_t next_inode_id_ = 1;

  SimDisk KillImage();
  template <typename Chooser>
  SimDisk PowerLossImage(Chooser chooser);
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SIM_DISK_H_
