// Random operations against a map: on the machine's file system and on the
// simulated one, with the real hash and one so weak that keys collide, with
// small segments, so that the log rolls and is compacted all the time: by steps
// on the simulated file system, in the background on the other.
//
// PEAT_MODEL_OPS: how many operations in each variant. PEAT_SEED: another run.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
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
            .space_extra_min = 0,
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
    const auto found = model_.find(key);
    return found == model_.end() ? Value() : Value(found->second);
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
  std::map<std::string, std::string> model_;
  std::unique_ptr<Engine> engine_;
};

void ModelTest::Change(uint64_t kind) {
  const std::string& key = RandomKey();
  const std::string value = RandomValue();
  const Value old = Expected(key);
  if (kind < 4) {
    ASSERT_OK(engine_->Put(key, value));
    model_[key] = value;
  } else if (kind < 7) {
    ASSERT_OK_AND_ASSIGN(const bool existed, engine_->Delete(key));
    ASSERT_EQ(existed, old.has_value());
    model_.erase(key);
  } else if (kind == 7) {
    ASSERT_OK_AND_ASSIGN(const bool added, engine_->PutIfAbsent(key, value));
    ASSERT_EQ(added, !old.has_value());
    model_.try_emplace(key, value);
  } else if (kind == 8) {
    ASSERT_OK_AND_ASSIGN(const Value previous, engine_->Update(key, value));
    ASSERT_EQ(previous, old);
    model_[key] = value;
  } else {
    Value guess = old;
    if (random_.Chance(3)) guess = random_.Chance(4) ? Value() : RandomValue();
    ASSERT_OK_AND_ASSIGN(const bool done,
                         engine_->CompareAndSet(key, guess, value));
    ASSERT_EQ(done, guess == old);
    if (done) model_[key] = value;
  }
}

void ModelTest::WriteBatch() {
  struct Step {
    bool is_put;
    std::string key;
    std::string value;
  };
  std::vector<Step> steps(random_.Below(12));
  for (Step& step : steps) {
    step = {random_.Chance(5), RandomKey(), RandomValue()};
    if (!step.is_put) step.value.clear();
  }
  std::vector<BatchOperation> operations;
  for (const Step& step : steps) {
    operations.push_back({.kind = step.is_put ? BatchOperation::Kind::kPut
                                              : BatchOperation::Kind::kDelete,
                          .key = step.key,
                          .value = step.value});
  }

  ASSERT_OK(engine_->Write(operations));

  for (const Step& step : steps) {
    if (step.is_put) {
      model_[step.key] = step.value;
    } else {
      model_.erase(step.key);
    }
  }
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
  ASSERT_EQ(engine_->Exists(key).ok(), expected.has_value());
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
  ASSERT_EQ(engine.GetStats().key_count, model_.size());
  for (const std::string& key : keys_) {
    ASSERT_EQ(Get(engine, key), Expected(key)) << key.size();
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
  const uint64_t live_bytes = engine_->GetStats().live_bytes;
  const bool closes = random_.Chance(4);
  if (closes) {
    ASSERT_OK(engine_->Close());
  }
  engine_.reset();
  Open();
  ASSERT_NE(engine_, nullptr);
  EXPECT_TRUE(engine_->GetStats().open.clean);
  ASSERT_EQ(engine_->GetStats().last_lsn, lsn);
  // Counted anew by replay.
  ASSERT_EQ(engine_->GetStats().live_bytes, live_bytes);
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
  if (kind < 935) {
    ASSERT_OK(engine_->Compact());
    return;
  }
  if (!GetParam().is_simulated) return;
  if (kind < 955) {
    engine_->RunSupply();
  } else if (kind < 975) {
    engine_->RunSync();
  } else {
    ASSERT_OK(engine_->RunCompaction());
  }
}

TEST_P(ModelTest, AgreesWithAMap) {
  const uint64_t count = FromEnvironment("PEAT_MODEL_OPS", 3000);
  for (uint64_t i = 0; i < count; ++i) {
    SCOPED_TRACE(::testing::Message()
                 << "PEAT_SEED=" << seed_ << " operation " << i);
    Step();
    ASSERT_FALSE(HasFatalFailure());
    if (i % 1000 == 999) CheckAll(*engine_);
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
