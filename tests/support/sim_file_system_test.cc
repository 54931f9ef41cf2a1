// The fault model of the simulated file system: what its crashes keep and lose.
// All that is claimed of Peat after a crash rests on it.

#include "tests/support/sim_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/support/sim_random.h"
#include "tests/support/status_matchers.h"

namespace peat::testing {
namespace {

using absl::StatusCode;
using engine::Directory;
using engine::File;
using engine::MapMode;
using engine::Mapping;
using engine::OpenMode;
using format::AsBytes;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kSeedCount = 300;

class SimFileSystemTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(disk_.CreateDirectory("d"));
    ASSERT_OK_AND_ASSIGN(directory_, disk_.OpenDirectory("d"));
  }

  // A durable file of zeros.
  std::unique_ptr<File> CreateDurable(const std::string& name, uint64_t size) {
    absl::StatusOr<std::unique_ptr<File>> file = directory_->Create(name);
    EXPECT_OK(file);
    EXPECT_OK((*file)->Allocate(size));
    EXPECT_OK((*file)->Sync());
    EXPECT_OK(directory_->Sync());
    return *std::move(file);
  }

  std::unique_ptr<Mapping> Map(File& file) {
    auto mapping = file.Map(*file.Size(), MapMode::kReadWrite);
    EXPECT_OK(mapping);
    return *std::move(mapping);
  }

  std::string After(CrashKind kind, const std::string& file,
                    uint64_t seed = 1) const {
    return disk_.CrashImage(kind, seed)->ReadFile("d/" + file).value_or("gone");
  }

  std::vector<std::string> NamesAfter(CrashKind kind, uint64_t seed) const {
    return disk_.CrashImage(kind, seed)->ListFiles("d");
  }

  // Every outcome for the file of kSeedCount random power losses.
  std::set<std::string> Outcomes(const std::string& file) const {
    std::set<std::string> outcomes;
    for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
      outcomes.insert(After(CrashKind::kPowerLossRandomSubset, file, seed));
    }
    return outcomes;
  }

  SimFileSystem disk_{7};
  std::unique_ptr<Directory> directory_;
};

TEST_F(SimFileSystemTest, KeepsWhatWasSyncedInEveryImage) {
  const auto file = CreateDurable("a", 1024);
  ASSERT_OK(file->WriteAt(510, AsBytes("synced")));
  ASSERT_OK(file->Sync());
  const std::string bytes = *disk_.ReadFile("d/a");

  EXPECT_EQ(disk_.PendingChoiceCount(), 0);
  EXPECT_EQ(After(CrashKind::kPowerLossNothing, "a"), bytes);
  EXPECT_EQ(After(CrashKind::kPowerLossEverything, "a"), bytes);
  EXPECT_EQ(After(CrashKind::kPowerLossPrefix, "a"), bytes);
  EXPECT_THAT(Outcomes("a"), ElementsAre(bytes));
}

TEST_F(SimFileSystemTest, LosesWhatWasNotSynced) {
  const auto file = CreateDurable("a", 4);
  Map(*file)->Store(0, AsBytes("lost"));
  ASSERT_OK(file->Allocate(8));

  EXPECT_EQ(After(CrashKind::kPowerLossNothing, "a"), std::string(4, '\0'));
  EXPECT_EQ(After(CrashKind::kPowerLossEverything, "a"),
            std::string("lost\0\0\0\0", 8));
}

TEST_F(SimFileSystemTest, LosesASyncedFileWhoseNameWasNotSynced) {
  ASSERT_OK_AND_ASSIGN(const auto file, directory_->Create("a"));
  ASSERT_OK(file->WriteAt(0, AsBytes("bytes")));
  ASSERT_OK(file->Sync());

  EXPECT_EQ(After(CrashKind::kPowerLossNothing, "a"), "gone");
  EXPECT_THAT(Outcomes("a"), ElementsAre("bytes", "gone"));
}

TEST_F(SimFileSystemTest, KeepsANameWithoutItsBytes) {
  ASSERT_OK_AND_ASSIGN(const auto file, directory_->Create("a"));
  ASSERT_OK(file->WriteAt(0, AsBytes("bytes")));
  ASSERT_OK(directory_->Sync());

  EXPECT_THAT(Outcomes("a"), ElementsAre("", std::string(5, '\0'), "bytes"));
}

