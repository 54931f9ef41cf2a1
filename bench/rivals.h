// Other ordered stores to hold queries against: LMDB, whose pairs lie in order
// on disk, and RocksDB. Each is there if its library was when this was built.
//
// Of one thread.

#ifndef PEAT_BENCH_RIVALS_H_
#define PEAT_BENCH_RIVALS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"

namespace peat::bench {

class Rival {
 public:
  virtual ~Rival() = default;
  virtual const char* name() const = 0;
  // Writes pairs 0 to `count` - 1 without waiting for the disk.
  virtual void Load(uint64_t count) = 0;
  // Calls use(key, value) on the first `count` pairs from `from` on.
  using Use =
      absl::FunctionRef<void(std::string_view key, std::string_view value)>;
  virtual void Range(std::string_view from, int count, Use use) = 0;
};

// A new store in the directory `path`; null, and a message, if it was left out.
std::unique_ptr<Rival> OpenLmdb(const std::string& path);
std::unique_ptr<Rival> OpenRocksDb(const std::string& path);

}  // namespace peat::bench

#endif  // PEAT_BENCH_RIVALS_H_
