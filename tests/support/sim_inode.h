// A file of the simulated disk: what its process sees, what the disk has, and
// what lies between the two.
//
//   cached    the bytes and size that every read and every mapping shows
//   durable   the bytes and size that the disk promised to keep
//   history   of each 512-byte sector, the changes since it was durable, in
//             order; after a power loss the sector may be any prefix of them
//             applied to the durable bytes
//   sizes     the sizes since the durable one; any of them may survive
//   dirty     the 4-KiB pages stored to since the last sync, failed or not
//
// A sync makes the dirty pages durable. A failed sync only makes them clean:
// their histories stay open, and no later sync closes them unless the page is
// stored to again. (So does ext4; fsync's retry returns OK three times.)
//
// Buffers are shared between a disk and its crash images and copied before
// they are changed. Externally synchronised, buffers included.

#ifndef PEAT_TESTS_SUPPORT_SIM_INODE_H_
#define PEAT_TESTS_SUPPORT_SIM_INODE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "format/bytes.h"

namespace peat::testing {

inline constexpr uint64_t kSimSectorSize = 512;
inline constexpr uint64_t kSimPageSize = 4096;
// What a power loss cannot cut: the processor's aligned store.
inline constexpr uint64_t kSimStoreSize = 8;
static_assert(kSimPageSize % kSimSectorSize == 0);
static_assert(kSimSectorSize % kSimStoreSize == 0);

// A cut of a history: the changes of events up to and including it are there.
inline constexpr uint64_t kSimCutNothing = 0;
inline constexpr uint64_t kSimCutNone = UINT64_MAX;

using SimBuffer = std::vector<std::byte>;

// The changes of one sector, oldest first. Events ascend strictly but for the
// zeros of one truncation.
struct SimSectorHistory {
  struct Change {
    uint64_t event;
    uint16_t begin;  // within the sector
    uint16_t size;
    uint32_t data;  // index into `bytes`
  };
  uint64_t sector = 0;
  std::vector<Change> changes;
  SimBuffer bytes;
};

struct SimSizeChange {
  uint64_t event;
  uint64_t size;
};

// Where a power loss cuts a file.
struct SimCuts {
  // One per history, in the order of histories().
  std::vector<uint64_t> sectors;
  uint64_t size = kSimCutNone;
};

class SimInode final {
 public:
  // `id` tells files apart that bore the same name at different times.
  explicit SimInode(uint64_t id);
  SimInode(const SimInode&) = delete;
  SimInode& operator=(const SimInode&) = delete;

  uint64_t id() const { return id_; }
  uint64_t size() const { return size_; }
  // At least size() bytes, zero from there on.
  const SimBuffer& cached() const { return *cached_.bytes; }

  // Changes bytes that lie in one sector and below size(), at `event`.
  void Change(uint64_t event, uint64_t offset, format::ByteView bytes);
  void Resize(uint64_t event, uint64_t size);

  // Gives a new file its first bytes, durable at once.
  void Fill(format::ByteView bytes);

  void Sync();
  void FailSync();

  // Writeback that failed behind everyone's back: as FailSync, and the next
  // sync is to report it.
  void FailWriteback();
  // True once after FailWriteback.
  bool TakeWritebackError();

  // The pages that have disk space, and how much the whole file has.
  bool HasSpace(uint64_t page) const;
  void GiveSpace(uint64_t page);
  uint64_t allocated_bytes() const { return allocated_pages_ * kSimPageSize; }

  // The cached bytes for a mapping, whose address stays while it is pinned.
  std::shared_ptr<SimBuffer> Pin();
  void Unpin();
  // Handles, mappings: an unlinked file lives until there are none.
  void AddUser() { ++users_; }
  void DropUser() { --users_; }
  bool has_users() const { return users_ > 0; }

  // Damage on the medium: changes durable and cached bytes alike.
  void Damage(uint64_t offset, std::byte flip);
  void FailReads(uint64_t offset, uint64_t size);
  bool ReadFails(uint64_t offset, uint64_t size) const;

  // What is not durable, in order of sectors and of events.
  const std::vector<SimSectorHistory>& histories() const { return histories_; }
  const std::vector<SimSizeChange>& sizes() const { return sizes_; }

  // The file after a power loss, everything durable. Not const: shares bytes.
  std::shared_ptr<SimInode> CutImage(const SimCuts& cuts);
  // The file after the end of the process, in the same state.
  std::shared_ptr<SimInode> KillImage();

 private:
  // Bytes that nobody else sees if `is_private`.
  struct Content {
    std::shared_ptr<SimBuffer> bytes;
    bool is_private = false;
  };

  static void MakePrivate(Content& content);
  // With zeros up to a whole sector.
  static void Grow(Content& content, uint64_t size);

  void SetCached(uint64_t offset, format::ByteView bytes);
  void Remember(uint64_t event, uint64_t offset, format::ByteView bytes);
  void ForgetIntermediate(SimSectorHistory& history);
  SimSectorHistory& HistoryOf(uint64_t sector);
  void ApplyCut(const SimSectorHistory& history, uint64_t cut,
                std::byte* sector) const;
  void GrowCached(uint64_t size);
  bool IsDirty(uint64_t page) const;
  void MarkDirty(uint64_t page);
  uint64_t DurableSizeAt(uint64_t cut) const;
  void TrimSpace(uint64_t size);

  const uint64_t id_;
  uint64_t size_ = 0;
  uint64_t durable_size_ = 0;
  Content cached_;
  Content durable_;
  std::vector<SimSectorHistory> histories_;
  std::vector<SimSizeChange> sizes_;
  std::vector<bool> dirty_;
  bool writeback_failed_ = false;

  std::vector<bool> has_space_;
  uint64_t allocated_pages_ = 0;

  uint64_t pins_ = 0;
  uint64_t users_ = 0;
  // Buffers that were outgrown while pinned; they see every later change.
  std::vector<std::shared_ptr<SimBuffer>> outgrown_;

  struct BadRange {
    uint64_t offset;
    uint64_t size;
  };
  std::vector<BadRange> bad_ranges_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SIM_INODE_H_
