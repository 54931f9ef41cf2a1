// Peat in C: the whole interface, and what other languages stand on.
//
// A store maps byte strings to byte strings, on one machine, by a log and an
// index in memory. docs/guide.md explains what it promises; this page says how
// it is called from C99. Link with -lpeat (pkg-config peat-c, CMake peat::c).
//
//   peat_store* store = NULL;
//   peat_error* error = NULL;
//   if (peat_open("/var/lib/app/state", NULL, &store, &error) != PEAT_OK) {
//     fprintf(stderr, "%s\n", peat_error_message(error));
//     peat_error_free(error);
//     return 1;
//   }
//   peat_put(store, peat_text("key"), peat_text("value"), NULL, NULL);
//   peat_store_free(store);
//
// These rules hold for every call:
//
//   * It returns a code, and PEAT_OK is 0. `error` may be NULL; if it is not,
//     `*error` is set to NULL, or on failure to an error that the caller frees.
//     It stays NULL for a key that is not there (PEAT_NOT_FOUND), which is no
//     more than an answer, and where there was no memory for it.
//   * Keys and values are a pointer and a size, may contain any bytes, and are
//     copied where they are kept. A pointer may be NULL where the size is 0.
//   * What it makes is written through a pointer to a pointer, is NULL on
//     failure, and is freed by the function of its type whose name ends in
//     _free. All of these take NULL. Objects may be freed in any order; what
//     outlives its store fails with PEAT_FAILED_PRECONDITION.
//   * A pointer that must not be NULL and is, is PEAT_INVALID_ARGUMENT.
//     Pointers to results that are not wanted may be NULL where this page says
//     "optional".
//   * No C++ exception leaves it; no memory is PEAT_RESOURCE_EXHAUSTED.
//   * A store, a snapshot and an audit may be used by any number of threads at
//     once, but for the call that frees them. Every other object is for one
//     thread at a time.
//   * In the child of a fork() every call on a store of the parent is
//     PEAT_FAILED_PRECONDITION, and freeing one does nothing to its files.
//
// How this page grows: functions, constants, and fields at the end of those
// structs that begin with `struct_size` are added, and nothing is changed or
// taken away while the library is libpeat.so.0. The caller zeroes such a
// struct and sets `struct_size` to its sizeof. Zero is the default of every
// field that is given to Peat; one of a later version that an older library
// does not know is PEAT_INVALID_ARGUMENT unless it is zero. Of a struct that
// Peat fills, an older caller gets the fields that it knows, and a newer one
// zeros in those that the library does not know. New constants may come in
// answers, too: take an unknown code for a failure.

#ifndef PEAT_API_C_PEAT_H_
#define PEAT_API_C_PEAT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// NOLINTBEGIN(readability-identifier-naming): the names are C's.

