// The store that runs begin with: all pairs, closed cleanly.

#include <algorithm>
#include <memory>
#include <vector>

#include "bench/compare/pairs.h"
#include "bench/compare/run.h"
#include "bench/compare/usage.h"
#include "bench/workload.h"

namespace peat::bench {

void LoadPairs(Session* session, const RunSetup& setup) {
  constexpr uint64_t kBatch = 1000;
  std::vector<Key> keys;
  std::vector<char> values(kBatch * setup.value_size);
  std::vector<Pair> pairs;
  for (uint64_t i = 0; i < setup.keys; i += kBatch) {
    keys.clear();
    pairs.clear();
    const uint64_t count = std::min(kBatch, setup.keys - i);
    for (uint64_t j = 0; j < count; ++j) keys.emplace_back(i + j);
    for (uint64_t j = 0; j < count; ++j) {
      char* const value = values.data() + j * setup.value_size;
      MakeValue(keys[j], 0, value, setup.value_size);
      pairs.push_back({.key = keys[j], .value = {value, setup.value_size}});
    }
    session->PutBatch(pairs);
  }
}

RunResult RunLoad(const EngineEntry& entry, const RunSetup& setup) {
  Setup engine_setup = EngineSetup({}, setup);
  engine_setup.loading = true;
  {
    const std::unique_ptr<Engine> engine = entry.open(engine_setup);
    const std::unique_ptr<Session> session = engine->NewSession();
    LoadPairs(session.get(), setup);
    session->FinishLoad();
  }
  RunResult result;
  result.disk_bytes = DiskBytes(setup.directory);
  result.logical_bytes = setup.keys * (kKeySize + setup.value_size);
  return result;
}

}  // namespace peat::bench
