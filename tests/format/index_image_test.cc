// Heads of index images: found again, and never believed when damaged.

#include "format/index_image.h"

#include <gtest/gtest.h>

#include <string>

#include "format/checksum.h"
#include "tests/support/status_matchers.h"

namespace peat::format {
namespace {

using ::peat::testing::StatusIs;

IndexImage TheSnapshot() {
  IndexImage snapshot{.store_id = {std::byte{1}, std::byte{2}},
                      .hash_check = 0x1234,
                      .last_lsn = 99,
                      .generation = 12,
                      .log_segment = 7,
                      .log_salt = 77,
                      .log_end = 4096};
  for (size_t i = 0; i < snapshot.images.size(); ++i) {
    snapshot.images[i] = {.offset = 4096 * (i + 1),
                          .size = i,
                          .checksum = ~i,
                          .key_count = 3 * i};
  }
  snapshot.segments.push_back({.id = 3,
                               .salt = 33,
                               .end = 8192,
                               .last_lsn = 50,
                               .last_checksum = 5,
                               .number = 2,
                               .live_bytes = 480,
                               .tombstone_bytes = 32,
                               .value_bytes = 1 << 20,
                               .live_value_bytes = 1 << 19,
                               .disabled = 4,
                               .forgotten = 6,
                               .values = {11, 12, 11}});
  snapshot.segments.push_back({.id = 7, .salt = 77, .end = 4096, .number = 1});
  snapshot.segments.push_back(
      {.id = 8, .salt = 88, .end = 4144, .number = 3, .values = {9}});
  return snapshot;
}

TEST(IndexImageTest, IsReadAsItWasWritten) {
  const std::string head = EncodeSnapshotHead(TheSnapshot());
  EXPECT_EQ(head.size(), SnapshotHeadSize(TheSnapshot()));
  ASSERT_OK_AND_ASSIGN(
      const uint64_t size,
      DecodeSnapshotHeadSize(AsBytes(head).first(kSnapshotPrefixSize)));
  EXPECT_EQ(size, head.size());
  ASSERT_OK_AND_ASSIGN(const IndexImage decoded,
                       DecodeSnapshotHead(AsBytes(head)));
  EXPECT_EQ(decoded, TheSnapshot());
}

TEST(IndexImageTest, ReportsEveryTruncation) {
  const std::string head = EncodeSnapshotHead(TheSnapshot());
  for (size_t size = 0; size < head.size(); ++size) {
    EXPECT_THAT(DecodeSnapshotHead(AsBytes(head).first(size)),
                StatusIs(absl::StatusCode::kDataLoss))
        << size;
  }
}

TEST(IndexImageTest, ReportsEveryFlippedBit) {
  const std::string head = EncodeSnapshotHead(TheSnapshot());
  for (size_t bit = 0; bit < 8 * head.size(); ++bit) {
    std::string damaged = head;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THAT(DecodeSnapshotHead(AsBytes(damaged)),
                StatusIs(absl::StatusCode::kDataLoss))
        << bit;
  }
}

// With checksums that fit: each byte of the tables set to all ones. What is
// taken all the same is what was written: no field is read over.
TEST(IndexImageTest, SurvivesImpossibleFields) {
  const std::string head = EncodeSnapshotHead(TheSnapshot());
  for (size_t at = 16; at < head.size() - 8; ++at) {
    std::string changed = head;
    changed[at] = '\xff';
    Store<uint64_t>(
        reinterpret_cast<std::byte*>(changed.data()) + changed.size() - 8,
        Checksum64(AsBytes(changed).first(changed.size() - 8)));
    const auto decoded = DecodeSnapshotHead(AsBytes(changed));
    if (decoded.ok()) {
      EXPECT_EQ(decoded->segments.size(), 3U) << at;
      EXPECT_EQ(EncodeSnapshotHead(*decoded), changed) << at;
    }
  }
}

}  // namespace
}  // namespace peat::format
