// A file or standard input, as its bytes come.
//
// Also where reading would block: an input that does not wait by itself (a pipe
// that some other program has made non-blocking) is waited for. Who watches it
// is told once each time that it pauses, and can end the wait.
// Externally synchronised.

#ifndef PEAT_TOOLS_INPUT_H_
#define PEAT_TOOLS_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <istream>
#include <streambuf>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace peat::tools {

struct InputWatch {
  // Called when nothing has come for some tens of milliseconds.
  std::function<absl::Status()> on_pause = {};
  // Whether to read no more.
  std::function<bool()> is_interrupted = {};
};

class Input final {
 public:
  // Reads from the file descriptor, which stays open and outlives this.
  explicit Input(int descriptor);
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  void Watch(InputWatch watch) { watch_ = std::move(watch); }

  // What was read and not taken yet.
  std::string_view unread() const { return unread_; }
  void Take(size_t size) { unread_.remove_prefix(size); }

  // Reads more; needs unread() to be empty. False at the end. Cancelled if it
  // is interrupted; what `on_pause` fails with.
  absl::StatusOr<bool> Fill();
  // Whether there is an unread byte: reads more if need be.
  absl::StatusOr<bool> HasMore() {
    return unread_.empty() ? Fill() : absl::StatusOr<bool>(true);
  }

  uint64_t bytes_read() const { return bytes_read_; }

 private:
  // Until there is something to read, or nothing will come any more.
  absl::Status Await();

  const int descriptor_;
  InputWatch watch_;
  bool is_drained_ = false;  // since it was interrupted
  std::string buffer_;
  std::string_view unread_;
  uint64_t bytes_read_ = 0;
};

// For what reads a stream of the standard library.
class InputBuffer final : public std::streambuf {
 public:
  explicit InputBuffer(Input* input) : input_(*input) {}
  const absl::Status& status() const { return status_; }

 protected:
  int_type underflow() override;

 private:
  Input& input_;
  std::string part_;
  absl::Status status_;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_INPUT_H_
