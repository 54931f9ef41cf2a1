// A walk through a small window finds what a scan of the whole segment finds,
// however the segment is damaged.

#include "tools/offline/record_walk.h"

#include <algorithm>

#include "engine/segment/segment_scanner.h"
#include "format/segment_header.h"
#include "tests/tools/offline/offline_fixture.h"

namespace peat::tools {
namespace {

using engine::SegmentScanner;
using Step = RecordWalk::Step;

constexpr uint64_t kSalt = 7;

// Places of records, and where gaps end.
using Trace = std::vector<std::pair<uint64_t, uint64_t>>;

class RecordWalkTest : public OfflineFixture {
 protected:
  static std::string MakeSegment() {
    std::string bytes(format::kSegmentHeaderSize, 'h');
    for (const size_t size : {0, 3, 40, 5000, 17, 100, 9}) {
      const std::string value(size, 'v');
      format::AppendRecord(
          {.lsn = 1, .value_size = static_cast<uint32_t>(size), .key_size = 3},
          "key", value, {kSalt, bytes.size()}, &bytes);
    }
    return bytes;
  }

  static Trace TraceOf(SegmentScanner scanner) {
    Trace trace;
    for (;;) {
      switch (scanner.Next()) {
        case Step::kRecord:
          trace.emplace_back(scanner.offset(), scanner.record().value.size());
          break;
        case Step::kDamaged:
          trace.emplace_back(scanner.offset(), 0);
          trace.back().second = scanner.Resync();
          break;
        default:
          trace.emplace_back(scanner.offset(), UINT64_MAX);
          return trace;
      }
    }
  }

  Trace WalkThrough(const std::string& bytes, size_t window_size) {
    testing::WriteWholeFile(path("file"), bytes);
    const auto directory =
        *engine::PosixFileSystem().OpenDirectory(path("file").parent_path());
    const auto file = *directory->Open("file", engine::OpenMode::kRead);
    RecordWalk walk(file.get(),
                    {.salt = kSalt,
                     .begin = format::kSegmentHeaderSize,
                     .end = bytes.size()},
                    window_size);
    Trace trace;
    for (;;) {
      switch (*walk.Next()) {
        case Step::kRecord:
          trace.emplace_back(walk.offset(), walk.record().value.size());
          EXPECT_EQ(walk.record_bytes().size(),
                    RecordSize(walk.record().header));
          break;
        case Step::kDamaged:
          trace.emplace_back(walk.offset(), 0);
          trace.back().second = *walk.Resync();
          break;
        default:
          trace.emplace_back(walk.offset(), UINT64_MAX);
          return trace;
      }
    }
  }

  void ExpectSame(const std::string& bytes) {
    const Trace expected =
        TraceOf(SegmentScanner(format::AsBytes(bytes), kSalt,
                               format::kSegmentHeaderSize, bytes.size()));
    for (const size_t window_size : {64, 256, 4096}) {
      EXPECT_EQ(WalkThrough(bytes, window_size), expected) << window_size;
    }
  }
};

TEST_F(RecordWalkTest, FindsTheRecordsOfASoundSegment) {
  ExpectSame(MakeSegment());
  ExpectSame(MakeSegment() + std::string(5000, '\0'));
}

TEST_F(RecordWalkTest, FindsWhatIsSoundOfADamagedOne) {
  const std::string sound = MakeSegment();
  for (size_t at = format::kSegmentHeaderSize; at < sound.size(); at += 13) {
    SCOPED_TRACE(at);
    std::string damaged = sound;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    ExpectSame(damaged);
  }
}

TEST_F(RecordWalkTest, EndsWhereTheFileEnds) {
  const std::string sound = MakeSegment();
  for (size_t size = format::kSegmentHeaderSize; size < sound.size();
       size += 29) {
    SCOPED_TRACE(size);
    ExpectSame(sound.substr(0, size));
  }
}

TEST_F(RecordWalkTest, SeeksTheFirstRecordOfAnyRange) {
  const std::string bytes = MakeSegment();
  testing::WriteWholeFile(path("file"), bytes);
  const auto directory =
      *engine::PosixFileSystem().OpenDirectory(path("file").parent_path());
  const auto file = *directory->Open("file", engine::OpenMode::kRead);
  const RecordWalk::Bounds bounds{
      .salt = kSalt, .begin = format::kSegmentHeaderSize, .end = bytes.size()};
  RecordWalk walk(file.get(), bounds, 256);
  std::vector<uint64_t> offsets;
  while (*walk.Next() == Step::kRecord) offsets.push_back(walk.offset());
  for (uint64_t begin = bounds.begin; begin < bounds.end; begin += 8) {
    const auto first = std::lower_bound(offsets.begin(), offsets.end(), begin);
    for (const uint64_t end : {begin + 8, begin + 600, bounds.end}) {
      const bool is_there = first != offsets.end() && *first < end;
      ASSERT_EQ(*walk.Seek(begin, end), is_there ? *first : end);
      if (!is_there) continue;
      ASSERT_EQ(*walk.Next(), Step::kRecord);
      ASSERT_EQ(walk.offset(), *first);
    }
  }
}

TEST_F(RecordWalkTest, SaysWhatIsKnownOfADamagedPayload) {
  std::string bytes = MakeSegment();
  bytes[format::kSegmentHeaderSize + 24] ^= 1;
  RecordWalk walk(format::AsBytes(bytes), {.salt = kSalt,
                                           .begin = format::kSegmentHeaderSize,
                                           .end = bytes.size()});

  EXPECT_EQ(*walk.Next(), Step::kDamaged);

  EXPECT_EQ(walk.check(), format::RecordCheck::kPayloadDamaged);
  ASSERT_TRUE(walk.damaged_header().has_value());
  EXPECT_EQ(walk.damaged_header()->lsn, 1U);
}

}  // namespace
}  // namespace peat::tools
