// Hint files: found again, bound to their segment, never believed when damaged.

#include "format/hint_file.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace peat::format {
namespace {

using ::peat::testing::StatusIs;

constexpr StoreId kStoreId = {std::byte{1}, std::byte{2}};
constexpr auto kUnknown = static_cast<HintSectionKind>(77);

ManifestSegment TheSegment() {
  return {.id = 7,
          .salt = 0x1122334455667788,
          .capacity = 1 << 20,
          .end = 8192,
          .first_lsn = 3,
          .last_lsn = 9,
          .last_checksum = 0xabcdef,
          .kind = SegmentKind::kLog,
          .state = SegmentState::kSealed};
}

std::string TheFile() {
  return EncodeHintFile(
      kStoreId, TheSegment(),
      {{.kind = kUnknown, .bytes = "what a later version knows"},
       {.kind = HintSectionKind::kKeyFilter, .bytes = "the filter"}});
}

absl::StatusOr<ByteView> Find(const std::string& file) {
  return FindHintSection(AsBytes(file), kStoreId, TheSegment(),
                         HintSectionKind::kKeyFilter);
}

TEST(HintFileTest, FindsASectionAmongOthers) {
  const std::string file = TheFile();
  ASSERT_OK_AND_ASSIGN(const ByteView section, Find(file));
  EXPECT_EQ(AsString(section), "the filter");
}

TEST(HintFileTest, TellsWhenThereIsNoSuchSection) {
  const std::string file = EncodeHintFile(kStoreId, TheSegment(), {});
  EXPECT_THAT(Find(file), StatusIs(absl::StatusCode::kNotFound));
}

TEST(HintFileTest, ReportsEveryTruncation) {
  const std::string file = TheFile();
  for (size_t size = 0; size < file.size(); ++size) {
    SCOPED_TRACE(size);
    EXPECT_THAT(Find(file.substr(0, size)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(HintFileTest, NeverYieldsDamagedBytes) {
  const std::string file = TheFile();
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    SCOPED_TRACE(bit);
    std::string damaged = file;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const absl::StatusOr<ByteView> section = Find(damaged);
    // Bits of the other section do not matter.
    if (section.ok()) {
      EXPECT_EQ(AsString(*section), "the filter");
    }
  }
}

TEST(HintFileTest, IsBoundToItsSegment) {
  const std::string file = TheFile();
  const std::vector<std::function<void(ManifestSegment&)>> changes = {
      [](ManifestSegment& segment) { ++segment.id; },
      [](ManifestSegment& segment) { ++segment.salt; },
      [](ManifestSegment& segment) { segment.end += 8; },
      [](ManifestSegment& segment) { ++segment.last_lsn; },
      [](ManifestSegment& segment) { ++segment.last_checksum; }};
  for (size_t i = 0; i < changes.size(); ++i) {
    SCOPED_TRACE(i);
    ManifestSegment other = TheSegment();
    changes[i](other);
    EXPECT_THAT(FindHintSection(AsBytes(file), kStoreId, other,
                                HintSectionKind::kKeyFilter),
                StatusIs(absl::StatusCode::kDataLoss));
  }
  EXPECT_THAT(FindHintSection(AsBytes(file), StoreId{}, TheSegment(),
                              HintSectionKind::kKeyFilter),
              StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace peat::format
