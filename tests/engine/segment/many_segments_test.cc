// Ten thousand segments in one store: within a small budget of file handles
// while they are written, read, recovered and compacted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <ostream>
#include <string>

#include "engine/engine.h"
#include "tests/support/scoped_limit.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::ScopedLimit;
using ::peat::testing::TempDir;

constexpr rlim_t kHandlesMax = 512;

std::string Key(uint64_t i) { return "key" + std::to_string(i); }
std::string Value(uint64_t i) {
  return std::string(1500, static_cast<char>('a' + i % 26));
}

uint64_t HandleCount() {
  uint64_t count = 0;
  for (const auto& handle :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)handle;
    ++count;
  }
  return count;
}

struct Scale {
  ReadMethod read_method;
  uint64_t segment_count;
};

void PrintTo(const Scale& scale, std::ostream* out) {
  *out << (scale.read_method == ReadMethod::kMapped ? "mapped " : "positional ")
       << scale.segment_count;
}

class ManySegmentsTest : public ::testing::TestWithParam<Scale> {
 protected:
  void Open() {
    engine_.reset();
    Config config;
    config.read_method = GetParam().read_method;
    config.segment_size_min = uint64_t{8} << 10;
    config.segment_size_max = uint64_t{8} << 10;
    config.background_compaction = false;
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(PosixFileSystem(), dir_.path() / "store", config);
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  void ExpectAll(uint64_t begin, uint64_t end) {
    std::string value;
    for (uint64_t i = begin; i < end; ++i) {
      ASSERT_OK(engine_->Get(Key(i), &value)) << i;
      ASSERT_EQ(value, Value(i)) << i;
    }
    EXPECT_LT(HandleCount(), kHandlesMax);
  }

  const ScopedLimit limit_{RLIMIT_NOFILE, kHandlesMax};
  TempDir dir_;
  std::unique_ptr<Engine> engine_;
};

INSTANTIATE_TEST_SUITE_P(Scales, ManySegmentsTest,
                         ::testing::Values(Scale{ReadMethod::kMapped, 10'000},
                                           Scale{ReadMethod::kPositional,
                                                 1'000}));

TEST_P(ManySegmentsTest, StayWithinTheBudgetOfHandles) {
  const uint64_t segment_count = GetParam().segment_count;
  Open();
  uint64_t count = 0;
  while (engine_->GetStats().segment_count < segment_count) {
    for (int i = 0; i < 100; ++i, ++count) {
      ASSERT_OK(engine_->Put(Key(count), Value(count)));
    }
  }
  ExpectAll(0, count);

  Open();
  EXPECT_GE(engine_->GetStats().segment_count, segment_count);
  ExpectAll(0, count);

  for (uint64_t i = 0; i < count; ++i) {
    if (i % 4 == 0) continue;
    ASSERT_OK(engine_->Delete(Key(i)));
  }
  ASSERT_OK(engine_->Compact());
  // Not a quarter, since these segments have room for two records.
  EXPECT_LT(engine_->GetStats().segment_count, segment_count * 6 / 10);
  EXPECT_LT(HandleCount(), kHandlesMax);
  Open();
  EXPECT_EQ(engine_->GetStats().key_count, (count + 3) / 4);
  std::string value;
  for (uint64_t i = 0; i < count; ++i) {
    EXPECT_EQ(engine_->Get(Key(i), &value).ok(), i % 4 == 0) << i;
  }
}

}  // namespace
}  // namespace peat::engine
