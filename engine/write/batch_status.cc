#include "engine/write/batch_status.h"

#include <string>
#include <string_view>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "format/check.h"

namespace peat::engine {
namespace {

constexpr char kOperationUrl[] = "peat/operation-of-batch";

}  // namespace

absl::Status WithOperation(const absl::Status& status, size_t index) {
  PEAT_CHECK(!status.ok());
  absl::Status named(
      status.code(),
      absl::StrFormat(
          "operation %d of the batch (from 0): %s", index,
          status.message().empty() ? "no such key" : status.message()));
  status.ForEachPayload([&named](auto url, const absl::Cord& cord) {
    named.SetPayload(url, cord);
  });
  named.SetPayload(kOperationUrl, absl::Cord(absl::StrFormat("%d", index)));
  return named;
}

std::optional<size_t> OperationIn(const absl::Status& status) {
  const auto payload = status.GetPayload(kOperationUrl);
  if (!payload.has_value()) return std::nullopt;
  uint64_t index = 0;
  const bool is_number = absl::SimpleAtoi(std::string(*payload), &index);
  PEAT_CHECK(is_number);
  return index;
}

}  // namespace peat::engine
