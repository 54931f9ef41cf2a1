#include "tests/support/linearizability.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "format/check.h"

namespace peat::testing {
namespace {

using Kind = KeyCall::Kind;

constexpr std::array<const char*, 6> kKindNames = {
    "put", "put-if-absent", "update", "compare-and-set", "delete", "get"};

// What the key holds behind `call`; nullopt if its answer was another one than
// it gets from a key that holds `held`.
std::optional<HeldValue> After(const KeyCall& call, HeldValue held) {
  const auto write_if = [&](bool holds) -> std::optional<HeldValue> {
    if (call.done != holds) return std::nullopt;
    return holds ? call.value : held;
  };
  switch (call.kind) {
    case Kind::kPut:
      return call.value;
    case Kind::kPutIfAbsent:
      return write_if(held == kNoValue);
    case Kind::kUpdate:
      if (call.found != held) return std::nullopt;
      return call.value;
    case Kind::kCompareAndSet:
      return write_if(held == call.expected);
    case Kind::kDelete:
      if (call.done != (held != kNoValue)) return std::nullopt;
      return kNoValue;
    case Kind::kGet:
      if (call.found != held) return std::nullopt;
      return held;
  }
  return std::nullopt;
}

// One way in which things may stand.
struct Possibility {
  HeldValue held = kNoValue;
  uint32_t taken = 0;  // the calls under way, by place, that have taken effect

  friend auto operator<=>(const Possibility&, const Possibility&) = default;
};

class Search final {
 public:
  explicit Search(std::span<const KeyCall> calls) : calls_(calls) {}

  absl::Status Run() {
    for (const auto& [tick, is_return, call] : Moments()) {
      if (!is_return) {
        Begin(call);
      } else if (absl::Status status = Return(call); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }

 private:
  struct Moment {
    uint64_t tick = 0;
    bool is_return = false;  // calls first: what meets in one tick overlaps
    size_t call = 0;

    friend auto operator<=>(const Moment&, const Moment&) = default;
  };

  std::vector<Moment> Moments() const {
    std::vector<Moment> moments;
    for (size_t i = 0; i < calls_.size(); ++i) {
      PEAT_CHECK(calls_[i].called <= calls_[i].returned);
      moments.push_back({calls_[i].called, false, i});
      moments.push_back({calls_[i].returned, true, i});
    }
    std::ranges::sort(moments);
    return moments;
  }

  void Begin(size_t call) {
    const auto place = std::ranges::find(under_way_, nullptr);
    PEAT_CHECK(place != under_way_.end());
    *place = &calls_[call];
  }

  absl::Status Return(size_t call) {
    const auto place = std::ranges::find(under_way_, &calls_[call]);
    const uint32_t bit = uint32_t{1} << (place - under_way_.begin());
    const std::set<Possibility> before = possible_;
    LetTakeEffect();
    std::set<Possibility> rest;
    for (Possibility one : possible_) {
      if ((one.taken & bit) == 0) continue;
      one.taken &= ~bit;
      rest.insert(one);
    }
    if (rest.empty()) return absl::InternalError(Report(*place, before));
    possible_ = std::move(rest);
    *place = nullptr;
    return absl::OkStatus();
  }

  // Adds what may be possible if calls that are under way take effect now.
  void LetTakeEffect() {
    std::vector<Possibility> fresh(possible_.begin(), possible_.end());
    while (!fresh.empty()) {
      const Possibility from = fresh.back();
      fresh.pop_back();
      for (size_t i = 0; i < kOverlapMax; ++i) {
        const uint32_t bit = uint32_t{1} << i;
        if (under_way_[i] == nullptr || (from.taken & bit) != 0) continue;
        const std::optional<HeldValue> held = After(*under_way_[i], from.held);
        if (!held.has_value()) continue;
        const Possibility to{.held = *held, .taken = from.taken | bit};
        if (possible_.insert(to).second) fresh.push_back(to);
      }
    }
  }

  std::string Report(const KeyCall* call,
                     const std::set<Possibility>& before) const {
    std::string text = "no order explains " + ToString(*call);
    for (const KeyCall* const other : under_way_) {
      if (other == nullptr || other == call) continue;
      text += "\n  under way: " + ToString(*other);
    }
    for (const Possibility& one : before) {
      absl::StrAppendFormat(&text, "\n  may have held %d, taken effect %#x",
                            one.held, one.taken);
    }
    return text;
  }

  const std::span<const KeyCall> calls_;
  std::array<const KeyCall*, kOverlapMax> under_way_ = {};
  std::set<Possibility> possible_ = {Possibility{}};
};

}  // namespace

absl::Status CheckLinearizable(std::span<const KeyCall> calls) {
  return Search(calls).Run();
}

std::string ToString(const KeyCall& call) {
  return absl::StrFormat("%s [%d, %d] value %d, expected %d, found %d, %s",
                         kKindNames[static_cast<size_t>(call.kind)],
                         call.called, call.returned, call.value, call.expected,
                         call.found, call.done ? "done" : "not done");
}

}  // namespace peat::testing