TEST_F(SimFileSystemTest, KeepsAllWhenTheProcessDiesButNotThePowerAfterIt) {
  const auto file = CreateDurable("a", 4);
  Map(*file)->Store(0, AsBytes("kept"));
  ASSERT_OK(directory_->Create("b"));
  const auto killed = disk_.CrashImage(CrashKind::kKill, 1);

  EXPECT_EQ(killed->ReadFile("d/a"), "kept");
  EXPECT_THAT(killed->ListFiles("d"), ElementsAre("a", "b"));
  const auto lost = killed->CrashImage(CrashKind::kPowerLossNothing, 1);
  EXPECT_EQ(lost->ReadFile("d/a"), std::string(4, '\0'));
  EXPECT_THAT(lost->ListFiles("d"), ElementsAre("a"));
}

TEST_F(SimFileSystemTest, CutsAllFilesAtOneEventInAPrefix) {
  const auto a = CreateDurable("a", 8);
  const auto b = CreateDurable("b", 8);
  const auto map_a = Map(*a);
  const auto map_b = Map(*b);
  map_a->Store(0, AsBytes("11111111"));
  map_b->Store(0, AsBytes("22222222"));
  map_a->Store(0, AsBytes("33333333"));

  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    const auto image = disk_.CrashImage(CrashKind::kPowerLossPrefix, seed);
    outcomes.insert(*image->ReadFile("d/a") + *image->ReadFile("d/b"));
  }
  const std::string zeros(8, '\0');
  EXPECT_THAT(outcomes, ElementsAre(zeros + zeros, "11111111" + zeros,
                                    "1111111122222222", "3333333322222222"));
}

TEST_F(SimFileSystemTest, LosesSectorsIndependently) {
  const auto file = CreateDurable("a", 1024);
  const auto mapping = Map(*file);
  mapping->Store(511, AsBytes("xy"));

  std::set<std::string> ends;
  for (const std::string& bytes : Outcomes("a")) {
    ends.insert(bytes.substr(511, 2));
  }
  EXPECT_THAT(ends, ElementsAre(std::string("\0\0", 2), std::string("\0y", 2),
                                std::string("x\0", 2), "xy"));
}

TEST_F(SimFileSystemTest, KeepsAnyLaterVersionOfASector) {
  const auto file = CreateDurable("a", 16);
  const auto mapping = Map(*file);
  mapping->Store(0, AsBytes("1111111111111111"));
  mapping->Store(0, AsBytes("22222222"));

  EXPECT_THAT(
      Outcomes("a"),
      ElementsAre(std::string(16, '\0'), "11111111" + std::string(8, '\0'),
                  "1111111111111111", "2222222211111111"));
}

TEST_F(SimFileSystemTest, KeepsSizesAndBytesIndependently) {
  const auto file = CreateDurable("a", 2);
  ASSERT_OK(file->WriteAt(0, AsBytes("abcd")));

  EXPECT_THAT(Outcomes("a"), ElementsAre(std::string(2, '\0'),
                                         std::string(4, '\0'), "ab", "abcd"));
}

TEST_F(SimFileSystemTest, UndoesATruncationThatWasNotSynced) {
  const auto file = CreateDurable("a", 0);
  ASSERT_OK(file->WriteAt(0, AsBytes("abcd")));
  ASSERT_OK(file->Sync());
  ASSERT_OK(file->Truncate(1));

  EXPECT_EQ(After(CrashKind::kPowerLossNothing, "a"), "abcd");
  EXPECT_EQ(After(CrashKind::kPowerLossEverything, "a"), "a");
  ASSERT_OK(file->Sync());
  ASSERT_OK(file->Allocate(4));
  EXPECT_THAT(Outcomes("a"), ElementsAre("a", std::string("a\0\0\0", 4)));
}

