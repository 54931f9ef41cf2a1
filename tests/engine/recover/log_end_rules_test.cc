// Where the log ends, rule by rule of FORMAT.md, section 12, on files that are
// changed by hand.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/segment/segment_scanner.h"
#include "format/file_name.h"
#include "format/manifest.h"
#include "format/segment_header.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using absl::StatusCode;
using peat::testing::CrashKind;
using peat::testing::SimFileSystem;
using peat::testing::StatusIs;

constexpr uint64_t kSmallSegment = uint64_t{64} << 10;

class LogEndRulesTest : public ::testing::Test {
 protected:
  void SetUp() override { engine_ = *Open(disk_); }

  static absl::StatusOr<std::unique_ptr<Engine>> Open(
      SimFileSystem& disk, Access access = Access::kReadWrite) {
    Config config;
    config.access = access;
    config.segment_size_min = kSmallSegment;
    config.segment_size_max = kSmallSegment;
    config.background_threads = false;
    config.recovery_threads = 1;
    return Engine::Open(disk, "store", config);
  }

  void Put(int first, int count, size_t size = 4000) {
    for (int i = first; i < first + count; ++i) {
      ASSERT_OK(engine_->Put("key-" + std::to_string(i),
                             std::string(size, static_cast<char>('a' + i))));
    }
  }

  // What is left when the process is killed now.
  void Kill() { image_ = disk_.CrashImage(CrashKind::kKill, 1); }

  format::Manifest Manifest() const {
    return *format::DecodeManifest(
        format::AsBytes(*image_->ReadFile("store/MANIFEST-0")));
  }

  struct Unsealed {
    std::string path;
    std::string bytes = {};
    std::vector<uint64_t> ends = {};  // of its records
  };
  // Those that have records, oldest first.
  std::vector<Unsealed> UnsealedSegments() const {
    std::vector<Unsealed> all;
    for (const format::ManifestSegment& entry : Manifest().segments) {
      if (entry.state == format::SegmentState::kSealed) continue;
      Unsealed one{.path = "store/" + format::SegmentFileName(entry.id)};
      one.bytes = *image_->ReadFile(one.path);
      SegmentScanner scanner(format::AsBytes(one.bytes), entry.salt,
                             format::kSegmentHeaderSize, one.bytes.size());
      while (scanner.Next() == SegmentScanner::Step::kRecord) {
        one.ends.push_back(scanner.next_offset());
      }
      if (!one.ends.empty()) all.push_back(std::move(one));
    }
    return all;
  }

  uint64_t KeyCount(Access access = Access::kReadWrite) const {
    const auto engine = Open(*image_, access);
    EXPECT_OK(engine);
    return engine.ok() ? (*engine)->GetStats().key_count : 0;
  }

  SimFileSystem disk_{1};
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<SimFileSystem> image_;
};

TEST_F(LogEndRulesTest, WhatLiesBehindARolledSegmentDoesNotMatter) {
  Put(0, 20);
  Kill();
  const std::vector<Unsealed> segments = UnsealedSegments();
  ASSERT_GE(segments.size(), 2U);
  image_->CorruptByte(segments[0].path, segments[0].ends.back() + 40,
                      std::byte{1});

  EXPECT_EQ(KeyCount(Access::kReadOnly), 20U);
  EXPECT_EQ(KeyCount(), 20U);
}

TEST_F(LogEndRulesTest, AFileMayEndWithItsRecords) {
  Put(0, 5);
  Kill();
  const Unsealed last = UnsealedSegments().back();
  image_->WriteFile(last.path, last.bytes.substr(0, last.ends.back()));

  EXPECT_EQ(KeyCount(Access::kReadOnly), 5U);
  EXPECT_EQ(KeyCount(), 5U);
}

// Though the bytes that are missing would be zeros, as the value's are.
TEST_F(LogEndRulesTest, ARecordThatGoesOnBehindTheFileIsCutShort) {
  Put(0, 5);
  ASSERT_OK(engine_->Put("zeros", std::string(4000, '\0')));
  Kill();
  const Unsealed last = UnsealedSegments().back();
  image_->WriteFile(last.path, last.bytes.substr(0, last.ends.back() - 8));

  EXPECT_EQ(KeyCount(Access::kReadOnly), 5U);
  EXPECT_EQ(KeyCount(), 5U);
}

TEST_F(LogEndRulesTest, ASegmentWithALinkAloneIsNoPartOfTheLog) {
  Put(0, 20);
  Kill();
  const std::vector<Unsealed> segments = UnsealedSegments();
  ASSERT_GE(segments.size(), 2U);
  const Unsealed& last = segments.back();
  std::string bytes = last.bytes.substr(0, last.ends.front());
  bytes.resize(last.bytes.size(), '\0');
  image_->WriteFile(last.path, bytes);
  const uint64_t key_count = KeyCount(Access::kReadOnly);
  EXPECT_LT(key_count, 20U);
  EXPECT_GT(key_count, 0U);

  EXPECT_EQ(KeyCount(), key_count);
  for (const format::ManifestSegment& entry : Manifest().segments) {
    EXPECT_NE("store/" + format::SegmentFileName(entry.id), last.path);
  }
}

// Of a batch, all members or none; of what a later mark vouches for, all.
TEST_F(LogEndRulesTest, TheLogEndsBeforeABatchWhoseValueIsNotWhole) {
  Put(0, 3);
  const std::string large(kSmallSegment, 'x');
  const std::vector<BatchOperation> batch = {
      {.operation = Operation::kPut, .key = "small", .value = "v"},
      {.operation = Operation::kPut, .key = "large", .value = large}};
  ASSERT_OK(engine_->Write(batch));
  Kill();
  for (const std::string& name : image_->ListFiles("store")) {
    if (name.ends_with(".val")) image_->RemoveFile("store/" + name);
  }
  EXPECT_EQ(KeyCount(Access::kReadOnly), 3U);
  EXPECT_EQ(KeyCount(), 3U);

  ASSERT_OK(engine_->Flush());
  Put(3, 1);
  Kill();
  for (const std::string& name : image_->ListFiles("store")) {
    if (name.ends_with(".val")) image_->RemoveFile("store/" + name);
  }
  const auto engine = Open(*image_);
  ASSERT_OK(engine);
  std::string value;
  EXPECT_OK((*engine)->Get("small", &value));
  EXPECT_THAT((*engine)->Get("large", &value), StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace peat::engine
