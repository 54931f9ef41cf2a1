// What the tests of queries share: a store in each of four variants, and ways
// to list it.

#ifndef PEAT_TESTS_API_QUERY_FIXTURE_H_
#define PEAT_TESTS_API_QUERY_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/store_fixture.h"

namespace peat::testing {

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline Pairs Drain(Cursor& cursor) {
  Pairs pairs;
  for (const auto [key, value] : cursor) pairs.emplace_back(key, value);
  EXPECT_OK(cursor.status());
  return pairs;
}
inline Pairs Drain(Cursor&& cursor) { return Drain(cursor); }

struct QueryVariant {
  const char* name;
  bool ordered;
  ReadMethod read_method;
};

inline void PrintTo(const QueryVariant& variant, std::ostream* out) {
  *out << variant.name;
}

class QueryTest : public StoreFixture,
                  public ::testing::WithParamInterface<QueryVariant> {
 protected:
  QueryTest() : store_(Open(TheOptions())) {}

  static Options TheOptions() {
    return {.read_method = GetParam().read_method,
            .ordered = GetParam().ordered};
  }

  void Put(std::string_view key, std::string_view value = "") {
    ASSERT_OK(store_->Put(key, value));
  }
  void Delete(std::string_view key) {
    ASSERT_OK_AND_ASSIGN(const bool existed, store_->Delete(key));
    ASSERT_TRUE(existed);
  }
  void PutAll(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) Put(key, "value of " + key);
  }

  Pairs Scan(const Query& query) { return Drain(store_->Scan(query)); }
  std::vector<std::string> Keys(const Query& query) {
    std::vector<std::string> keys;
    for (auto& [key, value] : Scan(query)) keys.push_back(std::move(key));
    return keys;
  }

  std::unique_ptr<Store> store_;
};

// One instance of the suite for each variant.
inline auto AllQueryVariants() {
  return ::testing::Values(
      QueryVariant{"ordered", true, ReadMethod::kMapped},
      QueryVariant{"unordered", false, ReadMethod::kMapped},
      QueryVariant{"ordered_positional", true, ReadMethod::kPositional},
      QueryVariant{"unordered_positional", false, ReadMethod::kPositional});
}
inline std::string NameOf(const ::testing::TestParamInfo<QueryVariant>& info) {
  return info.param.name;
}

}  // namespace peat::testing

#endif  // PEAT_TESTS_API_QUERY_FIXTURE_H_