#ifdef __cplusplus
extern "C" {
#endif

// --- Version.

// Of the library that runs, such as "0.1.0". Static.
const char* peat_version(void);

// One number that grows with it: 0.1.0 is 100.
int32_t peat_version_number(void);

// --- Bytes.

typedef struct peat_bytes {
  const void* data;
  size_t size;
} peat_bytes;

typedef struct peat_pair {
  peat_bytes key;
  peat_bytes value;
} peat_pair;

// Room of the caller's that a call fills.
typedef struct peat_space {
  void* data;
  size_t size;
} peat_space;

static inline peat_bytes peat_data(const void* data, size_t size) {
  peat_bytes bytes;
  bytes.data = data;
  bytes.size = size;
  return bytes;
}

// Up to the zero byte and without it.
static inline peat_bytes peat_text(const char* text) {
  return peat_data(text, strlen(text));
}

// A value that a call returned, where it lies. `data` is NULL if there is none;
// an empty value has data that is not. Valid until peat_value_free(), also once
// the store is closed and freed; keeps the segment that it lies in from being
// reclaimed. Any thread may read and free it. Do not copy the struct and free
// both.
typedef struct peat_value {
  const void* data;
  size_t size;
  void* owner[4];  // Peat's
} peat_value;

// Afterwards the struct is as one of zeros, for which it does nothing.
void peat_value_free(peat_value* value);

// --- Errors.

typedef int32_t peat_code;
enum {
  PEAT_OK = 0,
  PEAT_UNKNOWN = 2,
  // A key, value, batch, option or pointer that is not allowed.
  PEAT_INVALID_ARGUMENT = 3,
  // There is no such key; or no store, where none was to be made.
  PEAT_NOT_FOUND = 5,
  // peat_checkpoint() alone: its directory is there.
  PEAT_ALREADY_EXISTS = 6,
  // No right to the files, or a read-only file system.
  PEAT_PERMISSION_DENIED = 7,
  // No disk space, memory, file handles or segments; later calls succeed once
  // there are.
  PEAT_RESOURCE_EXHAUSTED = 8,
  // Closed; opened to read only; forked; a failed write or sync earlier (with
  // the first failure's message); the key is disabled or forgotten.
  PEAT_FAILED_PRECONDITION = 9,
  // A store open to read only needs a file that its writer has removed.
  PEAT_ABORTED = 10,
  PEAT_OUT_OF_RANGE = 11,
  // The files are of a newer version.
  PEAT_UNIMPLEMENTED = 12,
  // A mistake of Peat's.
  PEAT_INTERNAL = 13,
  // The directory is open already.
  PEAT_UNAVAILABLE = 14,
  // Bytes are there and wrong.
  PEAT_DATA_LOSS = 15
};

// "NOT_FOUND" for PEAT_NOT_FOUND, and so on; "UNKNOWN" for what is none.
// Static.
const char* peat_code_name(peat_code code);

// Why a write was refused with PEAT_FAILED_PRECONDITION, if it was for its key.
typedef int32_t peat_refusal;
enum { PEAT_NOT_REFUSED = 0, PEAT_DISABLED = 1, PEAT_FORGOTTEN = 2 };

// What went wrong. Read by any thread.
typedef struct peat_error peat_error;

// Of NULL: PEAT_OK, "", "", PEAT_NOT_REFUSED and -1. The texts end with a zero
// byte and live as long as the error.
peat_code peat_error_code(const peat_error* error);
// One line that says what, with the numbers.
const char* peat_error_message(const peat_error* error);
// The file it is about, as the message names it: one of the store's, or a path;
// "" if it is about none.
const char* peat_error_file(const peat_error* error);
peat_refusal peat_error_refusal(const peat_error* error);
// Which operation of a batch was refused, or which key or pair of a call on
// many was the first to fail, counted from 0; -1: it is not of one.
int64_t peat_error_index(const peat_error* error);
void peat_error_free(peat_error* error);

// --- Open and close.

typedef struct peat_store peat_store;
typedef struct peat_audit peat_audit;

typedef int32_t peat_mode;
enum {
  // Takes the directory's lock; one process at a time.
  PEAT_READ_WRITE = 0,
  // Takes no lock and writes nothing, also beside a process that writes: shows
  // what is there as it is opened, or at the last peat_refresh().
  PEAT_READ_ONLY = 1,
  // As PEAT_READ_ONLY, but opens what is sound of a damaged store. What could
  // be hidden or outdated by an unreadable range answers PEAT_DATA_LOSS.
  PEAT_READ_ONLY_DESPITE_DAMAGE = 2
};

// When writes become durable against power loss. Acknowledged writes survive
// the end of the process always.
typedef int32_t peat_sync;
enum {
  PEAT_SYNC_EXPLICIT = 0,     // by peat_flush()
  PEAT_SYNC_EVERY_WRITE = 1,  // before each write returns
  PEAT_SYNC_INTERVAL = 2      // every sync_interval_ms, in the background
};

typedef int32_t peat_read_method;
enum {
  PEAT_MAPPED = 0,     // fastest; a disk that fails ends the process
  PEAT_POSITIONAL = 1  // a failing disk is an error; a system call a read
};

typedef int32_t peat_choice;
enum { PEAT_DEFAULT = 0, PEAT_YES = 1, PEAT_NO = 2 };

// How a store is opened; peat/options.h says more of each.
typedef struct peat_options {
  size_t struct_size;
  peat_mode mode;
  peat_sync sync;
  uint32_t sync_interval_ms;  // 1 to 3,600,000; default 100
  peat_read_method read_method;
  // Whether a store is made in a directory that is missing (its parent must
  // exist) or empty. Default: yes.
  peat_choice create_if_missing;
  // How long to wait for the lock of a directory that is open elsewhere: at
  // most 3,600,000. Default: not at all.
  uint32_t lock_wait_ms;
  // Bytes that segments may use for each byte that must stay; above 1, at most
  // 100. Default: 1.5.
  double max_space_amplification;
  // That compaction writes, on average. Default: unlimited.
  uint64_t compaction_bytes_per_second;
  peat_choice background_compaction;  // default: yes
  // Whether the index is saved in the background. Default: yes.
  peat_choice background_snapshots;
  // Whether keys are kept in order in memory, for prefixes and ranges.
  // Default: no.
  peat_choice ordered;
} peat_options;

// Opens the store in the directory `path`; `options` may be NULL. Fails with
// PEAT_NOT_FOUND (nothing there, and not to be made), PEAT_INVALID_ARGUMENT
// (not a directory, bad options), PEAT_FAILED_PRECONDITION (a directory of
// another program), PEAT_UNAVAILABLE (open elsewhere), PEAT_DATA_LOSS,
// PEAT_PERMISSION_DENIED, PEAT_UNIMPLEMENTED and PEAT_RESOURCE_EXHAUSTED.
peat_code peat_open(const char* path, const peat_options* options,
                    peat_store** store, peat_error** error);

// peat_open(), and an audit of the same store.
peat_code peat_open_with_audit(const char* path, const peat_options* options,
                               peat_store** store, peat_audit** audit,
                               peat_error** error);

// Flushes, and releases the directory; waits for calls on other threads. Later
// calls, but peat_store_free(), are PEAT_FAILED_PRECONDITION.
peat_code peat_close(peat_store* store, peat_error** error);

// Closes it if it is open, ignoring errors, and frees it. No other call may be
// under way or follow.
void peat_store_free(peat_store* store);

// --- Read. Keys are 0 to 65,535 bytes (else PEAT_INVALID_ARGUMENT).
//
// Every call here can fail with PEAT_DATA_LOSS (the bytes are damaged),
// PEAT_FAILED_PRECONDITION (closed or forked) and PEAT_ABORTED.

// The value without a copy. PEAT_NOT_FOUND, and then it is one of zeros.
peat_code peat_get(const peat_store* store, peat_bytes key, peat_value* value,
                   peat_error** error);

// Copies the value to `space`, as much of it as has room, and sets `*size` to
// its whole size: if that is more, ask again with more room. PEAT_NOT_FOUND.
peat_code peat_get_into(const peat_store* store, peat_bytes key,
                        peat_space space, size_t* size, peat_error** error);

// Room for the answers to many keys, to be used again and again.
typedef struct peat_lookups peat_lookups;

// One answer. `value` is meaningful if `code` is PEAT_OK.
typedef struct peat_lookup {
  peat_bytes value;
  peat_code code;
} peat_lookup;

peat_code peat_lookups_new(peat_lookups** lookups, peat_error** error);
void peat_lookups_free(peat_lookups* lookups);

// The answers of the last peat_multi_get(), one for each of its keys, with
// values where they lie; they live until `lookups` is used for another call or
// freed, and may outlive the store. NULL if there are none.
const peat_lookup* peat_lookups_answers(const peat_lookups* lookups);

// Answers all keys as of one moment with respect to batches; memory latency is
// paid once for the group, not once a key. A key that is not there has the code
// PEAT_NOT_FOUND in its answer, and is no failure of the call; any other code
// is, and the first is returned.
peat_code peat_multi_get(const peat_store* store, const peat_bytes* keys,
                         size_t count, peat_lookups* lookups,
                         peat_error** error);

// Whether peat_get() would find the key. Reads no large value.
peat_code peat_contains(const peat_store* store, peat_bytes key, bool* is_there,
                        peat_error** error);

// Forgotten keys can neither be read nor written; disabled ones only read.
typedef int32_t peat_key_state;
enum {
  PEAT_KEY_ABSENT = 0,
  PEAT_KEY_LIVE = 1,
  PEAT_KEY_DISABLED = 2,
  PEAT_KEY_FORGOTTEN = 3
};

typedef struct peat_key_info {
  size_t struct_size;
  peat_key_state state;
  uint64_t lsn;         // of its newest write; 0 if it is absent
  uint64_t value_size;  // of what peat_get() would return
} peat_key_info;

// All that is known of a key but its value; an absent one is no failure.
peat_code peat_describe(const peat_store* store, peat_bytes key,
                        peat_key_info* info, peat_error** error);

// --- Write. Values are up to 1 GiB (else PEAT_INVALID_ARGUMENT).
//
// Every call here can fail with PEAT_FAILED_PRECONDITION (closed, read only,
// forked, poisoned by an earlier failure; or peat_error_refusal() says that the
// key is disabled or forgotten) and PEAT_RESOURCE_EXHAUSTED (disk).

// How something is put; NULL, and zeros, are the defaults.
typedef struct peat_put_options {
  size_t struct_size;
} peat_put_options;

// Inserts or overwrites.
peat_code peat_put(peat_store* store, peat_bytes key, peat_bytes value,
                   const peat_put_options* options, peat_error** error);

// Puts if the key is absent. `inserted` (optional): whether it did.
peat_code peat_put_if_absent(peat_store* store, peat_bytes key,
                             peat_bytes value, const peat_put_options* options,
                             bool* inserted, peat_error** error);

// Puts, and returns the previous value; one of zeros if the key was absent.
peat_code peat_update(peat_store* store, peat_bytes key, peat_bytes value,
                      const peat_put_options* options, peat_value* previous,
                      peat_error** error);

// Puts `desired` if the value is `*expected` (NULL: if the key is absent).
// `set` (optional): whether it did.
peat_code peat_compare_and_set(peat_store* store, peat_bytes key,
                               const peat_bytes* expected, peat_bytes desired,
                               const peat_put_options* options, bool* set,
                               peat_error** error);

// `was_there` (optional): whether there was such a key.
peat_code peat_delete(peat_store* store, peat_bytes key, bool* was_there,
                      peat_error** error);

// What became of one key or pair of a call on many.
typedef struct peat_outcome {
  peat_code code;
  // If the code is PEAT_OK: of a put true, of an insertion whether the key was
  // absent, of a delete whether it was there.
  bool did;
} peat_outcome;

// Many writes with one call. Each is a write of its own, in the order of the
// array, and one that fails does not keep the others from being tried; the code
// of the first that failed is returned, and peat_error_index() is its place.
// `outcomes` (optional) has room for `count`.
peat_code peat_multi_put(peat_store* store, const peat_pair* pairs,
                         size_t count, const peat_put_options* options,
                         peat_outcome* outcomes, peat_error** error);
peat_code peat_multi_put_if_absent(peat_store* store, const peat_pair* pairs,
                                   size_t count, peat_outcome* outcomes,
                                   peat_error** error);
peat_code peat_multi_delete(peat_store* store, const peat_bytes* keys,
                            size_t count, peat_outcome* outcomes,
                            peat_error** error);

// Deletes the keys that were there as the call was made: from `from` up to `to`
// and without it, or those that begin with `prefix`. In batches of up to 1,000
// keys; after a failure call it again to go on. `count` (optional): how many.
peat_code peat_delete_range(peat_store* store, peat_bytes from, peat_bytes to,
                            uint64_t* count, peat_error** error);
peat_code peat_delete_prefix(peat_store* store, peat_bytes prefix,
                             uint64_t* count, peat_error** error);

// --- Batches: writes that are applied together, or not at all.

typedef struct peat_batch peat_batch;

peat_code peat_batch_new(peat_batch** batch, peat_error** error);
void peat_batch_free(peat_batch* batch);
void peat_batch_clear(peat_batch* batch);

// Add an operation, and keep copies of what they are given. What is not allowed
// is found out by peat_write().
peat_code peat_batch_put(peat_batch* batch, peat_bytes key, peat_bytes value,
                         const peat_put_options* options, peat_error** error);
peat_code peat_batch_delete(peat_batch* batch, peat_bytes key,
                            peat_error** error);
peat_code peat_batch_disable(peat_batch* batch, peat_bytes key,
                             peat_bytes reason, peat_error** error);
peat_code peat_batch_enable(peat_batch* batch, peat_bytes key,
                            peat_bytes reason, peat_error** error);
peat_code peat_batch_forget(peat_batch* batch, peat_bytes key,
                            peat_bytes reason, peat_error** error);

// Operations, and the bytes of their keys, values and reasons. 0 for NULL.
size_t peat_batch_size(const peat_batch* batch);
size_t peat_batch_byte_size(const peat_batch* batch);

// Applies the operations in their order, as one write, of up to 128 MiB. If one
// may not be done none is, and peat_error_index() is its place. The batch stays
// as it is.
peat_code peat_write(peat_store* store, const peat_batch* batch,
                     peat_error** error);

// --- Queries.

typedef struct peat_snapshot peat_snapshot;
typedef struct peat_cursor peat_cursor;

// Which pairs: those that satisfy all that is set; by default all there are.
// They come in byte order, but for a query that sets nothing but `keys_only` on
// a store that is not `ordered`, which then gives the order of the log.
// peat/query.h says what each costs. Everything is copied.
typedef struct peat_query {
  size_t struct_size;
  // NULL: not set. From this key on; up to this one and without it; keys that
  // begin with this; only what comes behind this one in the query's direction.
  const peat_bytes* from;
  const peat_bytes* to;
  const peat_bytes* prefix;
  const peat_bytes* after;
  // These keys, if there are any.
  const peat_bytes* keys;
  size_t key_count;
  bool keys_only;  // with empty values
  bool reverse;    // from the last key to the first
  uint64_t limit;  // 0: all
} peat_query;

// Opens a cursor, which shows the store as of now, whatever is written
// meanwhile, but for keys that are forgotten. `query` may be NULL. An open
// cursor costs memory for what is changed; free it soon.
peat_code peat_scan(const peat_store* store, const peat_query* query,
                    peat_cursor** cursor, peat_error** error);

// Fills `pairs` with the next ones, up to `capacity`, or fewer: about a
// megabyte of them. `*count` of 0 is the end. The bytes live until the next
// call with this cursor. What the cursor fails with is returned once the pairs
// before it have been: PEAT_DATA_LOSS, PEAT_FAILED_PRECONDITION (the store is
// closed) or PEAT_RESOURCE_EXHAUSTED, now and ever after; but see
// peat_cursor_can_go_on().
peat_code peat_cursor_next(peat_cursor* cursor, peat_pair* pairs,
                           size_t capacity, size_t* count, peat_error** error);

// As peat_cursor_next(), but writes the pairs into `space`, one behind the
// other: 4 bytes for the size of the key and 4 for that of the value, in the
// machine's byte order, then the key, then the value. `used` is how much they
// took. If the next pair has no room in the whole of it, the call is
// PEAT_OUT_OF_RANGE, and `used` is what it needs.
peat_code peat_cursor_fill(peat_cursor* cursor, peat_space space, size_t* used,
                           size_t* count, peat_error** error);

// Goes to the first pair of the query that is not before `key`, in the
// direction of the query. PEAT_FAILED_PRECONDITION where pairs do not come in
// byte order, or once the end has been reached.
peat_code peat_cursor_seek(peat_cursor* cursor, peat_bytes key,
                           peat_error** error);

// Whether the last failure was of one damaged pair, so that the next call goes
// on behind it (PEAT_READ_ONLY_DESPITE_DAMAGE). `key` (optional) is that
// pair's, until the next call with this cursor.
bool peat_cursor_can_go_on(const peat_cursor* cursor, peat_bytes* key);

void peat_cursor_free(peat_cursor* cursor);

// How many pairs peat_scan() would list.
peat_code peat_count(const peat_store* store, const peat_query* query,
                     uint64_t* count, peat_error** error);

// The store as of now, for peat_snapshot_get() and any number of cursors, which
// may outlive it. A key that is forgotten meanwhile is not shown any more.
peat_code peat_snapshot_open(const peat_store* store, peat_snapshot** snapshot,
                             peat_error** error);
peat_code peat_snapshot_get(const peat_snapshot* snapshot, peat_bytes key,
                            peat_value* value, peat_error** error);
peat_code peat_snapshot_scan(const peat_snapshot* snapshot,
                             const peat_query* query, peat_cursor** cursor,
                             peat_error** error);
void peat_snapshot_free(peat_snapshot* snapshot);

// --- Masks (docs/masks.md). A reason is any bytes, up to 64 KiB, kept for ever
// and shown by an audit alone; {NULL, 0}: none.

// The key can be read and not written any more, until it is enabled again.
// PEAT_NOT_FOUND if there is none.
peat_code peat_disable(peat_store* store, peat_bytes key, peat_bytes reason,
                       peat_error** error);
peat_code peat_enable(peat_store* store, peat_bytes key, peat_bytes reason,
                      peat_error** error);

// What was forgotten: an auditor can hold what is kept against it.
typedef struct peat_receipt {
  size_t struct_size;
  uint8_t store_id[16];
  uint64_t lsn;
  // BLAKE2b-256. Both are missing if the key was forgotten already, that of the
  // value if it had none.
  bool has_key_digest;
  bool has_value_digest;
  uint8_t key_digest[32];
  uint8_t value_digest[32];
} peat_receipt;

// For ever: the key is never again readable or writable. An absent key can be
// forgotten, too. `receipt` is optional.
peat_code peat_forget(peat_store* store, peat_bytes key, peat_bytes reason,
                      peat_receipt* receipt, peat_error** error);

typedef struct peat_forget_all_options {
  size_t struct_size;
  peat_bytes reason;
  bool dry_run;  // only count
  // Called, unless NULL, with the receipt of each key once its batch is
  // written, by the thread of the call. Must return, and not by longjmp() or an
  // exception.
  void (*on_receipt)(void* context, peat_bytes key,
                     const peat_receipt* receipt);
  void* context;
} peat_forget_all_options;

typedef struct peat_forget_all_result {
  size_t struct_size;
  uint64_t key_count;
  uint64_t byte_count;  // of these keys and their values
} peat_forget_all_result;

// Forgets every key that begins with `prefix` and is live or disabled as the
// call is made. In batches of up to 1,000 keys; after a failure call it again
// to go on. `options` and `result` are optional.
peat_code peat_forget_all(peat_store* store, peat_bytes prefix,
                          const peat_forget_all_options* options,
                          peat_forget_all_result* result, peat_error** error);

// --- Audit: lists what was masked, and shows what was preserved of it.

typedef struct peat_mask_cursor peat_mask_cursor;

typedef int32_t peat_mask_kind;
enum { PEAT_MASK_DISABLE = 0, PEAT_MASK_ENABLE = 1, PEAT_MASK_FORGET = 2 };

typedef struct peat_mask {
  size_t struct_size;
  peat_mask_kind kind;
  peat_bytes key;
  uint64_t lsn;
  int64_t time_us;  // since 1970, by the clock of the machine that set it
  peat_bytes reason;
  uint64_t value_lsn;  // of the put that it has preserved; 0: none
  bool is_whole;       // false: compaction has cut it down to the above
} peat_mask;

// Which masks. All that is set must hold.
typedef struct peat_mask_query {
  size_t struct_size;
  const peat_bytes* key;  // NULL: not set
  const peat_bytes* prefix;
  uint64_t first_lsn;
  uint64_t last_lsn;  // inclusive; 0: up to the last
  int64_t first_time_us;
  int64_t last_time_us;  // inclusive; 0: up to the last
  bool without_disables;
  bool without_enables;
  bool without_forgets;
  bool newest_first;
} peat_mask_query;

typedef struct peat_mask_tally {
  size_t struct_size;
  uint64_t disables;
  uint64_t enables;
  uint64_t forgets;
} peat_mask_tally;

// Opens the directory to read only, also beside a process that writes.
peat_code peat_audit_open(const char* path, peat_audit** audit,
                          peat_error** error);
void peat_audit_free(peat_audit* audit);

// The preserved value of a key that is disabled or forgotten. PEAT_NOT_FOUND if
// it is neither, or nothing was stored.
peat_code peat_audit_reveal(const peat_audit* audit, peat_bytes key,
                            peat_value* value, peat_error** error);
peat_code peat_audit_count(const peat_audit* audit,
                           const peat_mask_query* query, peat_mask_tally* tally,
                           peat_error** error);

// In the order of their lsns. `query` may be NULL: all masks.
peat_code peat_audit_masks(const peat_audit* audit,
                           const peat_mask_query* query,
                           peat_mask_cursor** masks, peat_error** error);
// The next mask; `*is_there` is false at the end. Its bytes live until the next
// call of this function or peat_mask_cursor_free().
peat_code peat_mask_cursor_next(peat_mask_cursor* masks, peat_mask* mask,
                                bool* is_there, peat_error** error);
// Of the mask that peat_mask_cursor_next() gave last. The value that it
// preserves: PEAT_NOT_FOUND if there is none. And the receipt of a forget, made
// anew from what is kept: PEAT_DATA_LOSS if that is not what was forgotten,
// PEAT_FAILED_PRECONDITION for other kinds.
peat_code peat_mask_cursor_value(const peat_mask_cursor* masks,
                                 peat_value* value, peat_error** error);
peat_code peat_mask_cursor_receipt(const peat_mask_cursor* masks,
                                   peat_receipt* receipt, peat_error** error);
void peat_mask_cursor_free(peat_mask_cursor* masks);

// --- Durability, space, copies.

// Makes everything acknowledged before the call durable. `lsn` (optional): the
// write up to which it is. After a failure every write fails.
peat_code peat_flush(peat_store* store, uint64_t* lsn, peat_error** error);

// Gives back all the space that can be gained, now. Reads and writes go on.
peat_code peat_compact(peat_store* store, peat_error** error);

typedef struct peat_checkpoint_result {
  size_t struct_size;
  uint64_t lsn;  // the copy holds all up to here
  uint64_t linked_bytes;
  uint64_t copied_bytes;
} peat_checkpoint_result;

// A copy of the store in a new directory, whose parent must exist, by hard
// links where it can be. `result` is optional. Fails with PEAT_ALREADY_EXISTS,
// PEAT_INVALID_ARGUMENT (inside the store), PEAT_NOT_FOUND (no parent),
// PEAT_UNAVAILABLE (under way already), PEAT_RESOURCE_EXHAUSTED,
// PEAT_DATA_LOSS.
peat_code peat_checkpoint(peat_store* store, const char* new_directory,
                          peat_checkpoint_result* result, peat_error** error);

// Brings a store that is open to read only up to now. Open cursors, snapshots
// and audits end. PEAT_FAILED_PRECONDITION if it is open for writing.
peat_code peat_refresh(peat_store* store, peat_error** error);

// --- Statistics; peat/stats.h explains each number.

typedef struct peat_stats {
  size_t struct_size;
  uint64_t key_count;
  uint64_t disabled_key_count;
  uint64_t forgotten_key_count;
  uint64_t live_bytes;
  uint64_t dead_bytes;
  uint64_t used_bytes;
  uint64_t spare_bytes;
  uint64_t tombstone_bytes;
  uint64_t segment_count;
  uint64_t value_file_count;
  uint64_t value_file_bytes;
  uint64_t index_bytes;
  uint64_t ordered_index_bytes;
  uint64_t full_log_scans;
  uint64_t view_count;
  uint64_t view_saved_count;
  uint64_t view_saved_bytes;
  uint64_t view_held_bytes;
  uint64_t last_lsn;
  uint64_t durable_lsn;
  uint64_t flush_count;
  uint64_t flush_overdue_milliseconds;
  uint64_t compaction_count;
  uint64_t compaction_written_bytes;
  uint64_t compaction_removed_bytes;
  uint64_t appended_bytes;
  uint64_t index_image_count;
  uint64_t index_image_bytes;
  double space_amplification;
  double write_amplification;
  double slowed_seconds;
  bool ordered_index_complete;
  bool reserve_complete;
  // How the store was opened: `open_cut_count` ranges were cut away as torn,
  // `open_damaged_count` could not be read.
  bool open_clean;
  uint64_t open_keys_loaded;
  uint64_t open_records_replayed;
  uint64_t open_bytes_replayed;
  uint64_t open_milliseconds;
  uint64_t open_ordered_milliseconds;
  uint64_t open_cut_count;
  uint64_t open_damaged_count;
} peat_stats;

peat_code peat_get_stats(const peat_store* store, peat_stats* stats,
                         peat_error** error);

#ifdef __cplusplus
}  // extern "C"
#endif

// NOLINTEND(readability-identifier-naming)

#endif  // PEAT_API_C_PEAT_H_
