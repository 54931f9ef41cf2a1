// The manifest on disk, at and around every step of its size.

#include "engine/log/manifest_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "engine/log/poison.h"
#include "format/manifest.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using format::Manifest;
using format::SegmentId;
using ::peat::testing::IsOk;
using ::peat::testing::SimFault;
using ::peat::testing::SimFileSystem;
using ::peat::testing::SimOp;
using ::peat::testing::StatusIs;

// The most segments for which `size` bytes suffice.
constexpr size_t FitIn(size_t size) {
  constexpr size_t kChecksumSize = 8;
  return (size - format::kManifestHeaderSize - kChecksumSize) /
         format::kManifestSegmentSize;
}
constexpr size_t kFirstSize = 32 << 10;  // reserved at first
constexpr size_t kFirstStep = FitIn(kFirstSize);

class ManifestStoreTest : public ::testing::Test {
 protected:
  ManifestStoreTest() : disk_(1) {
    EXPECT_OK(disk_.CreateDirectory("store"));
    absl::StatusOr<std::unique_ptr<Directory>> directory =
        disk_.OpenDirectory("store");
    EXPECT_OK(directory);
    directory_ = *std::move(directory);
    NewestManifest first;
    first.manifest.store_id[0] = std::byte{1};
    store_ = std::make_unique<ManifestStore>(directory_.get(), first, &poison_);
    EXPECT_OK(store_->Reserve(0));
    EXPECT_OK(store_->Edit([](Manifest&) {}));
  }

  // One edit that leaves segments 1 to `count`.
  absl::Status SetCount(size_t count) {
    return store_->Edit([count](Manifest& manifest) {
      manifest.segments.clear();
      for (SegmentId id = 1; id <= count; ++id) {
        manifest.segments.push_back(
            {.id = id, .salt = id, .capacity = format::kSegmentSizeMin});
      }
      manifest.next_id = std::max<SegmentId>(manifest.next_id, count + 1);
    });
  }

  size_t CountOnDisk() {
    const absl::StatusOr<NewestManifest> read = ReadManifest(*directory_);
    EXPECT_OK(read);
    return read.ok() ? read->manifest.segments.size() : 0;
  }

  SimFileSystem disk_;
  std::unique_ptr<Directory> directory_;
  Poison poison_;
  std::unique_ptr<ManifestStore> store_;
};

TEST_F(ManifestStoreTest, HoldsEveryNumberOfSegmentsAroundItsSteps) {
  for (size_t size = kFirstSize; FitIn(size) < format::kManifestSegmentCountMax;
       size *= 2) {
    const size_t step = FitIn(size);
    for (const size_t count : {step - 1, step, step + 1, step + 2}) {
      SCOPED_TRACE(count);
      ASSERT_OK(SetCount(count));
      ASSERT_EQ(CountOnDisk(), count);
    }
  }
}

