// The C interface from C: what a table of calls cannot say, that is pointers,
// ownership, sizes of structs, and what outlives what.
// tests/bindings/cases.json has the rest.

#define _XOPEN_SOURCE 700

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peat.h"

static int failure_count = 0;

#define EXPECT(condition)                                             \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      ++failure_count;                                                \
    }                                                                 \
  } while (0)

static char directory[64];

static void Path(char* path, size_t size, const char* name) {
  snprintf(path, size, "%s/%s", directory, name);
}

static peat_store* Open(const char* name) {
  char path[128];
  peat_store* store = NULL;
  peat_error* error = NULL;
  Path(path, sizeof(path), name);
  if (peat_open(path, NULL, &store, &error) != PEAT_OK) {
    fprintf(stderr, "%s\n", peat_error_message(error));
    exit(1);
  }
  return store;
}

static int Is(const void* data, size_t size, const char* text) {
  return data != NULL && size == strlen(text) && memcmp(data, text, size) == 0;
}

static void TestVersion(void) {
  EXPECT(strcmp(peat_version(), "0.1.0") == 0);
  EXPECT(peat_version_number() == 100);
  EXPECT(strcmp(peat_code_name(PEAT_DATA_LOSS), "DATA_LOSS") == 0);
  EXPECT(strcmp(peat_code_name(77), "UNKNOWN") == 0);
}

static void TestValuesOutliveTheStore(void) {
  peat_store* store = Open("values");
  peat_value value;
  peat_value previous;
  peat_value empty;
  EXPECT(peat_put(store, peat_text("a"), peat_text("one"), NULL, NULL) ==
         PEAT_OK);
  EXPECT(peat_put(store, peat_data(NULL, 0), peat_data(NULL, 0), NULL, NULL) ==
         PEAT_OK);
  EXPECT(peat_get(store, peat_text("a"), &value, NULL) == PEAT_OK);
  EXPECT(peat_get(store, peat_text(""), &empty, NULL) == PEAT_OK);
  EXPECT(peat_update(store, peat_text("a"), peat_text("two"), NULL, &previous,
                     NULL) == PEAT_OK);
  peat_store_free(store);
  EXPECT(Is(value.data, value.size, "one"));
  EXPECT(Is(previous.data, previous.size, "one"));
  EXPECT(Is(empty.data, empty.size, ""));
  peat_value_free(&value);
  peat_value_free(&value);
  peat_value_free(&previous);
  peat_value_free(&empty);
  EXPECT(value.data == NULL);
}

static void TestErrors(void) {
  peat_store* store = Open("errors");
  peat_store* second = store;
  peat_error* error = NULL;
  peat_value value;
  char path[128];

  // A miss is an answer, not an error.
  EXPECT(peat_get(store, peat_text("no"), &value, &error) == PEAT_NOT_FOUND);
  EXPECT(error == NULL);
  EXPECT(value.data == NULL);

  Path(path, sizeof(path), "errors");
  EXPECT(peat_open(path, NULL, &second, &error) == PEAT_UNAVAILABLE);
  EXPECT(second == NULL);
  EXPECT(peat_error_code(error) == PEAT_UNAVAILABLE);
  EXPECT(strstr(peat_error_message(error), "locked") != NULL);
  EXPECT(strstr(peat_error_file(error), "errors") != NULL);
  EXPECT(peat_error_index(error) == -1);
  EXPECT(peat_error_refusal(error) == PEAT_NOT_REFUSED);
  peat_error_free(error);

  // What is not asked for is not made.
  EXPECT(peat_open(path, NULL, &second, NULL) == PEAT_UNAVAILABLE);
  EXPECT(peat_disable(store, peat_text("no"), peat_data(NULL, 0), &error) ==
         PEAT_NOT_FOUND);
  peat_error_free(error);
  EXPECT(peat_close(store, &error) == PEAT_OK);
  EXPECT(error == NULL);
  EXPECT(peat_put(store, peat_text("a"), peat_text("b"), NULL, &error) ==
         PEAT_FAILED_PRECONDITION);
  EXPECT(peat_error_code(error) == PEAT_FAILED_PRECONDITION);
  peat_error_free(error);
  peat_store_free(store);

  EXPECT(peat_error_code(NULL) == PEAT_OK);
  EXPECT(strcmp(peat_error_message(NULL), "") == 0);
}

