// Uses the installed library: puts, closes, opens again and gets; forgets, and
// holds the receipt against what an audit finds.

#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peat/audit.h"
#include "peat/store.h"
#include "peat/version.h"

namespace {

absl::Status ForgetAndAudit(peat::Store& store, const std::string& directory) {
  const absl::StatusOr<peat::ForgetReceipt> receipt =
      store.Forget("secret", {.reason = "request 17"});
  if (!receipt.ok()) return receipt.status();
  if (!peat::IsForgotten(store.Put("secret", "again"))) {
    return absl::InternalError("a forgotten key was written");
  }
  if (absl::Status closed = store.Close(); !closed.ok()) return closed;
  const absl::StatusOr<std::unique_ptr<peat::AuditReader>> reader =
      peat::AuditReader::Open(directory);
  if (!reader.ok()) return reader.status();
  const std::unique_ptr<peat::MaskCursor> masks = (*reader)->Masks();
  if (!masks->Valid()) return absl::InternalError("no mask was found");
  const absl::StatusOr<peat::ForgetReceipt> made = masks->receipt();
  if (!made.ok()) return made.status();
  return *made == *receipt ? absl::OkStatus()
                           : absl::InternalError("the receipt does not fit");
}

// Header, package and numbers tell one version.
absl::Status CheckVersion() {
  std::string numbers = std::to_string(PEAT_VERSION_MAJOR);
  numbers += "." + std::to_string(PEAT_VERSION_MINOR);
  numbers += "." + std::to_string(PEAT_VERSION_PATCH);
  if (numbers != PEAT_VERSION_STRING) return absl::InternalError(numbers);
#ifdef CONSUMER_PACKAGE_VERSION
  if (numbers != CONSUMER_PACKAGE_VERSION) {
    return absl::InternalError(CONSUMER_PACKAGE_VERSION);
  }
#endif
  return absl::OkStatus();
}

absl::Status Run(const std::string& directory) {
  if (absl::Status version = CheckVersion(); !version.ok()) return version;
  absl::StatusOr<std::unique_ptr<peat::Store>> store =
      peat::Store::Open(directory);
  if (!store.ok()) return store.status();
  for (const char* key : {"key", "secret"}) {
    if (absl::Status put = (*store)->Put(key, "value"); !put.ok()) return put;
  }
  if (absl::Status closed = (*store)->Close(); !closed.ok()) return closed;
  store = peat::Store::Open(directory);
  if (!store.ok()) return store.status();
  std::string value;
  if (absl::Status got = (*store)->Get("key", &value); !got.ok()) return got;
  if (value != "value") return absl::InternalError("another value came back");
  return ForgetAndAudit(**store, directory);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const absl::Status status = Run(argv[1]);
  std::cout << status.ToString() << '\n';
  return status.ok() ? 0 : 1;
}
