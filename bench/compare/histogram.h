// Latencies, counted in buckets 1/32 wide of their value.
//
// Externally synchronised.

#ifndef PEAT_BENCH_COMPARE_HISTOGRAM_H_
#define PEAT_BENCH_COMPARE_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace peat::bench {

class Histogram {
 public:
  void Add(uint64_t value) {
    ++counts_[BucketOf(value)];
    max_ = std::max(max_, value);
  }

  void Merge(const Histogram& other) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    max_ = std::max(max_, other.max_);
  }

  uint64_t count() const {
    uint64_t sum = 0;
    for (const uint64_t count : counts_) sum += count;
    return sum;
  }

  uint64_t max() const { return max_; }

  // The smallest bound that at least `fraction` of the values are not above;
  // at most max().
  uint64_t Quantile(double fraction) const {
    const uint64_t all = count();
    const auto wanted =
        static_cast<uint64_t>(fraction * static_cast<double>(all) + 0.999999);
    uint64_t sum = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      sum += counts_[i];
      if (sum >= wanted && sum > 0) return std::min(UpperBound(i), max_);
    }
    return max_;
  }

 private:
  static constexpr int kBits = 5;
  static constexpr uint64_t kWidth = uint64_t{1} << kBits;

  // Values below kWidth have a bucket each; those from 2^e on, kWidth together.
  static size_t BucketOf(uint64_t value) {
    if (value < kWidth) return value;
    const int shift = std::bit_width(value) - 1 - kBits;
    return (static_cast<uint64_t>(shift) << kBits) + (value >> shift);
  }

  static uint64_t UpperBound(size_t bucket) {
    if (bucket < 2 * kWidth) return bucket;
    const uint64_t shift = (bucket >> kBits) - 1;
    return (((bucket & (kWidth - 1)) + kWidth + 1) << shift) - 1;
  }

  std::array<uint64_t, (64 - kBits + 1)* kWidth> counts_ = {};
  uint64_t max_ = 0;
};

}  // namespace peat::bench

#endif  // PEAT_BENCH_COMPARE_HISTOGRAM_H_
