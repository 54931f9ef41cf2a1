// What the comparison asks of an engine, and what an engine says of itself.
//
// An adapter implements Engine and Session with the calls that its engine's
// own users would choose, and nothing between. It ends the process with a
// message where something fails: a run with a failure has no figures.
//
// A Session is of one thread; an Engine outlives its sessions.

#ifndef PEAT_BENCH_COMPARE_ENGINE_H_
#define PEAT_BENCH_COMPARE_ENGINE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"

namespace peat::bench {

struct Pair {
  std::string_view key;
  std::string_view value;
};

// Takes a value, or a pair, that is valid during the call only.
using UseValue = absl::FunctionRef<void(std::string_view value)>;
using UseIndexed =
    absl::FunctionRef<void(size_t index, std::string_view value)>;
using UsePair =
    absl::FunctionRef<void(std::string_view key, std::string_view value)>;

// How an engine is to be opened: what its users would know, too.
struct Setup {
  std::string directory;     // of the engine alone; exists
  uint64_t keys = 0;         // that it will hold, about
  uint64_t value_size = 0;   // bytes
  uint64_t cache_bytes = 0;  // what it may use for a cache of its own
  int threads = 1;           // that will use it at once
  bool ordered = false;      // ranges will be asked for
  bool durable = false;      // each write returns once it survives power loss
  bool loading = false;      // no run is measured: promises may wait
};

class Session {
 public:
  virtual ~Session() = default;

  // Inserts or overwrites; returns once the write is acknowledged.
  virtual void Put(std::string_view key, std::string_view value) = 0;

  // False: the key is not there.
  virtual bool Get(std::string_view key, UseValue use) = 0;

  // True: inserted. False: the key was there. By default a get and a put.
  virtual bool PutIfAbsent(std::string_view key, std::string_view value);

  // What the engine's users would do after a bulk load, if anything: compact.
  virtual void FinishLoad() {}

  // Writes all pairs or, after a crash, none.
  virtual void PutBatch(std::span<const Pair> pairs) = 0;

  // Gets all keys, in one call or one transaction where the engine has such.
  // By default one after the other.
  virtual void MultiGet(std::span<const std::string_view> keys, UseIndexed use);

  // The first `count` pairs from `from` on, in order. Ordered engines only.
  virtual void Scan(std::string_view from, int count, UsePair use);
};

class Engine {
 public:
  virtual ~Engine() = default;  // closes
  virtual std::unique_ptr<Session> NewSession() = 0;
};

// What an engine promises, as it is set up here.
enum class Survives {
  kNothing,    // data is in the process's memory
  kUndefined,  // after kill -9 the files may be damaged, by the engine's manual
  kKill,       // each acknowledged write is there after kill -9
};

struct EngineInfo {
  std::string name;     // in commands and tables
  std::string version;  // of the library that is linked
  Survives survives = Survives::kNothing;
  bool verified = false;   // what is read from a file is checked first
  bool ordered = false;    // has ranges
  std::string power_loss;  // what survives power loss after Flush()
  std::string checks;      // what is verified on read
  std::string settings;    // and the reason for each
};

struct EngineEntry {
  EngineInfo info;
  std::unique_ptr<Engine> (*open)(const Setup& setup) = nullptr;
};

// All that were found at the build, Peat first.
const std::vector<EngineEntry>& Engines();

// Null if there is none of that name.
const EngineEntry* FindEngine(std::string_view name);

// Ends the process.
[[noreturn]] void Fail(std::string_view who, std::string_view what);

}  // namespace peat::bench

#endif  // PEAT_BENCH_COMPARE_ENGINE_H_