TEST_F(SimFileSystemTest, RenamesWholeOrNotAtAll) {
  CreateDurable("old", 3);
  const auto file = CreateDurable("new", 5);
  ASSERT_OK(directory_->Rename("new", "old"));

  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    const auto image =
        disk_.CrashImage(CrashKind::kPowerLossRandomSubset, seed);
    const std::vector<std::string> names = image->ListFiles("d");
    const size_t size = image->ReadFile("d/old")->size();
    EXPECT_EQ(names.size(), size == 5 ? 1 : 2);
    outcomes.insert(std::to_string(size));
  }
  EXPECT_THAT(outcomes, ElementsAre("3", "5"));
}

TEST_F(SimFileSystemTest, LosesAnySubsetOfChangesOfNames) {
  CreateDurable("a", 0);
  CreateDurable("b", 0);
  ASSERT_OK(directory_->Unlink("a"));
  ASSERT_OK(directory_->Unlink("b"));
  ASSERT_OK(directory_->Create("c"));

  std::set<std::vector<std::string>> outcomes;
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    outcomes.insert(NamesAfter(CrashKind::kPowerLossRandomSubset, seed));
  }
  EXPECT_EQ(outcomes.size(), 8);
}

TEST_F(SimFileSystemTest, GivesNoFileTwoNames) {
  ASSERT_OK(directory_->Create("a"));
  ASSERT_OK(directory_->Rename("a", "b"));
  ASSERT_OK(directory_->Rename("b", "c"));

  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    EXPECT_LE(NamesAfter(CrashKind::kPowerLossRandomSubset, seed).size(), 1);
  }
}

TEST_F(SimFileSystemTest, EnumeratesEveryImageOfFewPendingThings) {
  const auto file = CreateDurable("a", 2048);
  const auto mapping = Map(*file);
  for (const uint64_t sector : {0, 1, 3}) {
    mapping->Store(sector * 512, AsBytes("new"));
  }
  ASSERT_OK(directory_->Create("b"));
  ASSERT_EQ(disk_.PendingSectorCount(), 3);
  ASSERT_EQ(disk_.PendingChoiceCount(), 4);

  std::set<std::string> outcomes;
  for (uint64_t index = 0; index < 16; ++index) {
    const auto image = disk_.ExhaustiveImage(index);
    outcomes.insert(*image->ReadFile("d/a") +
                    image->ReadFile("d/b").value_or("gone"));
  }
  EXPECT_EQ(outcomes.size(), 16);
}

TEST_F(SimFileSystemTest, CrashesWithinAStore) {
  const std::string bytes = "aaaaaBBBBBBBBcccc";
  std::set<std::string> outcomes;
  for (uint64_t pieces = 0; pieces <= 3; ++pieces) {
    SimFileSystem disk(pieces);
    ASSERT_OK(disk.CreateDirectory("d"));
    disk.WriteFile("d/a", std::string(20, '.'));
    ASSERT_OK_AND_ASSIGN(const auto directory, disk.OpenDirectory("d"));
    ASSERT_OK_AND_ASSIGN(const auto file,
                         directory->Open("a", OpenMode::kReadWrite));
    const auto mapping = Map(*file);
    disk.CrashAfter(disk.event_count() + pieces);
    mapping->Store(3, AsBytes(bytes));
    outcomes.insert(*disk.CrashImage(CrashKind::kKill, 1)->ReadFile("d/a"));
  }
  EXPECT_THAT(outcomes,
              ElementsAre("....................", "...aaaaa............",
                          "...aaaaaBBBBBBBB....", "...aaaaaBBBBBBBBcccc"));
}

TEST_F(SimFileSystemTest, DoesNothingAnyMoreOnceDead) {
  const auto file = CreateDurable("a", 3);
  const auto mapping = Map(*file);
  disk_.CrashAfter(disk_.event_count());
  EXPECT_FALSE(disk_.is_dead());

  const auto dead = StatusIs(StatusCode::kAborted, "simulated crash");
  EXPECT_THAT(directory_->Create("b"), dead);
  EXPECT_TRUE(disk_.is_dead());
  mapping->Store(0, AsBytes("x"));
  EXPECT_THAT(file->Size(), dead);
  EXPECT_THAT(file->Sync(), dead);
  EXPECT_THAT(directory_->Open("a", OpenMode::kRead), dead);
  EXPECT_THAT(disk_.OpenDirectory("d"), dead);
  const auto image = disk_.CrashImage(CrashKind::kPowerLossEverything, 1);
  EXPECT_THAT(image->ListFiles("d"), ElementsAre("a"));
  EXPECT_EQ(image->ReadFile("d/a"), std::string(3, '\0'));
  EXPECT_OK(image->OpenDirectory("d"));
}

