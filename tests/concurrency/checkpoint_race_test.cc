// Checkpoints while writers write and a compaction never rests, on segments so
// small that everything moves all the time: each copy is of one lsn.
//
// PEAT_RACE_ROUNDS multiplies the work.

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/engine.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/threads.h"

namespace peat::engine {
namespace {

using ::peat::testing::Rounds;
using ::peat::testing::TempDir;

constexpr int kKeyCount = 50;
constexpr int kWriters = 2;

class CheckpointRaceTest : public ::testing::Test {
 protected:
  CheckpointRaceTest() {
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(PosixFileSystem(), dir_.path() / "store", SmallSegments());
    EXPECT_OK(engine);
    engine_ = *std::move(engine);
  }

  static Config SmallSegments() {
    Config config;
    config.segment_size_min = uint64_t{16} << 10;
    config.segment_size_max = uint64_t{16} << 10;
    config.space_extra_min = 0;
    config.max_space_amplification = 1.2;
    return config;
  }

  static std::string Key(int writer, int i) {
    return absl::StrFormat("%d-%d", writer, i);
  }
  // Of some length, so that segments fill up; one in 50 has a file of its own.
  static std::string Value(int version, int i) {
    return absl::StrFormat("%d:%s", version,
                           std::string(i == 7 ? 5'000 : 300, 'v'));
  }

  // Puts all keys of `writer` in order, version after version.
  void Write(int writer, const std::atomic<bool>& is_over) {
    for (int version = 1; !is_over; ++version) {
      for (int i = 0; i < kKeyCount; ++i) {
        ASSERT_OK(engine_->Put(Key(writer, i), Value(version, i)));
      }
    }
  }

  // Of one lsn: each key has the version of the key before it, or of one
  // version less from some key on.
  static void ExpectOneLsn(const Engine& copy, int writer) {
    int last = 0;
    int first = 0;
    for (int i = 0; i < kKeyCount; ++i) {
      std::string value;
      const absl::Status got = copy.Get(Key(writer, i), &value);
      int version = 0;
      if (got.ok()) {
        version = std::stoi(value);
        ASSERT_EQ(value, Value(version, i));
      } else {
        ASSERT_THAT(got, testing::StatusIs(absl::StatusCode::kNotFound));
      }
      if (i == 0) first = last = version;
      ASSERT_LE(version, last) << "key " << i;
      ASSERT_GE(version, first - 1) << "key " << i;
      last = version;
    }
  }

  static void ExpectCopy(const std::filesystem::path& path, format::Lsn lsn,
                         bool read_only) {
    Config config = SmallSegments();
    if (read_only) config.access = Access::kReadOnly;
    const auto copy = Engine::Open(PosixFileSystem(), path, config);
    ASSERT_OK(copy);
    EXPECT_EQ((*copy)->GetStats().last_lsn, lsn);
    for (int writer = 0; writer < kWriters; ++writer) {
      ExpectOneLsn(**copy, writer);
    }
  }

  TempDir dir_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(CheckpointRaceTest, IsOfOneLsnWhateverHappensMeanwhile) {
  std::atomic<bool> is_over = false;
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] { Write(writer, is_over); });
  }
  threads.emplace_back([&] {
    while (!is_over) EXPECT_OK(engine_->Compact());
  });
  const int rounds = Rounds(30);
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    const std::filesystem::path path = dir_.path() / "copy";
    const absl::StatusOr<CheckpointResult> result = engine_->Checkpoint(path);
    EXPECT_OK(result);
    if (!result.ok()) break;
    ExpectCopy(path, result->lsn, round % 2 == 0);
    std::filesystem::remove_all(path);
  }
  is_over = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_F(CheckpointRaceTest, IsTakenByManyAtATime) {
  std::atomic<bool> is_over = false;
  std::thread writer([&] { Write(0, is_over); });
  testing::RunThreads(4, [&](int i) {
    for (int round = 0; round < Rounds(5); ++round) {
      // Two of them want the same place.
      const std::filesystem::path path =
          dir_.path() / absl::StrFormat("copy-%d-%d", i / 2, round);
      const absl::Status status = engine_->Checkpoint(path).status();
      if (status.ok()) continue;
      EXPECT_TRUE(absl::IsAlreadyExists(status) || absl::IsUnavailable(status))
          << status;
    }
  });
  is_over = true;
  writer.join();
  for (int i = 0; i < 2; ++i) {
    const auto path = dir_.path() / absl::StrFormat("copy-%d-0", i);
    const auto copy = Engine::Open(PosixFileSystem(), path, SmallSegments());
    ASSERT_OK(copy);
    ExpectOneLsn(**copy, 0);
  }
}

TEST_F(CheckpointRaceTest, IsAwaitedByClose) {
  std::thread writer([&] {
    for (int i = 0; engine_->Put(Key(0, i % 50), Value(1, i)).ok();) ++i;
  });
  std::thread taker([&] {
    for (int i = 0;; ++i) {
      const auto path = dir_.path() / absl::StrFormat("copy-%d", i);
      const absl::Status status = engine_->Checkpoint(path).status();
      EXPECT_EQ(std::filesystem::exists(path), status.ok());
      if (status.ok()) continue;
      EXPECT_THAT(status,
                  testing::StatusIs(absl::StatusCode::kFailedPrecondition));
      return;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_OK(engine_->Close());
  taker.join();
  writer.join();
}

}  // namespace
}  // namespace peat::engine
