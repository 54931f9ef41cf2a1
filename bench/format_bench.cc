// Benchmarks of the format alone: bytes in a cache, no log and no index. The
// argument is the size of the value; keys are 16 bytes. Beside them a bare copy
// of the same bytes, which is what the machine itself takes.

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>

#include "format/manifest.h"
#include "format/mask.h"
#include "format/record.h"
#include "format/segment_header.h"

namespace peat::format {
namespace {

constexpr Place kPlace = {0x1122334455667788, 4096};
const std::string kKey(16, 'k');

std::string ValueFor(const benchmark::State& state) {
  return std::string(static_cast<size_t>(state.range(0)), 'v');
}

RecordHeader HeaderFor(const std::string& value, RecordKind kind) {
  return {.lsn = 7,
          .value_size = static_cast<uint32_t>(value.size()),
          .key_size = static_cast<uint16_t>(kKey.size()),
          .kind = kind};
}

std::string RecordFor(const std::string& value,
                      RecordKind kind = RecordKind::kPut) {
  std::string bytes;
  AppendRecord(HeaderFor(value, kind), kKey, value, kPlace, &bytes);
  return bytes;
}

void CountBytes(benchmark::State& state, size_t size) {
  state.SetBytesProcessed(static_cast<int64_t>(size) * state.iterations());
}

void BM_BareCopy(benchmark::State& state) {
  const std::string from = RecordFor(ValueFor(state));
  std::string to = from;
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size());
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
  CountBytes(state, from.size());
}
BENCHMARK(BM_BareCopy)->Arg(0)->Arg(100)->Arg(1024)->Arg(65536);

void BM_PayloadHash(benchmark::State& state) {
  const std::string value = ValueFor(state);
  for (auto _ : state) benchmark::DoNotOptimize(PayloadHash(kKey, value));
  CountBytes(state, kKey.size() + value.size());
}
BENCHMARK(BM_PayloadHash)->Arg(0)->Arg(100)->Arg(1024)->Arg(65536);

void BM_EncodeHeader(benchmark::State& state) {
  const RecordHeader header = HeaderFor(ValueFor(state), RecordKind::kPut);
  std::array<std::byte, kRecordHeaderSize> to;
  for (auto _ : state) {
    EncodeRecordHeader(header, 0x1234, kPlace, to.data());
    benchmark::DoNotOptimize(to);
  }
}
BENCHMARK(BM_EncodeHeader)->Arg(100);

void BM_CheckHeader(benchmark::State& state) {
  const std::string bytes = RecordFor(ValueFor(state));
  RecordHeader header;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        CheckRecordHeader(AsBytes(bytes), kPlace, &header));
  }
}
BENCHMARK(BM_CheckHeader)->Arg(100);

void BM_CheckRecord(benchmark::State& state) {
  const std::string bytes = RecordFor(ValueFor(state));
  Record record;
  for (auto _ : state) {
    benchmark::DoNotOptimize(CheckRecord(AsBytes(bytes), kPlace, &record));
  }
  CountBytes(state, bytes.size());
}
BENCHMARK(BM_CheckRecord)->Arg(0)->Arg(100)->Arg(1024)->Arg(65536);

void BM_CheckMask(benchmark::State& state) {
  const std::string value = ValueFor(state);
  const std::string mask = EncodeMask(
      RecordKind::kDisable,
      {.time = 1, .value_lsn = 2, .reason = "a reason", .value = value});
  const std::string bytes = RecordFor(mask, RecordKind::kDisable);
  Record record;
  for (auto _ : state) {
    benchmark::DoNotOptimize(CheckRecord(AsBytes(bytes), kPlace, &record));
    benchmark::DoNotOptimize(DecodeMask(record));
  }
  CountBytes(state, bytes.size());
}
BENCHMARK(BM_CheckMask)->Arg(100);

Manifest ManifestWith(int64_t count) {
  Manifest manifest;
  for (int64_t i = 1; i <= count; ++i) {
    manifest.segments.push_back({.id = static_cast<SegmentId>(i),
                                 .salt = 5,
                                 .capacity = kSegmentSizeMin,
                                 .state = SegmentState::kOpen});
  }
  manifest.next_id = static_cast<SegmentId>(count) + 1;
  return manifest;
}

void BM_EncodeManifest(benchmark::State& state) {
  const Manifest manifest = ManifestWith(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(EncodeManifest(manifest));
}
BENCHMARK(BM_EncodeManifest)->Arg(64)->Arg(10'000);

void BM_DecodeManifest(benchmark::State& state) {
  const std::string bytes = EncodeManifest(ManifestWith(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(DecodeManifest(AsBytes(bytes)));
  }
}
BENCHMARK(BM_DecodeManifest)->Arg(64)->Arg(10'000);

}  // namespace
}  // namespace peat::format

BENCHMARK_MAIN();
