// Queries and their cursors.

#include "peat/query.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/c/call.h"
#include "api/c/handles.h"
#include "api/c/peat.h"
#include "format/check.h"
#include "format/status_macros.h"
#include "peat/cursor.h"
#include "peat/snapshot.h"
#include "peat/store.h"

namespace peat::c {
namespace {

// What peat_cursor_next() gives at once, but for its last pair.
constexpr size_t kPortionSize = size_t{1} << 20;
// Of both sizes before a pair in peat_cursor_fill().
constexpr size_t kSizesSize = 2 * sizeof(uint32_t);

absl::Status SetKey(const peat_bytes* from, std::optional<std::string>* to) {
  if (from == nullptr) return absl::OkStatus();
  PEAT_RETURN_IF_ERROR(CheckBytes(*from));
  *to = std::string(View(*from));
  return absl::OkStatus();
}

absl::Status Wrap(Cursor cursor, peat_cursor** to) {
  if (!cursor.Valid() && !cursor.CanGoOn()) {
    PEAT_RETURN_IF_ERROR(cursor.status());
  }
  *to = std::make_unique<peat_cursor>(peat_cursor{.cursor = std::move(cursor)})
            .release();
  return absl::OkStatus();
}

// Makes a cursor that has stopped at a damaged pair, and has said so, go on.
void GoOn(peat_cursor* cursor) {
  if (!cursor->has_told_failure) return;
  cursor->has_told_failure = false;
  if (cursor->cursor.CanGoOn()) cursor->cursor.Next();
}

// Of a cursor that has no pair to give.
absl::Status Ended(peat_cursor* cursor) {
  PEAT_DCHECK(!cursor->cursor.Valid());
  cursor->has_told_failure = true;
  return cursor->cursor.status();
}

// Copies pairs behind each other, and their sizes to `pairs`; how many.
size_t Take(peat_cursor* cursor, peat_pair* pairs, size_t capacity) {
  Cursor& from = cursor->cursor;
  size_t count = 0;
  for (; count < capacity && from.Valid(); from.Next()) {
    if (cursor->bytes.size() >= kPortionSize) break;
    cursor->bytes.append(from.key()).append(from.value());
    pairs[count].key.size = from.key().size();
    pairs[count].value.size = from.value().size();
    ++count;
  }
  return count;
}

// Points `count` pairs to their bytes, which do not move any more.
void Point(const std::string& bytes, peat_pair* pairs, size_t count) {
  const char* at = bytes.data();
  for (size_t i = 0; i < count; ++i) {
    pairs[i].key.data = at;
    at += pairs[i].key.size;
    pairs[i].value.data = at;
    at += pairs[i].value.size;
  }
  PEAT_DCHECK(at == bytes.data() + bytes.size());
}

char* Copy(std::string_view from, char* to) {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
  return to + from.size();
}

char* CopySize(std::string_view of, char* to) {
  const auto size = static_cast<uint32_t>(of.size());
  std::memcpy(to, &size, sizeof(size));
  return to + sizeof(size);
}

// Writes pairs to `space` as long as they have room; how many. `*used` is what
// they take or, if there are none, what the next one needs.
size_t WritePairs(Cursor& from, peat_space space, size_t* used) {
  char* const begin = static_cast<char*>(space.data);
  char* to = begin;
  size_t count = 0;
  *used = 0;
  for (; from.Valid(); from.Next()) {
    const size_t size = kSizesSize + from.key().size() + from.value().size();
    if (size > space.size - *used) {
      if (count == 0) *used = size;
      break;
    }
    to = CopySize(from.value(), CopySize(from.key(), to));
    to = Copy(from.value(), Copy(from.key(), to));
    *used += size;
    ++count;
  }
  return count;
}

}  // namespace

absl::StatusOr<Query> QueryOf(const peat_query* given) {
  PEAT_ASSIGN_OR_RETURN(const peat_query from, Known(given));
  Query to;
  PEAT_RETURN_IF_ERROR(SetKey(from.from, &to.from));
  PEAT_RETURN_IF_ERROR(SetKey(from.to, &to.to));
  PEAT_RETURN_IF_ERROR(SetKey(from.prefix, &to.prefix));
  PEAT_RETURN_IF_ERROR(SetKey(from.after, &to.after));
  if (from.key_count > 0) PEAT_RETURN_IF_ERROR(CheckNotNull(from.keys));
  for (size_t i = 0; i < from.key_count; ++i) {
    PEAT_RETURN_IF_ERROR(CheckBytes(from.keys[i]));
    to.keys.emplace_back(View(from.keys[i]));
  }
  to.keys_only = from.keys_only;
  to.reverse = from.reverse;
  to.limit = from.limit;
  return to;
}

}  // namespace peat::c

