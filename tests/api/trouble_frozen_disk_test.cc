// Stores beside stores of the same process that lie on a frozen ext4.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/scoped_mount.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::MountKind;
using ::peat::testing::ScopedMount;
using ::peat::testing::StartChild;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPatience{30};

// A file system on which every write waits, until this ends.
class Freeze final {
 public:
  explicit Freeze(const std::filesystem::path& path)
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0);
    // If this process is killed, the other thaws it.
    watch_ = StartChild([this] {
      close(ends_[1]);
      char byte = 0;
      (void)!read(ends_[0], &byte, 1);
      return ioctl(fd_, FITHAW, 0) == 0 ? 0 : 1;
    });
    is_frozen_ = ioctl(fd_, FIFREEZE, 0) == 0;
  }
  Freeze(const Freeze&) = delete;
  Freeze& operator=(const Freeze&) = delete;
  ~Freeze() {
    for (const int end : ends_) close(end);
    ::peat::testing::WaitFor(watch_);
    close(fd_);
  }
  bool is_frozen() const { return is_frozen_; }

 private:
  const int fd_;
  int ends_[2] = {-1, -1};
  pid_t watch_ = 0;
  bool is_frozen_ = false;
};

class TroubleFrozenDiskTest : public ::peat::testing::StoreFixture {
 protected:
  void SetUp() override {
    if (!mount_.is_mounted()) GTEST_SKIP() << "needs root";
  }
  // Two of them have taken all threads of the background, once.
  std::vector<std::unique_ptr<Store>> OpenOnMount() const {
    std::vector<std::unique_ptr<Store>> stores;
    for (int i = 0; i < 4; ++i) {
      auto store = Store::Open(mount_.path() / std::to_string(i), interval_);
      EXPECT_OK(store.status());
      stores.push_back(*std::move(store));
    }
    return stores;
  }

  const Options interval_{.sync = SyncPolicy::kInterval,
                          .sync_interval = milliseconds(5)};
  ScopedMount mount_{MountKind::kExt4, 64};
};

TEST_F(TroubleFrozenDiskTest, AHealthyStoreIsFlushedOpenedAndClosed) {
  const auto frozen = OpenOnMount();
  std::unique_ptr<Store> store = Open(interval_);
  std::vector<std::future<absl::Status>> writes;
  {
    const Freeze freeze(mount_.path());
    if (!freeze.is_frozen()) GTEST_SKIP() << "cannot freeze";
    for (const auto& other : frozen) {
      writes.push_back(std::async(std::launch::async, [&other] {
        return other->Put("key", std::string(10'000, 'v'));
      }));
    }
    std::vector<std::future<absl::Status>> opened;
    opened.push_back(std::async(std::launch::async, [this] {
      return Store::Open(mount_.path() / "new").status();
    }));

    std::future<absl::Status> used = std::async(std::launch::async, [&] {
      for (uint64_t lsn = 1; lsn <= 5; ++lsn) {
        EXPECT_OK(store->Put("key", "value"));
        while (store->GetStats().durable_lsn < lsn) std::this_thread::yield();
      }
      EXPECT_OK(Store::Open(dir_.path() / "another").status());
      return store->Close();
    });
    EXPECT_EQ(used.wait_for(kPatience), std::future_status::ready);
    writes.push_back(std::move(opened.front()));
    writes.push_back(std::move(used));
  }
  for (std::future<absl::Status>& write : writes) EXPECT_OK(write.get());
}

}  // namespace
}  // namespace peat
