// A value read without a copy.

#ifndef PEAT_API_PEAT_PINNED_VALUE_H_
#define PEAT_API_PEAT_PINNED_VALUE_H_

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace peat {

// Looks at a value where it lies. Keeps the one segment it lies in from being
// reclaimed, nothing else, and may outlive the store. Movable. Safe to use and
// destroy on any thread; one object by one thread at a time.
class PinnedValue {
 public:
  PinnedValue() = default;

  // For the engine: `value` lives as long as `owner`.
  PinnedValue(std::shared_ptr<const void> owner, std::string_view value)
      : owner_(std::move(owner)), value_(value) {}

  // Takes the value over; `other` is empty afterwards, as a new one is.
  PinnedValue(PinnedValue&& other) noexcept
      : owner_(std::move(other.owner_)),
        value_(std::exchange(other.value_, {})) {}
  // As moving; what was pinned here is let go.
  PinnedValue& operator=(PinnedValue&& other) noexcept {
    owner_ = std::move(other.owner_);
    value_ = std::exchange(other.value_, {});
    return *this;
  }

  // Valid until this object is moved from or destroyed.
  operator std::string_view() const {  // NOLINT(google-explicit-constructor)
    return value_;
  }
  // Where the value begins; valid as the view is.
  const char* data() const { return value_.data(); }
  // Bytes of the value.
  size_t size() const { return value_.size(); }

 private:
  std::shared_ptr<const void> owner_;
  std::string_view value_;
};

}  // namespace peat

#endif  // PEAT_API_PEAT_PINNED_VALUE_H_
