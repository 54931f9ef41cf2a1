#include "bench/compare/worker.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "bench/compare/clock.h"
#include "bench/compare/pairs.h"
#include "bench/workload.h"

namespace peat::bench {
namespace {

constexpr size_t kGroupMax = 100;

}  // namespace

Worker::Worker(std::vector<Operation> operations, const WorkerSetup& setup)
    : operations_(std::move(operations)),
      setup_(setup),
      value_(setup.value_size * kGroupMax) {}

void Worker::Work(Session* session) {
  const std::span<const Operation> all(operations_);
  const auto group = static_cast<size_t>(setup_.group);
  begin_ = Ticks();
  const uint64_t deadline = begin_ + setup_.ticks_max;
  uint64_t last = begin_;
  while (done_ < all.size() && last < deadline) {
    const size_t count = std::min(group, all.size() - done_);
    if (group == 1) {
      Do(session, all[done_], done_);
    } else if (all[done_].action == Action::kInsert) {
      DoBatch(session, all.subspan(done_, count));
    } else {
      DoGets(session, all.subspan(done_, count));
    }
    done_ += count;
    const uint64_t now = Ticks();
    latency_.Add(now - last);
    last = now;
  }
  end_ = last;
}

void Worker::Do(Session* session, const Operation& operation, uint64_t index) {
  const Key key(operation.number);
  const uint64_t version = VersionOf(operation, setup_.thread, index);
  switch (operation.action) {
    case Action::kInsert:
    case Action::kOverwrite:
      Put(session, key, version);
      break;
    case Action::kGet:
      Get(session, key);
      break;
    case Action::kMiss:
      wrong_ += session->Get(key, [](std::string_view) {});
      ++pairs_;
      break;
    case Action::kReadModifyWrite:
      Get(session, key);
      Put(session, key, version);
      break;
    case Action::kPutIfAbsent:
      MakeValue(key, 0, value_.data(), setup_.value_size);
      if (session->PutIfAbsent(key, {value_.data(), setup_.value_size})) {
        put_bytes_ += kKeySize + setup_.value_size;
      }
      ++pairs_;
      break;
    case Action::kIncrement:
      Increment(session, key);
      break;
    case Action::kScan:
      Scan(session, operation);
      break;
  }
}

void Worker::Put(Session* session, std::string_view key, uint64_t version) {
  MakeValue(key, version, value_.data(), setup_.value_size);
  session->Put(key, {value_.data(), setup_.value_size});
  put_bytes_ += kKeySize + setup_.value_size;
  ++pairs_;
}

void Worker::Get(Session* session, std::string_view key) {
  bool sound = false;
  session->Get(key, [&](std::string_view value) {
    sound = CheckValue(key, value, setup_.value_size).sound;
  });
  wrong_ += !sound;
  ++pairs_;
}

void Worker::Increment(Session* session, std::string_view key) {
  uint64_t count = 0;
  session->Get(key, [&](std::string_view value) {
    if (value.size() == sizeof(count)) count = LoadWord(value.data());
  });
  ++count;
  session->Put(key, {reinterpret_cast<const char*>(&count), sizeof(count)});
  put_bytes_ += kKeySize + sizeof(count);
  ++pairs_;
}

// The pairs must be in order, from the wanted one on; that none is left out is
// for the audit to see.
void Worker::Scan(Session* session, const Operation& operation) {
  const Key from(operation.number);
  std::array<char, kKeySize> last = {};
  std::copy_n(std::string_view(from).data(), kKeySize, last.data());
  uint64_t count = 0;
  session->Scan(from, operation.length,
                [&](std::string_view key, std::string_view value) {
                  const std::string_view before(last.data(), kKeySize);
                  const bool ordered =
                      count == 0 ? key == before : key > before;
                  wrong_ += !ordered || key.size() != kKeySize ||
                            !CheckValue(key, value, setup_.value_size).sound;
                  ++count;
                  std::copy_n(key.data(), kKeySize, last.data());
                });
  wrong_ += count == 0 || count > operation.length;
  pairs_ += count;
}

void Worker::DoGets(Session* session, std::span<const Operation> group) {
  std::array<std::string_view, kGroupMax> views;
  std::array<char, kGroupMax * kKeySize> bytes;
  for (size_t i = 0; i < group.size(); ++i) {
    const Key key(group[i].number);
    char* const to = bytes.data() + i * kKeySize;
    std::copy_n(std::string_view(key).data(), kKeySize, to);
    views[i] = {to, kKeySize};
  }
  uint64_t sound = 0;
  session->MultiGet(std::span(views).first(group.size()),
                    [&](size_t i, std::string_view value) {
                      sound +=
                          CheckValue(views[i], value, setup_.value_size).sound;
                    });
  wrong_ += group.size() - sound;
  pairs_ += group.size();
}

void Worker::DoBatch(Session* session, std::span<const Operation> group) {
  std::array<Pair, kGroupMax> pairs;
  std::array<char, kGroupMax * kKeySize> bytes;
  for (size_t i = 0; i < group.size(); ++i) {
    const Key key(group[i].number);
    char* const to = bytes.data() + i * kKeySize;
    std::copy_n(std::string_view(key).data(), kKeySize, to);
    char* const value = value_.data() + i * setup_.value_size;
    MakeValue(key, 0, value, setup_.value_size);
    pairs[i] = {.key = {to, kKeySize}, .value = {value, setup_.value_size}};
  }
  session->PutBatch(std::span(pairs).first(group.size()));
  put_bytes_ += group.size() * (kKeySize + setup_.value_size);
  pairs_ += group.size();
}

}  // namespace peat::bench