TEST_F(ManifestStoreTest, RefusesMoreSegmentsThanThereAreNumbers) {
  ASSERT_OK(SetCount(format::kManifestSegmentCountMax));

  EXPECT_THAT(SetCount(format::kManifestSegmentCountMax + 1),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_FALSE(poison_.is_set());
  EXPECT_EQ(CountOnDisk(), format::kManifestSegmentCountMax);
}

// A writer and a compaction prepare a segment each at the same time.
TEST_F(ManifestStoreTest, TwoMayReserveForTheSameLastPlace) {
  ASSERT_OK(SetCount(kFirstStep - 1));
  ASSERT_OK(store_->Reserve(kFirstStep));
  ASSERT_OK(store_->Reserve(kFirstStep));

  EXPECT_OK(SetCount(kFirstStep));
  EXPECT_OK(SetCount(kFirstStep + 1));

  EXPECT_EQ(CountOnDisk(), kFirstStep + 1);
}

TEST_F(ManifestStoreTest, AnEditThatFindsNoSpaceChangesNothing) {
  ASSERT_OK(SetCount(kFirstStep));
  disk_.FailNth({.op = SimOp::kAllocate,
                 .status = absl::ResourceExhaustedError("no space")});

  EXPECT_THAT(SetCount(kFirstStep + 1),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_FALSE(poison_.is_set());
  EXPECT_EQ(store_->Current().segments.size(), kFirstStep);
  EXPECT_OK(SetCount(kFirstStep + 1));
}

TEST_F(ManifestStoreTest, KeepsWhatAnEditDoesNotChange) {
  ASSERT_OK(store_->Edit([](Manifest& manifest) {
    manifest.next_id = 9;
    manifest.epoch = 4;
    manifest.time = 5;
    manifest.retention = {.count = 6, .age = 7};
    manifest.dictionaries = {{.id = 8, .size = 9, .checksum = 10}};
  }));
  ASSERT_OK(store_->EditLeases([](std::vector<format::ManifestLease>& leases) {
    leases.push_back({.name = "copy", .lsn = 1, .bytes_max = 2});
  }));
  const Manifest before = store_->Current();

  ASSERT_OK(SetCount(kFirstStep));

  ASSERT_OK_AND_ASSIGN(const NewestManifest read, ReadManifest(*directory_));
  Manifest expected = before;
  expected.generation = read.manifest.generation;
  expected.segments = read.manifest.segments;
  expected.next_id = read.manifest.next_id;
  EXPECT_EQ(read.manifest, expected);
  EXPECT_EQ(read.manifest.leases.size(), 1U);
}

TEST_F(ManifestStoreTest, HoldsAsManyLeasesAsAreAllowedAndNotOneMore) {
  const auto add = [this] {
    return store_->EditLeases([](std::vector<format::ManifestLease>& leases) {
      std::string name(format::kLeaseNameSizeMax - 1, 'n');
      name.push_back(static_cast<char>(leases.size()));
      leases.push_back({.name = name, .lsn = leases.size()});
    });
  };
  ASSERT_OK(SetCount(kFirstStep));
  for (size_t i = 0; i < format::kManifestLeaseCountMax; ++i) ASSERT_OK(add());
  const Manifest before = store_->Current();

  EXPECT_THAT(add(), StatusIs(absl::StatusCode::kInvalidArgument, "257"));

  EXPECT_FALSE(poison_.is_set());
  EXPECT_EQ(ReadManifest(*directory_)->manifest, before);
}

TEST_F(ManifestStoreTest, GivesOutFewIdsThatNobodyTakes) {
  for (int life = 0; life < 10; ++life) {
    store_ = std::make_unique<ManifestStore>(
        directory_.get(), *ReadManifest(*directory_), &poison_);
    ASSERT_OK(store_->Reserve(0));
    ASSERT_OK(store_->NewId());
  }

  EXPECT_LE(store_->Current().next_id, 21u);
}

TEST_F(ManifestStoreTest, NeverGivesOutAnIdAgain) {
  SegmentId last = 0;
  for (int life = 0; life < 10; ++life) {
    store_ = std::make_unique<ManifestStore>(
        directory_.get(), *ReadManifest(*directory_), &poison_);
    ASSERT_OK(store_->Reserve(0));
    for (int i = 0; i < 50 * life; ++i) {
      ASSERT_OK_AND_ASSIGN(const SegmentId id, store_->NewId());
      ASSERT_GT(id, last);
      ASSERT_LT(id, store_->Current().next_id);
      last = id;
    }
  }
}

TEST_F(ManifestStoreTest, RefusesToGiveOutMoreThanAllIds) {
  ASSERT_OK(store_->Edit([](Manifest& manifest) {
    manifest.next_id = format::kManifestCountMax;
  }));
  store_ = std::make_unique<ManifestStore>(
      directory_.get(), *ReadManifest(*directory_), &poison_);

  EXPECT_THAT(store_->NewId().status(),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace peat::engine
