// Tests of the memory of tables.

#include "index/arena.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "index/epoch.h"

namespace peat::index {
namespace {

struct Piece {
  std::byte* units;
  uint32_t unit_count;
  std::byte mark;
};

bool IsAll(const Piece& piece, std::byte value) {
  return std::all_of(piece.units,
                     piece.units + piece.unit_count * Arena::kUnitSize,
                     [value](std::byte byte) { return byte == value; });
}

// Of this process.
uint64_t HugePageBytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string word; file >> word;) {
    if (word != "AnonHugePages:") continue;
    uint64_t kib = 0;
    file >> kib;
    return kib << 10;
  }
  return 0;
}

bool KernelCollapses() {
  constexpr size_t kSize = size_t{4} << 20;
  constexpr int kAdviseCollapse = 25;  // MADV_COLLAPSE
  void* const memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  std::memset(memory, 1, kSize);
  const bool collapses = ::madvise(memory, kSize, kAdviseCollapse) == 0;
  ::munmap(memory, kSize);
  return collapses;
}

TEST(ArenaTest, CostsNothingUntilItIsUsed) {
  EXPECT_EQ(Arena().memory_bytes(), 0);
}

TEST(ArenaTest, GivesAlignedZeros) {
  Arena arena;

  for (uint32_t count = 1; count <= Arena::kUnitCountMax; ++count) {
    std::byte* const units = arena.Allocate(count);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(units) % Arena::kUnitSize, 0);
    EXPECT_TRUE(IsAll({units, count, {}}, std::byte{0}));
  }
}

TEST(ArenaTest, JoinsFreeNeighbours) {
  Arena arena;
  std::vector<std::byte*> units;
  for (int i = 0; i < 24; ++i) units.push_back(arena.Allocate(1));
  const uint64_t bytes = arena.memory_bytes();

  std::shuffle(units.begin(), units.end(), std::mt19937(1));
  for (std::byte* const unit : units) arena.Free(unit, 1);
  (void)arena.Allocate(12);
  (void)arena.Allocate(12);

  EXPECT_EQ(arena.memory_bytes(), bytes);
}

TEST(ArenaTest, NeverGivesWhatIsInUse) {
  Arena arena;
  std::mt19937 random(7);
  std::vector<Piece> pieces;

  for (int i = 0; i < 20'000; ++i) {
    if (pieces.size() > 400 || (!pieces.empty() && random() % 3 == 0)) {
      std::swap(pieces[random() % pieces.size()], pieces.back());
      ASSERT_TRUE(IsAll(pieces.back(), pieces.back().mark));
      arena.Free(pieces.back().units, pieces.back().unit_count);
      pieces.pop_back();
    } else {
      const uint32_t count = 1 + random() % Arena::kUnitCountMax;
      const Piece piece = {arena.Allocate(count), count,
                           static_cast<std::byte>(1 + i % 255)};
      ASSERT_TRUE(IsAll(piece, std::byte{0}));
      std::memset(piece.units, static_cast<int>(piece.mark),
                  count * Arena::kUnitSize);
      pieces.push_back(piece);
    }
  }
}

TEST(ArenaTest, ReusesRetiredUnitsOnlyOnceOlderGuardsAreGone) {
  Arena arena;
  std::byte* const units = arena.Allocate(12);
  auto guard = std::make_unique<EpochGuard>();

  arena.Retire(units, 12);
  for (int i = 0; i < 20; ++i) {
    std::byte* const others = arena.Allocate(12);
    EXPECT_NE(others, units);
    arena.Retire(others, 12);
  }
  guard.reset();
  const uint64_t bytes = arena.memory_bytes();
  for (int i = 0; i < 100; ++i) arena.Retire(arena.Allocate(12), 12);

  EXPECT_LE(arena.memory_bytes(), bytes + 4 * 12 * Arena::kUnitSize);
}