// No pointer that must not be NULL is followed.
static void TestNullArguments(void) {
  peat_store* store = Open("nulls");
  peat_store* none = store;  // what it was is not left there
  peat_bytes a = peat_text("a");
  peat_bytes wrong = peat_data(NULL, 3);
  peat_batch* batch = NULL;
  peat_cursor* cursor = NULL;
  peat_pair pair;
  size_t count = 0;
  peat_error* error = NULL;
  peat_value value;
  peat_snapshot* snapshot = NULL;
  peat_lookups* lookups = NULL;

  EXPECT(peat_open(NULL, NULL, &none, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(none == NULL);
  EXPECT(peat_open("x", NULL, NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_put(NULL, a, a, NULL, &error) == PEAT_INVALID_ARGUMENT);
  EXPECT(strstr(peat_error_message(error), "NULL") != NULL);
  peat_error_free(error);
  EXPECT(peat_put(store, wrong, a, NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_put(store, a, wrong, NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_get(store, a, NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_get(NULL, a, &value, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_get_into(store, a, *(peat_space*)&wrong, &count, NULL) ==
         PEAT_INVALID_ARGUMENT);
  EXPECT(peat_multi_get(store, NULL, 1, NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_multi_put(store, NULL, 1, NULL, NULL, NULL) ==
         PEAT_INVALID_ARGUMENT);
  EXPECT(peat_multi_put(store, NULL, 0, NULL, NULL, NULL) == PEAT_OK);
  EXPECT(peat_multi_delete(NULL, NULL, 0, NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_put_if_absent(store, a, a, NULL, NULL, NULL) == PEAT_OK);
  EXPECT(peat_delete(store, a, NULL, NULL) == PEAT_OK);
  EXPECT(peat_batch_new(NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_batch_put(batch, a, a, NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_write(store, batch, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_batch_size(NULL) == 0);
  EXPECT(peat_scan(store, NULL, NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_cursor_next(NULL, &pair, 1, &count, NULL) ==
         PEAT_INVALID_ARGUMENT);
  EXPECT(peat_scan(store, NULL, &cursor, NULL) == PEAT_OK);
  EXPECT(peat_cursor_next(cursor, &pair, 0, &count, NULL) ==
         PEAT_INVALID_ARGUMENT);
  EXPECT(!peat_cursor_can_go_on(NULL, NULL));
  EXPECT(peat_snapshot_get(NULL, a, &value, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_get_stats(store, NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_checkpoint(store, NULL, NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_audit_open(NULL, NULL, NULL) == PEAT_INVALID_ARGUMENT);
  EXPECT(peat_flush(store, NULL, NULL) == PEAT_OK);
  peat_cursor_free(cursor);
  peat_store_free(store);

  peat_store_free(NULL);
  peat_cursor_free(NULL);
  peat_batch_free(batch);
  peat_batch_clear(NULL);
  peat_snapshot_free(snapshot);
  peat_lookups_free(lookups);
  peat_audit_free(NULL);
  peat_mask_cursor_free(NULL);
  peat_value_free(NULL);
  peat_error_free(NULL);
}

// A struct of another version's size.
static void TestStructSizes(void) {
  struct {
    peat_options options;
    uint64_t later;
  } newer;
  struct {
    peat_stats stats;
    uint64_t later;
  } newer_stats;
  struct {
    size_t struct_size;
    uint64_t key_count;
    uint64_t beyond;
  } older_stats;
  char path[128];
  peat_store* store = NULL;
  peat_error* error = NULL;

  Path(path, sizeof(path), "sizes");
  memset(&newer, 0, sizeof(newer));
  EXPECT(peat_open(path, &newer.options, &store, &error) ==
         PEAT_INVALID_ARGUMENT);
  EXPECT(strstr(peat_error_message(error), "struct_size is 0") != NULL);
  peat_error_free(error);
  newer.options.struct_size = sizeof(newer);
  newer.later = 1;
  EXPECT(peat_open(path, &newer.options, &store, NULL) ==
         PEAT_INVALID_ARGUMENT);
  newer.later = 0;
  newer.options.ordered = PEAT_YES;
  EXPECT(peat_open(path, &newer.options, &store, NULL) == PEAT_OK);

  EXPECT(peat_put(store, peat_text("a"), peat_text("b"), NULL, NULL) ==
         PEAT_OK);
  memset(&newer_stats, 0xff, sizeof(newer_stats));
  newer_stats.stats.struct_size = sizeof(newer_stats);
  EXPECT(peat_get_stats(store, &newer_stats.stats, NULL) == PEAT_OK);
  EXPECT(newer_stats.stats.struct_size == sizeof(newer_stats));
  EXPECT(newer_stats.stats.key_count == 1);
  EXPECT(newer_stats.stats.ordered_index_bytes > 0);
  EXPECT(newer_stats.later == 0);
  older_stats.struct_size = offsetof(peat_stats, disabled_key_count);
  older_stats.key_count = 77;
  older_stats.beyond = 77;
  EXPECT(peat_get_stats(store, (peat_stats*)(void*)&older_stats, NULL) ==
         PEAT_OK);
  EXPECT(older_stats.key_count == 1);
  EXPECT(older_stats.beyond == 77);
  peat_store_free(store);
}

static void TestManyCallsAtOnce(void) {
  enum { kCount = 100 };
  peat_store* store = Open("many");
  char names[kCount][8];
  peat_pair pairs[kCount];
  peat_bytes keys[kCount + 1];
  peat_outcome outcomes[kCount + 1];
  peat_lookups* lookups = NULL;
  const peat_lookup* answers;
  peat_error* error = NULL;
  static char huge[65536];
  size_t i;

  for (i = 0; i < kCount; ++i) {
    snprintf(names[i], sizeof(names[i]), "%03zu", i);
    pairs[i].key = keys[i] = peat_text(names[i]);
    pairs[i].value = peat_data(names[i], i % 4);
  }
  keys[kCount] = peat_text("no");
  EXPECT(peat_multi_put(store, pairs, 50, NULL, outcomes, NULL) == PEAT_OK);
  EXPECT(outcomes[49].code == PEAT_OK && outcomes[49].did);
  EXPECT(peat_multi_put_if_absent(store, pairs, kCount, outcomes, NULL) ==
         PEAT_OK);
  EXPECT(!outcomes[49].did);
  EXPECT(outcomes[50].did);
  EXPECT(peat_lookups_new(&lookups, NULL) == PEAT_OK);
  EXPECT(peat_lookups_answers(lookups) == NULL);
  EXPECT(peat_multi_get(store, keys, kCount + 1, lookups, NULL) == PEAT_OK);
  answers = peat_lookups_answers(lookups);
  for (i = 0; i < kCount; ++i) {
    EXPECT(answers[i].code == PEAT_OK);
    EXPECT(answers[i].value.size == i % 4);
    EXPECT(memcmp(answers[i].value.data, names[i], i % 4) == 0);
  }
  EXPECT(answers[kCount].code == PEAT_NOT_FOUND);
  EXPECT(answers[kCount].value.data == NULL);

  // One that fails does not keep the others from being tried.
  pairs[7].key = peat_data(huge, sizeof(huge));
  EXPECT(peat_multi_put(store, pairs, kCount, NULL, outcomes, &error) ==
         PEAT_INVALID_ARGUMENT);
  EXPECT(peat_error_index(error) == 7);
  EXPECT(outcomes[7].code == PEAT_INVALID_ARGUMENT && !outcomes[7].did);
  EXPECT(outcomes[8].code == PEAT_OK && outcomes[8].did);
  peat_error_free(error);
  EXPECT(peat_multi_delete(store, keys, kCount + 1, outcomes, NULL) == PEAT_OK);
  EXPECT(outcomes[8].did);
  peat_store_free(store);

  // The answers keep what they point to.
  EXPECT(memcmp(answers[3].value.data, "003", 3) == 0);
  peat_lookups_free(lookups);
}

static void TestCursorsFillArraysAndBuffers(void) {
  peat_store* store = Open("cursors");
  peat_cursor* cursor = NULL;
  peat_pair pairs[8];
  size_t count = 0;
  size_t used = 0;
  size_t total = 0;
  char room[64];
  uint32_t sizes[2];
  peat_space space;
  peat_error* error = NULL;
  static char large[700 * 1000];
  const peat_bytes from = peat_text("00");
  peat_query query;
  int i;

  for (i = 0; i < 20; ++i) {
    char key[8];
    snprintf(key, sizeof(key), "%02d", i);
    EXPECT(peat_put(store, peat_text(key), peat_text("value"), NULL, NULL) ==
           PEAT_OK);
  }
  EXPECT(peat_scan(store, NULL, &cursor, NULL) == PEAT_OK);
  while (peat_cursor_next(cursor, pairs, 8, &count, NULL) == PEAT_OK &&
         count > 0) {
    EXPECT(
        Is(pairs[count - 1].value.data, pairs[count - 1].value.size, "value"));
    total += count;
  }
  EXPECT(total == 20);
  EXPECT(peat_cursor_next(cursor, pairs, 8, &count, NULL) == PEAT_OK);
  EXPECT(count == 0);
  EXPECT(peat_cursor_seek(cursor, peat_text("00"), NULL) ==
         PEAT_FAILED_PRECONDITION);
  peat_cursor_free(cursor);

  EXPECT(peat_scan(store, NULL, &cursor, NULL) == PEAT_OK);
  space.data = room;
  space.size = 10;
  EXPECT(peat_cursor_fill(cursor, space, &used, &count, &error) ==
         PEAT_OUT_OF_RANGE);
  peat_error_free(error);
  EXPECT(used == 15);
  space.size = sizeof(room);
  EXPECT(peat_cursor_fill(cursor, space, &used, &count, NULL) == PEAT_OK);
  EXPECT(count == 4);
  EXPECT(used == 60);
  memcpy(sizes, room + 45, sizeof(sizes));
  EXPECT(sizes[0] == 2 && sizes[1] == 5);
  EXPECT(memcmp(room + 53, "03value", 7) == 0);
  peat_cursor_free(cursor);

  // About a megabyte at a time.
  for (i = 0; i < 4; ++i) {
    char key[8];
    snprintf(key, sizeof(key), "%02d", i);
    EXPECT(peat_put(store, peat_text(key), peat_data(large, sizeof(large)),
                    NULL, NULL) == PEAT_OK);
  }
  memset(&query, 0, sizeof(query));
  query.struct_size = sizeof(query);
  query.from = &from;
  EXPECT(peat_scan(store, &query, &cursor, NULL) == PEAT_OK);
  EXPECT(peat_cursor_next(cursor, pairs, 8, &count, NULL) == PEAT_OK);
  EXPECT(count == 2);
  peat_store_free(store);
  // The pair that it had read already comes first.
  while (peat_cursor_next(cursor, pairs, 8, &count, &error) == PEAT_OK) {
    if (count == 0) break;
  }
  EXPECT(peat_error_code(error) == PEAT_FAILED_PRECONDITION);
  peat_error_free(error);
  peat_cursor_free(cursor);
}

static void OnReceipt(void* context, peat_bytes key,
                      const peat_receipt* receipt) {
  *(size_t*)context += key.size;
  EXPECT(receipt->struct_size == sizeof(peat_receipt));
  EXPECT(receipt->has_key_digest);
}

static void TestMasksAndTheirAudit(void) {
  peat_store* store = NULL;
  peat_audit* audit = NULL;
  peat_mask_cursor* masks = NULL;
  peat_mask mask;
  peat_mask_tally tally;
  peat_receipt receipt;
  peat_receipt again;
  peat_value value;
  peat_forget_all_options all;
  peat_forget_all_result result;
  bool is_there = false;
  size_t sum = 0;
  char path[128];

  Path(path, sizeof(path), "masks");
  EXPECT(peat_open_with_audit(path, NULL, &store, &audit, NULL) == PEAT_OK);
  EXPECT(peat_put(store, peat_text("p/1"), peat_text("x"), NULL, NULL) ==
         PEAT_OK);
  EXPECT(peat_put(store, peat_text("p/22"), peat_text("y"), NULL, NULL) ==
         PEAT_OK);
  memset(&receipt, 0, sizeof(receipt));
  receipt.struct_size = sizeof(receipt);
  EXPECT(peat_forget(store, peat_text("p/1"), peat_text("asked"), &receipt,
                     NULL) == PEAT_OK);
  EXPECT(receipt.has_key_digest && receipt.has_value_digest);
  EXPECT(receipt.lsn == 3);
  memset(&all, 0, sizeof(all));
  all.struct_size = sizeof(all);
  all.on_receipt = OnReceipt;
  all.context = &sum;
  memset(&result, 0, sizeof(result));
  result.struct_size = sizeof(result);
  EXPECT(peat_forget_all(store, peat_text("p/"), &all, &result, NULL) ==
         PEAT_OK);
  EXPECT(sum == 4);
  EXPECT(result.key_count == 1 && result.byte_count == 5);

  EXPECT(peat_audit_reveal(audit, peat_text("p/1"), &value, NULL) == PEAT_OK);
  EXPECT(Is(value.data, value.size, "x"));
  peat_value_free(&value);
  memset(&tally, 0, sizeof(tally));
  tally.struct_size = sizeof(tally);
  EXPECT(peat_audit_count(audit, NULL, &tally, NULL) == PEAT_OK);
  EXPECT(tally.forgets == 2);
  EXPECT(peat_audit_masks(audit, NULL, &masks, NULL) == PEAT_OK);
  EXPECT(peat_mask_cursor_value(masks, &value, NULL) ==
         PEAT_FAILED_PRECONDITION);
  memset(&mask, 0, sizeof(mask));
  mask.struct_size = sizeof(mask);
  EXPECT(peat_mask_cursor_next(masks, &mask, &is_there, NULL) == PEAT_OK);
  EXPECT(is_there && mask.kind == PEAT_MASK_FORGET && mask.lsn == 3);
  EXPECT(Is(mask.reason.data, mask.reason.size, "asked"));
  EXPECT(mask.time_us > 0 && mask.is_whole);
  EXPECT(peat_mask_cursor_value(masks, &value, NULL) == PEAT_OK);
  EXPECT(Is(value.data, value.size, "x"));
  peat_value_free(&value);
  memset(&again, 0, sizeof(again));
  again.struct_size = sizeof(again);
  EXPECT(peat_mask_cursor_receipt(masks, &again, NULL) == PEAT_OK);
  EXPECT(memcmp(&again, &receipt, sizeof(again)) == 0);
  EXPECT(peat_mask_cursor_next(masks, &mask, &is_there, NULL) == PEAT_OK);
  EXPECT(is_there);
  EXPECT(peat_mask_cursor_next(masks, &mask, &is_there, NULL) == PEAT_OK);
  EXPECT(!is_there);
  peat_store_free(store);
  EXPECT(peat_audit_reveal(audit, peat_text("p/1"), &value, NULL) ==
         PEAT_FAILED_PRECONDITION);
  peat_audit_free(audit);
  peat_mask_cursor_free(masks);
  EXPECT(peat_audit_open(path, &audit, NULL) == PEAT_OK);
  EXPECT(peat_audit_reveal(audit, peat_text("p/22"), &value, NULL) == PEAT_OK);
  peat_value_free(&value);
  peat_audit_free(audit);
}

static void TestTheChildOfAFork(void) {
  peat_store* store = Open("fork");
  peat_value value;
  int status = 0;
  pid_t child;

  EXPECT(peat_put(store, peat_text("a"), peat_text("b"), NULL, NULL) ==
         PEAT_OK);
  child = fork();
  if (child == 0) {
    int is_refused = peat_put(store, peat_text("a"), peat_text("c"), NULL,
                              NULL) == PEAT_FAILED_PRECONDITION;
    peat_store_free(store);
    _exit(is_refused ? 0 : 1);
  }
  EXPECT(waitpid(child, &status, 0) == child);
  EXPECT(status == 0);
  EXPECT(peat_get(store, peat_text("a"), &value, NULL) == PEAT_OK);
  EXPECT(Is(value.data, value.size, "b"));
  peat_value_free(&value);
  peat_store_free(store);
}

int main(void) {
  char command[128];
  snprintf(directory, sizeof(directory), "%s", "/tmp/peat_c_test_XXXXXX");
  if (mkdtemp(directory) == NULL) return 1;
  TestVersion();
  TestValuesOutliveTheStore();
  TestErrors();
  TestNullArguments();
  TestStructSizes();
  TestManyCallsAtOnce();
  TestCursorsFillArraysAndBuffers();
  TestMasksAndTheirAudit();
  TestTheChildOfAFork();
  snprintf(command, sizeof(command), "rm -rf %s", directory);
  if (system(command) != 0) return 1;
  if (failure_count == 0) printf("passed\n");
  return failure_count == 0 ? 0 : 1;
}
