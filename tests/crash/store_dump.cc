#include "tests/crash/store_dump.h"

#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "tests/crash/script.h"
#include "tests/support/model.h"

namespace peat::testing {

using engine::Engine;
using engine::KeyState;

absl::Status Broken(std::string message) {
  return absl::InternalError(std::move(message));
}

absl::Status Require(bool holds, const char* what) {
  return holds ? absl::OkStatus() : Broken(what);
}

namespace {

// The key as the store shows it, everywhere; absent: no fingerprint.
absl::Status DumpKey(const Engine& store, const std::string& key, Dump* dump,
                     std::optional<std::string>* value) {
  PEAT_ASSIGN_OR_RETURN(const KeyState state, store.State(key));
  ModelKey content{.state = state};
  std::string bytes;
  const absl::Status got = store.Get(key, &bytes);
  if (!got.ok() && !absl::IsNotFound(got)) return got;
  if (got.ok() != engine::IsReadable(state)) {
    return Broken("Get and State differ");
  }
  if (got.ok()) content.value = bytes;
  std::string preserved;
  const absl::Status revealed = store.Reveal(key, &preserved);
  if (!revealed.ok() && !absl::IsNotFound(revealed)) return revealed;
  if (state == KeyState::kDisabled &&
      !(revealed.ok() && preserved == *content.value)) {
    return Broken("a disabled value is not preserved");
  }
  if (state == KeyState::kForgotten && revealed.ok()) {
    content.value = preserved;
  }
  if (state != KeyState::kAbsent) {
    dump->fingerprint += Fingerprint(key, content);
  }
  if (!got.ok()) return absl::OkStatus();
  ++dump->key_count;
  *value = std::move(bytes);
  return absl::OkStatus();
}

// Every mask that was ever set, whole or as a stub, in both orders.
absl::Status DumpMasks(const Engine& store, Dump* dump) {
  uint64_t count = 0;
  for (const bool newest_first : {false, true}) {
    PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<engine::MaskScan> scan,
                          store.ScanMasks({.newest_first = newest_first}));
    uint64_t last = newest_first ? UINT64_MAX : 0;
    while (scan->Next()) {
      const uint64_t lsn = scan->record().header.lsn;
      if (newest_first ? lsn >= last : lsn <= last) {
        return Broken("masks are out of order");
      }
      last = lsn;
      if (scan->mask().time != kTestTime) return Broken("a mask's time");
      count += newest_first ? -1 : 1;
      if (newest_first) continue;
      dump->fingerprint += MaskFingerprint(scan->record().key, scan->kind(),
                                           lsn, scan->mask().reason);
    }
    PEAT_RETURN_IF_ERROR(scan->status());
  }
  return Require(count == 0, "fewer masks newest first");
}

// `pairs`, in the order of the log and from the last to the first.
absl::Status CompareScans(const Engine& store,
                          const std::map<std::string, std::string>& pairs) {
  for (const bool any_order : {true, false}) {
    engine::Query query;
    query.any_order = any_order;
    query.reverse = !any_order;
    const std::unique_ptr<engine::Cursor> cursor = store.Scan(query);
    uint64_t count = 0;
    auto expected = pairs.rbegin();
    for (; cursor->is_valid(); cursor->Next(), ++count) {
      const auto found = pairs.find(std::string(cursor->key()));
      if (found == pairs.end() || found->second != cursor->value()) {
        return Broken("Scan shows what Get does not");
      }
      if (!any_order && (expected++)->first != cursor->key()) {
        return Broken("Scan is out of order");
      }
    }
    PEAT_RETURN_IF_ERROR(cursor->status());
    PEAT_RETURN_IF_ERROR(Require(count == pairs.size(), "Scan misses a key"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Dump> DumpStore(const Engine& store, uint32_t key_count,
                               bool with_longest_key) {
  Dump dump;
  std::vector<std::string> keys;
  for (uint32_t i = 0; i < key_count; ++i) {
    if (i != kLongestKey || with_longest_key) keys.push_back(KeyOf(i));
  }
  std::vector<std::optional<std::string>> values(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    PEAT_RETURN_IF_ERROR(DumpKey(store, keys[i], &dump, &values[i]));
  }
  PEAT_RETURN_IF_ERROR(DumpMasks(store, &dump));
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  absl::Status answers;
  PEAT_RETURN_IF_ERROR(store.MultiGet(
      views, [&](size_t i, absl::Status status, engine::Pinned value) {
        const bool same = values[i].has_value()
                              ? status.ok() && value.value == *values[i]
                              : absl::IsNotFound(status);
        if (!same) answers = Broken("MultiGet and Get differ");
      }));
  PEAT_RETURN_IF_ERROR(answers);
  std::map<std::string, std::string> pairs;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (values[i].has_value()) pairs.emplace(keys[i], *values[i]);
  }
  PEAT_RETURN_IF_ERROR(CompareScans(store, pairs));
  const peat::Stats stats = store.GetStats();
  dump.last_lsn = stats.last_lsn;
  if (stats.key_count != dump.key_count) {
    return Broken(absl::StrFormat("%d keys counted, %d found", stats.key_count,
                                  dump.key_count));
  }
  return dump;
}

}  // namespace peat::testing