// What is released is zeroed by the system; the neighbours keep what they hold.
TEST(ArenaTest, GivesBackWhatManyFreedUnitsTook) {
  Arena arena;
  std::mt19937 random(8);
  std::vector<Piece> pieces;
  for (int i = 0; i < 4'000; ++i) {
    if (arena.WantsProvision()) arena.Provision();  // some huge chunks, too
    if (arena.WantsCollapse() && i % 2 == 0) arena.Collapse();
    const uint32_t count = 1 + random() % Arena::kUnitCountMax;
    pieces.push_back(
        {arena.Allocate(count), count, static_cast<std::byte>(1 + i % 255)});
    std::memset(pieces.back().units, static_cast<int>(pieces.back().mark),
                count * Arena::kUnitSize);
  }
  const uint64_t full = arena.memory_bytes();

  std::shuffle(pieces.begin(), pieces.end(), random);
  for (; pieces.size() > 200; pieces.pop_back()) {
    arena.Free(pieces.back().units, pieces.back().unit_count);
  }
  arena.Release();
  const uint64_t released = arena.memory_bytes();
  EXPECT_LT(released, full / 3);

  for (const Piece& piece : pieces) ASSERT_TRUE(IsAll(piece, piece.mark));
  while (arena.memory_bytes() < full) {
    const Piece piece = {arena.Allocate(12), 12, {}};
    ASSERT_TRUE(IsAll(piece, std::byte{0}));
  }
  for (const Piece& piece : pieces) ASSERT_TRUE(IsAll(piece, piece.mark));
}

TEST(ArenaTest, KeepsAFewFreeChunks) {
  Arena arena;
  std::vector<std::byte*> units;
  for (int i = 0; i < 300; ++i) units.push_back(arena.Allocate(12));
  const uint64_t full = arena.memory_bytes();

  for (std::byte* const unit : units) arena.Free(unit, 12);
  arena.Release();

  EXPECT_EQ(arena.memory_bytes(), full);
}

TEST(ArenaTest, MakesOneHugePageOfAFullChunk) {
  Arena arena;
  EXPECT_FALSE(arena.WantsCollapse());
  std::vector<Piece> pieces;
  while (!arena.WantsCollapse()) {
    pieces.push_back(
        {arena.Allocate(7), 7, static_cast<std::byte>(1 + pieces.size() % 9)});
    std::memset(pieces.back().units, static_cast<int>(pieces.back().mark),
                7 * Arena::kUnitSize);
  }
  const uint64_t bytes = arena.memory_bytes();
  const uint64_t huge_bytes = HugePageBytes();

  arena.Collapse();

  EXPECT_FALSE(arena.WantsCollapse());
  EXPECT_LT(arena.memory_bytes() - bytes, 7 * Arena::kUnitSize);
  for (const Piece& piece : pieces) ASSERT_TRUE(IsAll(piece, piece.mark));
  if (!KernelCollapses()) GTEST_SKIP() << "the kernel makes no huge pages";
  EXPECT_EQ(HugePageBytes(), huge_bytes + (uint64_t{2} << 20));
}

TEST(ArenaTest, LeavesAChunkOfWhichPagesWereGivenBack) {
  Arena arena;
  std::vector<std::byte*> units;
  // Much that is free at once, so that it is given back.
  for (int i = 0; i < 1'000; ++i) units.push_back(arena.Allocate(12));
  for (std::byte* const unit : units) arena.Free(unit, 12);
  arena.Release();
  const uint64_t huge_bytes = HugePageBytes();

  while (arena.WantsCollapse()) arena.Collapse();

  EXPECT_LE(HugePageBytes(), huge_bytes + arena.memory_bytes());
}

TEST(ArenaTest, AsksForProvisionUntilItIsDone) {
  Arena arena;
  EXPECT_FALSE(arena.WantsProvision());

  int asked_count = 0;
  for (int i = 0; i < 6'000; ++i) {
    (void)arena.Allocate(12);
    if (!arena.WantsProvision()) continue;
    ++asked_count;
    arena.Provision();
    EXPECT_FALSE(arena.WantsProvision());
  }

  EXPECT_GT(asked_count, 30);
  EXPECT_LE(arena.memory_bytes(), 6'000 * 12 * Arena::kUnitSize * 107 / 100);
}

}  // namespace
}  // namespace peat::index
