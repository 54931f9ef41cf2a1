// Stores that are open to read only beside one that writes: they keep what they
// opened, say so where that is no longer there, and Refresh() brings them up to
// now. And copies of a store that share its files.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "peat/audit.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using peat::testing::IsOk;
using peat::testing::Read;
using peat::testing::StatusIs;
using peat::testing::StoreFixture;
using ::testing::AnyOf;
using ::testing::Optional;

const Options kReadOnly{.mode = OpenMode::kReadOnly};

class RefreshTest : public StoreFixture {
 protected:
  static std::string Large(char letter) {
    return std::string(size_t{3} << 20, letter);
  }
};

TEST_F(RefreshTest, AReaderSeesWhatItOpenedUntilItIsRefreshed) {
  const auto writer = Open();
  ASSERT_OK(writer->Put("k", "before"));
  const auto reader = Open(kReadOnly);
  ASSERT_OK(writer->Put("k", "after"));
  ASSERT_OK(writer->Put("new", "v"));
  EXPECT_THAT(Read(*reader, "k"), Optional(std::string("before")));

  ASSERT_OK(reader->Refresh());

  EXPECT_THAT(Read(*reader, "k"), Optional(std::string("after")));
  EXPECT_THAT(Read(*reader, "new"), Optional(std::string("v")));
  EXPECT_EQ(reader->GetStats().key_count, 2U);
}

TEST_F(RefreshTest, AValueThatHasGoneIsNoDamage) {
  auto writer = Open();
  ASSERT_OK(writer->Put("k", Large('0')));
  const auto reader = Open(kReadOnly);
  // A segment is compacted once it is closed and another one follows it.
  for (char letter = 'a'; letter < 'm'; ++letter) {
    ASSERT_OK(writer->Put("k", Large(letter)));
    if (letter % 4 != 0) continue;
    ASSERT_OK(writer->Close());
    writer = Open();
  }
  ASSERT_OK(writer->Compact());
  std::string value;
  ASSERT_THAT(reader->Get("k", &value),
              StatusIs(StatusCode::kAborted, "moved on"));

  ASSERT_OK(reader->Refresh());

  EXPECT_THAT(Read(*reader, "k"), Optional(Large('l')));
}

TEST_F(RefreshTest, AValueThatIsMissingIsDamage) {
  {
    const auto writer = Open();
    ASSERT_OK(writer->Put("k", Large('0')));
  }
  const auto reader = Open(kReadOnly);
  for (const auto& file : std::filesystem::directory_iterator(path())) {
    if (file.path().extension() == ".val") std::filesystem::remove(file);
  }
  std::string value;

  EXPECT_THAT(reader->Get("k", &value), StatusIs(StatusCode::kDataLoss));

  ASSERT_OK(reader->Refresh());
  EXPECT_THAT(reader->Get("k", &value), StatusIs(StatusCode::kDataLoss));
}

TEST_F(RefreshTest, IsForReadersAlone) {
  const auto writer = Open();
  EXPECT_THAT(writer->Refresh(), StatusIs(StatusCode::kFailedPrecondition));
  const auto reader = Open(kReadOnly);
  ASSERT_OK(reader->Close());
  EXPECT_THAT(reader->Refresh(), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(RefreshTest, AFailureChangesNothing) {
  const auto writer = Open();
  ASSERT_OK(writer->Put("k", "v"));
  const auto reader = Open(kReadOnly);
  std::filesystem::rename(path(), dir_.path() / "elsewhere");

  EXPECT_THAT(reader->Refresh(), StatusIs(StatusCode::kNotFound));

  EXPECT_THAT(Read(*reader, "k"), Optional(std::string("v")));
}

TEST_F(RefreshTest, WhatWasOpenEnds) {
  const auto writer = Open();
  ASSERT_OK(writer->Put("k", "v"));
  auto opened = OpenWithAudit(path(), kReadOnly);
  ASSERT_OK(opened);
  const auto& [reader, token] = *opened;
  const auto snapshot = reader->OpenSnapshot();
  ASSERT_OK(reader->Refresh());

  std::string value;
  EXPECT_THAT(snapshot->Get("k", &value),
              StatusIs(StatusCode::kFailedPrecondition));
  // The token is of the store, not of what it has opened.
  EXPECT_OK(AuditReader::Attach(*reader, token));
}

TEST_F(RefreshTest, CallsOnOtherThreadsGoOn) {
  const auto writer = Open();
  ASSERT_OK(writer->Put("k", "0"));
  const auto reader = Open(kReadOnly);
  std::atomic<bool> is_over = false;
  std::thread other([&] {
    while (!is_over) {
      std::string value;
      EXPECT_OK(reader->Get("k", &value));
    }
  });
  for (int i = 1; i <= 20; ++i) {
    ASSERT_OK(writer->Put("k", std::to_string(i)));
    EXPECT_OK(reader->Refresh());
    EXPECT_THAT(Read(*reader, "k"), Optional(std::to_string(i)));
  }
  is_over = true;
  other.join();
}

// By hard links, and with or without the LOCK.
TEST_F(RefreshTest, ACopyThatSharesTheFilesDoesNotOpenBesideThem) {
  auto writer = Open();
  ASSERT_OK(writer->Put("k", "v"));
  const std::filesystem::path copy = dir_.path() / "copy";
  std::filesystem::create_directory(copy);
  for (const auto& file : std::filesystem::directory_iterator(path())) {
    if (file.path().filename() == "LOCK") continue;
    std::filesystem::create_hard_link(file, copy / file.path().filename());
  }

  EXPECT_THAT(Store::Open(copy),
              StatusIs(StatusCode::kUnavailable, "MANIFEST"));
  EXPECT_OK(Store::Open(copy, kReadOnly));

  ASSERT_OK(writer->Put("k", "w"));
  ASSERT_OK(writer->Close());
  writer = Open();
  EXPECT_THAT(Read(*writer, "k"), Optional(std::string("w")));
}

}  // namespace
}  // namespace peat
