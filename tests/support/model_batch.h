// A unit of the model as the batch that a store takes.

#ifndef PEAT_TESTS_SUPPORT_MODEL_BATCH_H_
#define PEAT_TESTS_SUPPORT_MODEL_BATCH_H_

#include <vector>

#include "engine/write/writer.h"
#include "tests/support/model.h"

namespace peat::testing {

// Its views live as long as `unit`.
inline std::vector<engine::BatchOperation> BatchOf(const ModelUnit& unit) {
  std::vector<engine::BatchOperation> batch;
  for (const ModelWrite& write : unit) {
    batch.push_back({.operation = write.operation,
                     .key = write.key,
                     .value = write.value,
                     .reason = write.reason});
  }
  return batch;
}

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_MODEL_BATCH_H_
