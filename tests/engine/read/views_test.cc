// Views alone: what is saved for whom, and when it goes.

#include "engine/read/views.h"

#include <optional>

#include "engine/os/gate.h"
#include "index/epoch.h"
#include "tests/engine/log/log_fixture.h"

namespace peat::engine {
namespace {

using ::testing::ElementsAre;

class ViewsTest : public LogFixture {
 protected:
  ViewsTest() : views_(&segments_, &index_, std::make_shared<Gate>()) {
    views_.SetAppender(&appender_);
    log_ = Prepare(1);
    Write("a");
  }

  std::shared_ptr<const View> Open() {
    const index::EpochGuard guard;
    return views_.Open();
  }

  // Appends a put of `key`, and returns its lsn.
  format::Lsn Write(std::string_view key) {
    EXPECT_TRUE(AppendPut(key, 10));
    return appender_.last_lsn();
  }

  // Writes `key`, whose record until now has `lsn` and lies at `offset`.
  format::Lsn Overwrite(std::string_view key, format::Lsn lsn,
                        uint64_t offset) {
    const format::Lsn until = Write(key);
    views_.Save({.key = key,
                 .segment = log_->segment.get(),
                 .offset = offset,
                 .lsn = lsn,
                 .until = until});
    return until;
  }

  std::optional<uint64_t> OffsetIn(const View& view, std::string_view key) {
    const std::optional<SavedRecord> found = views_.Find(view, key);
    if (!found.has_value()) return std::nullopt;
    return found->offset;
  }

  index::HashIndex index_;
  Views views_;
  std::shared_ptr<LogFile> log_;
};

TEST_F(ViewsTest, IsOfTheLastUnitBeforeIt) {
  const auto view = Open();
  Write("b");

  EXPECT_EQ(view->lsn(), 1U);
  EXPECT_EQ(views_.OldestLsn(), 1U);
  EXPECT_LT(view->EndOf(*log_->segment), log_->end);
  EXPECT_TRUE(view->Holds(*log_->segment));
}

TEST_F(ViewsTest, FindsWhatWasThereBeforeTheFirstChange) {
  const auto view = Open();
  const format::Lsn second = Overwrite("a", 1, 100);
  EXPECT_EQ(OffsetIn(*view, "a"), 100U);

  // What is newer than every view is not saved.
  Overwrite("a", second, 200);

  EXPECT_EQ(OffsetIn(*view, "a"), 100U);
  EXPECT_EQ(OffsetIn(*view, "b"), std::nullopt);
  EXPECT_EQ(views_.TakeUsage().saved_count, 1U);
}

TEST_F(ViewsTest, ShowsEachViewItsOwn) {
  const auto older = Open();
  const format::Lsn second = Overwrite("a", 1, 100);
  const auto newer = Open();
  Overwrite("a", second, 200);

  EXPECT_EQ(OffsetIn(*older, "a"), 100U);
  EXPECT_EQ(OffsetIn(*newer, "a"), 200U);
}

TEST_F(ViewsTest, HandsOnWhatAnOlderViewNeeds) {
  const format::Lsn b = Write("b");
  const auto older = Open();
  Write("c");
  auto newer = Open();
  Overwrite("b", b, 300);
  EXPECT_EQ(OffsetIn(*older, "b"), 300U);

  newer.reset();

  EXPECT_EQ(OffsetIn(*older, "b"), 300U);
  EXPECT_EQ(views_.TakeUsage().saved_count, 1U);
}

TEST_F(ViewsTest, KeepsNothingThatNoViewNeeds) {
  auto view = Open();
  Overwrite("a", 1, 100);
  EXPECT_TRUE(views_.HasSaved());

  view.reset();

  EXPECT_FALSE(views_.HasSaved());
  EXPECT_EQ(views_.OldestLsn(), UINT64_MAX);
  Appended appended;
  bool wake = false;
  ASSERT_TRUE(appender_.Append(Put("a", "x"), &appended, &wake));
  EXPECT_EQ(appended.newest_view, 0U);
}

TEST_F(ViewsTest, ListsSavedKeysUpAndDownAsFarAsTheyAreComplete) {
  for (const char* key : {"b", "c", "d"}) Write(key);
  const auto view = Open();
  for (format::Lsn lsn = 2; lsn <= 4; ++lsn) {
    Overwrite(std::string(1, static_cast<char>('a' + lsn - 1)), lsn, lsn);
  }
  std::vector<std::string> keys;
  std::optional<std::string> complete_to;

  views_.List(*view, {}, 2, &keys, &complete_to);
  EXPECT_THAT(keys, ElementsAre("b", "c"));
  EXPECT_EQ(complete_to, "d");
  keys.clear();
  views_.ListDown(*view, {}, 2, &keys, &complete_to);

  EXPECT_THAT(keys, ElementsAre("d", "c"));
  EXPECT_EQ(complete_to, "b");
}

}  // namespace
}  // namespace peat::engine