TEST_F(SimFileSystemTest, CrashesBetweenSectorsOfAWrite) {
  const auto file = CreateDurable("a", 0);
  disk_.CrashAfter(disk_.event_count() + 2);

  EXPECT_THAT(file->WriteAt(0, AsBytes(std::string(2000, 'x'))),
              StatusIs(StatusCode::kAborted));
  EXPECT_EQ(After(CrashKind::kKill, "a"), std::string(1024, 'x'));
}

constexpr CrashKind kImageKinds[] = {CrashKind::kKill,
                                     CrashKind::kPowerLossNothing,
                                     CrashKind::kPowerLossEverything};

// Writes to the file of an image, and makes it durable there.
void ChangeImage(SimFileSystem& image) {
  ASSERT_OK_AND_ASSIGN(const auto directory, image.OpenDirectory("d"));
  ASSERT_OK_AND_ASSIGN(const auto file,
                       directory->Open("a", OpenMode::kReadWrite));
  ASSERT_OK(file->WriteAt(0, AsBytes("six")));
  ASSERT_OK(file->Sync());
  ASSERT_OK(file->WriteAt(0, AsBytes("ten")));
}

TEST_F(SimFileSystemTest, SharesNoChangeOfAnImageWithItsDisk) {
  const auto file = CreateDurable("a", 3);
  ASSERT_OK(file->WriteAt(0, AsBytes("one")));
  ASSERT_OK(file->Sync());
  for (const bool is_mapped : {false, true}) {
    const auto mapping = is_mapped ? Map(*file) : nullptr;
    for (const CrashKind kind : kImageKinds) {
      ASSERT_OK(file->WriteAt(0, AsBytes("two")));
      ChangeImage(*disk_.CrashImage(kind, 1));

      EXPECT_EQ(disk_.ReadFile("d/a"), "two");
      EXPECT_EQ(After(CrashKind::kPowerLossNothing, "a"), "one");
    }
  }
}

TEST_F(SimFileSystemTest, SharesNoChangeOfADiskWithItsImages) {
  const auto file = CreateDurable("a", 3);
  for (const bool is_mapped : {false, true}) {
    const auto mapping = is_mapped ? Map(*file) : nullptr;
    for (const CrashKind kind : kImageKinds) {
      ASSERT_OK(file->WriteAt(0, AsBytes("one")));
      const auto image = disk_.CrashImage(kind, 1);
      const std::string before = *image->ReadFile("d/a");
      ASSERT_OK(file->WriteAt(0, AsBytes("two")));
      ASSERT_OK(file->Sync());
      ASSERT_OK(file->WriteAt(0, AsBytes("six")));

      EXPECT_EQ(image->ReadFile("d/a"), before);
    }
  }
}

TEST_F(SimFileSystemTest, LeavesZerosBehindTheEndOfAnImage) {
  const auto file = CreateDurable("a", 2);
  ASSERT_OK(file->WriteAt(0, AsBytes("abcd")));

  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    const auto image =
        disk_.CrashImage(CrashKind::kPowerLossRandomSubset, seed);
    if (image->ReadFile("d/a") != "ab") continue;
    ASSERT_OK_AND_ASSIGN(const auto directory, image->OpenDirectory("d"));
    ASSERT_OK_AND_ASSIGN(const auto left,
                         directory->Open("a", OpenMode::kReadWrite));
    ASSERT_OK(left->Allocate(4));
    EXPECT_EQ(image->ReadFile("d/a"), std::string("ab\0\0", 4));
  }
}

TEST_F(SimFileSystemTest, UnlinksNoOtherFileOfTheSameName) {
  CreateDurable("a", 1);
  CreateDurable("b", 2);
  ASSERT_OK(directory_->Rename("a", "b"));
  ASSERT_OK(directory_->Unlink("b"));

  std::set<std::vector<std::string>> outcomes;
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    outcomes.insert(NamesAfter(CrashKind::kPowerLossRandomSubset, seed));
  }
  EXPECT_THAT(outcomes,
              ElementsAre(IsEmpty(), ElementsAre("a", "b"), ElementsAre("b")));
}