using peat::c::Call;
using peat::c::CheckBytes;
using peat::c::CheckNotNull;

// NOLINTBEGIN(readability-identifier-naming,readability-function-size)

peat_code peat_scan(const peat_store* store, const peat_query* query,
                    peat_cursor** cursor, peat_error** error) {
  if (cursor != nullptr) *cursor = nullptr;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store, cursor));
    PEAT_ASSIGN_OR_RETURN(const peat::Query wanted, peat::c::QueryOf(query));
    return peat::c::Wrap(store->store->Scan(wanted), cursor);
  });
}

peat_code peat_snapshot_scan(const peat_snapshot* snapshot,
                             const peat_query* query, peat_cursor** cursor,
                             peat_error** error) {
  if (cursor != nullptr) *cursor = nullptr;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(snapshot, cursor));
    PEAT_ASSIGN_OR_RETURN(const peat::Query wanted, peat::c::QueryOf(query));
    return peat::c::Wrap(snapshot->snapshot->Scan(wanted), cursor);
  });
}

peat_code peat_cursor_next(peat_cursor* cursor, peat_pair* pairs,
                           size_t capacity, size_t* count, peat_error** error) {
  if (count != nullptr) *count = 0;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(cursor, pairs, count));
    if (capacity == 0) {
      return absl::InvalidArgumentError("there is room for 0 pairs");
    }
    peat::c::GoOn(cursor);
    cursor->bytes.clear();
    const size_t taken = peat::c::Take(cursor, pairs, capacity);
    if (taken == 0) return peat::c::Ended(cursor);
    peat::c::Point(cursor->bytes, pairs, taken);
    *count = taken;
    return absl::OkStatus();
  });
}

peat_code peat_cursor_fill(peat_cursor* cursor, peat_space space, size_t* used,
                           size_t* count, peat_error** error) {
  if (used != nullptr) *used = 0;
  if (count != nullptr) *count = 0;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(cursor, used, count));
    PEAT_RETURN_IF_ERROR(CheckBytes({space.data, space.size}));
    peat::c::GoOn(cursor);
    *count = peat::c::WritePairs(cursor->cursor, space, used);
    if (*count > 0) return absl::OkStatus();
    if (*used == 0) return peat::c::Ended(cursor);
    return absl::OutOfRangeError(absl::StrFormat(
        "pair needs room for %d bytes, there are %d", *used, space.size));
  });
}

peat_code peat_cursor_seek(peat_cursor* cursor, peat_bytes key,
                           peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(cursor));
    PEAT_RETURN_IF_ERROR(CheckBytes(key));
    if (!cursor->cursor.Valid()) {
      return absl::FailedPreconditionError("cursor has reached its end");
    }
    cursor->cursor.Seek(peat::c::View(key));
    return cursor->cursor.CanGoOn() ? absl::OkStatus()
                                    : cursor->cursor.status();
  });
}

bool peat_cursor_can_go_on(const peat_cursor* cursor, peat_bytes* key) {
  if (cursor == nullptr || !cursor->has_told_failure) return false;
  if (!cursor->cursor.CanGoOn()) return false;
  if (key != nullptr) *key = peat::c::Bytes(cursor->cursor.key());
  return true;
}

void peat_cursor_free(peat_cursor* cursor) {
  const std::unique_ptr<peat_cursor> freed(cursor);
}

peat_code peat_count(const peat_store* store, const peat_query* query,
                     uint64_t* count, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store, count));
    PEAT_ASSIGN_OR_RETURN(const peat::Query wanted, peat::c::QueryOf(query));
    PEAT_ASSIGN_OR_RETURN(*count, store->store->Count(wanted));
    return absl::OkStatus();
  });
}

// NOLINTEND(readability-identifier-naming,readability-function-size)
