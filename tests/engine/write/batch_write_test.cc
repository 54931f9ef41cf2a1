// What a batch does under the locks of its shards, and what before.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/engine.h"
#include "engine/write/batch_status.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::SimOp;

constexpr uint64_t kSegmentSize = uint64_t{64} << 10;

class BatchWriteTest : public ::testing::Test {
 protected:
  BatchWriteTest() : disk_(1) {
    disk_.AtEachCall([this](SimOp op) {
      if (op == SimOp::kRead && at_read_ != nullptr) at_read_();
    });
    Config config;
    config.segment_size_min = kSegmentSize;
    config.segment_size_max = kSegmentSize;
    config.background_threads = false;
    config.time_source = TimeSource::kCaller;
    auto store = Engine::Open(disk_, "store", config);
    EXPECT_OK(store);
    store_ = *std::move(store);
  }

  // In a file of its own.
  static std::string Large(char fill) { return std::string(20'000, fill); }

  absl::Status ForgetInBatch(const std::string& key) {
    return store_->Write(std::vector<BatchOperation>{
        {.operation = Operation::kForget, .key = key, .reason = "asked to"}});
  }

  SimFileSystem disk_;
  std::function<void()> at_read_;
  std::unique_ptr<Engine> store_;
};

// A forget reads the value's file for its digest, and again when the value has
// been overwritten meanwhile.
TEST_F(BatchWriteTest, ReadsNoFileUnderItsLocks) {
  ASSERT_OK(store_->Put("key", Large('a')));
  std::future<absl::Status> put;
  int read_count = 0;
  at_read_ = [&] {
    const int number = ++read_count;
    if (number == 1) {
      EXPECT_OK(store_->Put("key", Large('b')));
    }
    if (number != 3) return;
    put = std::async(std::launch::async,
                     [this] { return store_->Put("key", "small"); });
    EXPECT_EQ(put.wait_for(std::chrono::seconds(10)), std::future_status::ready)
        << "the shard is locked";
  };

  ASSERT_OK(ForgetInBatch("key"));

  at_read_ = nullptr;
  ASSERT_TRUE(put.valid());
  (void)put.get();
  EXPECT_EQ(*store_->State("key"), KeyState::kForgotten);
}

// However often its keys are overwritten while it decides.
TEST_F(BatchWriteTest, EndsBesideWritersOfItsKeys) {
  ASSERT_OK(store_->Put("key", Large('a')));
  int overwritten = 0;
  bool is_inside = false;
  at_read_ = [&] {
    if (is_inside || overwritten == 3) return;
    is_inside = true;
    ++overwritten;
    EXPECT_OK(store_->Put("key", Large(static_cast<char>('a' + overwritten))));
    is_inside = false;
  };

  ASSERT_OK(ForgetInBatch("key"));

  EXPECT_EQ(overwritten, 3);
  at_read_ = nullptr;
  std::string value;
  ASSERT_OK(store_->Reveal("key", &value));
  EXPECT_EQ(value, Large('d'));
}

TEST_F(BatchWriteTest, SaysWhatIsSoWhenItIsWritten) {
  ASSERT_OK(store_->Put("key", Large('a')));
  at_read_ = [this, is_first = true]() mutable {
    if (!std::exchange(is_first, false)) return;
    EXPECT_OK(store_->Forget("other", "asked to").status());
  };

  const absl::Status status = store_->Write(std::vector<BatchOperation>{
      {.operation = Operation::kPut, .key = "other", .value = "x"},
      {.operation = Operation::kForget, .key = "key", .reason = "asked to"}});

  EXPECT_EQ(RefusingState(status), KeyState::kForgotten);
  EXPECT_EQ(*store_->State("key"), KeyState::kLive);
}

// A condition that held when it was looked at, and not any more when the batch
// is written.
TEST_F(BatchWriteTest, AsksItsConditionsWhenItIsWritten) {
  ASSERT_OK(store_->Put("guard", Large('a')));
  ASSERT_OK(store_->Put("key", Large('a')));
  at_read_ = [this, is_first = true]() mutable {
    if (!std::exchange(is_first, false)) return;
    EXPECT_OK(store_->Put("guard", Large('b')));
  };
  const std::string expected = Large('a');
  const std::vector<BatchCondition> conditions = {
      {.kind = BatchCondition::Kind::kValue,
       .key = "guard",
       .value = expected}};

  const absl::Status status = store_->Write(
      std::vector<BatchOperation>{
          {.operation = Operation::kPut, .key = "key", .value = "x"}},
      {.conditions = conditions});

  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ConditionIn(status), std::optional<size_t>(0));
  std::string value;
  ASSERT_OK(store_->Get("key", &value));
  EXPECT_EQ(value, Large('a'));
}

// A key that ends between the look and the write, while the index grows: it is
// found at the same place, and is not what it was.
TEST_F(BatchWriteTest, AsksItsConditionsOfWhatHasNotEndedMeanwhile) {
  ASSERT_OK(store_->Put("guard", Large('a')));
  ASSERT_OK(store_->Put("session", "open", 1000));
  at_read_ = [this, is_first = true]() mutable {
    if (!std::exchange(is_first, false)) return;
    for (int i = 0; i < 20'000; ++i) {
      ASSERT_OK(store_->Put(absl::StrFormat("key%d", i), "x"));
    }
    ASSERT_OK(store_->AdvanceTime(1000));
  };
  const std::string expected = Large('a');
  const std::vector<BatchCondition> conditions = {
      {.kind = BatchCondition::Kind::kValue, .key = "session", .value = "open"},
      {.kind = BatchCondition::Kind::kValue,
       .key = "guard",
       .value = expected}};

  const absl::Status status = store_->Write(
      std::vector<BatchOperation>{
          {.operation = Operation::kPut, .key = "effect", .value = "x"}},
      {.conditions = conditions});

  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_EQ(ConditionIn(status), std::optional<size_t>(0));
  EXPECT_EQ(*store_->State("effect"), KeyState::kAbsent);
}

// However often the key of a condition is overwritten while it is asked.
TEST_F(BatchWriteTest, EndsBesideWritersOfAConditionsKey) {
  ASSERT_OK(store_->Put("guard", Large('a')));
  bool is_inside = false;
  int overwritten = 0;
  at_read_ = [&] {
    if (is_inside || overwritten == 3) return;
    is_inside = true;
    ++overwritten;
    EXPECT_OK(store_->Put("guard", Large('a')));
    is_inside = false;
  };
  const std::string expected = Large('a');
  const std::vector<BatchCondition> conditions = {
      {.kind = BatchCondition::Kind::kValue,
       .key = "guard",
       .value = expected}};

  EXPECT_OK(store_->Write(
      std::vector<BatchOperation>{
          {.operation = Operation::kPut, .key = "key", .value = "x"}},
      {.conditions = conditions}));

  EXPECT_EQ(overwritten, 3);
  EXPECT_EQ(*store_->State("key"), KeyState::kLive);
}

}  // namespace
}  // namespace peat::engine
