// The engines, one file each. Those whose library was not found at the build
// are declared, and not defined.

#ifndef PEAT_BENCH_COMPARE_ENGINES_H_
#define PEAT_BENCH_COMPARE_ENGINES_H_

#include "bench/compare/engine.h"

namespace peat::bench {

EngineEntry PeatEngine();
EngineEntry RocksDbEngine();
EngineEntry LevelDbEngine();
EngineEntry LmdbEngine();
EngineEntry WiredTigerEngine();
EngineEntry TkrzwEngine();
EngineEntry KyotoEngine();
EngineEntry BerkeleyEngine();
EngineEntry SqliteEngine();

// A hash map in memory: the ceiling.
EngineEntry MapEngine();
// Does nothing: what is measured then is the driver.
EngineEntry NothingEngine();
// Of durable puts only: a store into a mapped file and an fdatasync.
EngineEntry FloorEngine();

}  // namespace peat::bench

#endif  // PEAT_BENCH_COMPARE_ENGINES_H_
