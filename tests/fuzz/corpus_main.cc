// Runs a fuzz target over a directory of seeds, without a fuzzing engine: each
// seed as it is, cut short at every size, and with every bit flipped; or each
// PEAT_CORPUS_STRIDEth of them, where a run is slow. Then, for a short time,
// what random changes make of the seeds.
//
//   record_corpus_test tests/fuzz/corpus/record
//
//   PEAT_FUZZ_SECONDS  how long, of the processor (default: 2)
//   PEAT_SEED          the first change (default: 1); the one that ends the
//                      process is named

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.h"
#include "tests/support/sim_random.h"

#if defined(__SANITIZE_ADDRESS__)
#define PEAT_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PEAT_HAS_ASAN 1
#endif
#endif
#ifdef PEAT_HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#ifndef PEAT_CORPUS_STRIDE
#define PEAT_CORPUS_STRIDE 1
#endif

namespace {

using peat::testing::SimRandom;

// A copy of its own size, so that a sanitizer sees a read past its end.
void RunOne(const std::string& input) {
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

void RunSeed(const std::string& seed) {
  RunOne(seed);
  for (size_t size = 0; size < seed.size(); size += PEAT_CORPUS_STRIDE) {
    RunOne(seed.substr(0, size));
  }
  for (size_t bit = 0; bit < 8 * seed.size(); bit += PEAT_CORPUS_STRIDE) {
    std::string flipped = seed;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    RunOne(flipped);
  }
}

// A few bytes in one place: another value, gone, doubled, or another seed's.
void Change(SimRandom& random, const std::string& other, std::string* input) {
  const size_t at = random.Below(input->size() + 1);
  const size_t size = random.Below(
      std::min<size_t>(input->size() - at, size_t{1} << random.Below(8)) + 1);
  switch (random.Below(4)) {
    case 0: {
      constexpr const char* kNumbers[] = {"\x00", "\x01", "\x7f", "\x80",
                                          "\xff"};
      const char byte = random.Chance(4)
                            ? static_cast<char>(random.Next())
                            : kNumbers[random.Below(std::size(kNumbers))][0];
      input->replace(at, size, size, byte);
      break;
    }
    case 1:
      input->erase(at, size);
      break;
    case 2:
      input->insert(random.Below(input->size() + 1), input->substr(at, size));
      break;
    default:
      input->replace(at, size,
                     other.substr(random.Below(other.size() + 1), size));
  }
}

uint64_t NumberOf(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

volatile uint64_t current_change = 0;

void NameChange() {
  if (current_change == 0) return;
  std::fprintf(stderr, "to see it again: PEAT_SEED=%lu\n",
               static_cast<unsigned long>(current_change));
}

void NameChangeAndAbort(int) {
  NameChange();
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

// Returns how many there were.
uint64_t RunChanges(const std::vector<std::string>& seeds) {
  std::signal(SIGABRT, NameChangeAndAbort);
#ifdef PEAT_HAS_ASAN
  __sanitizer_set_death_callback(NameChange);
#endif
  const std::clock_t limit = static_cast<std::clock_t>(
      NumberOf("PEAT_FUZZ_SECONDS", 2) * CLOCKS_PER_SEC);
  const uint64_t first = NumberOf("PEAT_SEED", 1);
  const std::clock_t begin = std::clock();
  uint64_t number = first;
  for (; std::clock() - begin < limit; ++number) {
    current_change = number;
    SimRandom random(number);
    const auto any = [&]() -> const std::string& {
      return seeds[random.Below(seeds.size())];
    };
    std::string input = any();
    for (uint64_t i = random.Below(8) + 1; i > 0; --i) {
      Change(random, any(), &input);
    }
    RunOne(input);
  }
  current_change = 0;
  return number - first;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s directory\n", argv[0]);
    return 2;
  }
  std::vector<std::filesystem::path> paths;
  for (const auto& found : std::filesystem::directory_iterator(argv[1])) {
    paths.push_back(found.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds;
  for (const std::filesystem::path& path : paths) {
    std::printf("%s\n", path.filename().c_str());
    std::fflush(stdout);
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file),
                       std::istreambuf_iterator<char>());
    RunSeed(seeds.back());
  }
  if (seeds.empty()) return 1;
  const uint64_t changes = RunChanges(seeds);
  std::printf("%zu seeds, %lu changes\n", seeds.size(),
              static_cast<unsigned long>(changes));
  return 0;
}
