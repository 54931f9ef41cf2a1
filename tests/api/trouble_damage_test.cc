// Damage at rest: whatever happens to the files of a store, opening it is a
// clear status that names the file, or shows what was written. Never a crash,
// never another value, never a key or value in a message.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "format/segment_header.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::FileImages;
using ::peat::testing::IsOk;
using ::peat::testing::Read;
using ::peat::testing::ReadFiles;
using ::peat::testing::StatusIs;
using ::peat::testing::WriteFiles;
using ::peat::testing::WriteWholeFile;

constexpr size_t kHeader = format::kSegmentHeaderSize;
constexpr int kRecordCount = 6;
const Options kReadOnly{.mode = OpenMode::kReadOnly};
const Options kDespite{.mode = OpenMode::kReadOnlyDespiteDamage};

std::string KeyOf(int i) { return "SECRETKEY" + std::to_string(i); }
std::string ValueOf(int i) { return "SECRETVALUE" + std::to_string(i); }

// Where the last byte that is not zero ends.
size_t UsedSize(const std::string& image) {
  return image.find_last_not_of('\0') + 1;
}

class TroubleDamageTest : public ::peat::testing::StoreFixture {
 protected:
  // Writes the records, with a flush behind `flushed` of them, and keeps what
  // the files are then (as after kill -9) and after Close(). The reserve, which
  // holds nothing, is left out.
  void Write(int flushed) {
    const std::unique_ptr<Store> store = Open();
    for (int i = 0; i < kRecordCount; ++i) {
      if (i == flushed) {
        ASSERT_OK(store->Flush());
      }
      ASSERT_OK(store->Put(KeyOf(i), ValueOf(i)));
    }
    killed_ = ReadFiles(path());
    ASSERT_OK(store->Close());
    closed_ = ReadFiles(path());
    for (const char* const name : {"RESERVE-0", "RESERVE-1"}) {
      killed_.erase(name);
      closed_.erase(name);
    }
    for (const auto& [name, image] : closed_) {
      if (name.ends_with(".seg")) segment_ = name;
    }
  }

  // How many records a store shows, which must be the first ones.
  static int CountPrefix(const Store& store) {
    int count = 0;
    while (count < kRecordCount &&
           Read(store, KeyOf(count)) == ValueOf(count)) {
      ++count;
    }
    EXPECT_EQ(store.GetStats().key_count, static_cast<uint64_t>(count));
    return count;
  }

  void ExpectDataLoss(const absl::Status& status, const std::string& name) {
    EXPECT_THAT(status, StatusIs(StatusCode::kDataLoss, name));
    EXPECT_EQ(std::string(status.message()).find("SECRET"), std::string::npos);
  }

  static void Flip(std::string* image, size_t bit) {
    (*image)[bit / 8] = static_cast<char>((*image)[bit / 8] ^ (1 << (bit % 8)));
  }

  FileImages killed_;
  FileImages closed_;
  std::string segment_;
};

TEST_F(TroubleDamageTest, EveryFlippedBitOfASealedSegmentIsDataLoss) {
  Write(3);
  WriteFiles(path(), closed_);
  const std::string sound = closed_[segment_];
  for (size_t bit = 0; bit < 8 * sound.size(); ++bit) {
    // The header's page is zeros behind its fields.
    if (bit == 8 * 80) bit = 8 * kHeader;
    SCOPED_TRACE(bit);
    std::string damaged = sound;
    Flip(&damaged, bit);
    WriteWholeFile(path() / segment_, damaged);
    ExpectDataLoss(TryOpen(kReadOnly).status(), segment_);
  }
}

TEST_F(TroubleDamageTest, EveryCutOfASealedSegmentIsDataLoss) {
  Write(3);
  WriteFiles(path(), closed_);
  const std::string sound = closed_[segment_];
  for (size_t size = 0; size < sound.size(); ++size) {
    if (size == 80) size = kHeader - 1;
    SCOPED_TRACE(size);
    WriteWholeFile(path() / segment_, sound.substr(0, size));
    ExpectDataLoss(TryOpen(kReadOnly).status(), segment_);
  }
}

