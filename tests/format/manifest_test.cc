// Tests of format/manifest.

#include "format/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "format/checksum.h"
#include "tests/support/status_matchers.h"

namespace peat::format {
namespace {

using ::peat::testing::StatusIs;

Manifest Sample() {
  return {
      .generation = 12,
      .store_id = {std::byte{0xaa}, std::byte{0xbb}},
      .hash_seed = {std::byte{0xcc}, std::byte{0xdd}},
      .next_id = 9,
      .durable_lsn = 77,
      .epoch = 4,
      .time = 1'700'000'000'000,
      .retention = {.count = 1000, .age = 60'000},
      .segments = {{.id = 3,
                    .salt = 0x1122334455667788,
                    .capacity = 1 << 20,
                    .end = 8192,
                    .first_lsn = 1,
                    .last_lsn = 70,
                    .last_checksum = 0xfeedbeef,
                    .kind = SegmentKind::kLog,
                    .state = SegmentState::kSealed,
                    .lasting_bytes = 64,
                    .first_expiry = 5,
                    .last_expiry = 9,
                    .dictionary = 6},
                   {.id = 8, .salt = 5, .capacity = 1 << 20}},
      .dictionaries = {{.id = 5, .size = 4096, .checksum = 0xd1c7},
                       {.id = 6, .size = 1, .checksum = 7}},
      .leases = {{.name = "a", .lsn = 70, .bytes_max = 1 << 30},
                 {.name = "copy of the east",
                  .lsn = 3,
                  .bytes_max = 4096,
                  .last_used = 1'700'000'000'001,
                  .state = LeaseState::kBroken}},
  };
}

// The sample with one integer replaced and its checksum made to match.
template <typename T>
std::string SampleWith(size_t offset, T number) {
  std::string encoded = EncodeManifest(Sample());
  auto* const to = reinterpret_cast<std::byte*>(encoded.data());
  Store<T>(to + offset, number);
  const size_t checked_size = encoded.size() - 8;
  Store<uint64_t>(to + checked_size,
                  Checksum64(AsBytes(encoded).first(checked_size)));
  return encoded;
}

TEST(ManifestTest, ReturnsWhatWasEncoded) {
  const std::string encoded = EncodeManifest(Sample());

  ASSERT_OK_AND_ASSIGN(const Manifest decoded,
                       DecodeManifest(AsBytes(encoded)));

  EXPECT_EQ(decoded, Sample());
  EXPECT_EQ(encoded.size(), ManifestSize(Sample()));
  EXPECT_EQ(encoded.size(), 128U + 2 * 96 + 2 * 32 + (32 + 8) + (32 + 16) + 8);
  EXPECT_EQ(ClaimedManifestSize(AsBytes(encoded)), encoded.size());
}

TEST(ManifestTest, MayHaveNoSegments) {
  const Manifest empty;

  EXPECT_EQ(*DecodeManifest(AsBytes(EncodeManifest(empty))), empty);
}

TEST(ManifestTest, MayHaveAsManySegmentsAsAreAllowed) {
  Manifest manifest = {.next_id = kManifestSegmentCountMax + 1};
  for (SegmentId id = 1; id <= kManifestSegmentCountMax; ++id) {
    manifest.segments.push_back({.id = id, .salt = id, .capacity = 1 << 20});
  }

  EXPECT_EQ(*DecodeManifest(AsBytes(EncodeManifest(manifest))), manifest);
}

TEST(ManifestTest, MayHaveAsManyDictionariesAndLeasesAsAreAllowed) {
  Manifest manifest = {
      .next_id = kManifestDictionaryCountMax + 1,
      .epoch = kManifestCountMax,
      .time = kMillisMax,
      .retention = {.count = kManifestCountMax, .age = kMillisMax}};
  for (SegmentId id = 1; id <= kManifestDictionaryCountMax; ++id) {
    manifest.dictionaries.push_back({.id = id, .size = kValueSizeMax});
  }
  for (size_t i = 0; i < kManifestLeaseCountMax; ++i) {
    manifest.leases.push_back({.name = std::string(kLeaseNameSizeMax - 1, 'n'),
                               .lsn = kManifestCountMax,
                               .bytes_max = UINT64_MAX,
                               .last_used = kMillisMax});
    manifest.leases.back().name.push_back(static_cast<char>(i));
  }
  std::ranges::sort(manifest.leases, {}, &ManifestLease::name);

  const std::string encoded = EncodeManifest(manifest);

  EXPECT_EQ(*DecodeManifest(AsBytes(encoded)), manifest);
  EXPECT_EQ(encoded.size() + kManifestSegmentCountMax * kManifestSegmentSize,
            ManifestSizeMax());
  manifest.leases.push_back({.name = std::string(1, '\xff')});
  EXPECT_THAT(CheckLeases(manifest), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ManifestTest, IgnoresWhatFollowsIt) {
  const std::string encoded = EncodeManifest(Sample()) + "an older, longer one";

  EXPECT_EQ(*DecodeManifest(AsBytes(encoded)), Sample());
}

TEST(ManifestTest, ReportsEveryTruncationAsDataLoss) {
  const std::string encoded = EncodeManifest(Sample());
  for (size_t size = 0; size < encoded.size(); ++size) {
    SCOPED_TRACE(size);
    EXPECT_THAT(DecodeManifest(AsBytes(encoded).first(size)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(ManifestTest, ReportsEveryFlippedBitAsDataLoss) {
  const std::string encoded =
      EncodeManifest(Sample()) + std::string(4096, '\0');
  for (size_t bit = 0; bit < 8 * ManifestSize(Sample()); ++bit) {
    SCOPED_TRACE(bit);
    std::string damaged = encoded;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THAT(DecodeManifest(AsBytes(damaged)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(ManifestTest, ReportsEveryMixtureWithAnotherGenerationAsDataLoss) {
  Manifest later = Sample();
  ++later.generation;
  later.segments[1].salt = 6;
  const std::string before = EncodeManifest(Sample());
  const std::string after = EncodeManifest(later);
  for (size_t cut = 1; cut < before.size(); ++cut) {
    SCOPED_TRACE(cut);
    const std::string torn = after.substr(0, cut) + before.substr(cut);
    if (torn == before || torn == after) continue;
    EXPECT_THAT(DecodeManifest(AsBytes(torn)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(ManifestTest, IsNeverAllZeros) {
  EXPECT_THAT(DecodeManifest(AsBytes(std::string(4096, '\0'))),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ManifestTest, DoesNotTrustACount) {
  for (const uint32_t count :
       {0U, 1U, 3U, 1000U, 32'767U, 32'768U, 1U << 26, 1U << 31, ~0U}) {
    SCOPED_TRACE(count);
    for (const size_t offset : {20, 112, 116, 120}) {
      // The two that there are of each.
      if (count == 2) continue;
      EXPECT_THAT(DecodeManifest(AsBytes(SampleWith<uint32_t>(offset, count))),
                  StatusIs(absl::StatusCode::kDataLoss));
    }
  }
}

TEST(ManifestTest, IsUnimplementedWhenNewer) {
  for (const std::string& newer : {SampleWith<uint32_t>(8, kFormatVersion + 1),
                                   SampleWith<uint32_t>(12, 1)}) {
    EXPECT_THAT(DecodeManifest(AsBytes(newer)),
                StatusIs(absl::StatusCode::kUnimplemented));
  }
}

TEST(ManifestTest, IgnoresCompatibleFeatures) {
  const std::string encoded = SampleWith<uint32_t>(16, ~0U);

  EXPECT_EQ(*DecodeManifest(AsBytes(encoded)), Sample());
}

TEST(ManifestTest, RejectsAHeaderThatCannotBeDespiteItsChecksum) {
  for (const std::string& bad :
       {SampleWith<uint32_t>(8, 0), SampleWith<uint64_t>(64, 0),
        SampleWith<uint64_t>(64, 8),
        SampleWith<uint64_t>(64, (uint64_t{1} << 63) + 1)}) {
    EXPECT_THAT(DecodeManifest(AsBytes(bad)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(ManifestTest, RejectsCountsThatLeaveNoRoomToCountOn) {
  constexpr uint64_t kTooMuch = (uint64_t{1} << 62) + 1;
  for (const size_t offset : {24, 64, 72, 128 + 40}) {
    SCOPED_TRACE(offset);
    EXPECT_THAT(DecodeManifest(AsBytes(SampleWith<uint64_t>(offset, kTooMuch))),
                StatusIs(absl::StatusCode::kDataLoss, "no store can reach"));
  }
}

TEST(ManifestTest, RejectsATimeAnEpochOrARetentionThatCannotBe) {
  for (const std::string& bad :
       {SampleWith<uint64_t>(80, 0),
        SampleWith<uint64_t>(80, kManifestCountMax + 1),
        SampleWith<uint64_t>(88, kMillisMax + 1),
        SampleWith<uint64_t>(96, kManifestCountMax + 1),
        SampleWith<uint64_t>(104, kMillisMax + 1),
        SampleWith<uint32_t>(124, 1)}) {
    EXPECT_THAT(DecodeManifest(AsBytes(bad)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

// Fields of the first segment, which is sealed, and begins at 128.
TEST(ManifestTest, RejectsASegmentThatCannotBeDespiteItsChecksum) {
  constexpr size_t kAt = 128;
  for (const std::string& bad : {
           SampleWith<uint64_t>(kAt, 0),
           SampleWith<uint64_t>(kAt, 8),
           SampleWith<uint64_t>(kAt, 9),
           SampleWith<uint64_t>(kAt + 8, 0),
           SampleWith<uint64_t>(kAt + 16, 8184),
           SampleWith<uint64_t>(kAt + 16, 1 << 30),
           SampleWith<uint64_t>(kAt + 24, 0),
           SampleWith<uint64_t>(kAt + 24, 8193),
           SampleWith<uint64_t>(kAt + 24, 4088),
           SampleWith<uint64_t>(kAt + 24, 2 << 20),
           SampleWith<uint64_t>(kAt + 32, 71),
           SampleWith<uint8_t>(kAt + 52, 0),
           SampleWith<uint8_t>(kAt + 52, 5),
           SampleWith<uint8_t>(kAt + 53, 0),
           SampleWith<uint8_t>(kAt + 53, 1),
           SampleWith<uint8_t>(kAt + 53, 3),
           SampleWith<uint8_t>(kAt + 54, 1),
           SampleWith<uint8_t>(kAt + 55, 1),
           SampleWith<uint64_t>(kAt + 56, 4096 + 8),  // more than there is
           SampleWith<uint64_t>(kAt + 56, 4),
           SampleWith<uint64_t>(kAt + 64, 0),
           SampleWith<uint64_t>(kAt + 64, 10),  // after the last
           SampleWith<uint64_t>(kAt + 72, 0),
           SampleWith<uint64_t>(kAt + 72, kMillisMax + 1),
           SampleWith<uint64_t>(kAt + 80, 7),  // no such dictionary
           SampleWith<uint8_t>(kAt + 88, 1),
           // The second segment is open.
           SampleWith<uint64_t>(kAt + 96 + 56, 8),
           SampleWith<uint64_t>(kAt + 96 + 80, 5),
       }) {
    EXPECT_THAT(DecodeManifest(AsBytes(bad)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(ManifestTest, RejectsADictionaryThatCannotBeDespiteItsChecksum) {
  constexpr size_t kAt = 128 + 2 * 96;
  for (const std::string& bad :
       {SampleWith<uint64_t>(kAt, 0), SampleWith<uint64_t>(kAt, 6),
        SampleWith<uint64_t>(kAt + 32, 9), SampleWith<uint64_t>(kAt + 8, 0),
        SampleWith<uint64_t>(kAt + 8, kValueSizeMax + 1),
        SampleWith<uint8_t>(kAt + 24, 1)}) {
    EXPECT_THAT(DecodeManifest(AsBytes(bad)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(ManifestTest, RejectsALeaseThatCannotBeDespiteItsChecksum) {
  constexpr size_t kAt = 128 + 2 * 96 + 2 * 32;
  for (const std::string& bad : {
           SampleWith<uint64_t>(kAt, kManifestCountMax + 1),
           SampleWith<uint64_t>(kAt + 16, kMillisMax + 1),
           SampleWith<uint8_t>(kAt + 24, 0), SampleWith<uint8_t>(kAt + 24, 3),
           SampleWith<uint8_t>(kAt + 25, 0), SampleWith<uint8_t>(kAt + 25, 9),
           SampleWith<uint8_t>(kAt + 25, 255), SampleWith<uint8_t>(kAt + 26, 1),
           SampleWith<uint8_t>(kAt + 33, 1),    // behind the name
           SampleWith<uint8_t>(kAt + 32, 'd'),  // not before the next one
       }) {
    EXPECT_THAT(DecodeManifest(AsBytes(bad)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(ManifestTest, IsNeverWrittenInAFormThatWouldNotBeRead) {
  EXPECT_DEATH(EncodeManifest({.segments = {{}}}), "check failed");
}

}  // namespace
}  // namespace peat::format
