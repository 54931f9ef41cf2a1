#include "bench/compare/workload.h"

#include <algorithm>
#include <cmath>

#include "bench/compare/engine.h"
#include "bench/floors.h"

namespace peat::bench {
namespace {

// Numbers that look random: a counter, scattered.
class Random final {
 public:
  explicit Random(uint64_t seed) : state_(Scatter(seed)) {}
  uint64_t Next() { return Scatter(state_++); }
  // Below `bound`, which is below 2^32.
  uint64_t Below(uint64_t bound) { return (Next() >> 32) * bound >> 32; }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

// Ranks 0 to n - 1, rank r as often as 1 / (r + 1)^0.99: the method of Gray et
// al., "Quickly generating billion-record synthetic databases", which YCSB
// uses.
class Zipfian final {
 public:
  explicit Zipfian(uint64_t n)
      : n_(static_cast<double>(n)),
        zeta_(Zeta(n)),
        eta_((1 - std::pow(2 / n_, 1 - kTheta)) / (1 - Zeta(2) / zeta_)) {}

  uint64_t Rank(Random* random) const {
    const double u = random->Unit();
    const double uz = u * zeta_;
    if (uz < 1) return 0;
    if (uz < 1 + std::pow(0.5, kTheta)) return 1;
    const double rank = n_ * std::pow(eta_ * u - eta_ + 1, 1 / (1 - kTheta));
    return std::min(static_cast<uint64_t>(rank), static_cast<uint64_t>(n_) - 1);
  }

 private:
  static constexpr double kTheta = 0.99;

  // The sum of 1 / i^theta for i from 1 to n: the first terms one by one, the
  // rest by the formula of Euler and Maclaurin.
  static double Zeta(uint64_t n) {
    constexpr uint64_t kTerms = 10'000;
    double sum = 0;
    for (uint64_t i = 1; i <= std::min(n, kTerms); ++i) {
      sum += std::pow(static_cast<double>(i), -kTheta);
    }
    if (n <= kTerms) return sum;
    const auto from = static_cast<double>(kTerms);
    const auto to = static_cast<double>(n);
    return sum +
           (std::pow(to, 1 - kTheta) - std::pow(from, 1 - kTheta)) /
               (1 - kTheta) +
           (std::pow(to, -kTheta) - std::pow(from, -kTheta)) / 2;
  }

  const double n_;
  const double zeta_;
  const double eta_;
};

class OperationMaker final {
 public:
  OperationMaker(const Workload& workload, const Part& part)
      : workload_(workload),
        part_(part),
        random_(part.seed * 1000 + static_cast<uint64_t>(part.thread)),
        zipfian_(std::max<uint64_t>(part.keys, 2)) {}

  Operation Next() {
    if (workload_.split) {
      return Of(part_.thread == 0 ? Action::kOverwrite : Action::kGet);
    }
    auto percent = static_cast<int>(random_.Below(100));
    const auto falls_in = [&percent](int share) {
      percent -= share;
      return percent < 0;
    };
    if (falls_in(workload_.insert)) return Of(Action::kInsert);
    if (falls_in(workload_.overwrite)) return Of(Action::kOverwrite);
    if (falls_in(workload_.miss)) return Of(Action::kMiss);
    if (falls_in(workload_.read_modify_write)) {
      return Of(Action::kReadModifyWrite);
    }
    if (falls_in(workload_.put_if_absent)) return Of(Action::kPutIfAbsent);
    if (falls_in(workload_.increment)) return Of(Action::kIncrement);
    if (falls_in(workload_.scan)) return Of(Action::kScan);
    return Of(Action::kGet);
  }

