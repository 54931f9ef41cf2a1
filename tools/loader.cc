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

bool IsRefusal(const absl::Status& status) {
  return IsDisabled(status) || IsForgotten(status);
}

PutOptions OptionsOf(const Pair& pair) {
  return {.expires_at = pair.expires_at};
}

class Loading {
 public:
  Loading(Store& store, const LoadOptions& options, LoadCounts& counts)
      : store_(store), options_(options), counts_(counts) {}

  absl::Status Add(const Pair& pair) {
    if (options_.if_absent) {
      const absl::StatusOr<bool> inserted =
          store_.PutIfAbsent(pair.key, pair.value, OptionsOf(pair));
      counts_.inserted += inserted.ok() && *inserted ? 1 : 0;
      PEAT_RETURN_IF_ERROR(Count(inserted.status()));
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

  // Stores what has come, since nothing more does for now.
  absl::Status Settle() {
    PEAT_RETURN_IF_ERROR(WriteBatched());
    if (!options_.flush || counts_.acknowledged == flushed_) {
      return absl::OkStatus();
    }
    PEAT_RETURN_IF_ERROR(store_.Flush().status());
    flushed_ = counts_.acknowledged;
    return absl::OkStatus();
  }

  absl::Status WriteBatched() {
    if (batch_.size() == 0) return absl::OkStatus();
    absl::Status written = store_.Write(batch_);
    if (written.ok()) counts_.acknowledged += batch_.size();
    if (IsRefusal(written)) written = PutOneByOne();
    // Also after a failure: none of it is counted twice.
    batch_.Clear();
    return written;
  }

 private:
  // Counts one event by the store's answer, if it is one.
  absl::Status Count(const absl::Status& answer) {
    if (!answer.ok() && !IsRefusal(answer)) return answer;
    counts_.refused += answer.ok() ? 0 : 1;
    ++counts_.acknowledged;
    return absl::OkStatus();
  }

  // Puts what a refused batch holds, but for what is refused in it.
  absl::Status PutOneByOne() {
    for (size_t i = 0; i < batch_.size(); ++i) {
      const WriteBatch::Operation put = batch_.operation(i);
      PEAT_RETURN_IF_ERROR(Count(store_.Put(put.key, put.value, put.options)));
    }
    return absl::OkStatus();
  }

  absl::Status AddToBatch(const Pair& pair) {
    const size_t pair_size = pair.key.size() + pair.value.size();
    if (batch_.byte_size() + pair_size > kBatchByteSize) {
      PEAT_RETURN_IF_ERROR(WriteBatched());
    }
    if (pair_size > kBatchByteSize) {
      return Count(store_.Put(pair.key, pair.value, OptionsOf(pair)));
    }
    batch_.Put(pair.key, pair.value, OptionsOf(pair));
    return batch_.size() < kBatchSize ? absl::OkStatus() : WriteBatched();
  }

  absl::Status Announce() {
    if (options_.flush) PEAT_RETURN_IF_ERROR(store_.Flush().status());
    // Loading goes on if nobody reads them.
    absl::Status written =
        WriteOutput(absl::StrFormat("acknowledged %d\n", counts_.acknowledged));
    if (!written.ok() && !OutputIsClosed()) return written;
    return FlushOutput();
  }

  Store& store_;
  const LoadOptions options_;
  LoadCounts& counts_;
  uint64_t flushed_ = 0;  // of the acknowledged ones
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

}  // namespace

absl::Status Load(Store& store, const LoadOptions& options, PairReader& reader,
                  Progress& progress, LoadCounts* counts) {
  Loading loading(store, options, *counts);
  reader.Watch({.on_pause = [&loading] { return loading.Settle(); },
                .is_interrupted = options.is_interrupted});
  const absl::Status loaded = LoadPairs(loading, reader, progress, *counts);
  // Whatever stopped the loading, what was read before is not lost.
  absl::Status settled = loading.Settle();
  reader.Watch({});
  PEAT_RETURN_IF_ERROR(loaded);
  return settled;
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
        ComplainOfLine(counts->complaints(), reader.line(),
                       "stored with another value");
      }
    } else if (absl::IsNotFound(value.status()) &&
               pair.expires_at.has_value() && *pair.expires_at <= store.Now()) {
      // It was, as far as anybody can tell.
    } else if (absl::IsNotFound(value.status())) {
      ++counts->missing;
      ComplainOfLine(counts->complaints(), reader.line(), "not stored");
    } else {
      return value.status();
    }
    progress.Update(reader.bytes_read(), counts->events);
  }
}

}  // namespace peat::tools
