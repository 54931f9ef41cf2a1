// Tests of format/manifest.

#include "format/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
      .segments = {{.id = 3,
                    .salt = 0x1122334455667788,
                    .capacity = 1 << 20,
                    .end = 8192,
                    .first_lsn = 1,
                    .last_lsn = 70,
                    .last_checksum = 0xfeedbeef,
                    .kind = SegmentKind::kLog,
                    .state = SegmentState::kSealed},
                   {.id = 8, .salt = 5, .capacity = 1 << 20}},
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
  EXPECT_EQ(encoded.size(), ManifestSize(2));
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
  for (size_t bit = 0; bit < 8 * ManifestSize(2); ++bit) {
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
    EXPECT_THAT(DecodeManifest(AsBytes(SampleWith<uint32_t>(20, count))),
                StatusIs(absl::StatusCode::kDataLoss));
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
  for (const size_t offset : {24, 64, 72, 120}) {
    SCOPED_TRACE(offset);
    EXPECT_THAT(DecodeManifest(AsBytes(SampleWith<uint64_t>(offset, kTooMuch))),
                StatusIs(absl::StatusCode::kDataLoss, "no store can reach"));
  }
}

// Fields of the first segment, which is sealed, and begins at 80.
TEST(ManifestTest, RejectsASegmentThatCannotBeDespiteItsChecksum) {
  for (const std::string& bad :
       {SampleWith<uint64_t>(80, 0), SampleWith<uint64_t>(80, 8),
        SampleWith<uint64_t>(80, 9), SampleWith<uint64_t>(88, 0),
        SampleWith<uint64_t>(96, 8184), SampleWith<uint64_t>(96, 1 << 30),
        SampleWith<uint64_t>(104, 0), SampleWith<uint64_t>(104, 8193),
        SampleWith<uint64_t>(104, 4088), SampleWith<uint64_t>(104, 2 << 20),
        SampleWith<uint64_t>(112, 71), SampleWith<uint8_t>(132, 0),
        SampleWith<uint8_t>(132, 5), SampleWith<uint8_t>(133, 0),
        SampleWith<uint8_t>(133, 1), SampleWith<uint8_t>(133, 3),
        SampleWith<uint8_t>(134, 1), SampleWith<uint8_t>(143, 1)}) {
    EXPECT_THAT(DecodeManifest(AsBytes(bad)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(ManifestTest, IsNeverWrittenInAFormThatWouldNotBeRead) {
  EXPECT_DEATH(EncodeManifest({.segments = {{}}}), "check failed");
}

}  // namespace
}  // namespace peat::format
