#include "peat/cursor.h"

#include <chrono>
#include <utility>

#include "api/cursor_impl.h"
#include "format/record.h"

namespace peat {

Cursor::Cursor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  Refresh();
}

Cursor::~Cursor() = default;

Cursor::Cursor(Cursor&& other) noexcept
    : impl_(std::move(other.impl_)),
      is_valid_(std::exchange(other.is_valid_, false)),
      key_(std::exchange(other.key_, {})),
      value_(std::exchange(other.value_, {})) {}

Cursor& Cursor::operator=(Cursor&& other) noexcept {
  impl_ = std::move(other.impl_);
  is_valid_ = std::exchange(other.is_valid_, false);
  key_ = std::exchange(other.key_, {});
  value_ = std::exchange(other.value_, {});
  return *this;
}

void Cursor::Next() {
  if (is_valid_) [[likely]] {
    impl_->cursor().Next();
  } else if (CanGoOn()) {
    impl_->cursor().GoOn();
  } else {
    return;
  }
  Refresh();
}

void Cursor::Seek(std::string_view key) {
  if (!is_valid_) return;
  impl_->cursor().Seek(key);
  Refresh();
}

bool Cursor::CanGoOn() const {
  return impl_ != nullptr && impl_->cursor().can_go_on();
}

void Cursor::Refresh() {
  const engine::Cursor& cursor = impl_->cursor();
  is_valid_ = cursor.is_valid();
  key_ = cursor.key();
  value_ = cursor.value();
}

std::optional<Time> Cursor::expires_at() const {
  if (!is_valid_) return std::nullopt;
  const format::Millis expiry = impl_->cursor().expiry();
  if (expiry == format::kNever) return std::nullopt;
  return Time(std::chrono::milliseconds(expiry));
}

absl::Status Cursor::status() const {
  if (impl_ == nullptr) {
    return absl::FailedPreconditionError("the cursor was moved from");
  }
  return impl_->cursor().status();
}

}  // namespace peat
