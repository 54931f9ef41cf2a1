// How fast a store's files can be read and checksummed on one thread: what the
// offline commands are measured beside.
//
//   offline_bench DIR [ROUNDS]
//
//   read       every segment, a mebibyte at a time, and its checksum64
//   records    every record of every segment, verified; nothing else

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "format/checksum.h"
#include "tools/offline/store_files.h"

namespace peat::tools {
namespace {

template <typename Work>
void Measure(const char* name, uint64_t size, Work work) {
  const auto begin = std::chrono::steady_clock::now();
  const uint64_t result = work();
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  std::printf("%-8s %8.3f s %8.0f MB/s  (%llu)\n", name, seconds.count(),
              static_cast<double>(size) / 1e6 / seconds.count(),
              static_cast<unsigned long long>(result));  // NOLINT(google-*)
}

uint64_t ReadAll(const StoreFiles& files) {
  std::vector<std::byte> piece(size_t{1} << 20);
  uint64_t sum = 0;
  for (const SourceSegment& segment : files.segments) {
    for (uint64_t at = 0; at < segment.end; at += piece.size()) {
      const size_t got = segment.file->ReadAt(at, piece).value_or(0);
      sum ^= format::Checksum64(format::ByteView(piece).first(got));
    }
  }
  return sum;
}

uint64_t WalkAll(const StoreFiles& files) {
  uint64_t count = 0;
  for (const SourceSegment& segment : files.segments) {
    RecordWalk walk = segment.Walk();
    while (walk.Next().value_or(RecordWalk::Step::kEnd) ==
           RecordWalk::Step::kRecord) {
      ++count;
    }
  }
  return count;
}

}  // namespace
}  // namespace peat::tools

int main(int argc, char** argv) {
  using peat::tools::Measure;
  if (argc < 2) return 2;
  const auto files =
      peat::tools::ReadStoreFiles(peat::engine::PosixFileSystem(), argv[1]);
  if (!files.ok() || !files->tail.has_value()) return 3;
  const uint64_t size = files->size_bytes();
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
  for (int i = 0; i < rounds; ++i) {
    Measure("read", size, [&] { return peat::tools::ReadAll(*files); });
    Measure("records", size, [&] { return peat::tools::WalkAll(*files); });
  }
  return 0;
}
