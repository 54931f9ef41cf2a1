#include "bench/compare/engines.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace peat::bench {

bool Session::PutIfAbsent(std::string_view key, std::string_view value) {
  if (Get(key, [](std::string_view) {})) return false;
  Put(key, value);
  return true;
}

void Session::MultiGet(std::span<const std::string_view> keys, UseIndexed use) {
  for (size_t i = 0; i < keys.size(); ++i) {
    Get(keys[i], [&](std::string_view value) { use(i, value); });
  }
}

void Session::Scan(std::string_view, int, UsePair) {
  Fail("driver", "this engine has no order");
}

const std::vector<EngineEntry>& Engines() {
  static const std::vector<EngineEntry> engines = {
    PeatEngine(),
#if PEAT_COMPARE_ROCKSDB
    RocksDbEngine(),
#endif
#if PEAT_COMPARE_LEVELDB
    LevelDbEngine(),
#endif
#if PEAT_COMPARE_LMDB
    LmdbEngine(),
#endif
#if PEAT_COMPARE_WIREDTIGER
    WiredTigerEngine(),
#endif
#if PEAT_COMPARE_BERKELEY
    BerkeleyEngine(),
#endif
#if PEAT_COMPARE_SQLITE
    SqliteEngine(),
#endif
#if PEAT_COMPARE_TKRZW
    TkrzwEngine(),
#endif
#if PEAT_COMPARE_KYOTO
    KyotoEngine(),
#endif
    MapEngine(),
    FloorEngine(),
    NothingEngine(),
  };
  return engines;
}

const EngineEntry* FindEngine(std::string_view name) {
  const auto found =
      std::ranges::find(Engines(), name, [](const EngineEntry& entry) {
        return std::string_view(entry.info.name);
      });
  return found == Engines().end() ? nullptr : &*found;
}

void Fail(std::string_view who, std::string_view what) {
  std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(who.size()), who.data(),
               static_cast<int>(what.size()), what.data());
  // Not exit(): a library's own threads may still be at work.
  std::_Exit(1);
}

}  // namespace peat::bench