TEST_F(TroubleDamageTest, AFailedOpenToWriteChangesNothing) {
  Write(3);
  for (size_t bit = 5; bit < 8 * closed_[segment_].size(); bit += 97) {
    if (bit > 8 * 80 && bit < 8 * kHeader) continue;
    SCOPED_TRACE(bit);
    FileImages damaged = closed_;
    Flip(&damaged[segment_], bit);
    WriteFiles(path(), damaged);
    ExpectDataLoss(TryOpen().status(), segment_);
    EXPECT_EQ(ReadFiles(path()), damaged);
  }
}

// Below the mark there is nothing to cut; behind it what is damaged is cut, and
// reported.
TEST_F(TroubleDamageTest, EveryFlippedBitOfATailIsDataLossOrACutRange) {
  Write(3);
  WriteFiles(path(), killed_);
  const size_t used = UsedSize(killed_[segment_]);
  // Less of the zeros behind makes it quicker.
  const std::string sound = killed_[segment_].substr(0, 2 * kHeader);
  int losses = 0;
  for (size_t bit = 8 * kHeader; bit < 8 * used; ++bit) {
    SCOPED_TRACE(bit);
    std::string damaged = sound;
    Flip(&damaged, bit);
    WriteWholeFile(path() / segment_, damaged);
    const auto store = TryOpen(kReadOnly);
    if (!store.ok()) {
      ExpectDataLoss(store.status(), segment_);
      ++losses;
      continue;
    }
    EXPECT_GE(CountPrefix(**store), 3);
    const std::vector<CutRange> cut = (*store)->GetStats().open.cut;
    ASSERT_EQ(cut.size(), 1);
    EXPECT_EQ(cut[0].file, segment_);
    EXPECT_LE(cut[0].offset, bit / 8);
    EXPECT_GT(cut[0].offset + cut[0].size, bit / 8);
  }
  EXPECT_GT(losses, 0);
}

TEST_F(TroubleDamageTest, EveryCutOfATailShowsAPrefix) {
  Write(3);
  const std::string sound = killed_[segment_];
  int last_count = 0;
  for (size_t size = kHeader; size <= UsedSize(sound) + 7; ++size) {
    SCOPED_TRACE(size);
    FileImages damaged = killed_;
    damaged[segment_].resize(size);
    WriteFiles(path(), damaged);
    const auto before = TryOpen(kReadOnly);
    ASSERT_OK(before);
    const int count = CountPrefix(**before);
    EXPECT_GE(count, last_count);
    last_count = count;
    if (size % 16 != 0 || count == kRecordCount) continue;

    const std::unique_ptr<Store> store = Open();
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(CountPrefix(*store), count);
    ASSERT_OK(store->Put(KeyOf(count), ValueOf(count)));
    ASSERT_OK(store->Close());
    EXPECT_EQ(CountPrefix(*Open()), count + 1);
  }
  EXPECT_EQ(last_count, kRecordCount);
}

TEST_F(TroubleDamageTest, ZerosInsteadOfASegmentAreDataLoss) {
  Write(3);
  for (const FileImages* const sound : {&killed_, &closed_}) {
    FileImages damaged = *sound;
    damaged[segment_].assign(damaged[segment_].size(), '\0');
    WriteFiles(path(), damaged);
    for (const Options& options : {Options{}, kReadOnly}) {
      ExpectDataLoss(TryOpen(options).status(), segment_);
    }
  }
  FileImages damaged = closed_;
  std::fill(damaged[segment_].begin() + kHeader, damaged[segment_].end(), '\0');
  WriteFiles(path(), damaged);
  ExpectDataLoss(TryOpen().status(), segment_);
}

TEST_F(TroubleDamageTest, AMissingSegmentIsDataLoss) {
  Write(3);
  for (const FileImages* const sound : {&killed_, &closed_}) {
    FileImages damaged = *sound;
    damaged.erase(segment_);
    WriteFiles(path(), damaged);
    for (const Options& options : {Options{}, kReadOnly}) {
      ExpectDataLoss(TryOpen(options).status(), segment_);
    }
  }
}

