// A recovery that takes segments out, killed at each of its events: what is
// left is no damage, to verify or to the next open.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "engine/engine.h"
#include "format/file_name.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"
#include "tools/offline/verify.h"

namespace peat::tools {
namespace {

using engine::Engine;
using peat::testing::CrashKind;
using peat::testing::SimFileSystem;

absl::StatusOr<std::unique_ptr<Engine>> Open(SimFileSystem& disk) {
  engine::Config config;
  config.segment_size_min = uint64_t{64} << 10;
  config.segment_size_max = config.segment_size_min;
  config.background_threads = false;
  config.recovery_threads = 1;
  return Engine::Open(disk, "store", config);
}

// Three segments of the log, of which a power loss took a page of the first.
std::unique_ptr<SimFileSystem> TornStore() {
  SimFileSystem disk(1);
  const auto engine = Open(disk);
  for (int i = 0; i < 36; ++i) {
    EXPECT_OK(
        (*engine)->Put("key-" + std::to_string(i), std::string(4000, 'v')));
  }
  auto image = disk.CrashImage(CrashKind::kKill, 1);
  for (const std::string& name : image->ListFiles("store")) {
    if (!name.ends_with(".seg")) continue;
    image->CorruptByte("store/" + name, 20'000, std::byte{0x55});
    break;
  }
  return image;
}

std::string DamageIn(SimFileSystem& disk) {
  const absl::StatusOr<VerifyReport> report = VerifyStore(disk, "store", 1);
  if (!report.ok()) return report.status().ToString();
  std::string text;
  for (const Finding& finding : report->findings) {
    if (finding.severity == Severity::kDamage) text += FindingText(finding);
  }
  return text;
}

TEST(KillInRecoveryTest, LeavesNothingThatLooksLikeAnOldManifest) {
  const auto torn = TornStore();
  EXPECT_EQ(DamageIn(*torn), "");
  int with_leftovers = 0;
  bool is_over = false;
  for (uint64_t event = 1; !is_over; ++event) {
    const auto disk = torn->CrashImage(CrashKind::kKill, 1);
    disk->CrashAfter(disk->event_count() + event);
    {
      const auto engine = Open(*disk);
      is_over = engine.ok() && !disk->is_dead();
    }
    const auto left = disk->CrashImage(CrashKind::kKill, 1);
    with_leftovers += left->ListFiles("store").size() > 6 ? 1 : 0;
    EXPECT_EQ(DamageIn(*left), "") << "after event " << event;
    EXPECT_OK(Open(*left)) << "after event " << event;
    if (::testing::Test::HasFailure()) break;
  }
  EXPECT_GT(with_leftovers, 0);
}

}  // namespace
}  // namespace peat::tools
