// Tells new events from those that came before, even in an earlier run.
#include <iostream>

#include "peat/store.h"

int main() {
  auto store = peat::Store::Open("events.peat");
  if (!store.ok()) return 1;
  for (const char* id : {"order-17", "order-18", "order-17"}) {
    auto inserted = (*store)->PutIfAbsent(id, "seen");
    if (!inserted.ok()) return 1;
    std::cout << id << (*inserted ? " is new\n" : " came before\n");
  }
}
