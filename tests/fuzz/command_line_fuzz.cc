// Fuzzes the command line, with a store and an input at hand.
//
// The input is the arguments, each ended by a zero byte, up to an empty one;
// the rest is standard input, and the file "in". A copy of the store in
// tests/compat/v1 is called "s". Slashes become underscores, so that nothing
// outside of the directory is named. Promised: an exit code, and neither a
// crash nor an exception; the store is one that verify can read afterwards.

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "format/check.h"
#include "peat/store.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/temp_dir.h"
#include "tools/command_line.h"

namespace peat::tools {
namespace {

namespace fs = std::filesystem;

constexpr size_t kArgumentsMax = 16;

std::vector<std::string> TakeArguments(std::string_view* input) {
  std::vector<std::string> arguments = {"peat"};
  while (!input->empty() && arguments.size() < kArgumentsMax) {
    const size_t end = input->find('\0');
    std::string argument(input->substr(0, end));
    input->remove_prefix(end == input->npos ? input->size() : end + 1);
    if (argument.empty()) break;
    for (char& byte : argument) {
      if (byte == '/') byte = '_';
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

ExitCode RunWith(const std::vector<std::string>& arguments) {
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(argument.c_str());
  }
  pointers.push_back(nullptr);
  const ExitCode code =
      RunCommandLine(static_cast<int>(arguments.size()), pointers.data());
  PEAT_CHECK(code >= ExitCode::kOk && code <= ExitCode::kRefused);
  return code;
}

void Check(std::string_view input) {
  // Deep enough that ".." is still inside.
  static const testing::TempDir directory(testing::TempDir::Place::kMemory);
  static const fs::path home = fs::current_path();
  const fs::path outer = directory.path() / "outer";
  const fs::path inner = outer / "inner";
  fs::remove_all(outer);
  fs::create_directories(inner);
  fs::copy(PEAT_COMPAT_DIR "/store", inner / "s");
  const std::vector<std::string> arguments = TakeArguments(&input);
  std::ofstream(inner / "in", std::ios::binary) << input;
  PEAT_CHECK(chdir(inner.c_str()) == 0);
  PEAT_CHECK(std::freopen("in", "rb", stdin) != nullptr);

  (void)RunWith(arguments);
  const ExitCode verified = RunWith({"peat", "verify", "s"});
  PEAT_CHECK(verified == ExitCode::kOk || verified == ExitCode::kNotFound);

  PEAT_CHECK(chdir(home.c_str()) == 0);
}

}  // namespace
}  // namespace peat::tools

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  peat::tools::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
