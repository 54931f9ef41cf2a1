// engine_bench's part about masks: what they cost, what they take, and how fast
// an auditor lists them.

#include <filesystem>
#include <functional>
#include <memory>

#include "bench/workload.h"
#include "peat/audit.h"

namespace peat::bench {
namespace {

double PerCall(uint64_t count, const std::function<void(uint64_t)>& call) {
  const double begin = Now();
  for (uint64_t i = 0; i < count; ++i) call(i);
  return (Now() - begin) / static_cast<double>(count) * 1e9;
}

void CompareRates(const Arguments& arguments, Store& store) {
  const uint64_t count = arguments.keys / 20;
  Series put, overwrite, forget;
  for (int round = 0; round < arguments.rounds; ++round) {
    const uint64_t fresh =
        arguments.keys + static_cast<uint64_t>(round) * count;
    put.push_back(PerCall(
        count, [&](uint64_t i) { Check(store.Put(Key(fresh + i), Value())); }));
    // In another order than they were put: the log is not read in sequence.
    const auto shuffled = [&](uint64_t i) {
      return Key(fresh + i * 7919 % count);
    };
    overwrite.push_back(PerCall(
        count, [&](uint64_t i) { Check(store.Put(shuffled(i), Value())); }));
    forget.push_back(PerCall(
        count, [&](uint64_t i) { Check(store.Forget(shuffled(i)).status()); }));
  }
  Header();
  Row("forget", forget, put, "put of a new key", 2);
  Row("forget", forget, overwrite, "overwrite", 2);
}

void ListMasks(const AuditReader& reader, int rounds) {
  Series seconds, scan;
  uint64_t count = 0;
  for (int round = 0; round < rounds; ++round) {
    const double begin = Now();
    count = 0;
    const std::unique_ptr<MaskCursor> masks = reader.Masks();
    for (; masks->Valid(); masks->Next()) ++count;
    Check(masks->status());
    seconds.push_back(Now() - begin);
  }
  std::printf("\n%.2f M masks listed at %.2f M a second (bar 1)\n",
              static_cast<double>(count) / 1e6,
              static_cast<double>(count) / Median(seconds) / 1e6);
}

void CompareMemory(const Arguments& arguments) {
  const auto bytes_a_key = [&](const char* name, bool forgets) {
    // The lists of a compaction at work are not what a key takes.
    const std::unique_ptr<Store> store =
        OpenStore(Path(arguments, name), {.background_compaction = false});
    Check(store->Put(Key(UINT64_MAX), Value()));
    const uint64_t before = ResidentBytesWithoutSegments();
    const uint64_t count = arguments.keys / 5;
    for (uint64_t i = 0; i < count; ++i) {
      Check(store->Put(Key(i), Value()));
      if (forgets) Check(store->Forget(Key(i)).status());
    }
    return static_cast<double>(ResidentBytesWithoutSegments() - before) /
           static_cast<double>(count);
  };
  const double live = bytes_a_key("live", false);
  const double forgotten = bytes_a_key("forgotten", true);
  std::printf("\nmemory: %.2f bytes a live key, %.2f a forgotten one\n", live,
              forgotten);
}

}  // namespace

void RunMasks(const Arguments& arguments) {
  auto opened = OpenWithAudit(Path(arguments, "masks"));
  Check(opened.status());
  auto& [store, token] = *opened;
  Load(*store, 0, arguments.keys);
  CompareRates(arguments, *store);
  const auto reader = AuditReader::Attach(*store, token);
  Check(reader.status());
  ListMasks(**reader, arguments.rounds);
  CompareMemory(arguments);
}

// For callgrind: a tenth of the keys is masked, or not, and the others are
// overwritten. Makes the store on the first run, and leaves it there.
void RunOverwrites(const Arguments& arguments) {
  const bool is_new = !std::filesystem::exists(Path(arguments, "LOCK"));
  const std::unique_ptr<Store> store = OpenStore(arguments.directory);
  const uint64_t all = arguments.keys + arguments.keys / 10;
  if (is_new) {
    Load(*store, 0, all);
    for (uint64_t i = arguments.keys; arguments.masks && i < all; ++i) {
      Check(i % 2 == 0 ? store->Disable(Key(i))
                       : store->Forget(Key(i)).status());
    }
    return;
  }
  constexpr uint64_t kCount = 200'000;
  for (uint64_t i = 0; i < kCount; ++i) {
    Check(store->Put(Key(Scatter(i) % arguments.keys), Value()));
  }
}

}  // namespace peat::bench
