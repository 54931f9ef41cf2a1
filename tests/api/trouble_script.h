// A short life of a store, which a driver lives while its system calls fail,
// and whose every step the test knows.
//
// The driver prints a line per step before it ("try 3") and behind it ("ok 3",
// "fail 3: DATA_LOSS: ..."). Steps that write do so all or nothing.

#ifndef PEAT_TESTS_API_TROUBLE_SCRIPT_H_
#define PEAT_TESTS_API_TROUBLE_SCRIPT_H_

#include <map>
#include <string>

#include "peat/store.h"

namespace peat::testing {

using Model = std::map<std::string, std::string>;

// The path that the driver tries to open when it begins: what comes before is
// the dynamic loader's.
inline constexpr char kMarkerPath[] = "/peat-begins-here";

inline constexpr int kStepCount = 34;

inline absl::Status DoBatch(Store* store, Model& model) {
  WriteBatch batch;
  batch.Put("c", "batch");
  batch.Put("large2", std::string(310'000, 'M'));
  batch.Delete("b");
  model["c"] = "batch";
  model["large2"] = std::string(310'000, 'M');
  model.erase("b");
  return store == nullptr ? absl::OkStatus() : store->Write(batch);
}

inline absl::Status DoPut(Store* store, Model& model, const std::string& key,
                          const std::string& value) {
  model[key] = value;
  return store == nullptr ? absl::OkStatus() : store->Put(key, value);
}

inline absl::Status DoDelete(Store* store, Model& model,
                             const std::string& key) {
  model.erase(key);
  return store == nullptr ? absl::OkStatus() : store->Delete(key).status();
}

inline absl::Status DoFlush(Store* store) {
  return store == nullptr ? absl::OkStatus() : store->Flush().status();
}

// Does one step to the model, and to the store if there is one.
inline absl::Status DoStep(int step, Store* store, Model& model) {
  switch (step) {
    case 0:
      return DoPut(store, model, "a", "1");
    case 1:
      return DoPut(store, model, "b", std::string(1000, 'b'));
    case 2:
      return DoPut(store, model, "large", std::string(300'000, 'L'));
    case 3:
      return DoFlush(store);
    case 4:
      return DoBatch(store, model);
    case 5:
      return DoDelete(store, model, "a");
    case 6:
      return DoPut(store, model, "large", std::string(320'000, 'N'));
    case 30:
      return DoFlush(store);
    case 31:
      return DoDelete(store, model, "k7");
    case 32:
      return DoPut(store, model, "large3", std::string(300'000, 'O'));
    case 33:
      return DoPut(store, model, "z", "last");
    default:  // two segments full
      return DoPut(store, model, "k" + std::to_string(step),
                   std::string(90'000, static_cast<char>('A' + step % 26)));
  }
}

}  // namespace peat::testing

#endif  // PEAT_TESTS_API_TROUBLE_SCRIPT_H_
