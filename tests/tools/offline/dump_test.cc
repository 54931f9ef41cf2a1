// A dump prints the same, however the store is cut into parts and however many
// threads make them, also where it is damaged.

#include "tools/offline/dump.h"

#include <limits>

#include "absl/strings/str_format.h"
#include "tests/tools/offline/offline_fixture.h"
#include "tools/offline/dumper.h"
#include "tools/offline/line_writer.h"
#include "tools/offline/lsn_order.h"

namespace peat::tools {
namespace {

using ::peat::testing::StatusIs;
using ::testing::HasSubstr;

class DumpTest : public OfflineFixture {
 protected:
  static StoreFiles Read(const std::filesystem::path& path) {
    absl::StatusOr<StoreFiles> files =
        ReadStoreFiles(engine::PosixFileSystem(), path);
    EXPECT_OK(files);
    return *std::move(files);
  }

  // What a dump without parts and threads prints.
  static std::string DumpAtOnce(const std::filesystem::path& path,
                                const DumpOptions& options) {
    const StoreFiles files = Read(path);
    Dumper dumper(options, &files, nullptr);
    dumper.AddHeader();
    for (const SourceSegment& segment : files.segments) {
      if (!segment.flaw.has_value()) continue;
      dumper.AddGap(segment.name(), {.offset = segment.flaw->offset,
                                     .size = segment.end,
                                     .what = segment.flaw->what.c_str()});
    }
    LsnOrder order = *LsnOrder::Make(files.segments);
    while (*order.Next()) {
      const std::string name = files.segments[order.segment()].name();
      if (order.gap().has_value()) {
        dumper.AddGap(name, *order.gap());
        continue;
      }
      EXPECT_OK(dumper.AddRecord({.record = order.record(),
                                  .bytes = order.record_bytes(),
                                  .file = name,
                                  .offset = order.offset()},
                                 order.segment(), order.record_index()));
    }
    return dumper.text();
  }

  void ExpectSameInParts(const std::string& name) const {
    for (const DumpForm form :
         {DumpForm::kTable, DumpForm::kJson, DumpForm::kRaw}) {
      DumpOptions options{.form = form, .keys_only = true};
      const std::string expected = DumpAtOnce(path(name), options);
      for (const uint64_t part_size : {8, 200, 4096, 1 << 20}) {
        for (const int thread_count : {1, 3}) {
          SCOPED_TRACE(absl::StrFormat("parts of %d, %d threads", part_size,
                                       thread_count));
          options.part_size = part_size;
          options.thread_count = thread_count;
          ASSERT_EQ(Dump(path(name), options), expected);
        }
      }
    }
  }

