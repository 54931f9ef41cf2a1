// Each system call of a store's life fails, one after the other, under strace:
// every outcome is a clean status or the end by SIGKILL, and whatever was
// acknowledged is there when the store is opened again. A short result is one
// of no bytes: strace makes no other without lying about what was done.
//
// Prints at its end how many calls it made fail. Skips where there is no
// strace, or where it may not trace.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "tests/api/trouble_script.h"
#include "tests/support/child_process.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using ::peat::testing::DoStep;
using ::peat::testing::FileImages;
using ::peat::testing::IsOk;
using ::peat::testing::kStepCount;
using ::peat::testing::Model;
using ::peat::testing::Read;
using ::peat::testing::ReadFiles;
using ::peat::testing::ReadWholeFile;
using ::peat::testing::RunCommand;
using ::peat::testing::WriteFiles;

struct Fault {
  const char* call;
  const char* what;  // as strace's -e inject= has it
};

void PrintTo(const Fault& fault, std::ostream* out) {
  *out << fault.call << ":" << fault.what;
}

int injected_count = 0;

class InjectedCountPrinter final : public ::testing::Environment {
 public:
  void TearDown() override {
    std::printf("%d system calls injected\n", injected_count);
  }
};

const ::testing::Environment* const kPrinter =
    ::testing::AddGlobalTestEnvironment(new InjectedCountPrinter);

class TroubleSyscallTest : public ::peat::testing::StoreFixture,
                           public ::testing::WithParamInterface<Fault> {
 protected:
  void SetUp() override {
    if (RunCommand({"strace", "-o", "/dev/null", "true"}) != 0) {
      GTEST_SKIP() << "strace is not there, or may not trace";
    }
  }

  // Runs the driver with the `nth` such call failing (0: none).
  int RunDriver(uint64_t nth, int first, int end, const std::string& mode) {
    std::string command =
        "exec strace -f -o '" + log() + "' -e trace=openat," + GetParam().call;
    if (nth > 0) {
      command += absl::StrFormat(" -e inject=%s:%s:when=%d", GetParam().call,
                                 GetParam().what, nth);
    }
    command +=
        absl::StrFormat(" %s '%s' %d %d %s > '%s' 2>&1", PEAT_TROUBLE_DRIVER,
                        path().string(), first, end, mode, output());
    return RunCommand({"sh", "-c", command});
  }

  // How many such calls the loader made.
  uint64_t CountBefore() {
    std::filesystem::remove_all(path());
    EXPECT_EQ(RunDriver(0, 0, 1, "close"), 0) << ReadWholeFile(output());
    std::ifstream lines(log());
    uint64_t count = 0;
    for (std::string line; std::getline(lines, line);) {
      if (line.find(::peat::testing::kMarkerPath) != std::string::npos) {
        if (std::string(GetParam().call) == "openat") ++count;
        return count;
      }
      if (line.find(std::string(" ") + GetParam().call + "(") !=
          std::string::npos) {
        ++count;
      }
    }
    ADD_FAILURE() << "no marker";
    return 0;
  }

  bool WasInjected() {
    const std::string text = ReadWholeFile(log());
    const bool was_injected =
        text.find("(INJECTED)") != std::string::npos ||
        text.find("killed by SIGKILL") != std::string::npos;
    if (was_injected) ++injected_count;
    return was_injected;
  }

  // Applies to `model` what the driver says it did; in `in_flight` what it
  // began and did not end. True if nothing failed.
  bool Follow(Model& model, int* in_flight) {
    std::istringstream lines(ReadWholeFile(output()));
    *in_flight = -1;
    bool all_ok = true;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("try ")) *in_flight = std::stoi(line.substr(4));
      if (line.starts_with("fail ")) all_ok = false;
      if (!line.starts_with("ok ") && !line.starts_with("fail ")) continue;
      if (line.starts_with("ok ") && *in_flight >= 0) {
        EXPECT_OK(DoStep(*in_flight, nullptr, model));
      }
      *in_flight = -1;
    }
    return all_ok;
  }

  static bool Equals(const Store& store, const Model& model) {
    if (store.GetStats().key_count != model.size()) return false;
    for (const auto& [key, value] : model) {
      if (Read(store, key) != value) return false;
    }
    return true;
  }

  void Check(int driver_result, Model model) {
    EXPECT_TRUE(driver_result == 0 || driver_result == -SIGKILL ||
                driver_result == 128 + SIGKILL)
        << driver_result;
    int in_flight = -1;
    const bool all_ok = Follow(model, &in_flight);
    const bool is_signal = std::string(GetParam().what) == "error=EINTR";
    EXPECT_TRUE(all_ok || !is_signal);
    const std::unique_ptr<Store> store = Open();
    ASSERT_NE(store, nullptr);
    if (Equals(*store, model)) return;
    ASSERT_GE(in_flight, 0) << "something else than what was acknowledged";
    EXPECT_OK(DoStep(in_flight, nullptr, model));
    EXPECT_TRUE(Equals(*store, model)) << "step " << in_flight;
  }

  std::string log() const { return (dir_.path() / "log").string(); }
  std::string output() const { return (dir_.path() / "output").string(); }
};

