// Matchers of absl::Status and absl::StatusOr for GoogleMock.
//
//   EXPECT_THAT(store->Put("k", "v"), IsOk());
//   EXPECT_THAT(DecodeRecord(bytes), StatusIs(absl::StatusCode::kDataLoss));
//   ASSERT_OK_AND_ASSIGN(const Record record, DecodeRecord(bytes));

#ifndef PEAT_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define PEAT_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace peat::testing {

inline const absl::Status& ToStatus(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& ToStatus(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << ToStatus(arg).ToString();
  return ToStatus(arg).ok();
}

MATCHER_P(StatusIs, code, "has the code " + absl::StatusCodeToString(code)) {
  *result_listener << ToStatus(arg).ToString();
  return ToStatus(arg).code() == code;
}

// The message must contain `text`.
MATCHER_P2(StatusIs, code, text,
           "has the code " + absl::StatusCodeToString(code) +
               " and says: " + std::string(text)) {
  *result_listener << ToStatus(arg).ToString();
  return ToStatus(arg).code() == code &&
         std::string(ToStatus(arg).message()).find(text) != std::string::npos;
}

}  // namespace peat::testing

#define PEAT_TEST_CONCAT_INNER(a, b) a##b
#define PEAT_TEST_CONCAT(a, b) PEAT_TEST_CONCAT_INNER(a, b)

#define ASSERT_OK(expression) ASSERT_THAT(expression, ::peat::testing::IsOk())
#define EXPECT_OK(expression) EXPECT_THAT(expression, ::peat::testing::IsOk())

#define ASSERT_OK_AND_ASSIGN(target, expression)                             \
  ASSERT_OK_AND_ASSIGN_INNER(PEAT_TEST_CONCAT(status_or_, __LINE__), target, \
                             expression)
#define ASSERT_OK_AND_ASSIGN_INNER(name, target, expression) \
  auto name = (expression);                                  \
  ASSERT_OK(name);                                           \
  target = *std::move(name)

#endif  // PEAT_TESTS_SUPPORT_STATUS_MATCHERS_H_
