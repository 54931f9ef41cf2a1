// No call of the public interface may return with the upper halves of the
// vector registers in use: until they are cleared, the processor pays for each
// change between instructions of the old and of the new encoding. Some versions
// of xxHash's library leave them so.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "format/checksum.h"
#include "peat/audit.h"
#include "peat/store.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using ::peat::testing::StoreFixture;

#if defined(__x86_64__)

// Whether XGETBV tells which parts of the registers' state are in use.
bool TellsWhatIsInUse() {
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
  constexpr uint32_t kXsaveEnabled = 1U << 27;
  constexpr uint32_t kAvx = 1U << 28;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((ecx & kXsaveEnabled) == 0 || (ecx & kAvx) == 0) return false;
  if (__get_cpuid_count(0xD, 1, &eax, &ebx, &ecx, &edx) == 0) return false;
  return (eax & (1U << 2)) != 0;
}

bool IsUpperHalfInUse() {
  uint32_t low = 0;
  uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
  return (low & (1U << 2)) != 0;
}

void ClearUpperHalves() { asm volatile("vzeroupper" ::: "xmm0", "xmm1"); }

#else

bool TellsWhatIsInUse() { return false; }
bool IsUpperHalfInUse() { return false; }
void ClearUpperHalves() {}

#endif

class VectorStateTest : public StoreFixture {
 protected:
  void SetUp() override {
    StoreFixture::SetUp();
    if (!TellsWhatIsInUse()) GTEST_SKIP() << "XGETBV does not tell";
    ClearUpperHalves();
    if (IsUpperHalfInUse()) GTEST_SKIP() << "the processor does not clear it";
  }

  // Calls `call`, which may use long vectors but must not leave them in use.
  template <typename Call>
  static void ExpectClear(const char* name, Call call) {
    ClearUpperHalves();
    call();
    EXPECT_FALSE(IsUpperHalfInUse()) << name;
  }
};

TEST_F(VectorStateTest, IsClearBehindAHashOfAnyLength) {
  const std::string bytes(5000, 'b');
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string_view part = std::string_view(bytes).substr(0, size);
    ClearUpperHalves();
    (void)format::Checksum64(format::AsBytes(part));
    ASSERT_FALSE(IsUpperHalfInUse()) << size;
    (void)format::PayloadHash(part, part);
    ASSERT_FALSE(IsUpperHalfInUse()) << size;
  }
}

TEST_F(VectorStateTest, IsClearBehindWritesOfLongValues) {
  const std::unique_ptr<Store> store = Open();
  ASSERT_NE(store, nullptr);
  const std::string value(4000, 'v');
  WriteBatch batch;
  batch.Put("batch", value);

  ExpectClear("Put", [&] { ASSERT_OK(store->Put("key", value)); });
  ExpectClear("PutIfAbsent",
              [&] { ASSERT_OK(store->PutIfAbsent("other", value)); });
  ExpectClear("Update", [&] { ASSERT_OK(store->Update("key", value)); });
  ExpectClear("CompareAndSet",
              [&] { ASSERT_OK(store->CompareAndSet("key", value, value)); });
  ExpectClear("Write", [&] { ASSERT_OK(store->Write(batch)); });
  ExpectClear("Delete", [&] { ASSERT_OK(store->Delete("other")); });
  ExpectClear("Disable", [&] { ASSERT_OK(store->Disable("key")); });
  ExpectClear("Forget", [&] { ASSERT_OK(store->Forget("key")); });
}

TEST_F(VectorStateTest, IsClearBehindReadsOfLongValues) {
  const std::unique_ptr<Store> store = Open();
  ASSERT_NE(store, nullptr);
  ASSERT_OK(store->Put("key", std::string(4000, 'v')));
  ASSERT_OK(store->Put("large", std::string(4 << 20, 'v')));
  std::string value;
  const std::string_view keys[] = {"key", "large"};
  Lookup results[2];

  ExpectClear("Get", [&] { ASSERT_OK(store->Get("key", &value)); });
  ExpectClear("Get", [&] { ASSERT_OK(store->Get("large", &value)); });
  ExpectClear("GetPinned", [&] { ASSERT_OK(store->GetPinned("key")); });
  ExpectClear("MultiGet", [&] { ASSERT_OK(store->MultiGet(keys, results)); });
  ExpectClear("State", [&] { ASSERT_OK(store->State("key")); });
  ExpectClear("Scan", [&] { ASSERT_OK(store->Scan({}).status()); });
  ExpectClear("Snapshot",
              [&] { ASSERT_OK(store->OpenSnapshot()->Get("key", &value)); });
}

TEST_F(VectorStateTest, IsClearBehindCallsThatVerifyTheWholeStore) {
  std::unique_ptr<Store> store = Open({.background_compaction = false});
  ASSERT_NE(store, nullptr);
  for (int i = 0; i < 20000; ++i) {
    ASSERT_OK(
        store->Put("key" + std::to_string(i % 1000), std::string(400, 'v')));
  }

  ExpectClear("Flush", [&] { ASSERT_OK(store->Flush()); });
  ExpectClear("Compact", [&] { ASSERT_OK(store->Compact()); });
  ExpectClear("Checkpoint",
              [&] { ASSERT_OK(store->Checkpoint(dir_.path() / "copy")); });
  ExpectClear("Close", [&] { ASSERT_OK(store->Close()); });
  ExpectClear("Open", [&] { store = Open(); });
  ExpectClear("~Store", [&] { store = nullptr; });
  for (const auto& [name, bytes] : testing::ReadFiles(path())) {
    if (name.ends_with(".snap")) std::filesystem::remove(path() / name);
  }
  ExpectClear("Open without an image", [&] { store = Open(); });
  ExpectClear("OpenWithAudit", [&] {
    const auto audit = AuditReader::Open(dir_.path() / "copy");
    ASSERT_OK(audit);
  });
}

}  // namespace
}  // namespace peat
