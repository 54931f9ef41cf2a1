// A volume that stops answering when it is told to: each change of a file then
// waits, until it answers again.
//
// Thread-safe.

#ifndef PEAT_TESTS_SUPPORT_HANGING_DISK_H_
#define PEAT_TESTS_SUPPORT_HANGING_DISK_H_

#include <condition_variable>
#include <mutex>

#include "tests/support/watched_file_system.h"

namespace peat::testing {

class HangingDisk final {
 public:
  explicit HangingDisk(uint64_t volume)
      : system_([this](const FileChange& change) { Await(change); }, volume) {}
  ~HangingDisk() { Answer(); }

  engine::FileSystem& system() { return system_; }

  void Hang() {
    const std::lock_guard<std::mutex> lock(mutex_);
    hangs_ = true;
  }
  void Answer() {
    const std::lock_guard<std::mutex> lock(mutex_);
    hangs_ = false;
    ++round_;
    changed_.notify_all();
  }
  // Calls that come from now on do not wait; those that wait go on to.
  void AnswerOthers() {
    const std::lock_guard<std::mutex> lock(mutex_);
    hangs_ = false;
  }

  // Waits until `count` threads wait for it.
  void AwaitCalls(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return waiting_count_ >= count; });
  }
  int waiting_count() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return waiting_count_;
  }

 private:
  // A store goes to memory.
  void Await(const FileChange& change) {
    if (change.kind == FileChange::Kind::kStore) return;
    std::unique_lock<std::mutex> lock(mutex_);
    if (!hangs_) return;
    ++waiting_count_;
    changed_.notify_all();
    const int round = round_;
    changed_.wait(lock, [&] { return round_ != round; });
    --waiting_count_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool hangs_ = false;
  int round_ = 0;  // of answers to those that wait
  int waiting_count_ = 0;
  WatchedFileSystem system_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_HANGING_DISK_H_
