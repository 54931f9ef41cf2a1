#include "tools/loader.h"

#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "peat/write_batch.h"
#include "tools/exit_code.h"
#include "tools/output.h"

namespace peat::tools {
namespace {

// A batch is written at whichever it reaches first. A pair as large as that is
// written by itself.
constexpr size_t kBatchByteSize = size_t{1} << 20U;
constexpr size_t kBatchSize = 1'000;

constexpr uint64_t kComplaintsMax = 10;

class Loading {
 public:
  Loading(Store& store, const LoadOptions& options, LoadCounts& counts)
      : store_(store), options_(options), counts_(counts) {}

  absl::Status Add(const Pair& pair) {
    if (options_.if_absent) {
      PEAT_ASSIGN_OR_RETURN(const bool inserted,
                            store_.PutIfAbsent(pair.key, pair.value));
      counts_.inserted += inserted ? 1 : 0;
      ++counts_.acknowledged;
    } else {
      PEAT_RETURN_IF_ERROR(AddToBatch(pair));
    }
    const uint64_t added = counts_.acknowledged + batch_.size();
    if (options_.acknowledge == 0 || added % options_.acknowledge != 0) {
      return absl::OkStatus();
    }
    PEAT_RETURN_IF_ERROR(WriteBatched());
    return Announce();
  }

  absl::Status WriteBatched() {
    if (batch_.size() == 0) return absl::OkStatus();
    PEAT_RETURN_IF_ERROR(store_.Write(batch_));
    counts_.acknowledged += batch_.size();
    batch_.Clear();
    return absl::OkStatus();
  }

 private:
  absl::Status AddToBatch(const Pair& pair) {
    const size_t pair_size = pair.key.size() + pair.value.size();
    if (batch_.byte_size() + pair_size > kBatchByteSize) {
      PEAT_RETURN_IF_ERROR(WriteBatched());
    }
    if (pair_size > kBatchByteSize) {
      PEAT_RETURN_IF_ERROR(store_.Put(pair.key, pair.value));
      ++counts_.acknowledged;
      return absl::OkStatus();
    }
    batch_.Put(pair.key, pair.value);
    return batch_.size() < kBatchSize ? absl::OkStatus() : WriteBatched();
  }

  absl::Status Announce() {
    if (options_.flush) PEAT_RETURN_IF_ERROR(store_.Flush().status());
    PEAT_RETURN_IF_ERROR(WriteOutput(
        absl::StrFormat("acknowledged %d\n", counts_.acknowledged)));
    return FlushOutput();
  }

  Store& store_;
  const LoadOptions options_;
  LoadCounts& counts_;
  WriteBatch batch_;
};

absl::Status LoadPairs(Loading& loading, PairReader& reader, Progress& progress,
                       const LoadCounts& counts) {
  Pair pair;
  while (true) {
    PEAT_ASSIGN_OR_RETURN(const bool found, reader.Next(&pair));
    if (!found) return absl::OkStatus();
    PEAT_RETURN_IF_ERROR(loading.Add(pair));
    progress.Update(reader.bytes_read(), counts.acknowledged);
  }
}

void ComplainOfLine(const CheckCounts& counts, uint64_t line,
                    std::string_view what) {
  if (counts.missing + counts.different > kComplaintsMax) return;
  Complain(absl::StrFormat("line %d: %s", line, what));
}

}  // namespace

absl::Status Load(Store& store, const LoadOptions& options, PairReader& reader,
                  Progress& progress, LoadCounts* counts) {
  Loading loading(store, options, *counts);
  const absl::Status loaded = LoadPairs(loading, reader, progress, *counts);
  // Whatever stopped the loading, what was read before is not lost.
  const absl::Status written = loading.WriteBatched();
  PEAT_RETURN_IF_ERROR(loaded);
  PEAT_RETURN_IF_ERROR(written);
  return options.flush ? store.Flush().status() : absl::OkStatus();
}

absl::Status CheckLoaded(const Store& store, PairReader& reader,
                         Progress& progress, CheckCounts* counts) {
  Pair pair;
  while (true) {
    PEAT_ASSIGN_OR_RETURN(const bool found, reader.Next(&pair));
    if (!found) return absl::OkStatus();
    ++counts->events;
    const absl::StatusOr<PinnedValue> value = store.GetPinned(pair.key);
    if (value.ok()) {
      if (std::string_view(*value) != pair.value) {
        ++counts->different;
        ComplainOfLine(*counts, reader.line(), "stored with another value");
      }
    } else if (absl::IsNotFound(value.status())) {
      ++counts->missing;
      ComplainOfLine(*counts, reader.line(), "not stored");
    } else {
      return value.status();
    }
    progress.Update(reader.bytes_read(), counts->events);
  }
}

}  // namespace peat::tools
