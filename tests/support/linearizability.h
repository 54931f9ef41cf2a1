// Whether what many threads saw of one key can be explained by one order.
//
// A history is *linearizable* if its calls can be put into one order such that
// each answer is what a single thread would have got, and no call comes before
// one that had returned when it began (Herlihy and Wing, 1990). Whoever knows
// that about each key knows it about the store's single-key calls together.
//
//   thread 1   |--- put 1 ---|            |-- get: 2 --|
//   thread 2        |--- put 2 ---|
//   thread 3           |- get: 1 -|  |- get: 2 -|          1 before 2
//
// The search goes through calls and returns in the order of time and keeps
// every state in which the key may be, each with the calls under way that have
// taken effect in it. When a call returns, those remain in which it has. So the
// cost grows with the length of the history and not with the number of orders;
// it is exponential only in the number of calls that are under way at once.
//
// Wing and Gong, "Testing and verifying concurrent objects" (1993), in the form
// that Lowe, "Testing for linearizability" (2017), calls just-in-time.

#ifndef PEAT_TESTS_SUPPORT_LINEARIZABILITY_H_
#define PEAT_TESTS_SUPPORT_LINEARIZABILITY_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"

namespace peat::testing {

// What a key holds; kNoValue: it is absent.
using HeldValue = uint64_t;
inline constexpr HeldValue kNoValue = 0;

// A call on one key, and what it was answered.
struct KeyCall {
  enum class Kind {
    kPut,
    kPutIfAbsent,
    kUpdate,         // `found`: the previous value
    kCompareAndSet,  // `expected`
    kDelete,
    kGet,  // `found`
  };
  Kind kind = Kind::kGet;
  HeldValue value = kNoValue;     // to be written
  HeldValue expected = kNoValue;  // of kCompareAndSet
  HeldValue found = kNoValue;     // of kUpdate and kGet
  // Of kPutIfAbsent, kCompareAndSet and kDelete: whether it did something.
  bool done = false;
  // Ticks of one clock: taken before the call, and after it has returned.
  uint64_t called = 0;
  uint64_t returned = 0;
};

// At most so many calls may be under way at the same time.
inline constexpr size_t kOverlapMax = 32;

// OK if `calls`, in any order, are linearizable on a key that is absent at
// first. Otherwise Internal: the call that has no place, what was under way
// when it returned, and what the key may have held.
absl::Status CheckLinearizable(std::span<const KeyCall> calls);

std::string ToString(const KeyCall& call);

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_LINEARIZABILITY_H_
