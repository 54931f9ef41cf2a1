// kill -9, over and over: a child writes, its parent kills it at a random
// number of acknowledged writes, or while it opens, and keeps the books.
//
// Every operation is a pure function of the seed and its number, so the parent
// knows what the child did from the count of acknowledgements in shared memory:
// all acknowledged operations must be there, the one in flight wholly or not at
// all, and nothing else.
//
// PEAT_KILL_COUNT: how many kills. PEAT_SEED: another run than the default one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/model.h"
#include "tests/support/sim_random.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::Read;
using ::peat::testing::SimRandom;

using ::peat::testing::Model;
using ::peat::testing::ModelAnswer;
using ::peat::testing::ModelUnit;
using ::peat::testing::ModelWrite;
using ::peat::testing::Operation;

constexpr uint64_t kKeyCount = 24;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// What parent and child share.
struct Progress {
  std::atomic<uint64_t> acknowledged = 0;
  std::atomic<uint64_t> failed = 0;
  std::atomic<bool> is_open = false;
};

class SharedProgress final {
 public:
  SharedProgress()
      : address_(mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    new (address_) Progress;
  }
  SharedProgress(const SharedProgress&) = delete;
  SharedProgress& operator=(const SharedProgress&) = delete;
  ~SharedProgress() { munmap(address_, sizeof(Progress)); }
  Progress* operator->() { return static_cast<Progress*>(address_); }

 private:
  void* const address_;
};

