// Uses Peat through its C interface, and Abseil by itself, which Peat uses too:
// one must not disturb the other, whichever Abseil the program has.

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "peat.h"

namespace {

// A status with a payload, a cord and a map: what Peat has inside, too.
absl::Status UseAbseil(int round) {
  absl::flat_hash_map<std::string, absl::Cord> cords;
  for (int i = 0; i < 100; ++i) {
    cords[absl::StrFormat("key %d", i)] = absl::Cord(std::string(1000, 'c'));
  }
  absl::Status status = absl::AbortedError(absl::StrFormat("round %d", round));
  status.SetPayload("type", cords["key 7"]);
  if (status.GetPayload("type")->size() != 1000) return absl::OkStatus();
  return status;
}

// Fails with an error that Peat makes of a status.
bool UsePeat(const std::string& directory) {
  peat_store* store = nullptr;
  peat_error* error = nullptr;
  if (peat_open(directory.c_str(), nullptr, &store, &error) != PEAT_OK) {
    std::fprintf(stderr, "%s\n", peat_error_message(error));
    return false;
  }
  bool is_right = peat_put(store, peat_text("a"), peat_text("1"), nullptr,
                           &error) == PEAT_OK;
  is_right &= peat_disable(store, peat_text("a"), {}, &error) == PEAT_OK;
  // The refusal is a payload of a status of Peat's.
  is_right &= peat_put(store, peat_text("a"), peat_text("2"), nullptr,
                       &error) == PEAT_FAILED_PRECONDITION;
  is_right &= peat_error_refusal(error) == PEAT_DISABLED;
  peat_error_free(error);
  peat_store_free(store);
  return is_right;
}

}  // namespace

int main() {
  const std::string directory =
      std::filesystem::temp_directory_path() / "peat_beside_XXXXXX";
  std::string name = directory;
  if (mkdtemp(name.data()) == nullptr) return 1;
  bool is_right = true;
  for (int round = 0; round < 3; ++round) {
    is_right &= UsePeat(name + "/" + std::to_string(round));
    const absl::Status status = UseAbseil(round);
    is_right &= status.message() == absl::StrFormat("round %d", round);
  }
  std::filesystem::remove_all(name);
  return is_right ? 0 : 1;
}
