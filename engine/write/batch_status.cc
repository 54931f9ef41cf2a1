#include "engine/write/batch_status.h"

#include <string>
#include <string_view>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "format/check.h"

namespace peat::engine {
namespace {

// A part of a batch that it can be refused for.
struct Part {
  const char* name;
  const char* url;  // of the payload that has its index
};

constexpr Part kOperation = {"operation", "peat/operation-of-batch"};
constexpr Part kCondition = {"condition", "peat/condition-of-batch"};

absl::Status WithPart(const absl::Status& status, const Part& part,
                      size_t index) {
  PEAT_CHECK(!status.ok());
  absl::Status named(
      status.code(),
      absl::StrFormat(
          "%s %d of the batch (from 0): %s", part.name, index,
          status.message().empty() ? "no such key" : status.message()));
  status.ForEachPayload([&named](auto url, const absl::Cord& cord) {
    named.SetPayload(url, cord);
  });
  named.SetPayload(part.url, absl::Cord(absl::StrFormat("%d", index)));
  return named;
}

std::optional<size_t> IndexIn(const absl::Status& status, const Part& part) {
  const auto payload = status.GetPayload(part.url);
  if (!payload.has_value()) return std::nullopt;
  uint64_t index = 0;
  const bool is_number = absl::SimpleAtoi(std::string(*payload), &index);
  PEAT_CHECK(is_number);
  return index;
}

}  // namespace

absl::Status WithOperation(const absl::Status& status, size_t index) {
  return WithPart(status, kOperation, index);
}

std::optional<size_t> OperationIn(const absl::Status& status) {
  return IndexIn(status, kOperation);
}

absl::Status WithCondition(const absl::Status& status, size_t index) {
  return WithPart(status, kCondition, index);
}

std::optional<size_t> ConditionIn(const absl::Status& status) {
  return IndexIn(status, kCondition);
}

}  // namespace peat::engine