 private:
  Operation Of(Action action) {
    Operation operation = {.number = 0, .length = 0, .action = action};
    switch (action) {
      case Action::kInsert:
        operation.number = Fresh();
        break;
      case Action::kMiss:
        // Far beyond what is inserted.
        operation.number =
            static_cast<uint32_t>(0x80000000 + random_.Below(0x7FFFFFFF));
        break;
      case Action::kPutIfAbsent:
        operation.number = random_.Below(10) == 0 ? Fresh() : Present();
        break;
      case Action::kScan:
        operation.length = static_cast<uint16_t>(1 + random_.Below(100));
        operation.number = Present();
        break;
      default:
        operation.number = Present();
    }
    return operation;
  }

  // A number that nobody has inserted; each thread has its own.
  uint32_t Fresh() {
    const uint64_t base = BeginsEmpty(workload_) ? 0 : part_.keys;
    return static_cast<uint32_t>(
        base + static_cast<uint64_t>(part_.threads) * inserted_++ +
        static_cast<uint64_t>(part_.thread));
  }

  // One that was there at the beginning, or that this thread has inserted.
  uint32_t Present() {
    if (workload_.choice == Choice::kUniform) {
      return static_cast<uint32_t>(random_.Below(part_.keys));
    }
    const uint64_t rank = zipfian_.Rank(&random_);
    if (workload_.choice == Choice::kZipfian) {
      return static_cast<uint32_t>(Scatter(rank) % part_.keys);
    }
    if (rank >= inserted_) {
      return static_cast<uint32_t>(part_.keys - 1 - (rank - inserted_));
    }
    return static_cast<uint32_t>(part_.keys +
                                 static_cast<uint64_t>(part_.threads) *
                                     (inserted_ - 1 - rank) +
                                 static_cast<uint64_t>(part_.thread));
  }

  const Workload& workload_;
  const Part part_;
  Random random_;
  const Zipfian zipfian_;
  uint64_t inserted_ = 0;
};

}  // namespace

const std::vector<Workload>& Workloads() {
  static const std::vector<Workload> workloads = {
      {.name = "load", .procedure = Procedure::kLoad, .fills = true},
      {.name = "fill", .insert = 100, .fills = true},
      {.name = "fill-batch", .insert = 100, .group = 100, .fills = true},
      {.name = "overwrite", .overwrite = 100},
      {.name = "get"},
      {.name = "miss", .miss = 100},
      {.name = "multi-get", .group = 64},
      {.name = "ycsb-a", .choice = Choice::kZipfian, .overwrite = 50},
      {.name = "ycsb-b", .choice = Choice::kZipfian, .overwrite = 5},
      {.name = "ycsb-c", .choice = Choice::kZipfian},
      {.name = "ycsb-d", .choice = Choice::kLatest, .insert = 5},
      {.name = "ycsb-e", .choice = Choice::kZipfian, .insert = 5, .scan = 95},
      {.name = "ycsb-f", .choice = Choice::kZipfian, .read_modify_write = 50},
      {.name = "dedup", .put_if_absent = 100},
      {.name = "counters",
       .choice = Choice::kZipfian,
       .increment = 100,
       .empty = true},
      {.name = "durable", .insert = 100, .empty = true, .durable = true},
      {.name = "mixed", .split = true},
      {.name = "reopen", .procedure = Procedure::kReopen},
      {.name = "kill", .procedure = Procedure::kKill},
  };
  return workloads;
}

const Workload* FindWorkload(std::string_view name) {
  const auto found = std::ranges::find(
      Workloads(), name, [](const Workload& workload) -> std::string_view {
        return workload.name;
      });
  return found == Workloads().end() ? nullptr : &*found;
}

bool BeginsEmpty(const Workload& workload) {
  return workload.fills || workload.empty;
}

bool IsOrdered(const Workload& workload) { return workload.scan > 0; }

std::vector<Operation> MakeOperations(const Workload& workload,
                                      const Part& part) {
  OperationMaker maker(workload, part);
  std::vector<Operation> operations(part.operations);
  for (Operation& operation : operations) operation = maker.Next();
  return operations;
}

}  // namespace peat::bench
