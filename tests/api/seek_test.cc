// Cursor::Seek, of each kind of query. Random seeks are compared with a map in
// tests/property/query_model_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/api/query_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::Drain;
using ::peat::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Pair;

using SeekTest = ::peat::testing::QueryTest;

INSTANTIATE_TEST_SUITE_P(Variants, SeekTest,
                         ::peat::testing::AllQueryVariants(),
                         ::peat::testing::NameOf);

TEST_P(SeekTest, GoesAheadAndBack) {
  PutAll({"a", "b", "c", "d"});
  Cursor cursor = store_->Scan({.from = ""});

  cursor.Seek("bb");
  EXPECT_EQ(cursor.key(), "c");
  EXPECT_EQ(cursor.value(), "value of c");
  cursor.Seek("a");
  EXPECT_EQ(cursor.key(), "a");
  cursor.Seek("d");
  EXPECT_EQ(cursor.key(), "d");
  cursor.Seek("b");
  EXPECT_THAT(Drain(cursor),
              ElementsAre(Pair("b", "value of b"), Pair("c", "value of c"),
                          Pair("d", "value of d")));
}

TEST_P(SeekTest, GoesTheWayOfTheQuery) {
  PutAll({"a", "b", "c", "d"});
  Cursor cursor = store_->Scan({.from = "", .reverse = true});

  cursor.Seek("cc");
  EXPECT_EQ(cursor.key(), "c");
  cursor.Seek("zz");
  EXPECT_EQ(cursor.key(), "d");
}

TEST_P(SeekTest, StaysWithinTheQuery) {
  PutAll({"a", "p/1", "p/2", "z"});
  Cursor cursor = store_->Scan({.prefix = "p/"});

  cursor.Seek("a");
  EXPECT_EQ(cursor.key(), "p/1");
  cursor.Seek("q");
  EXPECT_FALSE(cursor.Valid());
  EXPECT_OK(cursor.status());
}

TEST_P(SeekTest, GoesThroughAListOfKeys) {
  PutAll({"a", "b", "c"});
  Cursor cursor = store_->Scan({.keys = {"a", "c", "nothing"}});

  cursor.Seek("b");
  EXPECT_EQ(cursor.key(), "c");
  cursor.Seek("");
  EXPECT_EQ(cursor.key(), "a");
}

TEST_P(SeekTest, ShowsTheMomentOfTheCursor) {
  PutAll({"a", "b", "c"});
  Cursor cursor = store_->Scan({.from = ""});
  Put("b", "new");
  Put("bb", "new");
  Delete("c");

  cursor.Seek("b");
  EXPECT_THAT(Drain(cursor),
              ElementsAre(Pair("b", "value of b"), Pair("c", "value of c")));
}

TEST_P(SeekTest, SeeksAKeyThatItShows) {
  PutAll({"a", "b"});
  Cursor cursor = store_->Scan({.from = ""});

  cursor.Seek(cursor.key());
  EXPECT_EQ(cursor.key(), "a");
}

TEST_P(SeekTest, CannotSeekInTheOrderOfTheLog) {
  PutAll({"a", "b"});
  Cursor cursor = store_->Scan({});
  cursor.Seek("b");

  if (GetParam().ordered) {
    EXPECT_EQ(cursor.key(), "b");
  } else {
    EXPECT_FALSE(cursor.Valid());
    EXPECT_THAT(cursor.status(), StatusIs(StatusCode::kFailedPrecondition));
  }
}

TEST_P(SeekTest, ChangesNothingBehindTheEnd) {
  PutAll({"a"});
  Cursor cursor = store_->Scan({.from = ""});
  cursor.Next();

  cursor.Seek("a");
  EXPECT_FALSE(cursor.Valid());
  EXPECT_OK(cursor.status());
}

}  // namespace
}  // namespace peat
