// A value on its way into the log: itself, or, when it is large, a reference
// to a file that is written for it. And the same interface for no value: a
// tombstone.
//
// Externally synchronised; part of one call.

#ifndef PEAT_ENGINE_WRITE_LOGGED_VALUE_H_
#define PEAT_ENGINE_WRITE_LOGGED_VALUE_H_

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "engine/log/appender.h"
#include "engine/log/segment_allocator.h"
#include "engine/log/store_clock.h"
#include "engine/log/value_files.h"
#include "engine/write/writer.h"
#include "format/bytes.h"
#include "format/check.h"
#include "format/record.h"

namespace peat::engine {

class LoggedValue {
 public:
  // Hashes a small value at once; a large one costs nothing yet. All arguments
  // must outlive this.
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): a buffer
  LoggedValue(Writer* writer, std::string_view key, std::string_view value,
              format::Millis expiry = format::kNever)
      : writer_(writer) {
    record_.key = key;
    record_.value = value;
    if (expiry != format::kNever) SetExpiry(expiry);
    if (value.size() > writer->parts_.supply->large_value_size()) [[unlikely]] {
      BeginLarge(value);
      return;
    }
    if (expiry != format::kNever) PutExpiryBefore(value);
    record_.payload_hash = format::PayloadHash(key, record_.value);
  }

  // Takes the file back unless Keep() was called.
  ~LoggedValue() {
    if (large_ != nullptr) [[unlikely]]
      EndLarge();
  }
  LoggedValue(const LoggedValue&) = delete;
  LoggedValue& operator=(const LoggedValue&) = delete;

  // Writes a large value's file, if that has not happened yet, whatever is
  // there.
  absl::Status Prepare(const Writer::Seen&) { return Prepare(); }
  absl::Status Prepare() {
    if (large_ == nullptr) [[likely]] {
      return absl::OkStatus();
    }
    return PrepareLarge();
  }

  // What to append; of a large value, its final size also before Prepare().
  // Lives as long as this.
  const AppendRecord& record() const { return record_; }
  // A record that refers to it is in the log.
  void Keep(format::Lsn) {
    if (large_ != nullptr) [[unlikely]]
      large_->kept = true;
  }

 private:
  struct Large {
    std::string_view value;
    WrittenValue written;
    std::string reference;
    bool kept = false;
  };
  void SetExpiry(format::Millis expiry) {
    PEAT_CHECK(expiry - 1 < format::kMillisMax);
    // While what expires is written, the store's time goes on.
    (void)writer_->parts_.clock->HasCome(expiry);
    record_.flags |= format::kFlagExpires;
    record_.expiry = expiry;
  }
  // The hash is over both in one piece.
  void PutExpiryBefore(std::string_view value) {
    const size_t size = format::kExpirySize + value.size();
    char* begin = small_.data();
    if (size > small_.size()) {
      copy_.resize(size);
      begin = copy_.data();
    }
    format::Store<format::Millis>(reinterpret_cast<std::byte*>(begin),
                                  record_.expiry);
    if (!value.empty()) {
      std::memcpy(begin + format::kExpirySize, value.data(), value.size());
    }
    record_.value = {begin, size};
  }
  void BeginLarge(std::string_view value);
  // Of a large value, behind its expiry.
  std::string StoredReference() const;
  void EndLarge();
  absl::Status PrepareLarge();

  Writer* const writer_;
  AppendRecord record_;
  std::unique_ptr<Large> large_;  // null for a small value
  // Expiry and value, where it fits; for larger ones, `copy_`.
  std::array<char, 160> small_;
  std::string copy_;
};

class LoggedTombstone {
 public:
  explicit LoggedTombstone(std::string_view key) {
    record_.kind = format::RecordKind::kTombstone;
    record_.key = key;
    record_.payload_hash = format::PayloadHash(key, {});
  }
  static absl::Status Prepare(const Writer::Seen&) { return absl::OkStatus(); }
  const AppendRecord& record() const { return record_; }
  void Keep(format::Lsn) {}

 private:
  AppendRecord record_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_WRITE_LOGGED_VALUE_H_
