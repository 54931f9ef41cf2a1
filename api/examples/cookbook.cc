// The recipes of docs/cookbook.md, which shows these functions as they stand
// here. The program runs all of them in a directory, and fails if one does.

#include <charconv>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peat/audit.h"
#include "peat/keys.h"
#include "peat/store.h"

namespace {

// Leaves the function when a call has failed.
#define RETURN_IF_ERROR(expression)              \
  do {                                           \
    absl::Status status_of_it = (expression);    \
    if (!status_of_it.ok()) return status_of_it; \
  } while (false)

absl::StatusOr<uint64_t> NumberOf(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return absl::DataLossError("not a number");
  }
  return number;
}

// --- State that ends.

// Remembers a session for half an hour from now on. Whoever writes it again
// begins that half an hour anew.
absl::Status Touch(peat::Store& store, std::string_view user,
                   std::string_view session) {
  return store.Put("session/" + std::string(user), session,
                   {.expires_after = std::chrono::minutes(30)});
}

// Counts an event in the hour that it falls into. The count ends an hour after
// that: no event comes later. The store is open with TimeSource::kCaller, so
// time is what the events say.
absl::Status CountInHour(peat::Store& store, std::string_view stream,
                         peat::Time event_time) {
  using std::chrono::hours;
  RETURN_IF_ERROR(store.AdvanceTime(event_time));
  const peat::Time start = std::chrono::floor<hours>(event_time);
  const auto number = static_cast<uint64_t>(start.time_since_epoch().count());
  const std::string key = peat::KeyBuilder().Text(stream).Number(number).Take();
  absl::StatusOr<std::string> before = store.Get(key);
  if (absl::IsNotFound(before.status())) before = "0";
  if (!before.ok()) return before.status();
  const absl::StatusOr<uint64_t> count = NumberOf(*before);
  if (!count.ok()) return count.status();
  return store.Put(key, std::to_string(*count + 1),
                   {.expires_at = start + hours(2)});
}

// --- Each event once.

// Whether this is the first time that the event comes; a later run of the
// program knows, too.
absl::StatusOr<bool> IsNew(peat::Store& store, std::string_view event_id) {
  return store.PutIfAbsent("seen/" + std::string(event_id), "");
}

// Applies a payment once, although it may come several times: its id and the
// new balance are one write, so that a crash leaves both or neither. One thread
// handles the payments of an account.
absl::Status ApplyOnce(peat::Store& store, std::string_view payment_id,
                       std::string_view account, uint64_t amount) {
  const std::string seen = "seen/" + std::string(payment_id);
  const absl::StatusOr<bool> came_before = store.Contains(seen);
  if (!came_before.ok()) return came_before.status();
  if (*came_before) return absl::OkStatus();

  const std::string key = "balance/" + std::string(account);
  absl::StatusOr<std::string> before = store.Get(key);
  if (absl::IsNotFound(before.status())) before = "0";
  if (!before.ok()) return before.status();
  const absl::StatusOr<uint64_t> balance = NumberOf(*before);
  if (!balance.ok()) return balance.status();

  peat::WriteBatch batch;
  batch.Put(seen, "");
  batch.Put(key, std::to_string(*balance + amount));
  return store.Write(batch);
}

// --- Offsets.

// The offset from which a consumer goes on: behind the last message whose
// effects are in the store.
absl::StatusOr<uint64_t> NextOffset(const peat::Store& store, int partition) {
  const absl::StatusOr<std::string> text =
      store.Get("offset/" + std::to_string(partition));
  if (absl::IsNotFound(text.status())) return 0;
  if (!text.ok()) return text.status();
  return NumberOf(*text);
}

// The effects of some messages, and the offset behind them, in one write. When
// the broker is to forget the messages, call Flush() first.
absl::Status Consume(peat::Store& store, int partition, uint64_t next_offset,
                     peat::WriteBatch effects) {
  effects.Put("offset/" + std::to_string(partition),
              std::to_string(next_offset));
  return store.Write(effects);
}

// --- Windows. The store is open with Options::ordered.

std::string WindowPrefix(std::string_view stream, uint64_t start) {
  return peat::KeyBuilder().Text(stream).Number(start).Take();
}

// Adds one to a user's count in the window that begins at `start`.
absl::Status CountInWindow(peat::Store& store, std::string_view stream,
                           uint64_t start, std::string_view user) {
  const std::string key = WindowPrefix(stream, start) + std::string(user);
  for (;;) {
    const absl::StatusOr<std::string> before = store.Get(key);
    if (!before.ok() && !absl::IsNotFound(before.status())) {
      return before.status();
    }
    std::optional<std::string_view> expected;
    if (before.ok()) expected = *before;
    const absl::StatusOr<uint64_t> count = NumberOf(expected.value_or("0"));
    if (!count.ok()) return count.status();
    const absl::StatusOr<bool> swapped =
        store.CompareAndSet(key, expected, std::to_string(*count + 1));
    if (!swapped.ok()) return swapped.status();
    if (*swapped) return absl::OkStatus();
  }
}

