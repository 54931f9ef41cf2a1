// Uses the installed library: puts, closes, opens again and gets.

#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peat/store.h"

namespace {

absl::Status Run(const std::string& directory) {
  absl::StatusOr<std::unique_ptr<peat::Store>> store =
      peat::Store::Open(directory);
  if (!store.ok()) return store.status();
  if (absl::Status put = (*store)->Put("key", "value"); !put.ok()) return put;
  if (absl::Status closed = (*store)->Close(); !closed.ok()) return closed;
  store = peat::Store::Open(directory);
  if (!store.ok()) return store.status();
  std::string value;
  if (absl::Status got = (*store)->Get("key", &value); !got.ok()) return got;
  return value == "value" ? absl::OkStatus()
                          : absl::InternalError("another value came back");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const absl::Status status = Run(argv[1]);
  std::cout << status.ToString() << '\n';
  return status.ok() ? 0 : 1;
}
