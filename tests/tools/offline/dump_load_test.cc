// A dump of a store, loaded into a new one, is the same store: random stores,
// open and closed, compacted or not. And what a dump does not show.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "tests/tools/offline/offline_fixture.h"
#include "tools/dump_loader.h"
#include "tools/offline/live_set.h"
#include "tools/offline/lsn_order.h"

namespace peat::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class DumpLoadTest : public OfflineFixture {
 protected:
  // A new store of what `dump` says.
  absl::Status Load(const std::string& dump, Store& store) {
    testing::WriteWholeFile(path("dump"), dump);
    const int fd = open(path("dump").c_str(), O_RDONLY | O_CLOEXEC);
    PairReader reader(fd, PairFormat::kJsonLines);
    Progress progress(stderr, Progress::Mode::kNever, 0);
    LoadCounts counts;
    const absl::Status loaded = LoadDump(store, {}, reader, progress, &counts);
    close(fd);
    return loaded;
  }
};

// A seed each; the store is dumped at several moments of its life.
class DumpLoadPropertyTest : public DumpLoadTest,
                             public ::testing::WithParamInterface<uint32_t> {
 protected:
  // The states and values that the loaded store must show.
  void ExpectSame(const KnownKeys& known) {
    for (const bool live_only : {true, false}) {
      SCOPED_TRACE(live_only);
      const std::string dump =
          Dump(path("s"), {.form = DumpForm::kJson, .live_only = live_only});
      const std::unique_ptr<Store> copy =
          Open(path("copy" + std::to_string(copy_count_++)));
      ASSERT_OK(Load(dump, *copy));
      EXPECT_EQ(Show(*copy, known), Present(known));
    }
  }

 private:
  int copy_count_ = 0;
};

TEST_P(DumpLoadPropertyTest, ADumpThatIsLoadedIsTheSameStore) {
  std::mt19937 random(GetParam());
  KnownKeys known;

  WriteSessions(path("s"), 3, random, &known);
  ExpectSame(known);
  std::unique_ptr<Store> store = Open(path("s"));
  WriteAtRandom(*store, 150, random, &known);
  ExpectSame(known);  // beside the process that writes
  store = nullptr;
  WriteSessions(path("s"), 3, random, &known);
  ExpectSame(known);
}

INSTANTIATE_TEST_SUITE_P(Seeds, DumpLoadPropertyTest,
                         ::testing::Range<uint32_t>(1, 13));

TEST_F(DumpLoadTest, RefusesADumpWithoutValuesAndOneWithGaps) {
  const std::unique_ptr<Store> store = Open(path("s"));
  ASSERT_OK(store->Put("key", "value"));
  const std::unique_ptr<Store> copy = Open(path("copy"));

  const std::string keys =
      Dump(path("s"), {.form = DumpForm::kJson, .keys_only = true});
  const std::string gap = "{\"file\":\"a\",\"offset\":8,\"skipped\":\"x\"}\n";

  EXPECT_THAT(Load(keys, *copy),
              testing::StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Load(gap, *copy),
              testing::StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Load("[]\n", *copy),
              testing::StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(DumpLoadTest, ShowsWhatAStoreShowsAndTheRestWhenAskedTo) {
  const std::unique_ptr<Store> store = Open(path("s"));
  ASSERT_OK(store->Put("over", "CANARY-old"));
  ASSERT_OK(store->Put("over", "current"));
  ASSERT_OK(store->Put("gone", "CANARY-forgotten"));
  ASSERT_OK(store->Forget("gone", {.reason = "CANARY-why"}));

  for (const DumpForm form :
       {DumpForm::kTable, DumpForm::kJson, DumpForm::kRaw}) {
    SCOPED_TRACE(static_cast<int>(form));
    EXPECT_THAT(Dump(path("s"), {.form = form, .columns = 1000}),
                Not(HasSubstr("CANARY")));
  }
  EXPECT_THAT(Dump(path("s"), {.form = DumpForm::kRaw}),
              Not(HasSubstr("43 41 4e 41 52 59")));
  const std::string all =
      Dump(path("s"), {.form = DumpForm::kJson, .reveal = true});
  EXPECT_THAT(all, HasSubstr("CANARY-old"));
  EXPECT_THAT(all, HasSubstr("CANARY-forgotten"));
  EXPECT_THAT(all, HasSubstr("CANARY-why"));
  EXPECT_THAT(Dump(path("s"), {.form = DumpForm::kRaw, .reveal = true}),
              HasSubstr("43 41 4e 41 52 59"));
}

TEST_F(DumpLoadTest, FindsTheSameRecordsCurrentInPassesOfFewKeys) {
  std::mt19937 random(5);
  KnownKeys known;
  WriteSessions(path("s"), 5, random, &known);
  const absl::StatusOr<StoreFiles> files =
      ReadStoreFiles(engine::PosixFileSystem(), path("s"));
  ASSERT_OK(files);

  const absl::StatusOr<LiveSet> whole = LiveSet::Make(*files);
  const absl::StatusOr<LiveSet> few = LiveSet::Make(*files, {}, 3);

  ASSERT_OK(whole);
  ASSERT_OK(few);
  uint64_t current = 0;
  absl::StatusOr<LsnOrder> order = LsnOrder::Make(files->segments);
  ASSERT_OK(order);
  while (*order->Next()) {
    const bool is_current =
        whole->IsCurrent(order->segment(), order->record_index());
    current += is_current ? 1 : 0;
    EXPECT_EQ(few->IsCurrent(order->segment(), order->record_index()),
              is_current);
  }
  EXPECT_EQ(current, Present(known).size());
}

TEST_F(DumpLoadTest, GivesRecordsInTheOrderOfTheirLsns) {
  std::mt19937 random(6);
  KnownKeys known;
  WriteSessions(path("s"), 8, random, &known);
  const absl::StatusOr<StoreFiles> files =
      ReadStoreFiles(engine::PosixFileSystem(), path("s"));
  ASSERT_OK(files);

  absl::StatusOr<LsnOrder> order = LsnOrder::Make(files->segments);

  ASSERT_OK(order);
  format::Lsn last = 0;
  uint64_t count = 0;
  while (*order->Next()) {
    ++count;
    const format::RecordHeader& header = order->record().header;
    if (!TakesLsn(header.kind) && header.kind != format::RecordKind::kAuditStub)
      continue;
    EXPECT_LE(last, header.lsn);
    last = header.lsn;
  }
  uint64_t expected = 0;
  for (const SourceSegment& segment : files->segments) {
    RecordWalk walk = segment.Walk();
    while (*walk.Next() == RecordWalk::Step::kRecord) ++expected;
  }
  EXPECT_EQ(count, expected);
}

}  // namespace
}  // namespace peat::tools
