// Changes of keys that a query shows, made as it goes on: nothing is saved for
// the query itself, and everything for others.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;

constexpr uint64_t kKeyCount = 300;

// By whether the store keeps an ordered index.
class OwnViewTest : public ::testing::TestWithParam<bool> {
 protected:
  OwnViewTest() {
    Config config;
    config.background_threads = false;
    config.ordered = GetParam();
    engine_ = *Engine::Open(disk_, "store", config);
    for (uint64_t i = 0; i < kKeyCount; ++i) {
      EXPECT_OK(engine_->Put("key" + std::to_string(i), "value"));
    }
  }

  // Deletes all keys as a query shows them; the largest number of records that
  // were saved meanwhile.
  uint64_t DeleteAll() {
    uint64_t saved_max = 0;
    const std::unique_ptr<Cursor> cursor = engine_->Scan({});
    for (; cursor->is_valid(); cursor->Next()) {
      const std::string key(cursor->key());
      EXPECT_OK(engine_->Write(
          std::vector<BatchOperation>{
              {.operation = Operation::kDelete, .key = key}},
          {.own_view = cursor->view()}));
      saved_max = std::max(saved_max, engine_->GetStats().view_saved_count);
    }
    EXPECT_OK(cursor->status());
    return saved_max;
  }

  static uint64_t CountOf(std::unique_ptr<Cursor> cursor) {
    uint64_t count = 0;
    for (; cursor->is_valid(); cursor->Next()) ++count;
    EXPECT_OK(cursor->status());
    return count;
  }

  SimFileSystem disk_{1};
  std::unique_ptr<Engine> engine_;
};

TEST_P(OwnViewTest, HasNothingSavedForIt) {
  EXPECT_EQ(DeleteAll(), 0U);

  EXPECT_EQ(engine_->GetStats().key_count, 0U);
}

TEST_P(OwnViewTest, DoesNotTakeFromAnOlderView) {
  const std::unique_ptr<Snapshot> snapshot = engine_->OpenSnapshot();
  ASSERT_OK(engine_->Put("other", "value"));

  EXPECT_EQ(DeleteAll(), kKeyCount);

  EXPECT_EQ(CountOf(snapshot->Scan({})), kKeyCount);
}

TEST_P(OwnViewTest, DoesNotTakeFromAViewOfTheSameMoment) {
  const std::unique_ptr<Snapshot> snapshot = engine_->OpenSnapshot();

  EXPECT_EQ(DeleteAll(), kKeyCount);

  EXPECT_EQ(CountOf(snapshot->Scan({})), kKeyCount);
}

INSTANTIATE_TEST_SUITE_P(Variants, OwnViewTest, ::testing::Bool(),
                         [](const auto& param) {
                           return std::string(param.param ? "ordered"
                                                          : "unordered");
                         });

}  // namespace
}  // namespace peat::engine
