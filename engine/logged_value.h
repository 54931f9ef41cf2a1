// A value on its way into the log: itself, or, when it is large, a reference
// to a file that is written for it.
//
// Externally synchronised; part of one call.

#ifndef PEAT_ENGINE_LOGGED_VALUE_H_
#define PEAT_ENGINE_LOGGED_VALUE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "engine/appender.h"
#include "engine/value_files.h"
#include "engine/writer.h"

namespace peat::engine {

class LoggedValue {
 public:
  // Hashes a small value at once; a large one costs nothing yet. All arguments
  // must outlive this.
  LoggedValue(Writer* writer, std::string_view key, std::string_view value);

  // Takes the file back unless Keep() was called.
  ~LoggedValue();
  LoggedValue(const LoggedValue&) = delete;
  LoggedValue& operator=(const LoggedValue&) = delete;

  // Writes a large value's file, if that has not happened yet.
  absl::Status Prepare();

  // What to append. Lives as long as this.
  const AppendRecord& record() const { return record_; }
  // The bytes that record() takes in the log, also before Prepare().
  uint64_t logged_size() const;

  // A record that refers to it is in the log.
  void Keep() { kept_ = true; }

 private:
  Writer* const writer_;
  const std::string_view value_;
  const bool is_large_;
  bool kept_ = false;
  WrittenValue written_;
  std::string reference_;
  AppendRecord record_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOGGED_VALUE_H_
