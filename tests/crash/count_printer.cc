// Prints at the end of each test program of this folder what was done.

#include <gtest/gtest.h>

#include <chrono>

#include "tests/crash/crash_check.h"

namespace peat::testing {
namespace {

class CountPrinter final : public ::testing::Environment {
 public:
  void TearDown() override {
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_)
            .count();
    const CrashCounts& counts = Counts();
    std::printf(
        "%lu seeds, %lu crashes, %lu images, %lu distinct, %lu recoveries, "
        "%lu faults, "
        "%lu damages (%lu detected, %lu harmless), %.1f s, %.1f seeds/s, "
        "%.0f images/s\n",
        counts.seeds, counts.crashes, counts.images, counts.distinct_images,
        counts.recoveries, counts.faults, counts.damages, counts.detected,
        counts.harmless, seconds, static_cast<double>(counts.seeds) / seconds,
        static_cast<double>(counts.images) / seconds);
  }

 private:
  const std::chrono::steady_clock::time_point begin_ =
      std::chrono::steady_clock::now();
};

const ::testing::Environment* const kPrinter =
    ::testing::AddGlobalTestEnvironment(new CountPrinter);

}  // namespace
}  // namespace peat::testing
