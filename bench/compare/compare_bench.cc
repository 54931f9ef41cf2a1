// Peat beside other engines: one run of one workload on one engine, and its
// figures as a line of JSON. run.py calls it for all of them, in turn.
//
//   compare_bench list
//   compare_bench run --engine E --workload W --directory D [...]
//
// The directory must exist. It is empty, or a copy of what `fill` left there.
// The exit code is 1, with a message, where the engine fails; a run in which
// something else came back than what was written says so in `wrong`.

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/compare/run.h"

namespace peat::bench {
namespace {

using Json = nlohmann::ordered_json;

const char* NameOf(Survives survives) {
  switch (survives) {
    case Survives::kNothing:
      return "nothing";
    case Survives::kUndefined:
      return "undefined";
    case Survives::kKill:
      return "kill -9";
  }
  return "";
}

void PrintList() {
  Json engines = Json::array();
  for (const EngineEntry& entry : Engines()) {
    const EngineInfo& info = entry.info;
    engines.push_back({{"name", info.name},
                       {"version", info.version},
                       {"survives", NameOf(info.survives)},
                       {"verified", info.verified},
                       {"ordered", info.ordered},
                       {"power_loss", info.power_loss},
                       {"checks", info.checks},
                       {"settings", info.settings}});
  }
  Json workloads = Json::array();
  for (const Workload& workload : Workloads()) {
    workloads.push_back({{"name", workload.name},
                         {"empty", BeginsEmpty(workload)},
                         {"fills", workload.fills},
                         {"ordered", IsOrdered(workload)},
                         {"durable", workload.durable},
                         {"split", workload.split}});
  }
  std::puts(
      Json({{"engines", engines}, {"workloads", workloads}}).dump(2).c_str());
}

// Where the distribution of latencies is sampled, from the middle to the last
// of a hundred thousand, evenly in powers of ten of what is above.
std::vector<double> Fractions() {
  std::vector<double> fractions = {0.01, 0.05, 0.1, 0.25, 0.5, 0.75};
  for (double above = 0.1; above > 0.5e-5; above /= 10) {
    for (const double part : {1.0, 0.5, 0.2}) {
      fractions.push_back(1 - above * part);
    }
  }
  return fractions;
}

Json ToJson(const RunResult& result) {
  const auto nanoseconds = [&](uint64_t ticks) {
    return static_cast<double>(ticks) * result.tick;
  };
  Json distribution = Json::array();
  if (result.latency.count() > 0) {
    for (const double fraction : Fractions()) {
      distribution.push_back(
          {fraction, nanoseconds(result.latency.Quantile(fraction))});
    }
  }
  Json quantiles;
  for (const auto& [name, fraction] :
       std::initializer_list<std::pair<const char*, double>>{
           {"p50_ns", 0.5},
           {"p99_ns", 0.99},
           {"p999_ns", 0.999},
           {"p9999_ns", 0.9999}}) {
    quantiles[name] = nanoseconds(result.latency.Quantile(fraction));
  }
  Json json = {{"seconds", result.seconds},
               {"operations", result.operations},
               {"rate", result.rate},
               {"other_rate", result.other_rate},
               {"calls", result.latency.count()}};
  json.update(quantiles);
  json.update(Json{{"max_ns", nanoseconds(result.latency.max())},
                   {"open_seconds", result.open_seconds},
                   {"anonymous_bytes", result.anonymous_bytes},
                   {"cached_bytes", result.cached_bytes},
                   {"disk_bytes", result.disk_bytes},
                   {"logical_bytes", result.logical_bytes},
                   {"written_bytes", result.written_bytes},
                   {"put_bytes", result.put_bytes},
                   {"audited", result.audited},
                   {"wrong", result.wrong},
                   {"acknowledged", result.acknowledged},
                   {"lost", result.lost},
                   {"latency_ns", distribution}});
  return json;
}

int Main(int argc, char** argv) {
  CLI::App app("One run of one workload on one engine");
  app.require_subcommand(1);
  CLI::App* const list =
      app.add_subcommand("list", "The engines and workloads, as JSON");
  CLI::App* const run = app.add_subcommand("run", "One run");
  std::string engine;
  std::string workload;
  RunSetup setup;
  run->add_option("--engine", engine)->required();
  run->add_option("--workload", workload)->required();
  run->add_option("--directory", setup.directory)->required();
  run->add_option("--keys", setup.keys, "Pairs in the store")
      ->check(CLI::Range(1000U, 500'000'000U));
  run->add_option("--value-size", setup.value_size, "Bytes")
      ->check(CLI::Range(8, 1 << 20));
  run->add_option("--threads", setup.threads)->check(CLI::Range(1, 64));
  run->add_option("--operations", setup.operations, "At most")
      ->check(CLI::Range(1U, 1'000'000'000U));
  run->add_option("--seconds", setup.seconds, "At most");
  run->add_option("--cache-bytes", setup.cache_bytes,
                  "For an engine's own cache (default: all fits)");
  run->add_option("--seed", setup.seed);
  run->add_flag("--cold", setup.cold, "Without the page cache, to begin with");
  CLI11_PARSE(app, argc, argv);
  if (list->parsed()) {
    PrintList();
    return 0;
  }
  const EngineEntry* const entry = FindEngine(engine);
  if (entry == nullptr) Fail("compare_bench", "no engine " + engine);
  const Workload* const found = FindWorkload(workload);
  if (found == nullptr) Fail("compare_bench", "no workload " + workload);
  std::puts(ToJson(Run(*entry, *found, setup)).dump().c_str());
  return 0;
}

}  // namespace
}  // namespace peat::bench

int main(int argc, char** argv) { return peat::bench::Main(argc, argv); }
