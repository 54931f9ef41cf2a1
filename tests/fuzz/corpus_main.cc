// Runs a fuzz target over a directory of seeds, without a fuzzing engine: each
// seed as it is, cut short at every size, and with every bit flipped; or each
// PEAT_CORPUS_STRIDEth of them, where a run is slow.
//
//   record_corpus_test tests/fuzz/corpus/record

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

#ifndef PEAT_CORPUS_STRIDE
#define PEAT_CORPUS_STRIDE 1
#endif

namespace {

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

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s directory\n", argv[0]);
    return 2;
  }
  std::vector<std::filesystem::path> seeds;
  for (const auto& found : std::filesystem::directory_iterator(argv[1])) {
    seeds.push_back(found.path());
  }
  std::sort(seeds.begin(), seeds.end());
  for (const std::filesystem::path& path : seeds) {
    std::printf("%s\n", path.filename().c_str());
    std::fflush(stdout);
    std::ifstream file(path, std::ios::binary);
    RunSeed({std::istreambuf_iterator<char>(file), {}});
  }
  std::printf("%zu seeds\n", seeds.size());
  return seeds.empty() ? 1 : 0;
}
