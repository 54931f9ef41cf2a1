// The public store at its limits: sizes, batches, large values, options.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/options.h"
#include "peat/store.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::Read;
using ::peat::testing::StatusIs;
using ::testing::Optional;

constexpr size_t kKeySizeMax = 65'535;
constexpr size_t kValueSizeMax = size_t{1} << 30;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// So many bytes that nobody has to store.
class UntouchedBytes final {
 public:
  explicit UntouchedBytes(size_t size)
      : size_(size),
        address_(mmap(nullptr, size, PROT_READ,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    EXPECT_NE(address_, MAP_FAILED);
  }
  UntouchedBytes(const UntouchedBytes&) = delete;
  UntouchedBytes& operator=(const UntouchedBytes&) = delete;
  ~UntouchedBytes() { munmap(address_, size_); }
  std::string_view view() const {
    return {static_cast<const char*>(address_), size_};
  }

 private:
  const size_t size_;
  void* const address_;
};

class StoreLimitsTest : public ::peat::testing::StoreFixture {
 protected:
  StoreLimitsTest() : store_(Open()) {}

  void Reopen() {
    store_.reset();
    store_ = Open();
  }

  std::unique_ptr<Store> store_;
};

TEST_F(StoreLimitsTest, AKeyOneByteTooLongIsInvalidEverywhere) {
  const std::string key(kKeySizeMax + 1, 'k');
  const std::vector<std::string_view> keys = {"fine", key};
  std::vector<Lookup> results(2);
  std::string value;
  WriteBatch batch;
  batch.Put("fine", "v");
  batch.Delete(key);

  EXPECT_THAT(store_->Get(key, &value), StatusIs(kInvalid, "65536"));
  EXPECT_THAT(store_->GetPinned(key), StatusIs(kInvalid));
  EXPECT_THAT(store_->MultiGet(keys, results), StatusIs(kInvalid));
  EXPECT_THAT(store_->State(key), StatusIs(kInvalid));
  EXPECT_THAT(store_->Put(key, ""), StatusIs(kInvalid));
  EXPECT_THAT(store_->PutIfAbsent(key, ""), StatusIs(kInvalid));
  EXPECT_THAT(store_->Update(key, ""), StatusIs(kInvalid));
  EXPECT_THAT(store_->CompareAndSet(key, "", ""), StatusIs(kInvalid));
  EXPECT_THAT(store_->Delete(key), StatusIs(kInvalid));
  EXPECT_THAT(store_->Write(batch), StatusIs(kInvalid));

  EXPECT_EQ(Read(*store_, "fine"), std::nullopt);
  EXPECT_EQ(store_->GetStats().last_lsn, 0);
}

TEST_F(StoreLimitsTest, AValueOneByteTooLongIsInvalidEverywhere) {
  const UntouchedBytes value(kValueSizeMax + 1);

  EXPECT_THAT(store_->Put("k", value.view()), StatusIs(kInvalid, "1073741825"));
  EXPECT_THAT(store_->PutIfAbsent("k", value.view()), StatusIs(kInvalid));
  EXPECT_THAT(store_->Update("k", value.view()), StatusIs(kInvalid));
  EXPECT_THAT(store_->CompareAndSet("k", std::nullopt, value.view()),
              StatusIs(kInvalid));

  EXPECT_EQ(store_->GetStats().last_lsn, 0);
}

TEST_F(StoreLimitsTest, ComparesWithAnExpectedValueOfAnySize) {
  const UntouchedBytes expected(kValueSizeMax + 1);
  ASSERT_OK(store_->Put("k", "v"));
  EXPECT_FALSE(store_->CompareAndSet("k", expected.view(), "w").value());
}

TEST_F(StoreLimitsTest, ABatchAppliesInOrder) {
  ASSERT_OK(store_->Put("old", "v"));
  WriteBatch batch;
  batch.Put("twice", "1");
  batch.Put("twice", "2");
  batch.Delete("old");
  batch.Put("old", "back");
  batch.Put("new", "v");
  batch.Delete("new");
  batch.Delete("never there");

  ASSERT_OK(store_->Write(batch));

  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(Read(*store_, "twice"), Optional(std::string("2")));
    EXPECT_THAT(Read(*store_, "old"), Optional(std::string("back")));
    EXPECT_EQ(Read(*store_, "new"), std::nullopt);
    EXPECT_EQ(store_->GetStats().key_count, 2);
    Reopen();
  }
}

TEST_F(StoreLimitsTest, ABatchThatChangesNothingWritesNothing) {
  WriteBatch batch;
  EXPECT_OK(store_->Write(batch));
  batch.Delete("absent");
  batch.Delete("absent");
  EXPECT_OK(store_->Write(batch));

  EXPECT_EQ(store_->GetStats().last_lsn, 0);
}

TEST_F(StoreLimitsTest, AClearedBatchIsEmpty) {
  WriteBatch batch;
  batch.Put("k", "v");
  EXPECT_EQ(batch.size(), 1);
  EXPECT_EQ(batch.byte_size(), 2);
  batch.Clear();
  EXPECT_EQ(batch.size(), 0);
  EXPECT_EQ(batch.byte_size(), 0);

  ASSERT_OK(store_->Write(batch));
  EXPECT_EQ(Read(*store_, "k"), std::nullopt);
}

