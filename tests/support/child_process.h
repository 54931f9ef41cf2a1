// Other processes, for tests of what they do to a store.
//
// ThreadSanitizer does not let a forked child start threads, so a test whose
// child opens a store begins with PEAT_SKIP_UNDER_TSAN(). AddressSanitizer's
// allocator may be locked by another thread as the process forks, and is then
// locked in the child for ever; so background threads come to rest first.

#ifndef PEAT_TESTS_SUPPORT_CHILD_PROCESS_H_
#define PEAT_TESTS_SUPPORT_CHILD_PROCESS_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>
#include <vector>

namespace peat::testing {

#ifdef __SANITIZE_THREAD__
inline constexpr bool kIsTsan = true;
#else
inline constexpr bool kIsTsan = false;
#endif

#if defined(__SANITIZE_ADDRESS__)  // g++
inline constexpr bool kIsAsan = true;
#elif defined(__has_feature)  // clang++
inline constexpr bool kIsAsan = __has_feature(address_sanitizer);
#else
inline constexpr bool kIsAsan = false;
#endif

// How a process ended: its exit code, or minus the signal that ended it.
inline int WaitFor(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

inline bool IsRunning(pid_t child) {
  siginfo_t ended = {};
  EXPECT_EQ(waitid(P_PID, static_cast<id_t>(child), &ended,
                   WEXITED | WNOHANG | WNOWAIT),
            0);
  return ended.si_pid == 0;
}

// Forks; the child ends with what `body` returns, without destructors.
inline pid_t StartChild(const std::function<int()>& body) {
  if (kIsAsan) usleep(100'000);
  const pid_t child = fork();
  if (child == 0) _exit(body());
  return child;
}

inline int RunInChild(const std::function<int()>& body) {
  return WaitFor(StartChild(body));
}

// Runs a program found in PATH, its output discarded. 127 if there is none.
inline int RunCommand(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
  }
  pid_t child = 0;
  const int error = posix_spawnp(&child, arguments[0], &actions, nullptr,
                                 arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? WaitFor(child) : 127;
}

// Two processes taking turns: each end tells the other to go on.
class Gate final {
 public:
  Gate() { EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() {
    close(ends_[0]);
    close(ends_[1]);
  }
  bool Open() { return write(ends_[1], "x", 1) == 1; }
  bool Wait() {
    char byte = 0;
    return read(ends_[0], &byte, 1) == 1;
  }

 private:
  int ends_[2] = {-1, -1};
};

}  // namespace peat::testing

#define PEAT_SKIP_UNDER_TSAN()                                         \
  if (::peat::testing::kIsTsan) {                                      \
    GTEST_SKIP() << "a forked child may not start threads under TSan"; \
  }                                                                    \
  static_assert(true)

#endif  // PEAT_TESTS_SUPPORT_CHILD_PROCESS_H_
