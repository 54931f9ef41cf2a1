#include "peat/changes.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/changes_impl.h"
#include "api/store_impl.h"
#include "engine/changes/change_reader.h"
#include "engine/engine.h"
#include "format/status_macros.h"

namespace peat {
namespace {

constexpr size_t kStoreIdDigits = 32;
constexpr std::string_view kDigits = "0123456789abcdef";

std::string StoreIdText(const format::StoreId& id) {
  std::string text;
  text.reserve(kStoreIdDigits);
  for (const std::byte byte : id) {
    const auto value = std::to_integer<unsigned>(byte);
    text.push_back(kDigits[value >> 4U]);
    text.push_back(kDigits[value & 15U]);
  }
  return text;
}

// A number as ToString() writes it: digits alone, none too many.
std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return number;
}

Position PositionIn(const engine::Engine& engine, Lsn lsn) {
  return {.store_id = StoreIdText(engine.store_id()),
          .epoch = engine.epoch(),
          .lsn = lsn};
}

absl::Status CheckPosition(const Position& position, const Position& store) {
  if (position.store_id != store.store_id) {
    return absl::FailedPreconditionError(
        absl::StrFormat("position is of store %s, this is %s",
                        position.store_id, store.store_id));
  }
  if (position.epoch != store.epoch) {
    return absl::FailedPreconditionError(
        absl::StrFormat("position is of epoch %d, the store has %d",
                        position.epoch, store.epoch));
  }
  return absl::OkStatus();
}

}  // namespace

std::string Position::ToString() const {
  return absl::StrFormat("%s:%d:%d", store_id, epoch, lsn);
}

absl::StatusOr<Position> Position::Parse(std::string_view text) {
  const auto wrong = [text] {
    return absl::InvalidArgumentError(
        absl::StrFormat("position \"%s\" is not STORE_ID:EPOCH:LSN", text));
  };
  constexpr size_t kIdEnd = kStoreIdDigits;
  if (text.size() <= kIdEnd || text[kIdEnd] != ':') return wrong();
  const std::string_view id = text.substr(0, kIdEnd);
  if (id.find_first_not_of(kDigits) != std::string_view::npos) return wrong();
  const std::string_view numbers = text.substr(kIdEnd + 1);
  const size_t colon = numbers.find(':');
  if (colon == std::string_view::npos) return wrong();
  const std::optional<uint64_t> epoch = ParseNumber(numbers.substr(0, colon));
  const std::optional<uint64_t> lsn = ParseNumber(numbers.substr(colon + 1));
  if (!epoch.has_value() || !lsn.has_value()) return wrong();
  return Position{.store_id = std::string(id), .epoch = *epoch, .lsn = *lsn};
}

ChangeStream::ChangeStream(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

ChangeStream::~ChangeStream() = default;

absl::StatusOr<std::span<const ChangeRecord>> ChangeStream::Next(
    std::chrono::milliseconds wait) {
  return impl_->reader().Next(wait);
}

Position ChangeStream::position() const {
  Position position = impl_->begin();
  position.lsn = impl_->reader().lsn();
  return position;
}

absl::StatusOr<std::unique_ptr<ChangeStream>> Store::OpenChanges(
    const ChangesOptions& options) {
  const EngineUse engine = impl_->engine();
  const Position store = PositionIn(*engine, 0);
  std::optional<Lsn> after;
  if (options.after.has_value()) {
    PEAT_RETURN_IF_ERROR(CheckPosition(*options.after, store));
    after = options.after->lsn;
  }
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<engine::ChangeReader> reader,
                        engine->OpenChanges(after, options.durable_only));
  return std::make_unique<ChangeStream>(
      std::make_unique<ChangeStream::Impl>(std::move(reader), store));
}

Position Store::position() const {
  const EngineUse engine = impl_->engine();
  return PositionIn(*engine, engine->last_lsn());
}

}  // namespace peat
