// Multi-gets beside batches: they end, and show each batch whole.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::testing::Each;

constexpr int kKeyCount = 200;

class MultiGetTest : public ::testing::Test {
 protected:
  MultiGetTest() : disk_(1) {
    Config config;
    config.background_threads = false;
    auto store = Engine::Open(disk_, "store", config);
    EXPECT_OK(store);
    store_ = *std::move(store);
    for (int i = 0; i < kKeyCount; ++i) keys_.push_back(std::to_string(i));
  }

  // Gives all keys the same value, in one batch.
  void WriteBatch(std::string_view value) {
    std::vector<BatchOperation> batch;
    for (const std::string& key : keys_) {
      batch.push_back(
          {.operation = Operation::kPut, .key = key, .value = value});
    }
    ASSERT_OK(store_->Write(batch));
  }

  // All values, with `meanwhile` done before each answer to the first key.
  // Returns how often that was answered.
  template <typename Meanwhile>
  int GetAll(Meanwhile meanwhile) {
    const std::vector<std::string_view> keys(keys_.begin(), keys_.end());
    values_.assign(keys_.size(), "");
    int answer_count = 0;
    EXPECT_OK(store_->MultiGet(
        keys, [&](size_t i, const absl::Status& status, Pinned value) {
          EXPECT_OK(status);
          values_[i] = value.value;
          if (i == 0 && ++answer_count < 100) meanwhile(answer_count);
        }));
    return answer_count;
  }

  testing::SimFileSystem disk_;
  std::unique_ptr<Engine> store_;
  std::vector<std::string> keys_;
  std::vector<std::string> values_;
};

TEST_F(MultiGetTest, EndsBesideABatchInEachOfItsAttempts) {
  WriteBatch("first");

  const int answer_count = GetAll(
      [this](int number) { WriteBatch("batch " + std::to_string(number)); });

  EXPECT_LE(answer_count, 5);
  EXPECT_THAT(values_, Each(values_[0]));
}

TEST_F(MultiGetTest, FindsAllKeysAsTheyWereUnderTheLocks) {
  WriteBatch("first");

  (void)GetAll([this](int number) {
    // A key is absent to each batch but the last.
    ASSERT_OK(store_->Delete(keys_[7]));
    WriteBatch("batch " + std::to_string(number));
  });

  EXPECT_THAT(values_, Each(values_[0]));
}

// One key in 64, about, is in the same shard as that which is looked up.
TEST_F(MultiGetTest, DoesNotBeginAnewForABatchOfOtherShards) {
  WriteBatch("first");
  const std::vector<std::string> others(keys_.begin() + 1, keys_.begin() + 65);
  keys_.resize(1);
  int begun_anew = 0;

  for (const std::string& other : others) {
    const int answer_count = GetAll([&](int number) {
      if (number > 1) return;
      ASSERT_OK(store_->Write(std::vector<BatchOperation>{
          {.operation = Operation::kPut, .key = other, .value = "new"}}));
    });
    begun_anew += answer_count > 1 ? 1 : 0;
  }

  EXPECT_LE(begun_anew, 10);
}

}  // namespace
}  // namespace peat::engine