TEST_P(TroubleSyscallTest, AFreshStoreLosesNothing) {
  const uint64_t before = CountBefore();
  for (uint64_t nth = before + 1;; ++nth) {
    SCOPED_TRACE(nth);
    std::filesystem::remove_all(path());
    const int result = RunDriver(nth, 0, kStepCount, "close");
    if (!WasInjected()) break;
    Check(result, {});
    if (HasFailure()) {
      ADD_FAILURE() << ReadWholeFile(output());
      return;
    }
  }
}

TEST_P(TroubleSyscallTest, RecoveryLosesNothing) {
  const uint64_t before = CountBefore();
  std::filesystem::remove_all(path());
  ASSERT_EQ(RunDriver(0, 0, kStepCount, "exit"), 0);
  const FileImages killed = ReadFiles(path());
  Model model;
  for (int step = 0; step < kStepCount; ++step) {
    EXPECT_OK(DoStep(step, nullptr, model));
  }
  for (uint64_t nth = before + 1;; ++nth) {
    SCOPED_TRACE(nth);
    WriteFiles(path(), killed);
    const int result = RunDriver(nth, 0, 4, "close");
    if (!WasInjected()) break;
    Check(result, model);
    if (HasFailure()) {
      ADD_FAILURE() << ReadWholeFile(output());
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Calls, TroubleSyscallTest,
    ::testing::Values(
        Fault{"clone3", "error=EAGAIN"}, Fault{"fallocate", "error=ENOSPC"},
        Fault{"fallocate", "error=EINTR"}, Fault{"fallocate", "signal=SIGKILL"},
        Fault{"fdatasync", "error=EIO"}, Fault{"fdatasync", "error=EINTR"},
        Fault{"fdatasync", "signal=SIGKILL"}, Fault{"flock", "error=ENOLCK"},
        Fault{"fsync", "error=EIO"}, Fault{"ftruncate", "error=EIO"},
        Fault{"ftruncate", "signal=SIGKILL"}, Fault{"getdents64", "error=EIO"},
        Fault{"madvise", "error=ENOMEM"}, Fault{"mkdir", "error=ENOSPC"},
        Fault{"newfstatat", "error=EIO"}, Fault{"openat", "error=EMFILE"},
        Fault{"openat", "error=EINTR"}, Fault{"openat", "signal=SIGKILL"},
        Fault{"pread64", "error=EIO"}, Fault{"pread64", "error=EINTR"},
        Fault{"pread64", "retval=0"}, Fault{"pwrite64", "retval=0"},
        Fault{"pwrite64", "error=ENOSPC"}, Fault{"pwrite64", "error=EINTR"},
        Fault{"pwrite64", "signal=SIGKILL"}, Fault{"unlinkat", "error=EIO"}),
    [](const auto& fault) {
      std::string name = std::string(fault.param.call) + "_" + fault.param.what;
      for (char& byte : name) {
        if (byte == '=' || byte == ':') byte = '_';
      }
      return name;
    });

}  // namespace
}  // namespace peat