// The sum of a window's counts. An error ends the loop as the end does, so the
// cursor is asked behind it.
absl::StatusOr<uint64_t> SumOfWindow(const peat::Store& store,
                                     std::string_view stream, uint64_t start) {
  uint64_t sum = 0;
  peat::Cursor cursor = store.Scan({.prefix = WindowPrefix(stream, start)});
  for (const auto [user, text] : cursor) {
    const absl::StatusOr<uint64_t> count = NumberOf(text);
    if (!count.ok()) return count.status();
    sum += *count;
  }
  RETURN_IF_ERROR(cursor.status());
  return sum;
}

// Deletes all windows of a stream that begin before `start`.
absl::StatusOr<uint64_t> DropWindows(peat::Store& store,
                                     std::string_view stream, uint64_t start) {
  return store.DeleteRange(WindowPrefix(stream, 0),
                           WindowPrefix(stream, start));
}

// --- A join. The store is open with Options::ordered.

// Remembers an event of one side, by its key and time.
absl::Status Remember(peat::Store& store, std::string_view side,
                      std::string_view key, uint64_t time,
                      std::string_view event) {
  return store.Put(peat::KeyBuilder().Text(side).Text(key).Number(time).Take(),
                   event);
}

// The events of a side with this key, from `first` to `last`.
absl::StatusOr<std::vector<std::string>> Matches(const peat::Store& store,
                                                 std::string_view side,
                                                 std::string_view key,
                                                 uint64_t first,
                                                 uint64_t last) {
  std::vector<std::string> events;
  peat::Cursor cursor = store.Scan(
      {.from = peat::KeyBuilder().Text(side).Text(key).Number(first).Take(),
       .to = peat::KeyBuilder().Text(side).Text(key).Number(last + 1).Take()});
  for (const auto [_, event] : cursor) events.emplace_back(event);
  RETURN_IF_ERROR(cursor.status());
  return events;
}

// --- A backup.

// Takes a checkpoint of a store that goes on working, and reads it back. Copy
// the directory to another disk or machine then: a hard link is not a backup.
absl::StatusOr<peat::Lsn> BackUp(peat::Store& store,
                                 const std::filesystem::path& directory) {
  const absl::StatusOr<peat::CheckpointResult> made =
      store.Checkpoint(directory);
  if (!made.ok()) return made.status();
  const auto copy =
      peat::Store::Open(directory, {.mode = peat::OpenMode::kReadOnly});
  if (!copy.ok()) return copy.status();
  const absl::StatusOr<uint64_t> count = (*copy)->Count({});
  if (!count.ok()) return count.status();
  std::cout << "backed up " << *count << " keys\n";
  return made->lsn;
}

// --- An audit.

// Forgets all of a customer, and waits until that is durable. What is returned
// goes to whoever asked for it.
absl::StatusOr<std::vector<peat::ForgetReceipt>> ForgetCustomer(
    peat::Store& store, std::string_view customer, const std::string& reason) {
  std::vector<peat::ForgetReceipt> receipts;
  const absl::StatusOr<peat::ForgetAllResult> forgotten = store.ForgetAll(
      "customer/" + std::string(customer) + "/",
      {.reason = reason,
       .on_receipt = [&](std::string_view, const peat::ForgetReceipt& receipt) {
         receipts.push_back(receipt);
       }});
  if (!forgotten.ok()) return forgotten.status();
  const absl::StatusOr<peat::Lsn> durable = store.Flush();
  if (!durable.ok()) return durable.status();
  return receipts;
}

// Whether what the store keeps is what a receipt says was forgotten.
absl::StatusOr<bool> IsKept(const std::filesystem::path& directory,
                            const peat::ForgetReceipt& receipt) {
  const auto reader = peat::AuditReader::Open(directory);
  if (!reader.ok()) return reader.status();
  const auto masks =
      (*reader)->Masks({.first_lsn = receipt.lsn, .last_lsn = receipt.lsn});
  if (!masks->status().ok()) return masks->status();
  if (!masks->Valid()) return false;
  const absl::StatusOr<peat::ForgetReceipt> made = masks->receipt();
  if (!made.ok()) return made.status();
  return *made == receipt;
}

// --- All of them, in order.

absl::Status Expect(bool condition, const char* what) {
  return condition ? absl::OkStatus() : absl::InternalError(what);
}

