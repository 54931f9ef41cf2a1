// Tests of epoch-based reclamation.

#include "index/epoch.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace peat::index {
namespace {

TEST(EpochTest, RunsWhatWasRetiredOnceNoGuardIsLeft) {
  bool has_run = false;

  Retire([&] { has_run = true; });
  DrainRetired();

  EXPECT_TRUE(has_run);
}

TEST(EpochTest, WaitsForAGuardThatIsOlder) {
  bool has_run = false;
  auto guard = std::make_unique<EpochGuard>();

  Retire([&] { has_run = true; });
  ReclaimRetired();
  EXPECT_FALSE(has_run);
  guard.reset();
  ReclaimRetired();

  EXPECT_TRUE(has_run);
}

TEST(EpochTest, DoesNotWaitForAGuardThatIsYounger) {
  bool has_run = false;

  Retire([&] { has_run = true; });
  const EpochGuard guard;
  ReclaimRetired();

  EXPECT_TRUE(has_run);
}

TEST(EpochTest, WaitsForTheOutermostOfNestedGuards) {
  bool has_run = false;
  auto outer = std::make_unique<EpochGuard>();

  Retire([&] { has_run = true; });
  { const EpochGuard inner; }
  ReclaimRetired();
  EXPECT_FALSE(has_run);
  outer.reset();
  ReclaimRetired();

  EXPECT_TRUE(has_run);
}

TEST(EpochTest, WaitsForTheGuardOfAnotherThread) {
  std::atomic<int> stage = 0;
  std::thread reader([&] {
    const EpochGuard guard;
    stage = 1;
    while (stage != 2) std::this_thread::yield();
  });
  while (stage != 1) std::this_thread::yield();
  std::atomic<bool> has_run = false;

  Retire([&] { has_run = true; });
  ReclaimRetired();
  EXPECT_FALSE(has_run);
  stage = 2;
  DrainRetired();
  reader.join();

  EXPECT_TRUE(has_run);
}

TEST(EpochTest, RunsInTheOrderOfTheCalls) {
  std::vector<int> order;

  for (int i = 0; i < 100; ++i) Retire([&order, i] { order.push_back(i); });
  DrainRetired();

  ASSERT_EQ(order.size(), 100);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(EpochTest, LetsWhatRunsRetireMore) {
  int count = 0;

  Retire([&] {
    ++count;
    Retire([&] { ++count; });
  });
  DrainRetired();
  DrainRetired();

  EXPECT_EQ(count, 2);
}

TEST(EpochTest, AGuardHoldsUpNoOtherDomain) {
  EpochDomain mine;
  EpochDomain other;
  bool has_run = false;
  auto guard = std::make_unique<EpochGuard>(&other);

  Retire(&mine, [&] { has_run = true; });
  ReclaimRetired(&mine);

  EXPECT_TRUE(has_run);
  guard.reset();
}

TEST(EpochTest, ADomainIsDrainedBesideAThreadThatNeverLeavesAnother) {
  EpochDomain mine;
  EpochDomain other;
  std::atomic<bool> is_inside = false;
  std::atomic<bool> may_leave = false;
  std::thread stuck([&] {
    const EpochGuard guard(&other);
    is_inside = true;
    while (!may_leave) std::this_thread::yield();
  });
  while (!is_inside) std::this_thread::yield();
  bool has_run = false;

  Retire(&mine, [&] { has_run = true; });
  DrainRetired(&mine);

  EXPECT_TRUE(has_run);
  may_leave = true;
  stuck.join();
}

TEST(EpochTest, AGuardHoldsUpItsOwnDomain) {
  EpochDomain mine;
  bool has_run = false;
  auto guard = std::make_unique<EpochGuard>(&mine);

  Retire(&mine, [&] { has_run = true; });
  ReclaimRetired(&mine);
  EXPECT_FALSE(has_run);
  guard.reset();
  ReclaimRetired(&mine);

  EXPECT_TRUE(has_run);
}

TEST(EpochTest, AGuardWithoutADomainHoldsUpEach) {
  EpochDomain mine;
  bool has_run = false;
  auto guard = std::make_unique<EpochGuard>();

  Retire(&mine, [&] { has_run = true; });
  ReclaimRetired(&mine);
  EXPECT_FALSE(has_run);
  guard.reset();
  ReclaimRetired(&mine);

  EXPECT_TRUE(has_run);
}

TEST(EpochTest, WhatIsRetiredWithoutADomainWaitsForTheGuardsOfEach) {
  EpochDomain mine;
  bool has_run = false;
  auto guard = std::make_unique<EpochGuard>(&mine);

  Retire([&] { has_run = true; });
  ReclaimRetired();
  EXPECT_FALSE(has_run);
  guard.reset();
  ReclaimRetired();

  EXPECT_TRUE(has_run);
}

// As a call of one store amid a call of another would have it.
TEST(EpochTest, AGuardInOneOfAnotherDomainProtectsBoth) {
  EpochDomain domains[2];
  int run_count = 0;
  auto outer = std::make_unique<EpochGuard>(&domains[0]);
  auto inner = std::make_unique<EpochGuard>(&domains[1]);
  for (EpochDomain& domain : domains) Retire(&domain, [&] { ++run_count; });

  for (EpochDomain& domain : domains) ReclaimRetired(&domain);
  EXPECT_EQ(run_count, 0);
  inner.reset();
  for (EpochDomain& domain : domains) ReclaimRetired(&domain);
  EXPECT_EQ(run_count, 0);
  outer.reset();
  for (EpochDomain& domain : domains) ReclaimRetired(&domain);

  EXPECT_EQ(run_count, 2);
  const EpochGuard next(&domains[0]);
  Retire(&domains[1], [&] { ++run_count; });
  ReclaimRetired(&domains[1]);
  EXPECT_EQ(run_count, 3);
}

TEST(EpochTest, ReusesTheSlotsOfThreadsThatEnded) {
  const epoch_internal::ThreadSlot* slot = nullptr;
  std::thread([&] {
    const EpochGuard guard;
    slot = epoch_internal::thread_slot;
  }).join();

  const epoch_internal::ThreadSlot* next = nullptr;
  std::thread([&] {
    const EpochGuard guard;
    next = epoch_internal::thread_slot;
  }).join();

  EXPECT_EQ(slot, next);
}

// Readers hold what they see under guards; the writer replaces and retires it.
// AddressSanitizer or ThreadSanitizer would see a use after free.
TEST(EpochTest, KeepsWhatReadersHoldWhileItIsReplaced) {
  std::atomic<const std::vector<int>*> current = new std::vector<int>(16, 0);
  std::atomic<bool> is_done = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!is_done) {
        const EpochGuard guard;
        const std::vector<int>& seen = *current.load(std::memory_order_acquire);
        EXPECT_EQ(seen.front(), seen.back());
      }
    });
  }

  for (int i = 1; i <= 20'000; ++i) {
    const std::vector<int>* const old = current.exchange(
        new std::vector<int>(16, i), std::memory_order_acq_rel);
    Retire([old] { delete old; });
  }
  is_done = true;
  for (std::thread& reader : readers) reader.join();
  DrainRetired();

  delete current.load();
}

// A child of a process whose other threads held guards, and retired things.
TEST(EpochTest, DoesNotHangOrRunTheParentsFunctionsAfterFork) {
  if (PEAT_INDEX_TSAN) GTEST_SKIP() << "TSan does not follow into forks";
  std::atomic<int> stage = 0;
  std::thread reader([&] {
    const EpochGuard guard;
    stage = 1;
    while (stage != 2) std::this_thread::yield();
  });
  while (stage != 1) std::this_thread::yield();
  bool parents_has_run = false;
  Retire([&] { parents_has_run = true; });

  const pid_t child = ::fork();
  if (child == 0) {
    bool childs_has_run = false;
    Retire([&] { childs_has_run = true; });
    DrainRetired();
    ::_exit(childs_has_run && !parents_has_run ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  stage = 2;
  reader.join();
  DrainRetired();

  EXPECT_EQ(status, 0);
  EXPECT_TRUE(parents_has_run);
}

}  // namespace
}  // namespace peat::index
