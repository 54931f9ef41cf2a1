// SlotFile: what several threads hand over lies in the file where they were
// told.

#include "engine/save/slot_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::SimFileSystem;
using ::peat::testing::SimOp;

class SlotFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(disk_.CreateDirectory("d"));
    ASSERT_OK_AND_ASSIGN(directory_, disk_.OpenDirectory("d"));
    ASSERT_OK_AND_ASSIGN(file_, directory_->Create("f"));
    slots_ = std::make_unique<SlotFile>(file_.get());
    slots_->ReserveHead(5000);
  }

  // A string of `size` bytes, all `byte`, and where it shall lie.
  void Append(char byte, size_t size, std::map<uint64_t, std::string>* all) {
    const std::string bytes(size, byte);
    (*all)[slots_->Append(format::AsBytes(bytes))] = bytes;
  }

  void ExpectInFile(const std::map<uint64_t, std::string>& all) {
    const std::string content = disk_.ReadFile("d/f").value_or("");
    uint64_t end = 5000;
    for (const auto& [offset, bytes] : all) {
      EXPECT_EQ(offset % index::kTableAlignment, 0U);
      ASSERT_GE(offset, end);
      ASSERT_EQ(content.substr(offset, bytes.size()), bytes);
      end = offset + bytes.size();
    }
  }

  SimFileSystem disk_{1};
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<File> file_;
  std::unique_ptr<SlotFile> slots_;
};

TEST_F(SlotFileTest, HoldsWhatWasAppendedWhereItWasTold) {
  std::map<uint64_t, std::string> all;
  for (const size_t size :
       {size_t{1}, size_t{64}, size_t{65}, size_t{12'288}, SlotFile::kPieceSize,
        3 * SlotFile::kPieceSize + 1, size_t{100}}) {
    Append(static_cast<char>('a' + all.size()), size, &all);
  }
  ASSERT_OK(slots_->Finish("head"));

  ExpectInFile(all);
  EXPECT_EQ(disk_.ReadFile("d/f")->size(), slots_->size());
  EXPECT_EQ(disk_.ReadFile("d/f")->substr(0, 5), std::string("head\0", 5));
}

// Whoever appends holds a lock that puts wait for.
TEST_F(SlotFileTest, WritesNothingWhileItIsAppendedTo) {
  std::map<uint64_t, std::string> all;
  for (size_t i = 0; i < SlotFile::kPiecesMax; ++i) {
    Append('x', SlotFile::kPieceSize, &all);
  }
  EXPECT_FALSE(slots_->IsBehind());
  Append('y', SlotFile::kPieceSize, &all);
  Append('z', SlotFile::kPieceSize, &all);
  EXPECT_TRUE(slots_->IsBehind());
  EXPECT_EQ(disk_.call_count(SimOp::kWrite), 0U);

  while (slots_->IsBehind()) slots_->WriteSome();

  EXPECT_GE(*file_->Size(), SlotFile::kPieceSize);
  slots_->WriteOut();
  EXPECT_GE(*file_->Size(), SlotFile::kPiecesMax * SlotFile::kPieceSize);
  ASSERT_OK(slots_->Finish("head"));
  ExpectInFile(all);
}

TEST_F(SlotFileTest, TellsInTheEndThatAWriteHasFailed) {
  disk_.FailNth(
      {.op = SimOp::kWrite, .status = absl::ResourceExhaustedError("full")});
  std::map<uint64_t, std::string> all;
  Append('x', SlotFile::kPieceSize, &all);
  slots_->WriteOut();
  Append('y', SlotFile::kPieceSize, &all);
  EXPECT_THAT(slots_->Finish("head"),
              testing::StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(SlotFileTest, TakesFromSeveralThreads) {
  std::vector<std::map<uint64_t, std::string>> parts(4);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < parts.size(); ++i) {
    threads.emplace_back([this, i, &parts] {
      for (size_t n = 0; n < 400; ++n) {
        Append(static_cast<char>('a' + n % 26), 1 + (7919 * (n + i)) % 12'288,
               &parts[i]);
        if (i == 0) slots_->WriteOut();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK(slots_->Finish("head"));

  std::map<uint64_t, std::string> all;
  for (auto& part : parts) all.merge(part);
  EXPECT_EQ(all.size(), 1600U);
  ExpectInFile(all);
}

}  // namespace
}  // namespace peat::engine
