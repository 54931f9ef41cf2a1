// Statistics as metrics: the text format, and the dashboard that shows them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "peat/stats.h"
#include "peat/store.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using ::testing::Contains;
using ::testing::Pair;

class MetricsTest : public ::peat::testing::StoreFixture {};

// The samples of `text`. Fails unless each stands behind its help and its type,
// and no name comes twice.
std::map<std::string, std::string> Samples(const std::string& text) {
  const std::regex metric(
      "# HELP (peat_[a-z_]+) [A-Z][^\n]*\\.\n"
      "# TYPE (peat_[a-z_]+) (?:gauge|counter)\n"
      "(peat_[a-z_]+) ([0-9.e+]+)\n");
  std::map<std::string, std::string> samples;
  size_t end = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), metric), last;
       it != last; ++it) {
    EXPECT_EQ(static_cast<size_t>(it->position()), end) << it->str();
    EXPECT_EQ((*it)[1], (*it)[2]);
    EXPECT_EQ((*it)[1], (*it)[3]);
    EXPECT_TRUE(samples.emplace((*it)[1], (*it)[4]).second) << (*it)[1];
    end = static_cast<size_t>(it->position() + it->length());
  }
  EXPECT_EQ(end, text.size()) << text.substr(end);
  return samples;
}

TEST_F(MetricsTest, EachNumberHasHelpAndType) {
  const std::unique_ptr<Store> store = Open();
  ASSERT_NE(store, nullptr);
  ASSERT_OK(store->Put("a", "value"));
  ASSERT_OK(store->Put("b", "value"));
  ASSERT_OK(store->Disable("b"));

  const std::map<std::string, std::string> samples =
      Samples(store->GetStats().ToPrometheus());

  EXPECT_THAT(samples, Contains(Pair("peat_key_count", "2")));
  EXPECT_THAT(samples, Contains(Pair("peat_disabled_key_count", "1")));
  EXPECT_THAT(samples, Contains(Pair("peat_last_lsn", "3")));
  EXPECT_THAT(samples, Contains(Pair("peat_reserve_complete", "1")));
  EXPECT_THAT(samples, Contains(Pair("peat_open_damaged", "0")));
}

TEST_F(MetricsTest, LargeNumbersStayExact) {
  Stats stats;
  stats.last_lsn = (uint64_t{1} << 62) + 1;
  stats.slowed_seconds = 1e-7;
  stats.open.damaged.resize(3);

  const std::string text = stats.ToPrometheus();

  EXPECT_NE(text.find("\npeat_last_lsn 4611686018427387905\n"),
            std::string::npos);
  EXPECT_NE(text.find("\npeat_slowed_seconds 1e-07\n"), std::string::npos);
  EXPECT_NE(text.find("\npeat_open_damaged 3\n"), std::string::npos);
}

TEST_F(MetricsTest, TheDashboardShowsWhatThereIs) {
  std::ifstream file(PEAT_SOURCE_DIR "/tools/grafana_dashboard.json");
  std::stringstream dashboard;
  dashboard << file.rdbuf();
  const std::string text = dashboard.str();
  const std::map<std::string, std::string> samples =
      Samples(Stats().ToPrometheus());

  std::set<std::string> shown;
  const std::regex name("peat_[a-z_]+");
  for (std::sregex_iterator it(text.begin(), text.end(), name), last;
       it != last; ++it) {
    shown.insert(it->str());
  }

  EXPECT_GE(shown.size(), 20U);
  for (const std::string& one : shown) {
    EXPECT_TRUE(samples.contains(one)) << one;
  }
}

}  // namespace
}  // namespace peat
