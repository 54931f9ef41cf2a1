#include "bench/compare/audit.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "bench/compare/pairs.h"
#include "bench/workload.h"

namespace peat::bench {
namespace {

// What may be found for one number.
struct Expected {
  std::vector<uint64_t> versions;  // the last of each thread
  uint64_t count = 0;              // of a counter
};
using Expectation = absl::flat_hash_map<uint32_t, Expected>;

bool Writes(Action action) {
  switch (action) {
    case Action::kInsert:
    case Action::kOverwrite:
    case Action::kReadModifyWrite:
    case Action::kPutIfAbsent:
    case Action::kIncrement:
      return true;
    default:
      return false;
  }
}

void AddThread(std::span<const Operation> done, int thread,
               Expectation* expectation) {
  absl::flat_hash_map<uint32_t, uint64_t> last;
  for (uint64_t i = 0; i < done.size(); ++i) {
    if (!Writes(done[i].action)) continue;
    // A put of what is there changes nothing, and what is new is version 0.
    last[done[i].number] = done[i].action == Action::kPutIfAbsent
                               ? 0
                               : VersionOf(done[i], thread, i);
    if (done[i].action == Action::kIncrement) {
      ++(*expectation)[done[i].number].count;
    }
  }
  for (const auto& [number, version] : last) {
    (*expectation)[number].versions.push_back(version);
  }
}

bool IsRight(Session* session, uint32_t number, const Expected& expected,
             uint64_t value_size) {
  const Key key(number);
  bool right = false;
  session->Get(key, [&](std::string_view value) {
    if (expected.count > 0) {
      right = value.size() == sizeof(uint64_t) &&
              LoadWord(value.data()) == expected.count;
      return;
    }
    const Found found = CheckValue(key, value, value_size);
    right =
        found.sound && std::ranges::find(expected.versions, found.version) !=
                           expected.versions.end();
  });
  return right;
}

// Scans from 100 places and compares with the sorted list of all keys.
void CompareScans(Session* session, const std::vector<uint32_t>& numbers,
                  Audit* audit) {
  constexpr size_t kPlaces = 100;
  constexpr size_t kLength = 100;
  std::vector<std::string> keys;
  keys.reserve(numbers.size());
  for (const uint32_t number : numbers) {
    keys.emplace_back(std::string_view(Key(number)));
  }
  std::ranges::sort(keys);
  for (size_t i = 0; i < kPlaces; ++i) {
    size_t at = i * keys.size() / kPlaces;
    session->Scan(keys[at], kLength,
                  [&](std::string_view key, std::string_view) {
                    audit->wrong += at >= keys.size() || key != keys[at];
                    ++at;
                    ++audit->compared;
                  });
    const size_t end =
        std::min(keys.size(), i * keys.size() / kPlaces + kLength);
    audit->wrong += at != end;
  }
}

}  // namespace

Audit Compare(Session* session, const Workload& workload,
              const History& history, const AuditSetup& setup) {
  Expectation expectation;
  for (size_t i = 0; i < history.size(); ++i) {
    AddThread(history[i], static_cast<int>(i), &expectation);
  }
  Audit audit;
  const uint64_t at_first = BeginsEmpty(workload) ? 0 : setup.keys;
  uint64_t pairs = at_first;
  for (const auto& [number, expected] : expectation) {
    pairs += number >= at_first;
    if (audit.compared >= setup.compared_max) continue;
    ++audit.compared;
    audit.wrong += !IsRight(session, number, expected, setup.value_size);
  }
  const uint64_t value_size =
      workload.increment > 0 ? sizeof(Expected::count) : setup.value_size;
  audit.pair_bytes = pairs * (kKeySize + value_size);
  // Pairs that nobody touched must be as they were.
  for (uint64_t i = 0; i < std::min(at_first, setup.compared_max / 3); ++i) {
    const auto number = static_cast<uint32_t>(Scatter(i) % at_first);
    if (expectation.contains(number)) continue;
    ++audit.compared;
    audit.wrong +=
        !IsRight(session, number, {.versions = {0}}, setup.value_size);
  }
  if (IsOrdered(workload)) {
    std::vector<uint32_t> numbers;
    for (uint64_t i = 0; i < at_first; ++i) {
      numbers.push_back(static_cast<uint32_t>(i));
    }
    for (const auto& [number, expected] : expectation) {
      if (number >= at_first) numbers.push_back(number);
    }
    CompareScans(session, numbers, &audit);
  }
  return audit;
}

}  // namespace peat::bench