TEST_F(TroubleDamageTest, AnOldCopyOfASealedSegmentIsDataLoss) {
  Write(3);
  FileImages damaged = closed_;
  damaged[segment_] = killed_[segment_];
  WriteFiles(path(), damaged);
  // The same bytes, not yet cut to size: this old copy is as good.
  EXPECT_EQ(CountPrefix(*Open()), kRecordCount);

  // One from before the last record is not.
  std::string old = killed_[segment_];
  std::fill(old.begin() + static_cast<std::ptrdiff_t>(UsedSize(old)) - 48,
            old.end(), '\0');
  damaged[segment_] = old;
  WriteFiles(path(), damaged);
  for (const Options& options : {Options{}, kReadOnly}) {
    ExpectDataLoss(TryOpen(options).status(), segment_);
  }
}

TEST_F(TroubleDamageTest, SwappedSegmentsAreDataLoss) {
  {
    const std::unique_ptr<Store> store = Open();
    for (int i = 0; i < 12; ++i) {
      ASSERT_OK(store->Put(KeyOf(i), std::string(200'000, 'v')));
    }
  }
  std::vector<std::string> names;
  FileImages images = ReadFiles(path());
  for (const auto& [name, image] : images) {
    if (name.ends_with(".seg")) names.push_back(name);
  }
  ASSERT_GE(names.size(), 2);
  std::swap(images[names[0]], images[names[1]]);
  WriteFiles(path(), images);

  for (const Options& options : {Options{}, kReadOnly}) {
    ExpectDataLoss(TryOpen(options).status(), ".seg");
  }
}

TEST_F(TroubleDamageTest, OneSoundManifestIsEnough) {
  Write(3);
  for (const char* const name : {"MANIFEST-0", "MANIFEST-1"}) {
    const size_t used = UsedSize(closed_[name]);
    for (size_t bit = 0; bit < 8 * used; bit += 3) {
      SCOPED_TRACE(bit);
      FileImages damaged = {{name, closed_[name]}};
      Flip(&damaged[name], bit);
      WriteFiles(path(), closed_);
      WriteWholeFile(path() / name, damaged[name]);
      const auto store = TryOpen(kReadOnly);
      ASSERT_OK(store);
      EXPECT_EQ(CountPrefix(**store), kRecordCount);
    }
    FileImages damaged = closed_;
    damaged.erase(name);
    WriteFiles(path(), damaged);
    EXPECT_EQ(CountPrefix(*Open()), kRecordCount);
    damaged[name].clear();
    WriteFiles(path(), damaged);
    const std::unique_ptr<Store> store = Open();
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(CountPrefix(*store), kRecordCount);
    EXPECT_OK(store->Put("new", "v"));
  }
}

TEST_F(TroubleDamageTest, NoSoundManifestIsDataLoss) {
  Write(3);
  const size_t used = UsedSize(closed_["MANIFEST-0"]);
  for (size_t bit = 0; bit < 8 * used; bit += 7) {
    SCOPED_TRACE(bit);
    FileImages damaged = closed_;
    Flip(&damaged["MANIFEST-0"], bit);
    Flip(&damaged["MANIFEST-1"], 8 * used - 1 - bit);
    WriteFiles(path(), damaged);
    for (const Options& options : {Options{}, kReadOnly}) {
      ExpectDataLoss(TryOpen(options).status(), "MANIFEST");
    }
    EXPECT_EQ(ReadFiles(path()), damaged);
  }
  FileImages damaged = closed_;
  damaged.erase("MANIFEST-0");
  damaged.erase("MANIFEST-1");
  WriteFiles(path(), damaged);
  for (const Options& options : {Options{}, kReadOnly}) {
    ExpectDataLoss(TryOpen(options).status(), "MANIFEST");
  }
}

TEST_F(TroubleDamageTest, ADamagedStoreShowsWhatIsSoundToWhoAsks) {
  Write(3);
  WriteFiles(path(), closed_);
  std::string damaged = closed_[segment_];
  damaged[damaged.find(ValueOf(2))] ^= 1;
  WriteWholeFile(path() / segment_, damaged);

  const auto store = TryOpen(kDespite);
  ASSERT_OK(store);
  std::string value;
  ExpectDataLoss((*store)->Get(KeyOf(2), &value), "");
  ExpectDataLoss((*store)->Get("absent", &value), "");
  for (int i = 3; i < kRecordCount; ++i) {
    EXPECT_EQ(Read(**store, KeyOf(i)), ValueOf(i));
  }
  EXPECT_EQ((*store)->GetStats().open.damaged.size(), 1);
  EXPECT_THAT((*store)->Put("k", "v"),
              StatusIs(StatusCode::kFailedPrecondition));
}

// A record below its damage is found when it is read, if it was sound at
// Open().
TEST_F(TroubleDamageTest, DamageBeneathAnOpenStoreIsDataLoss) {
  Write(3);
  for (const ReadMethod method :
       {ReadMethod::kMapped, ReadMethod::kPositional}) {
    WriteFiles(path(), closed_);
    const std::unique_ptr<Store> store = Open({.read_method = method});
    ASSERT_NE(store, nullptr);
    std::fstream file(path() / segment_,
                      std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(closed_[segment_].find(ValueOf(2))));
    file.put('X').flush();

    std::string value;
    ExpectDataLoss(store->Get(KeyOf(2), &value), segment_);
    ExpectDataLoss(store->GetPinned(KeyOf(2)).status(), segment_);
    ExpectDataLoss(store->Put(KeyOf(2), "new"), segment_);
    ExpectDataLoss(store->Delete(KeyOf(2)).status(), segment_);
    WriteBatch batch;
    batch.Put("other", "v");
    batch.Delete(KeyOf(2));
    ExpectDataLoss(store->Write(batch), segment_);
    EXPECT_EQ(Read(*store, "other"), std::nullopt);
    EXPECT_EQ(Read(*store, KeyOf(1)), ValueOf(1));
    EXPECT_OK(store->Put(KeyOf(1), "new"));
  }
}

class TroubleValueFileTest : public TroubleDamageTest {
 protected:
  // A closed store with two values in files of their own.
  void WriteLarge() {
    {
      const std::unique_ptr<Store> store = Open();
      for (const char fill : {'1', '2'}) {
        large_.emplace_back(300'000, fill);
        ASSERT_OK(store->Put(std::string(1, fill), large_.back()));
      }
      ASSERT_OK(store->Put("small", "v"));
    }
    closed_ = ReadFiles(path());
    for (const auto& [name, image] : closed_) {
      if (name.ends_with(".val")) files_.push_back(name);
    }
    ASSERT_EQ(files_.size(), 2);
  }

  // Only the value in `file` is lost.
  void ExpectOneLoss(const FileImages& images, const std::string& file) {
    WriteFiles(path(), images);
    const std::unique_ptr<Store> store = Open();
    ASSERT_NE(store, nullptr);
    std::string value;
    const std::string damaged = file == files_[0] ? "1" : "2";
    ExpectDataLoss(store->Get(damaged, &value), file);
    ExpectDataLoss(store->GetPinned(damaged).status(), file);
    ExpectDataLoss(store->Update(damaged, "v").status(), file);
    EXPECT_EQ(Read(*store, "small"), "v");
    EXPECT_OK(store->Put(damaged, "new"));
    EXPECT_EQ(Read(*store, damaged), "new");
  }

  std::vector<std::string> large_;
  std::vector<std::string> files_;
};

TEST_F(TroubleValueFileTest, ADamagedValueFileIsDataLossOfItsValue) {
  WriteLarge();
  for (const std::string& file : files_) {
    FileImages damaged = closed_;
    damaged.erase(file);
    ExpectOneLoss(damaged, file);
    damaged[file] = "";
    ExpectOneLoss(damaged, file);
    damaged[file] = closed_[file].substr(0, kHeader + 1000);
    ExpectOneLoss(damaged, file);
    for (const size_t bit : {size_t{3}, 8 * kHeader, 8 * kHeader + 800'001}) {
      damaged[file] = closed_[file];
      Flip(&damaged[file], bit);
      ExpectOneLoss(damaged, file);
    }
  }
}

TEST_F(TroubleValueFileTest, SwappedValueFilesAreDataLoss) {
  WriteLarge();
  FileImages damaged = closed_;
  std::swap(damaged[files_[0]], damaged[files_[1]]);
  ExpectOneLoss(damaged, files_[0]);
  ExpectOneLoss(damaged, files_[1]);
}

}  // namespace
}  // namespace peat
