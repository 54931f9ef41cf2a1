// Which records are current: the same, however many passes it takes.

#include "tools/offline/live_set.h"

#include "tests/tools/offline/offline_fixture.h"

namespace peat::tools {
namespace {

class LiveSetTest : public OfflineFixture {
 protected:
  // The segments and numbers of all records that are current.
  static std::vector<std::pair<size_t, uint64_t>> CurrentOf(
      const StoreFiles& files, size_t keys_max) {
    const absl::StatusOr<LiveSet> live = LiveSet::Make(files, {}, keys_max);
    EXPECT_OK(live);
    std::vector<std::pair<size_t, uint64_t>> current;
    for (size_t i = 0; i < files.segments.size(); ++i) {
      RecordWalk walk = files.segments[i].Walk();
      for (uint64_t record = 0;; ++record) {
        const absl::StatusOr<RecordWalk::Step> step = walk.Next();
        if (!step.ok() || *step != RecordWalk::Step::kRecord) break;
        if (live->IsCurrent(i, record)) current.emplace_back(i, record);
      }
    }
    return current;
  }
};

TEST_F(LiveSetTest, SeveralPassesFindWhatOneFinds) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::filesystem::remove_all(path("s"));
    KnownKeys known;
    WriteSessions(path("s"), 3, random, &known);
    const absl::StatusOr<StoreFiles> files =
        ReadStoreFiles(engine::PosixFileSystem(), path("s"));
    ASSERT_OK(files);

    const auto current = CurrentOf(*files, LiveSet::kKeysMax);

    EXPECT_GT(current.size(), 10U);
    for (const size_t keys_max : {1, 2, 3, 7, 20}) {
      EXPECT_EQ(CurrentOf(*files, keys_max), current) << keys_max;
    }
  }
}

}  // namespace
}  // namespace peat::tools
