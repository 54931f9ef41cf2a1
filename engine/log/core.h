// What an open store consists of, handed by reference to each of its parts, so
// that no part lists what it needs a second time. The engine owns everything
// and makes it in the order given here; a part uses what stands above it.
//
// A room uses of this what lies below it; the classes are only named here, so
// that the arrows of the includes still point down.
//
// Constant once the store is open.

#ifndef PEAT_ENGINE_LOG_CORE_H_
#define PEAT_ENGINE_LOG_CORE_H_

#include <atomic>
#include <chrono>
#include <functional>

#include "engine/segment/config.h"
#include "format/location.h"
#include "index/mutex.h"

namespace peat::index {
class HashIndex;
class KeyHasher;
class OrderedIndex;
}  // namespace peat::index

namespace peat::engine {

class Appender;
class Directory;
class FileSystem;
class FilePins;
class GroupCommit;
class ManifestStore;
class MaskCounts;
class Poison;
class ReadAhead;
class Reader;
class Sealer;
class SegmentAllocator;
class SegmentSet;
class StoreClock;
class Throttle;
class ValueReferences;
class Views;

// The segments that the index images name as the last one of the log that they
// reflect: the image that is there, and the one that is being written. They
// must not be compacted.
struct ImageAnchors {
  bool Has(format::SegmentId id) const { return id == current || id == next; }
  std::atomic<format::SegmentId> current{0};
  std::atomic<format::SegmentId> next{0};
  // What the image that was loaded says of its segments is not so: no image is
  // made of it any more, so that the next open counts anew.
  std::atomic<bool> are_counts_wrong{false};
};

struct Core {
  // Of every store.
  FileSystem* file_system = nullptr;
  Directory* directory = nullptr;
  const Config* config = nullptr;
  Poison* poison = nullptr;
  ManifestStore* manifest = nullptr;
  StoreClock* clock = nullptr;  // the manifest's
  const index::KeyHasher* hasher = nullptr;
  SegmentSet* segments = nullptr;
  index::HashIndex* index = nullptr;
  Views* views = nullptr;
  MaskCounts* mask_counts = nullptr;
  ReadAhead* read_ahead = nullptr;
  index::OrderedIndex* ordered = nullptr;  // null: there is none
  const Reader* reader = nullptr;

  // Of a store that is open for writing; null otherwise.
  Appender* appender = nullptr;
  SegmentAllocator* supply = nullptr;
  GroupCommit* syncer = nullptr;
  Sealer* sealer = nullptr;
  ValueReferences* references = nullptr;
  Throttle* throttle = nullptr;
  FilePins* pins = nullptr;
  ImageAnchors* anchors = nullptr;
  // Held during the manifest edit that commits a compaction.
  index::Mutex* commit_mutex = nullptr;
  // Asks the background to look: at the supply, the log, the index, the space.
  std::function<void()> wake_background = [] {};
  // Does what an append has set `*wake` for: tells those who follow the log,
  // asks the background to look, or both.
  std::function<void()> after_wake = [] {};
  // Asks it to look at the log again once that time has passed.
  std::function<void(std::chrono::milliseconds)> flush_later =
      [](std::chrono::milliseconds) {};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_CORE_H_
