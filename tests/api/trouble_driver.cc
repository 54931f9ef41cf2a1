// Lives the life of tests/api/trouble_script.h under the hands of strace:
//
//   trouble_driver DIRECTORY FIRST END close|exit
//
// opens the store, does the steps in [FIRST, END), and closes it, or exits with
// all of it still open. Ends with 0 whatever failed, as long as it is a status.

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "peat/store.h"
#include "tests/api/trouble_script.h"

namespace {

// Straight to the file: what is printed survives SIGKILL.
void Print(const std::string& line) {
  if (write(STDOUT_FILENO, line.data(), line.size()) < 0) _exit(3);
}

void Report(const std::string& what, const absl::Status& status) {
  Print(status.ok()
            ? absl::StrFormat("ok %s\n", what)
            : absl::StrFormat("fail %s: %s\n", what, status.ToString()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const int marker = open(peat::testing::kMarkerPath, O_RDONLY);
  if (marker >= 0) close(marker);
  auto store = peat::Store::Open(argv[1]);
  Report("open", store.status());
  if (!store.ok()) return 0;
  peat::testing::Model model;
  for (int step = std::atoi(argv[2]); step < std::atoi(argv[3]); ++step) {
    const std::string name = std::to_string(step);
    Print("try " + name + "\n");
    Report(name, peat::testing::DoStep(step, store->get(), model));
  }
  if (std::string_view(argv[4]) == "exit") _exit(0);
  Report("close", (*store)->Close());
  return 0;
}