std::string KeyOf(uint64_t number) {
  if (number == 0) return "";
  if (number == 1) return std::string(65'535, 'k');
  return "key" + std::to_string(number);
}

std::string KeyAt(SimRandom& random) { return KeyOf(random.Below(kKeyCount)); }

std::string ValueAt(SimRandom& random, uint64_t number) {
  const uint64_t kind = random.Below(64);
  uint64_t size = random.Below(200);
  if (kind == 0) size = 300'000 + random.Below(1000);  // in a file of its own
  if (kind < 4) size += random.Below(20'000);
  std::string value = std::to_string(number) + ":";
  value.resize(value.size() + size, static_cast<char>('a' + number % 26));
  return value;
}

// What is forgotten stays so: half of the keys are not.
ModelWrite MaskAt(SimRandom& random, uint64_t number) {
  const uint64_t kind = random.Below(8);
  ModelWrite write{.operation = kind < 4   ? Operation::kDisable
                                : kind < 7 ? Operation::kEnable
                                           : Operation::kForget,
                   .key = KeyAt(random),
                   .reason = "reason " + std::to_string(number)};
  if (kind == 7) write.key = KeyOf(random.Below(kKeyCount / 2));
  return write;
}

ModelUnit BatchAt(SimRandom& random, uint64_t number) {
  ModelUnit unit(1 + random.Below(8));
  for (ModelWrite& write : unit) {
    if (random.Chance(1)) {
      write = MaskAt(random, number);
      continue;
    }
    write.key = KeyAt(random);
    if (random.Chance(3)) {
      write.operation = Operation::kDelete;
    } else {
      write.value = ValueAt(random, number);
    }
  }
  return unit;
}

WriteBatch BatchOf(const ModelUnit& unit) {
  WriteBatch batch;
  for (const ModelWrite& write : unit) {
    switch (write.operation) {
      case Operation::kDelete:
        batch.Delete(write.key);
        break;
      case Operation::kDisable:
        batch.Disable(write.key, {.reason = write.reason});
        break;
      case Operation::kEnable:
        batch.Enable(write.key, {.reason = write.reason});
        break;
      case Operation::kForget:
        batch.Forget(write.key, {.reason = write.reason});
        break;
      default:
        batch.Put(write.key, write.value);
    }
  }
  return batch;
}

bool IsAnswer(const absl::Status& status, ModelAnswer answer) {
  switch (answer) {
    case ModelAnswer::kDone:
      return status.ok();
    case ModelAnswer::kNotFound:
      return absl::IsNotFound(status);
    case ModelAnswer::kDisabled:
      return IsDisabled(status);
    case ModelAnswer::kForgotten:
      return IsForgotten(status);
  }
  return false;
}

// The answer's status, or Internal if it is OK and not what was expected.
template <typename T>
absl::Status Checked(const absl::StatusOr<T>& answer, const T& expected) {
  if (!answer.ok() || *answer == expected) return answer.status();
  return absl::InternalError("a wrong answer");
}

absl::Status DoMask(Store& store, const ModelWrite& write) {
  const MaskOptions options{.reason = write.reason};
  if (write.operation == Operation::kDisable) {
    return store.Disable(write.key, options);
  }
  if (write.operation == Operation::kEnable) {
    return store.Enable(write.key, options);
  }
  return store.Forget(write.key, options).status();
}

// Does operation `number` on the store, on the model, or on both. False if the
// store answered other than the model did.
bool DoOperation(uint64_t seed, uint64_t number, Store* store, Model& model) {
  SimRandom random(seed * 1'000'003 + number);
  const uint64_t kind = random.Below(18);
  ModelUnit unit(1);
  std::function<absl::Status()> call;
  const std::string key = KeyAt(random);
  const std::string value = ValueAt(random, number);
  const std::string* const old = model.ValueOf(key);
  const auto expected = old != nullptr ? std::optional(*old) : std::nullopt;
  unit[0] = {.key = key, .value = value};
  if (kind >= 15) {
    unit = BatchAt(random, number);
    call = [&] { return store->Write(BatchOf(unit)); };
  } else if (kind >= 13) {
    unit[0] = MaskAt(random, number);
    call = [&] { return DoMask(*store, unit[0]); };
  } else if (kind < 6) {
    call = [&] { return store->Put(key, value); };
  } else if (kind < 9) {
    unit[0] = {.operation = Operation::kDelete, .key = key};
    call = [&] { return Checked(store->Delete(key), old != nullptr); };
  } else if (kind < 10) {
    if (old != nullptr) unit.clear();
    call = [&] {
      return Checked(store->PutIfAbsent(key, value), !expected.has_value());
    };
  } else if (kind < 12) {
    call = [&] { return Checked(store->Update(key, value), expected); };
  } else {
    call = [&] {
      return Checked(store->CompareAndSet(key, expected, value), true);
    };
  }
  const bool is_right =
      store == nullptr || IsAnswer(call(), model.AnswerTo(unit));
  model.Add(std::move(unit));
  return is_right;
}

// The whole child: opens, goes on where the parent says, until it is killed.
int Write(const std::filesystem::path& path, uint64_t seed, uint64_t first,
          Model model, SharedProgress& progress) {
  const auto store = Store::Open(path);
  if (!store.ok()) return 1;
  progress->is_open = true;
  for (uint64_t number = first;; ++number) {
    if (!DoOperation(seed, number, store->get(), model)) {
      progress->failed = number + 1;
      return 2;
    }
    progress->acknowledged = number + 1;
    if (number % 97 == 13 && !(*store)->Flush().ok()) return 3;
  }
}

class KillTest : public ::peat::testing::StoreFixture {
 protected:
  static bool Equals(const Store& store, const Model& model) {
    if (store.GetStats().key_count != model.key_count(model.unit_count())) {
      return false;
    }
    for (uint64_t i = 0; i < kKeyCount; ++i) {
      const std::string key = KeyOf(i);
      const std::string* const expected = model.ValueOf(key);
      const std::optional<std::string> found = Read(store, key);
      if (found.has_value() != (expected != nullptr)) return false;
      if (found.has_value() && *found != *expected) return false;
      const auto state = static_cast<int>(store.State(key).value());
      if (state != static_cast<int>(model.StateOf(key))) return false;
    }
    return true;
  }

  // Kills `child` in an instant of the kind that `random` chooses.
  void KillSometime(pid_t child, SimRandom& random, uint64_t first,
                    SharedProgress& progress) {
    const bool while_opening = random.Chance(2);
    const uint64_t wanted = first + 1 + random.Below(120);
    const uint64_t spins = random.Below(2000);
    while (!while_opening && progress->acknowledged < wanted &&
           ::peat::testing::IsRunning(child)) {
      std::this_thread::yield();
    }
    if (while_opening) usleep(static_cast<useconds_t>(spins * 4));
    kill(child, SIGKILL);
  }
};

TEST_F(KillTest, NothingAcknowledgedIsLost) {
  PEAT_SKIP_UNDER_TSAN();
  const uint64_t kills = FromEnvironment("PEAT_KILL_COUNT", 200);
  const uint64_t seed = FromEnvironment("PEAT_SEED", 7);
  SimRandom random(seed);
  Model model;
  uint64_t done = 0;
  uint64_t in_flight_kept = 0;
  for (uint64_t round = 0; round < kills; ++round) {
    SCOPED_TRACE(::testing::Message() << "PEAT_SEED=" << seed << " kill "
                                      << round << " behind " << done);
    // Stores stay small.
    if (round % 25 == 24) {
      std::filesystem::remove_all(path());
      model = Model();
    }
    SharedProgress progress;
    progress->acknowledged = done;
    const pid_t child = ::peat::testing::StartChild(
        [&] { return Write(path(), seed, done, model, progress); });
    KillSometime(child, random, done, progress);
    ASSERT_EQ(::peat::testing::WaitFor(child), -SIGKILL)
        << "operation " << progress->failed;
    for (; done < progress->acknowledged; ++done) {
      DoOperation(seed, done, nullptr, model);
    }

    const std::unique_ptr<Store> store = Open();
    ASSERT_NE(store, nullptr);
    if (Equals(*store, model)) continue;
    DoOperation(seed, done++, nullptr, model);
    ASSERT_TRUE(Equals(*store, model)) << "neither with the one in flight";
    ++in_flight_kept;
  }
  std::cout << kills << " kills, " << done << " operations, " << in_flight_kept
            << " in flight kept\n";
}

}  // namespace
}  // namespace peat