TEST_F(SimFileSystemTest, BoundsTheHistoryOfASector) {
  const auto file = CreateDurable("a", 8);
  const auto mapping = Map(*file);
  for (int i = 0; i < 20000; ++i) {
    mapping->Store(0, AsBytes(std::to_string(10000000 + i)));
  }

  EXPECT_EQ(After(CrashKind::kPowerLossNothing, "a"), std::string(8, '\0'));
  EXPECT_EQ(After(CrashKind::kPowerLossEverything, "a"), "10019999");
  EXPECT_GT(Outcomes("a").size(), 10);
}

// One random run; what it says about the disk and every image of it.
std::string RandomRun(uint64_t seed, uint64_t image_seed) {
  SimFileSystem disk(seed);
  SimRandom random(42);
  EXPECT_OK(disk.CreateDirectory("d"));
  const auto directory = *disk.OpenDirectory("d");
  for (const char* const name : {"a", "b", "c"}) {
    const auto file = *directory->Create(name);
    EXPECT_OK(file->Allocate(4096));
    const auto mapping = *file->Map(4096, MapMode::kReadWrite);
    for (int i = 0; i < 50; ++i) {
      mapping->Store(random.Below(4000), AsBytes(std::to_string(i)));
      if (random.Chance(1)) (void)file->Sync();
      if (random.Chance(1)) (void)directory->Sync();
    }
  }
  std::string bytes(8, '\0');
  disk.Randomize(std::as_writable_bytes(std::span(bytes)));
  for (const CrashKind kind :
       {CrashKind::kPowerLossPrefix, CrashKind::kPowerLossRandomSubset}) {
    const auto image = disk.CrashImage(kind, image_seed);
    for (const std::string& name : image->ListFiles("d")) {
      bytes += name + *image->ReadFile("d/" + name);
    }
    std::string drawn(8, '\0');
    image->Randomize(std::as_writable_bytes(std::span(drawn)));
    bytes += drawn;
  }
  return bytes;
}

TEST(SimFileSystemSeedTest, DoesTheSameForTheSameSeeds) {
  EXPECT_EQ(RandomRun(1, 1), RandomRun(1, 1));
  EXPECT_NE(RandomRun(1, 1), RandomRun(2, 1));
  EXPECT_NE(RandomRun(1, 1), RandomRun(1, 2));
}

// The model, written down a second time and more simply: the versions that each
// sector had since it was durable.
TEST_F(SimFileSystemTest, AgreesWithASimpleModelInRandomRuns) {
  constexpr uint64_t kSize = 16 * 512;
  const auto file = CreateDurable("a", kSize);
  const auto mapping = Map(*file);
  SimRandom random(5);
  std::string now(kSize, '\0');
  std::map<uint64_t, std::set<std::string>> versions;
  const auto remember = [&](uint64_t sector) {
    versions[sector].insert(now.substr(sector * 512, 512));
  };
  for (uint64_t sector = 0; sector < 16; ++sector) remember(sector);
  for (int step = 0; step < 3000; ++step) {
    if (random.Below(40) == 0) {
      ASSERT_OK(file->Sync());
      versions.clear();
      for (uint64_t sector = 0; sector < 16; ++sector) remember(sector);
    }
    const uint64_t offset = random.Below(kSize / 8) * 8;
    const std::string bytes(8, static_cast<char>(random.Next()));
    mapping->Store(offset, AsBytes(bytes));
    now.replace(offset, 8, bytes);
    remember(offset / 512);
    ASSERT_EQ(After(CrashKind::kPowerLossEverything, "a"), now);
    const std::string left =
        After(CrashKind::kPowerLossRandomSubset, "a", random.Next());
    for (uint64_t sector = 0; sector < 16; ++sector) {
      ASSERT_TRUE(versions[sector].contains(left.substr(sector * 512, 512)))
          << "step " << step << " sector " << sector;
    }
  }
}

}  // namespace
}  // namespace peat::testing
