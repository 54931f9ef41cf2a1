// The end of a log on the simulated file system, without a store around it.

#ifndef PEAT_TESTS_ENGINE_LOG_LOG_FIXTURE_H_
#define PEAT_TESTS_ENGINE_LOG_LOG_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/log/appender.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/segment/segment_scanner.h"
#include "engine/segment/segment_set.h"
#include "format/checksum.h"
#include "format/file_name.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {

class LogFixture : public ::testing::Test {
 protected:
  static constexpr uint64_t kCapacity = uint64_t{16} << 10;

  LogFixture() {
    disk_.AtEachCall([this](testing::SimOp op) {
      if (at_call_ != nullptr) at_call_(op);
    });
  }

  std::unique_ptr<Directory> MakeDirectory() {
    EXPECT_OK(disk_.CreateDirectory("log"));
    auto directory = disk_.OpenDirectory("log");
    EXPECT_OK(directory);
    return *std::move(directory);
  }

  // Prepares the segment `id` for the appender.
  std::shared_ptr<LogFile> Prepare(format::SegmentId id,
                                   uint64_t capacity = kCapacity) {
    auto log = std::make_shared<LogFile>();
    auto file = directory_->Create(format::SegmentFileName(id));
    EXPECT_OK(file);
    log->file = *std::move(file);
    EXPECT_OK(log->file->Allocate(capacity));
    auto mapping = log->file->Map(capacity, MapMode::kReadWrite);
    EXPECT_OK(mapping);
    log->mapping = mapping->get();
    log->segment = std::make_shared<Segment>(
        SegmentIdentity{.id = id, .salt = 7 * id, .capacity = capacity},
        *std::move(mapping));
    log->segment->set_end(format::kSegmentHeaderSize);
    EXPECT_OK(segments_.Add(log->segment));
    appender_.AddPrepared(log);
    return log;
  }

  // The views live as long as the caller's strings.
  static AppendRecord Put(std::string_view key, std::string_view value) {
    AppendRecord record;
    record.key = key;
    record.value = value;
    record.payload_hash = format::PayloadHash(key, value);
    return record;
  }

  // Appends a put of a key and `size` bytes.
  bool AppendPut(std::string_view key, size_t size) {
    const std::string value(size, 'v');
    Appended appended;
    bool wake = false;
    return appender_.Append(Put(key, value), &appended, &wake);
  }

  // The kinds of the records in `log`, from its beginning.
  static std::vector<format::RecordKind> KindsIn(const LogFile& log) {
    std::vector<std::byte> buffer;
    const auto bytes = log.segment->ReadAll(&buffer);
    EXPECT_OK(bytes);
    SegmentScanner scanner(*bytes, log.segment->identity().salt,
                           format::kSegmentHeaderSize, log.end);
    std::vector<format::RecordKind> kinds;
    while (scanner.Next() == SegmentScanner::Step::kRecord) {
      kinds.push_back(scanner.record().header.kind);
    }
    return kinds;
  }

  testing::SimFileSystem disk_{1};
  std::function<void(testing::SimOp)> at_call_;
  const std::unique_ptr<Directory> directory_ = MakeDirectory();
  Poison poison_;
  ManifestStore manifest_{
      directory_.get(), {.manifest = {.generation = 1}}, &poison_};
  SegmentSet segments_;
  Appender appender_{LogEnd{}, &manifest_};
};

}  // namespace peat::engine

#endif  // PEAT_TESTS_ENGINE_LOG_LOG_FIXTURE_H_