  // The store's segments, the largest last.
  std::vector<std::filesystem::path> Segments(const std::string& name) const {
    std::vector<std::filesystem::path> segments;
    for (const auto& file : std::filesystem::directory_iterator(path(name))) {
      if (file.path().extension() == ".seg") segments.push_back(file.path());
    }
    std::sort(
        segments.begin(), segments.end(), [](const auto& a, const auto& b) {
          return std::filesystem::file_size(a) < std::filesystem::file_size(b);
        });
    return segments;
  }
};

TEST_F(DumpTest, PrintsTheSameInPartsOfAStoreThatIsSound) {
  std::mt19937 random(1);
  KnownKeys known;
  WriteSessions(path("s"), 6, random, &known);
  ExpectSameInParts("s");
}

TEST_F(DumpTest, PrintsTheSameInPartsOfAStoreThatWasNotClosed) {
  std::mt19937 random(2);
  KnownKeys known;
  const std::unique_ptr<Store> store = Open(path("s"));
  WriteAtRandom(*store, 300, random, &known);
  ExpectSameInParts("s");
}

TEST_F(DumpTest, PrintsTheSameInPartsOfADamagedSegment) {
  std::mt19937 random(3);
  KnownKeys known;
  {
    const std::unique_ptr<Store> store = Open(path("s"));
    WriteAtRandom(*store, 200, random, &known);
    ASSERT_OK(store->Close());
  }
  const std::filesystem::path segment = Segments("s").back();
  const std::string sound = testing::ReadWholeFile(segment);
  for (size_t at = format::kSegmentHeaderSize; at < sound.size();
       at += sound.size() / 16) {
    SCOPED_TRACE(at);
    std::string damaged = sound;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    // Another one, and a long one, behind it.
    damaged[(at + sound.size()) / 2] ^= 1;
    damaged.replace(damaged.size() - 600, 500, 500, 'x');
    testing::WriteWholeFile(segment, damaged);
    ExpectSameInParts("s");
  }
}

TEST_F(DumpTest, PrintsTheSameOfASegmentAlone) {
  std::mt19937 random(4);
  KnownKeys known;
  {
    const std::unique_ptr<Store> store = Open(path("s"));
    WriteAtRandom(*store, 200, random, &known);
    ASSERT_OK(store->Close());
  }
  const auto directory = *engine::PosixFileSystem().OpenDirectory(path("s"));
  const SourceSegment segment =
      *ReadLoneSegment(*directory, Segments("s").back().filename());
  std::vector<std::string> texts(2);

  for (const size_t i : {0, 1}) {
    EXPECT_OK(DumpSegment(segment, "a name",
                          {.form = DumpForm::kJson,
                           .thread_count = i == 0 ? 1 : 3,
                           .part_size = i == 0 ? uint64_t{1} << 20 : 64},
                          {}, [&texts, i](std::string_view some) {
                            texts[i] += some;
                            return absl::OkStatus();
                          }));
  }

  EXPECT_THAT(texts[0], HasSubstr("{\"file\":\"a name\",\"offset\":4096,"));
  EXPECT_EQ(texts[0], texts[1]);
}

TEST_F(DumpTest, StopsWhenNobodyReadsAndWhenItIsInterrupted) {
  std::mt19937 random(5);
  KnownKeys known;
  WriteSessions(path("s"), 3, random, &known);
  const StoreFiles files = Read(path("s"));
  const DumpOptions options{
      .keys_only = true, .thread_count = 3, .part_size = 64};
  int calls = 0;

  EXPECT_THAT(DumpStore(files, options, {},
                        [&calls](std::string_view) {
                          return ++calls < 3 ? absl::OkStatus()
                                             : absl::DataLossError("full");
                        }),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(calls, 3);
  EXPECT_THAT(DumpStore(
                  files, options, [](uint64_t, uint64_t) { return false; },
                  [](std::string_view) { return absl::OkStatus(); }),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST(LineWriterTest, WritesNumbersAsPrintfDoes) {
  std::vector<uint64_t> numbers = {0, std::numeric_limits<uint64_t>::max()};
  for (uint64_t power = 1; power <= 1'000'000'000'000'000'000; power *= 10) {
    numbers.insert(numbers.end(), {power - 1, power, power + 1, 7 * power});
  }
  for (const uint64_t number : numbers) {
    std::string text = "before ";
    LineWriter line(100, &text);
    line.PutNumber(number);
    line.Put(' ');
    line.PutColumn<5>(number);
    line.PutColumn<12>(number);
    line.Close();
    EXPECT_EQ(text,
              absl::StrFormat("before %d %5d %12d ", number, number, number));
  }
}

TEST(LineWriterTest, WritesTextToTheLeftOfAColumn) {
  for (const std::string word : {"", "a", "four", "fives", "longer"}) {
    std::string text;
    LineWriter line(100, &text);
    line.PutColumn<5>(word);
    line.Put("literal");
    line.PutColumn<5>(word);
    line.TrimBlanks();
    line.Close();
    std::string expected = absl::StrFormat("%-5s literal%s", word, word);
    EXPECT_EQ(text, expected);
  }
}

}  // namespace
}  // namespace peat::tools
