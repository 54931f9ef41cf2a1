/* Uses the installed C library: puts, opens again and gets. */

#include <peat.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
  int round;
  if (argc != 2) return 2;
  for (round = 0; round < 2; ++round) {
    peat_store* store = NULL;
    peat_error* error = NULL;
    peat_value value;
    peat_code code = peat_open(argv[1], NULL, &store, &error);
    if (code == PEAT_OK && round == 0) {
      code =
          peat_put(store, peat_text("key"), peat_text("value"), NULL, &error);
    } else if (code == PEAT_OK) {
      code = peat_get(store, peat_text("key"), &value, &error);
      if (code == PEAT_OK && memcmp(value.data, "value", 5) != 0) return 1;
      peat_value_free(&value);
    }
    if (code != PEAT_OK) fprintf(stderr, "%s\n", peat_error_message(error));
    peat_error_free(error);
    peat_store_free(store);
    if (code != PEAT_OK) return 1;
  }
  return 0;
}
