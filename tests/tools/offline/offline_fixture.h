// What tests of the offline commands share: stores with a bit of everything,
// and a model of what they must show.

#ifndef PEAT_TESTS_TOOLS_OFFLINE_OFFLINE_FIXTURE_H_
#define PEAT_TESTS_TOOLS_OFFLINE_OFFLINE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/os/file_system.h"
#include "peat/store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/store_fixture.h"
#include "tools/offline/dump.h"
#include "tools/offline/store_files.h"
#include "tools/offline/verify.h"

namespace peat::tools {

// What a key is; a forgotten one keeps no value here.
struct KnownKey {
  KeyState state = KeyState::kLive;
  std::string value = {};
  friend bool operator==(const KnownKey&, const KnownKey&) = default;
};
using KnownKeys = std::map<std::string, KnownKey>;

class OfflineFixture : public ::testing::Test {
 protected:
  std::filesystem::path path(const std::string& name) const {
    return dir_.path() / name;
  }

  static std::unique_ptr<Store> Open(const std::filesystem::path& path,
                                     bool background = false) {
    absl::StatusOr<std::unique_ptr<Store>> store =
        Store::Open(path, {.background_compaction = background});
    EXPECT_OK(store);
    return store.ok() ? *std::move(store) : nullptr;
  }

  // Writes at random to `store`, and says what must then be there.
  static void WriteAtRandom(Store& store, int count, std::mt19937& random,
                            KnownKeys* known) {
    for (int i = 0; i < count; ++i) {
      const auto below = [&random](size_t limit) { return random() % limit; };
      std::string key = "key-" + std::to_string(below(40));
      if (below(30) == 0) key = "";
      if (below(30) == 0) key = std::string("\0\xff\n", 3);
      // One in a hundred lies in a file of its own.
      const size_t size = below(100) == 0 ? 300'000 + below(1000) : below(200);
      const std::string value(size, static_cast<char>(below(256)));
      WriteOne(store, key, value, below(12), known);
    }
  }

  // Writes at random to the store in `path`, so many times, each time compacts
  // it, and closes it. (A segment is compacted once it is closed and another
  // one follows it.)
  static void WriteSessions(const std::filesystem::path& path, int count,
                            std::mt19937& random, KnownKeys* known) {
    for (int i = 0; i < count; ++i) {
      const std::unique_ptr<Store> store = Open(path);
      WriteAtRandom(*store, 80, random, known);
      // Of a segment that stays as it is, a filter is asked about tombstones.
      if (i == 0) {
        EXPECT_OK(store->Put("stays", "value"));
      }
      EXPECT_OK(store->Compact());
      EXPECT_OK(store->Close());
    }
    (*known)["stays"] = {.value = "value"};
  }

  // What `store` shows of every key that was ever written.
  static KnownKeys Show(const Store& store, const KnownKeys& known) {
    KnownKeys shown;
    for (const auto& [key, expected] : known) {
      const absl::StatusOr<KeyState> state = store.State(key);
      EXPECT_OK(state);
      if (!state.ok() || *state == KeyState::kAbsent) continue;
      shown[key] = {.state = *state,
                    .value = testing::Read(store, key).value_or("")};
    }
    size_t readable = 0;
    for (const auto [key, value] : store.Scan({})) {
      EXPECT_TRUE(shown.contains(std::string(key)));
      ++readable;
    }
    for (const auto& [key, one] : shown) {
      readable -= one.state == KeyState::kForgotten ? 0 : 1;
    }
    EXPECT_EQ(readable, 0U);
    return shown;
  }

  // Those of `known` that are not absent.
  static KnownKeys Present(const KnownKeys& known) {
    KnownKeys present = known;
    std::erase_if(present, [](const auto& one) {
      return one.second.state == KeyState::kAbsent;
    });
    return present;
  }

  static std::string Dump(const std::filesystem::path& path,
                          const DumpOptions& options,
                          DumpCounts* counts = nullptr) {
    const absl::StatusOr<StoreFiles> files =
        ReadStoreFiles(engine::PosixFileSystem(), path);
    EXPECT_OK(files);
    if (!files.ok()) return "";
    std::string text;
    const absl::StatusOr<DumpCounts> done =
        DumpStore(*files, options, {}, [&text](std::string_view some) {
          text += some;
          return absl::OkStatus();
        });
    EXPECT_OK(done);
    if (done.ok() && counts != nullptr) *counts = *done;
    return text;
  }

  static VerifyReport Verify(const std::filesystem::path& path) {
    absl::StatusOr<VerifyReport> report =
        VerifyStore(engine::PosixFileSystem(), path, 1);
    EXPECT_OK(report);
    return report.ok() ? *std::move(report) : VerifyReport{};
  }

  // In one line each, for messages.
  static std::string Describe(const Findings& findings) {
    std::string text;
    for (const Finding& finding : findings) text += FindingText(finding);
    return text;
  }

 private:
  static void WriteOne(Store& store, const std::string& key,
                       const std::string& value, size_t choice,
                       KnownKeys* known) {
    const auto [found, is_new] =
        known->try_emplace(key, KnownKey{.state = KeyState::kAbsent});
    KnownKey& one = found->second;
    const bool is_writable =
        one.state == KeyState::kAbsent || one.state == KeyState::kLive;
    const MaskOptions why{.reason = "reason of " + std::to_string(choice)};
    if (choice == 0 && one.state == KeyState::kLive) {
      EXPECT_OK(store.Disable(key, why));
      one.state = KeyState::kDisabled;
    } else if (choice == 1 && one.state == KeyState::kDisabled) {
      EXPECT_OK(store.Enable(key, why));
      one.state = KeyState::kLive;
    } else if (choice == 2 && value.size() % 4 == 0) {
      EXPECT_OK(store.Forget(key, why));
      one = {.state = KeyState::kForgotten};
    } else if (choice == 3 && is_writable) {
      EXPECT_OK(store.Delete(key));
      one = {.state = KeyState::kAbsent};
    } else if (choice == 4 && is_writable) {
      WriteBatch batch;
      batch.Put(key, "first");
      batch.Put(key, value);
      EXPECT_OK(store.Write(batch));
      one = {.state = KeyState::kLive, .value = value};
    } else if (choice == 5) {
      EXPECT_OK(store.Flush());
    } else if (is_writable) {
      EXPECT_OK(store.Put(key, value));
      one = {.state = KeyState::kLive, .value = value};
    }
  }

  testing::TempDir dir_;
};

}  // namespace peat::tools

#endif  // PEAT_TESTS_TOOLS_OFFLINE_OFFLINE_FIXTURE_H_
