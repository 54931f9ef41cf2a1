// What a store that is opened despite damage shows: all that is sound and
// provably current, and that it is not all.

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "format/segment_header.h"
#include "peat/store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using ::absl::StatusCode;
using ::peat::testing::Read;
using ::peat::testing::StatusIs;

const Options kDespite{.mode = OpenMode::kReadOnlyDespiteDamage};

class DespiteDamageTest : public ::peat::testing::StoreFixture {
 protected:
  static std::string KeyOf(int i) { return "key-" + std::to_string(i); }

  // In one session, so in one more segment.
  void PutKeys(int first, int count, size_t value_size = 100) {
    const std::unique_ptr<Store> store = Open();
    for (int i = first; i < first + count; ++i) {
      ASSERT_OK(store->Put(KeyOf(i), std::string(value_size, 'v')));
    }
    ASSERT_OK(store->Close());
  }

  std::vector<std::filesystem::path> Files(const std::string& extension) {
    std::vector<std::filesystem::path> files;
    for (const auto& one : std::filesystem::directory_iterator(path())) {
      if (one.path().extension() == extension) files.push_back(one.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  void Zero(const std::filesystem::path& file, size_t offset, size_t size) {
    std::string bytes = testing::ReadWholeFile(file);
    bytes.replace(offset, size, size, '\0');
    testing::WriteWholeFile(file, bytes);
  }

  static int CountPairs(Cursor& cursor) {
    int count = 0;
    for (; cursor.Valid(); cursor.Next()) ++count;
    return count;
  }
};

TEST_F(DespiteDamageTest, OpensAStoreOfWhichASegmentIsCutShort) {
  PutKeys(0, 10);
  PutKeys(10, 10);
  const std::filesystem::path last = Files(".seg").at(1);
  std::filesystem::resize_file(last, std::filesystem::file_size(last) - 9);

  EXPECT_THAT(TryOpen(), StatusIs(StatusCode::kDataLoss));
  const std::unique_ptr<Store> store = Open(kDespite);

  EXPECT_EQ(store->GetStats().key_count, 19U);
  std::string value;
  EXPECT_THAT(store->Get(KeyOf(0), &value), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(store->Get("absent", &value), StatusIs(StatusCode::kDataLoss));
}

TEST_F(DespiteDamageTest, OpensAStoreOfWhichASegmentIsMissing) {
  PutKeys(0, 10);
  PutKeys(10, 10);
  std::filesystem::remove(Files(".seg").at(0));

  const std::unique_ptr<Store> store = Open(kDespite);

  for (int i = 10; i < 20; ++i) EXPECT_TRUE(Read(*store, KeyOf(i)).has_value());
  std::string value;
  EXPECT_THAT(store->Get(KeyOf(0), &value), StatusIs(StatusCode::kDataLoss));
}

TEST_F(DespiteDamageTest, ReadsASegmentWhoseHeaderIsDamaged) {
  PutKeys(0, 10);
  Zero(Files(".seg").at(0), 0, format::kSegmentHeaderSize);

  const std::unique_ptr<Store> store = Open(kDespite);

  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Read(*store, KeyOf(i)).has_value());
  EXPECT_EQ(store->GetStats().open.damaged.size(), 1U);
}

// More than 4 MiB, so that an index image is saved at Close().
TEST_F(DespiteDamageTest, AnIndexImageProvesWhatIsCurrent) {
  PutKeys(0, 30'000, 200);
  ASSERT_EQ(Files(".snap").size(), 1U);
  Zero(Files(".seg").at(0), size_t{512} << 10, 4'096);

  const std::unique_ptr<Store> store = Open(kDespite);

  EXPECT_TRUE(Read(*store, KeyOf(0)).has_value());
  std::string value;
  EXPECT_THAT(store->Get("absent", &value), StatusIs(StatusCode::kNotFound));
  for (const bool in_order : {false, true}) {
    Cursor cursor = in_order ? store->Scan({.from = ""}) : store->Scan({});
    // The page touches at most 19 records.
    EXPECT_GE(CountPairs(cursor), 30'000 - 19);
    EXPECT_FALSE(cursor.CanGoOn());
    EXPECT_THAT(cursor.status(), StatusIs(StatusCode::kDataLoss));
  }
}

TEST_F(DespiteDamageTest, ACursorGoesOnBehindADamagedValue) {
  PutKeys(0, 5, 300'000);
  const std::vector<std::filesystem::path> values = Files(".val");
  ASSERT_EQ(values.size(), 5U);
  Zero(values[1], 100'000, 10);
  Zero(values[3], 100'000, 10);

  const std::unique_ptr<Store> store = Open(kDespite);
  Cursor cursor = store->Scan({.from = ""});

  EXPECT_EQ(CountPairs(cursor), 1);
  ASSERT_TRUE(cursor.CanGoOn());
  EXPECT_EQ(cursor.key(), KeyOf(1));
  EXPECT_THAT(cursor.status(), StatusIs(StatusCode::kDataLoss, ".val"));
  cursor.Next();
  EXPECT_EQ(CountPairs(cursor), 1);
  ASSERT_TRUE(cursor.CanGoOn());
  cursor.Next();
  EXPECT_EQ(CountPairs(cursor), 1);
  EXPECT_FALSE(cursor.CanGoOn());
  EXPECT_THAT(cursor.status(), StatusIs(StatusCode::kDataLoss));
}

TEST_F(DespiteDamageTest, ACursorOfAStoreOpenedOtherwiseDoesNotGoOn) {
  PutKeys(0, 5, 300'000);
  Zero(Files(".val").at(1), 100'000, 10);

  const std::unique_ptr<Store> store = Open({.mode = OpenMode::kReadOnly});
  Cursor cursor = store->Scan({.from = ""});

  EXPECT_EQ(CountPairs(cursor), 1);
  EXPECT_FALSE(cursor.CanGoOn());
  cursor.Next();
  EXPECT_FALSE(cursor.Valid());
  EXPECT_THAT(cursor.status(), StatusIs(StatusCode::kDataLoss, ".val"));
}

// The records are damaged once the store is open.
TEST_F(DespiteDamageTest, ACursorGoesOnBehindADamagedRecord) {
  PutKeys(0, 100);
  const std::unique_ptr<Store> store = Open(kDespite);
  Zero(Files(".seg").at(0), 8'192, 8);  // within the 30th

  Cursor cursor = store->Scan({.keys = {KeyOf(0), KeyOf(29), KeyOf(99)}});

  EXPECT_EQ(CountPairs(cursor), 1);
  ASSERT_TRUE(cursor.CanGoOn());
  EXPECT_EQ(cursor.key(), KeyOf(29));
  cursor.Next();
  EXPECT_EQ(CountPairs(cursor), 1);
  EXPECT_THAT(cursor.status(), StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace peat
