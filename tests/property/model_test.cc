// Random operations against a map: on the machine's file system and on the
// simulated one, with the real hash and one so weak that keys collide, with
// small segments, so that the log rolls all the time.
//
// PEAT_MODEL_OPS: how many operations in each variant. PEAT_SEED: another run.

#include "tests/support/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/sim_random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::SimRandom;
using ::peat::testing::StatusIs;
using ::peat::testing::TempDir;

using Value = std::optional<std::string>;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Variant {
  const char* name;
  bool is_simulated;
  int weak_hash_bits;
  ReadMethod read_method;
  uint64_t segment_size_max;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

class ModelTest : public ::testing::TestWithParam<Variant> {
 protected:
  ModelTest()
      : seed_(FromEnvironment("PEAT_SEED", 1)),
        random_(seed_),
        simulated_(seed_) {
    keys_ = {"", std::string(1, '\0'), std::string(65'535, 'k')};
    for (int i = 0; i < 40; ++i) keys_.push_back("key" + std::to_string(i));
  }

  void SetUp() override { Open(); }

  Config TheConfig() const {
    return {.read_method = GetParam().read_method,
            .segment_size_min = 4096 * 4,
            .segment_size_max = GetParam().segment_size_max,
            .background_threads = !GetParam().is_simulated,
            .recovery_threads = GetParam().is_simulated ? 1 : 2,
            .weak_hash_bits = GetParam().weak_hash_bits};
  }

  FileSystem& file_system() {
    if (GetParam().is_simulated) return simulated_;
    return PosixFileSystem();
  }

  std::filesystem::path path() const {
    return GetParam().is_simulated ? "store" : dir_.path() / "store";
  }

  void Open() {
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(file_system(), path(), TheConfig());
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  const std::string& RandomKey() { return keys_[random_.Below(keys_.size())]; }

  std::string RandomValue() {
    const uint64_t kind = random_.Below(40);
    uint64_t size = random_.Below(60);
    if (kind < 4) size = random_.Below(4000);
    if (kind == 0) size = 4000 + random_.Below(9000);  // in a file of its own
    return std::string(size, static_cast<char>('a' + random_.Below(26)));
  }

  Value Expected(const std::string& key) const {
    const std::string* const value = model_.ValueOf(key);
    return value == nullptr ? Value() : Value(*value);
  }

  static Value Get(const Engine& engine, const std::string& key) {
    std::string value;
    const absl::Status status = engine.Get(key, &value);
    if (status.ok()) return value;
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
    return std::nullopt;
  }

  void Step();
  void Change(uint64_t kind);
  void Mask();
  void Expect(testing::ModelWrite write, const absl::Status& status);
  void ExpectUnit(testing::ModelUnit unit, const absl::Status& status);
  void WriteBatch();
  void ReadSome();
  void ReadMany();
  void CheckAll(const Engine& engine);
  void CheckBeside();
  void Reopen();

  const uint64_t seed_;
  SimRandom random_;
  SimFileSystem simulated_;
  TempDir dir_;
  std::vector<std::string> keys_;
  testing::Model model_;
  std::unique_ptr<Engine> engine_;
};

void ModelTest::Change(uint64_t kind) {
  const std::string& key = RandomKey();
  const std::string value = RandomValue();
  const Value old = Expected(key);
  if (kind < 4) {
    Expect({.key = key, .value = value}, engine_->Put(key, value));
  } else if (kind < 6) {
    const absl::StatusOr<bool> existed = engine_->Delete(key);
    Expect({.operation = Operation::kDelete, .key = key}, existed.status());
    if (existed.ok()) {
      ASSERT_EQ(*existed, old.has_value());
    }
  } else if (kind == 6) {
    const absl::StatusOr<bool> added = engine_->PutIfAbsent(key, value);
    if (added.ok()) {
      ASSERT_EQ(*added, !old.has_value());
    }
    if (old.has_value()) {
      ASSERT_OK(added);
    } else {
      Expect({.key = key, .value = value}, added.status());
    }
  } else if (kind == 7) {
    const absl::StatusOr<Value> previous = engine_->Update(key, value);
    Expect({.key = key, .value = value}, previous.status());
    if (previous.ok()) {
      ASSERT_EQ(*previous, old);
    }
  } else if (kind == 8) {
    Value guess = old;
    if (random_.Chance(3)) guess = random_.Chance(4) ? Value() : RandomValue();
    const absl::StatusOr<bool> done = engine_->CompareAndSet(key, guess, value);
    if (done.ok()) {
      ASSERT_EQ(*done, guess == old);
    }
    if (done.ok() && !*done) return;
    Expect({.key = key, .value = value}, done.status());
  } else {
    Mask();
  }
}

// What may be forgotten is a part of the keys, so that some stay in use.
void ModelTest::Mask() {
  std::string key = RandomKey();
  const std::string reason = RandomValue().substr(0, 20);
  const uint64_t kind = random_.Below(5);
  if (kind < 2) {
    Expect({.operation = Operation::kDisable, .key = key, .reason = reason},
           engine_->Disable(key, reason));
  } else if (kind < 4) {
    Expect({.operation = Operation::kEnable, .key = key, .reason = reason},
           engine_->Enable(key, reason));
  } else {
    key = keys_[random_.Below(keys_.size() / 2)];
    const Value old = Expected(key);
    const bool is_new = model_.StateOf(key) != KeyState::kForgotten;
    const absl::StatusOr<ForgetReceipt> receipt = engine_->Forget(key, reason);
    Expect({.operation = Operation::kForget, .key = key, .reason = reason},
           receipt.status());
    ASSERT_OK(receipt);
    ASSERT_EQ(receipt->key_digest.has_value(), is_new);
    ASSERT_EQ(receipt->value_digest.has_value(), old.has_value());
  }
}

// Adds `write` to the model, which says what `status` must be.
void ModelTest::Expect(testing::ModelWrite write, const absl::Status& status) {
  ExpectUnit({std::move(write)}, status);
}

void ModelTest::ExpectUnit(testing::ModelUnit unit,
                           const absl::Status& status) {
  switch (model_.AnswerTo(unit)) {
    case testing::ModelAnswer::kDone:
      ASSERT_OK(status);
      break;
    case testing::ModelAnswer::kNotFound:
      ASSERT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
      break;
    case testing::ModelAnswer::kDisabled:
      ASSERT_EQ(RefusingState(status), KeyState::kDisabled) << status;
      break;
    case testing::ModelAnswer::kForgotten:
      ASSERT_EQ(RefusingState(status), KeyState::kForgotten) << status;
      break;
  }
  model_.Add(std::move(unit));
  ASSERT_EQ(engine_->GetStats().last_lsn, model_.last_lsn(model_.unit_count()));
}

void ModelTest::WriteBatch() {
  testing::ModelUnit unit(random_.Below(12));
  for (testing::ModelWrite& write : unit) {
    write.key = RandomKey();
    const uint64_t kind = random_.Below(20);
    if (kind < 10) {
      write.value = RandomValue();
    } else if (kind < 17) {
      write.operation = Operation::kDelete;
    } else {
      write.operation = kind == 17   ? Operation::kDisable
                        : kind == 18 ? Operation::kEnable
                                     : Operation::kForget;
      write.reason = RandomValue().substr(0, 20);
      if (kind == 19) write.key = keys_[random_.Below(keys_.size() / 2)];
    }
  }
  std::vector<BatchOperation> operations;
  for (const testing::ModelWrite& write : unit) {
    operations.push_back({.operation = write.operation,
                          .key = write.key,
                          .value = write.value,
                          .reason = write.reason});
  }
  const absl::Status status = engine_->Write(operations);
  ExpectUnit(std::move(unit), status);
}

void ModelTest::ReadSome() {
  const std::string& key = RandomKey();
  const Value expected = Expected(key);
  ASSERT_EQ(Get(*engine_, key), expected);
  const auto pinned = engine_->GetPinned(key);
  ASSERT_EQ(pinned.ok(), expected.has_value());
  if (pinned.ok()) {
    ASSERT_EQ(pinned->value, *expected);
  }
  ASSERT_OK_AND_ASSIGN(const KeyState state, engine_->State(key));
  ASSERT_EQ(state, model_.StateOf(key));
}

void ModelTest::ReadMany() {
  std::vector<std::string_view> keys(random_.Below(100));
  for (std::string_view& key : keys) key = RandomKey();
  size_t answers = 0;
  ASSERT_OK(engine_->MultiGet(
      keys, [&](size_t i, const absl::Status& status, const Pinned& pinned) {
        ++answers;
        const Value expected = Expected(std::string(keys[i]));
        EXPECT_EQ(status.ok(), expected.has_value()) << status;
        if (status.ok()) {
          EXPECT_EQ(pinned.value, *expected);
        }
      }));
  ASSERT_GE(answers, keys.size());
}

void ModelTest::CheckAll(const Engine& engine) {
  ASSERT_EQ(engine.GetStats().key_count, model_.key_count(model_.unit_count()));
  for (const std::string& key : keys_) {
    ASSERT_EQ(Get(engine, key), Expected(key)) << key.size();
    ASSERT_OK_AND_ASSIGN(const KeyState state, engine.State(key));
    ASSERT_EQ(state, model_.StateOf(key));
    if (state != KeyState::kForgotten) continue;
    std::string preserved;
    const absl::Status revealed = engine.Reveal(key, &preserved);
    const Value& kept = model_.state().at(key).value;
    ASSERT_EQ(revealed.ok(), kept.has_value()) << revealed;
    if (kept.has_value()) {
      ASSERT_EQ(preserved, *kept);
    }
  }
}

// A store opened to read only shows just this moment, and refuses to write.
void ModelTest::CheckBeside() {
  Config config = TheConfig();
  config.access = Access::kReadOnly;
  const auto reader = Engine::Open(file_system(), path(), config);
  ASSERT_OK(reader);
  CheckAll(**reader);
  ASSERT_THAT((*reader)->Put("k", "v"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

void ModelTest::Reopen() {
  const uint64_t lsn = engine_->GetStats().last_lsn;
  const bool closes = random_.Chance(4);
  if (closes) {
    ASSERT_OK(engine_->Close());
  }
  engine_.reset();
  Open();
  ASSERT_NE(engine_, nullptr);
  EXPECT_TRUE(engine_->GetStats().open.clean);
  ASSERT_EQ(engine_->GetStats().last_lsn, lsn);
  CheckAll(*engine_);
}

void ModelTest::Step() {
  const uint64_t kind = random_.Below(1000);
  if (kind < 550) return Change(kind % 10);
  if (kind < 650) return WriteBatch();
  if (kind < 850) return ReadSome();
  if (kind < 900) return ReadMany();
  if (kind < 910) return CheckBeside();
  if (kind < 920) return Reopen();
  if (kind < 930) {
    ASSERT_OK(engine_->Flush());
    return;
  }
  if (!GetParam().is_simulated) return;
  if (kind < 965) {
    engine_->RunSupply();
  } else {
    engine_->RunSync();
  }
}

TEST_P(ModelTest, AgreesWithAMap) {
  const uint64_t count = FromEnvironment("PEAT_MODEL_OPS", 3000);
  for (uint64_t i = 0; i < count; ++i) {
    SCOPED_TRACE(::testing::Message()
                 << "PEAT_SEED=" << seed_ << " operation " << i);
    Step();
    ASSERT_FALSE(HasFatalFailure());
    // Without a compactor the log only grows.
    if (i % 4000 != 3999) continue;
    CheckAll(*engine_);
    engine_.reset();
    std::filesystem::remove_all(dir_.path() / "store");
    for (const std::string& name : simulated_.ListFiles("store")) {
      simulated_.RemoveFile(path() / name);
    }
    model_ = testing::Model();
    Open();
  }
  CheckAll(*engine_);
}

INSTANTIATE_TEST_SUITE_P(
    Variants, ModelTest,
    ::testing::Values(
        Variant{"simulated", true, 0, ReadMethod::kMapped, 1 << 17},
        Variant{"simulated_colliding", true, 3, ReadMethod::kPositional,
                1 << 15},
        Variant{"posix", false, 0, ReadMethod::kMapped, 1 << 15},
        Variant{"posix_colliding", false, 2, ReadMethod::kPositional, 1 << 20}),
    [](const auto& variant) { return std::string(variant.param.name); });

}  // namespace
}  // namespace peat::engine