absl::Status TryEvents(peat::Store& store) {
  for (const bool expected : {true, false}) {
    const absl::StatusOr<bool> is_new = IsNew(store, "order-17");
    if (!is_new.ok()) return is_new.status();
    RETURN_IF_ERROR(Expect(*is_new == expected, "IsNew"));
  }
  for (int i = 0; i < 3; ++i) {
    RETURN_IF_ERROR(ApplyOnce(store, "payment-1", "alice", 50));
    RETURN_IF_ERROR(ApplyOnce(store, "payment-2", "alice", 20));
  }
  const absl::StatusOr<std::string> balance = store.Get("balance/alice");
  if (!balance.ok()) return balance.status();
  RETURN_IF_ERROR(Expect(*balance == "70", "ApplyOnce"));

  peat::WriteBatch effects;
  effects.Put("order/17", "paid");
  RETURN_IF_ERROR(Consume(store, 3, 101, effects));
  const absl::StatusOr<uint64_t> offset = NextOffset(store, 3);
  if (!offset.ok()) return offset.status();
  return Expect(*offset == 101, "NextOffset");
}

absl::Status TryWindows(peat::Store& store) {
  for (const uint64_t start : {60, 120, 180}) {
    RETURN_IF_ERROR(CountInWindow(store, "clicks", start, "alice"));
    RETURN_IF_ERROR(CountInWindow(store, "clicks", start, "bob"));
    RETURN_IF_ERROR(CountInWindow(store, "clicks", start, "bob"));
  }
  const absl::StatusOr<uint64_t> dropped = DropWindows(store, "clicks", 180);
  if (!dropped.ok()) return dropped.status();
  RETURN_IF_ERROR(Expect(*dropped == 4, "DropWindows"));
  const absl::StatusOr<uint64_t> sum = SumOfWindow(store, "clicks", 180);
  if (!sum.ok()) return sum.status();
  return Expect(*sum == 3, "SumOfWindow");
}

absl::Status TryJoin(peat::Store& store) {
  RETURN_IF_ERROR(Remember(store, "orders", "alice", 100, "order 1"));
  RETURN_IF_ERROR(Remember(store, "orders", "alice", 200, "order 2"));
  RETURN_IF_ERROR(Remember(store, "orders", "alicia", 150, "order 3"));
  const absl::StatusOr<std::vector<std::string>> matches =
      Matches(store, "orders", "alice", 90, 199);
  if (!matches.ok()) return matches.status();
  return Expect(*matches == std::vector<std::string>{"order 1"}, "Matches");
}

absl::Status TryEnds(const std::filesystem::path& path) {
  absl::StatusOr<std::unique_ptr<peat::Store>> store =
      peat::Store::Open(path, {.time = peat::TimeSource::kCaller});
  if (!store.ok()) return store.status();
  const peat::Time noon = peat::Time(std::chrono::hours(500'000));
  for (int minute = 0; minute < 90; ++minute) {
    RETURN_IF_ERROR(
        CountInHour(**store, "clicks", noon + std::chrono::minutes(minute)));
  }
  RETURN_IF_ERROR(Touch(**store, "alice", "basket 4"));
  for (const uint64_t expected : {3, 1, 0}) {
    const absl::StatusOr<uint64_t> count = (*store)->Count({});
    if (!count.ok()) return count.status();
    RETURN_IF_ERROR(Expect(*count == expected, "CountInHour"));
    RETURN_IF_ERROR(
        (*store)->AdvanceTime((*store)->Now() + std::chrono::hours(1)));
  }
  return (*store)->Close();
}

absl::Status Run(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "state";
  absl::StatusOr<std::unique_ptr<peat::Store>> store =
      peat::Store::Open(path, {.ordered = true});
  if (!store.ok()) return store.status();
  RETURN_IF_ERROR(TryEvents(**store));
  RETURN_IF_ERROR(TryWindows(**store));
  RETURN_IF_ERROR(TryJoin(**store));
  RETURN_IF_ERROR(TryEnds(directory / "ends"));
  const auto backup = BackUp(**store, directory / "backup");
  if (!backup.ok()) return backup.status();

  RETURN_IF_ERROR((*store)->Put("customer/4/name", "Dora"));
  RETURN_IF_ERROR((*store)->Put("customer/4/street", "High Street"));
  const auto receipts = ForgetCustomer(**store, "4", "request 17");
  if (!receipts.ok()) return receipts.status();
  RETURN_IF_ERROR(Expect(receipts->size() == 2, "ForgetCustomer"));
  RETURN_IF_ERROR((*store)->Close());
  for (const peat::ForgetReceipt& receipt : *receipts) {
    const absl::StatusOr<bool> is_kept = IsKept(path, receipt);
    if (!is_kept.ok()) return is_kept.status();
    RETURN_IF_ERROR(Expect(*is_kept, "IsKept"));
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: cookbook DIRECTORY, which is there\n";
    return 2;
  }
  const absl::Status status = Run(argv[1]);
  if (!status.ok()) std::cerr << status.message() << '\n';
  return status.ok() ? 0 : 1;
}