TEST_F(StoreLimitsTest, ABatchMayBeLargerThanASegment) {
  const std::string value(100'000, 'v');
  WriteBatch batch;
  for (int i = 0; i < 50; ++i) batch.Put(std::to_string(i), value);
  ASSERT_OK(store_->Put("before", "v"));

  ASSERT_OK(store_->Write(batch));
  ASSERT_OK(store_->Put("after", "v"));

  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 50; ++i) {
      EXPECT_EQ(Read(*store_, std::to_string(i)), value) << i;
    }
    EXPECT_EQ(store_->GetStats().key_count, 52);
    Reopen();
  }
}

TEST_F(StoreLimitsTest, ABatchTooLargeIsInvalidAndWritesNothing) {
  const std::string value(250'000, 'v');
  WriteBatch batch;
  for (size_t size = 0; size <= (size_t{128} << 20); size += value.size()) {
    batch.Put(std::to_string(size), value);
  }

  EXPECT_THAT(store_->Write(batch), StatusIs(kInvalid, "batch"));

  EXPECT_EQ(store_->GetStats().last_lsn, 0);
  EXPECT_OK(store_->Put("k", "v"));
}

TEST_F(StoreLimitsTest, KeepsLargeValuesOfEverySize) {
  std::vector<std::string> values;
  for (const size_t size : {262'143, 262'144, 262'145, 1'048'575, 1'048'576,
                            1'048'577, 10'485'760}) {
    values.emplace_back(size, static_cast<char>('a' + values.size()));
  }

  for (const std::string& value : values) {
    ASSERT_OK(store_->Put(std::to_string(value.size()), value));
  }

  for (int round = 0; round < 2; ++round) {
    for (const std::string& value : values) {
      const std::string key = std::to_string(value.size());
      EXPECT_EQ(Read(*store_, key), value) << key;
      EXPECT_EQ(std::string_view(store_->GetPinned(key).value()), value);
    }
    EXPECT_GT(store_->GetStats().value_file_count, 0);
    Reopen();
  }
}

TEST_F(StoreLimitsTest, LargeValuesObeyEveryCall) {
  const std::string one(400'000, '1');
  const std::string two(500'000, '2');

  EXPECT_TRUE(store_->PutIfAbsent("k", one).value());
  EXPECT_FALSE(store_->PutIfAbsent("k", two).value());
  EXPECT_FALSE(store_->CompareAndSet("k", two, "x").value());
  EXPECT_TRUE(store_->CompareAndSet("k", one, two).value());
  EXPECT_EQ(store_->Update("k", "small").value(), two);
  EXPECT_EQ(store_->Update("k", one).value(), "small");
  WriteBatch batch;
  batch.Put("k", two);
  batch.Put("l", one);
  batch.Put("m", two);
  batch.Delete("m");
  ASSERT_OK(store_->Write(batch));
  EXPECT_TRUE(store_->Delete("l").value());

  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Read(*store_, "k"), two);
    EXPECT_EQ(Read(*store_, "l"), std::nullopt);
    EXPECT_EQ(Read(*store_, "m"), std::nullopt);
    EXPECT_EQ(store_->GetStats().key_count, 1);
    Reopen();
  }
}

TEST_F(StoreLimitsTest, ALargeValueThatIsNotTakenLeavesNoFile) {
  const std::string large(400'000, 'L');
  ASSERT_OK(store_->Put("k", "v"));
  EXPECT_FALSE(store_->PutIfAbsent("k", large).value());
  EXPECT_FALSE(store_->CompareAndSet("k", "w", large).value());

  EXPECT_EQ(store_->GetStats().value_file_count, 0);
}

TEST(OptionsTest, RefusesWhatIsOutOfRange) {
  using std::chrono::milliseconds;
  Options options;
  EXPECT_OK(Validate(options));
  for (const int interval : {1, 3'600'000}) {
    options.sync_interval = milliseconds(interval);
    EXPECT_OK(Validate(options));
  }
  for (const int interval : {-1, 0, 3'600'001}) {
    options.sync_interval = milliseconds(interval);
    EXPECT_THAT(Validate(options), StatusIs(kInvalid, "sync_interval"));
  }
}

TEST(OptionsTest, WaitsForTheLockNoLongerThanAnHour) {
  using std::chrono::milliseconds;
  for (const int wait : {0, 1, 3'600'000}) {
    EXPECT_OK(Validate({.lock_wait = milliseconds(wait)}));
  }
  for (const int wait : {-1, 3'600'001}) {
    EXPECT_THAT(Validate({.lock_wait = milliseconds(wait)}),
                StatusIs(kInvalid, "lock_wait"));
  }
}

TEST(OptionsTest, RefusesWhatIsNoneOfAnEnumeration) {
  EXPECT_THAT(Validate({.mode = static_cast<OpenMode>(9)}),
              StatusIs(kInvalid, "mode"));
  EXPECT_THAT(Validate({.sync = static_cast<SyncPolicy>(9)}),
              StatusIs(kInvalid, "sync"));
  EXPECT_THAT(Validate({.read_method = static_cast<ReadMethod>(9)}),
              StatusIs(kInvalid, "read_method"));
}

TEST_F(StoreLimitsTest, BadOptionsTouchNothing) {
  const std::filesystem::path other = dir_.path() / "other";
  EXPECT_THAT(
      Store::Open(other, {.sync_interval = std::chrono::milliseconds(0)}),
      StatusIs(kInvalid));
  EXPECT_FALSE(std::filesystem::exists(other));
}

}  // namespace
}  // namespace peat
