// The checker of histories: those that some order explains, and those that none
// does.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "tests/support/linearizability.h"
#include "tests/support/sim_random.h"
#include "tests/support/status_matchers.h"

namespace peat::testing {
namespace {

using History = std::vector<KeyCall>;
using Kind = KeyCall::Kind;

KeyCall Put(uint64_t called, uint64_t returned, HeldValue value) {
  return {.kind = Kind::kPut,
          .value = value,
          .called = called,
          .returned = returned};
}
KeyCall Get(uint64_t called, uint64_t returned, HeldValue found) {
  return {.kind = Kind::kGet,
          .found = found,
          .called = called,
          .returned = returned};
}
KeyCall Delete(uint64_t called, uint64_t returned, bool done) {
  return {.kind = Kind::kDelete,
          .done = done,
          .called = called,
          .returned = returned};
}
KeyCall Update(uint64_t called, uint64_t returned, HeldValue found,
               HeldValue value) {
  return {.kind = Kind::kUpdate,
          .value = value,
          .found = found,
          .called = called,
          .returned = returned};
}
KeyCall PutIfAbsent(uint64_t called, uint64_t returned, HeldValue value,
                    bool done) {
  return {.kind = Kind::kPutIfAbsent,
          .value = value,
          .done = done,
          .called = called,
          .returned = returned};
}
KeyCall CompareAndSet(uint64_t called, uint64_t returned, HeldValue expected,
                      HeldValue value, bool done) {
  return {.kind = Kind::kCompareAndSet,
          .value = value,
          .expected = expected,
          .done = done,
          .called = called,
          .returned = returned};
}

struct Case {
  const char* name;
  bool is_linearizable;
  History calls;
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class LinearizabilityTest : public ::testing::TestWithParam<Case> {};

TEST_P(LinearizabilityTest, IsDecided) {
  const absl::Status status = CheckLinearizable(GetParam().calls);

  if (GetParam().is_linearizable) {
    EXPECT_OK(status);
  } else {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal, "no order"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Histories, LinearizabilityTest,
    ::testing::Values(
        Case{"Nothing", true, {}},
        Case{"AMissAtFirst", true, {Get(1, 2, kNoValue)}},
        Case{"AValueFromNowhere", false, {Get(1, 2, 7)}},
        Case{"AGetBehindAPut", true, {Put(1, 2, 7), Get(3, 4, 7)}},
        Case{"AStaleGet", false, {Put(1, 2, 7), Get(3, 4, kNoValue)}},
        Case{"AStaleGetBesideAPut", true, {Put(1, 5, 7), Get(3, 4, kNoValue)}},
        Case{"AnEarlyGetBesideAPut", true, {Put(1, 5, 7), Get(3, 4, 7)}},
        Case{"WhatMeetsInOneTickOverlaps",
             true,
             {Put(1, 2, 7), Get(2, 3, kNoValue)}},
        Case{"BackInTime",
             false,
             {Put(1, 9, 7), Get(2, 3, 7), Get(4, 5, kNoValue)}},
        Case{"TwoReadersTwoOrders",
             false,
             {Put(1, 20, 1), Put(1, 20, 2), Get(2, 3, 1), Get(4, 5, 2),
              Get(6, 7, 1)}},
        Case{"TwoPutsInTheOrderOfTheirReturns",
             true,
             {Put(1, 20, 1), Put(1, 20, 2), Get(2, 3, 2), Get(4, 5, 1),
              Get(21, 22, 1)}},
        Case{"ALostUpdate",
             false,
             {Put(1, 2, 1), Update(3, 10, 1, 2), Update(3, 10, 1, 3)}},
        Case{"UpdatesInARow",
             true,
             {Put(1, 2, 1), Update(3, 10, 1, 2), Update(3, 10, 2, 3),
              Get(11, 12, 3)}},
        Case{"TwoInserters",
             false,
             {PutIfAbsent(1, 9, 1, true), PutIfAbsent(1, 9, 2, true)}},
        Case{"OneInserter",
             true,
             {PutIfAbsent(1, 9, 1, true), PutIfAbsent(1, 9, 2, false)}},
        Case{
            "AnInserterThatLostToNobody", false, {PutIfAbsent(1, 9, 1, false)}},
        Case{"TwoInsertersAroundADelete",
             true,
             {PutIfAbsent(1, 9, 1, true), PutIfAbsent(1, 9, 2, true),
              Delete(1, 9, true)}},
        Case{"TwoSettersOfOneValue",
             false,
             {Put(1, 2, 1), CompareAndSet(3, 9, 1, 2, true),
              CompareAndSet(3, 9, 1, 3, true)}},
        Case{"ASetterThatFailedBesideOneThatDidNot",
             true,
             {Put(1, 2, 1), CompareAndSet(3, 9, 1, 2, true),
              CompareAndSet(3, 9, 1, 3, false)}},
        Case{"ASetterThatFailedAlone",
             false,
             {Put(1, 2, 1), CompareAndSet(3, 9, 1, 2, false)}},
        Case{"ASetterOfAnAbsentKey",
             true,
             {CompareAndSet(1, 2, kNoValue, 2, true), Get(3, 4, 2)}},
        Case{"TwoDeletersOfOneValue",
             false,
             {Put(1, 2, 1), Delete(3, 9, true), Delete(3, 9, true)}},
        Case{"ADeletedValueComesBack",
             false,
             {Put(1, 2, 1), Delete(3, 4, true), Get(5, 6, 1)}},
        Case{"AnAnswerThatTheEndMakesImpossible",
             false,
             {Put(1, 2, 1), Delete(3, 20, true), Put(4, 5, 2),
              Get(6, 7, kNoValue), Get(8, 9, 2)}}),
    [](const auto& one) { return std::string(one.param.name); });

// Whether some order of `calls`, all of them tried, explains their answers.
bool IsExplainedByTrying(History calls) {
  std::vector<size_t> order;
  for (size_t i = 0; i < calls.size(); ++i) order.push_back(i);
  do {
    HeldValue held = kNoValue;
    bool fits = true;
    for (size_t i = 0; i < order.size() && fits; ++i) {
      const KeyCall& call = calls[order[i]];
      for (size_t j = i + 1; j < order.size(); ++j) {
        if (calls[order[j]].returned < call.called) fits = false;
      }
      const bool is_absent = held == kNoValue;
      switch (call.kind) {
        case Kind::kGet:
          fits = fits && call.found == held;
          break;
        case Kind::kDelete:
          fits = fits && call.done != is_absent;
          held = kNoValue;
          break;
        case Kind::kPutIfAbsent:
          fits = fits && call.done == is_absent;
          if (is_absent) held = call.value;
          break;
        default:
          held = call.value;
      }
    }
    if (fits) return true;
  } while (std::ranges::next_permutation(order).found);
  return false;
}

// Answers are drawn, so most histories are wrong.
KeyCall RandomCall(SimRandom& random) {
  const uint64_t called = random.Below(12);
  const uint64_t returned = called + random.Below(8);
  const HeldValue value = 1 + random.Below(2);
  const bool done = random.Chance(4);
  switch (random.Below(4)) {
    case 0:
      return Put(called, returned, value);
    case 1:
      return Delete(called, returned, done);
    case 2:
      return PutIfAbsent(called, returned, value, done);
    default:
      return Get(called, returned, random.Below(3));
  }
}

TEST(RandomHistoriesTest, AreDecidedAsTryingAllOrdersDoes) {
  SimRandom random(1);
  int count = 0;
  for (int i = 0; i < 4000; ++i) {
    History calls(1 + random.Below(6));
    for (KeyCall& call : calls) call = RandomCall(random);
    const bool expected = IsExplainedByTrying(calls);
    count += expected ? 1 : 0;

    ASSERT_EQ(CheckLinearizable(calls).ok(), expected)
        << "history " << i << "\n"
        << CheckLinearizable(calls).message();
  }
  EXPECT_GT(count, 400);
  EXPECT_LT(count, 3600);
}

}  // namespace
}  // namespace peat::testing
